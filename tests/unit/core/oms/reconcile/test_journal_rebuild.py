"""After a lost journal of the router: what may have been sent is looked for, and nothing goes out twice."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mytrading.core.oms.reconcile import journal_rebuild
from mytrading.messages.control import FlattenRequested
from mytrading.messages.enums import BrokerStatus, Call, OrderState, OrderType, Outcome, Purpose, Side
from mytrading.messages.journal_rows import RiskOpened
from mytrading.messages.orders import Order
from tests.kit.fake_broker import ACCOUNT, SECOND, OrderBench
from tests.kit.oms_rebuild import PLAN, entry, exits, goal, learn


def sent_slices() -> list[Order]:
    other = OrderBench()
    other.read()
    other.step(entry())
    return [call.order for call in other.calls]


def entries(bench: OrderBench) -> dict[int, OrderState]:
    return {order.quantity: order.state for order in bench.machine.orders() if order.purpose is Purpose.ENTRY}


def test_entry_of_a_lost_journal_that_went_in_slices_is_found_by_its_slices() -> None:
    bench = OrderBench()
    for order in sent_slices():
        placed = bench.broker.place(order, bench.time, bench.time)
        bench.broker.trade(placed, placed.quantity, 100.0)
    learn(bench, entry())
    assert entries(bench) == dict.fromkeys((200, 150, 100), OrderState.UNKNOWN)
    for _ in range(3):
        bench.tick(SECOND)
        bench.read()
    assert entries(bench) == dict.fromkeys((200, 150, 100), OrderState.FILLED)
    assert bench.position().quantity == 450
    assert {order.links.parent for order in bench.machine.orders() if order.purpose is Purpose.ENTRY} == {"e1"}
    bench.step(entry())
    assert not [call for call in bench.calls if call.order.purpose is Purpose.ENTRY]


def test_slices_that_never_left_are_lost_and_never_sent_again() -> None:
    bench = OrderBench()
    first = sent_slices()[0]
    bench.broker.trade(bench.broker.place(first, bench.time, bench.time), 200, 100.0)
    learn(bench, entry())
    for _ in range(40):
        bench.tick(5 * SECOND)
        bench.read()
    assert entries(bench) == {200: OrderState.FILLED, 150: OrderState.LOST, 100: OrderState.LOST}
    assert [call.order.purpose for call in bench.calls] == [Purpose.STOP]


@pytest.fixture
def held() -> OrderBench:
    bench = OrderBench()
    bench.hold("e1", **PLAN)
    bench.accept()
    bench.read()
    bench.tick(10 * SECOND)
    return bench


def go_on(bench: OrderBench, seconds: int = 30) -> None:
    for _ in range(seconds):
        bench.tick(SECOND)
        for call in list(bench.calls):
            if call.call is Call.CANCEL:
                bench.cancel(call)
        bench.read()


def test_exit_of_a_lost_journal_waits_for_two_reads_and_keeps_the_stop(held: OrderBench) -> None:
    learn(held, goal())
    held.tick(SECOND)
    held.read()
    assert not held.calls, "an exit or the cancel of the stop went out on one read"
    assert [g.proofs for g in held.machine.goals()] == [1]
    go_on(held, 10)
    assert exits(held) == [50]


def test_exit_that_was_open_when_the_journal_was_lost_waits_as_well(held: OrderBench) -> None:
    held.read()
    held.step(goal())
    learn(held)
    held.calls.clear()
    held.tick(SECOND)
    assert [g.waits_machine_ns > 0 for g in held.machine.goals()] == [True] and not exits(held)


def test_exit_that_had_filled_in_the_lost_part_is_not_sent_again(held: OrderBench) -> None:
    gone = held.machine.state.orders.get("e1")
    assert gone is not None
    sold = held.broker.place(Order(**{**_fields(gone), "side": Side.SELL}), held.time, held.time)
    held.broker.trade(sold, 50, 99.0)
    learn(held, goal())
    go_on(held)
    assert not exits(held) and held.position().quantity == 0
    assert [g.state for g in held.machine.goals()] == ["done"]


def test_exit_that_rests_unknown_at_the_broker_is_not_doubled(held: OrderBench) -> None:
    """A person's, by its looks: nobody here knows it, and what it may close is left to it."""
    gone = held.machine.state.orders.get("e1")
    assert gone is not None
    other = {**_fields(gone), "side": Side.SELL, "order_type": OrderType.LIMIT, "price": 120.0}
    sold = held.broker.place(Order(**other), held.time, held.time)
    learn(held, goal())
    go_on(held, 70)
    assert not exits(held) and "GOAL_STUCK" in held.codes()
    assert [order.state for order in held.machine.orders() if order.purpose is Purpose.STOP] == [OrderState.ACCEPTED]
    held.broker.drop(sold)
    go_on(held, 10)
    assert exits(held) == [50]


def test_exit_is_sent_for_what_no_order_of_nobody_closes(held: OrderBench) -> None:
    gone = held.machine.state.orders.get("e1")
    assert gone is not None
    held.broker.place(Order(**{**_fields(gone), "side": Side.SELL, "quantity": 20}), held.time, held.time)
    learn(held, goal())
    go_on(held, 20)
    assert exits(held) == [30]


def _fields(order: Order) -> dict[str, object]:
    return {name: getattr(order, name) for name in order.__struct_fields__}


def test_lost_journal_knows_the_sizes_that_risk_carried() -> None:
    (opened,) = journal_rebuild.opening_rows([RiskOpened(day="2026-11-23", sizes={"NFO:A": (50, 200)})])
    assert opened.sizes == {"NFO:A": (50, 200)}


def test_lost_journal_begins_with_the_stops_and_exits_that_risk_carried(held: OrderBench) -> None:
    held.step(goal())
    (level,), (exit_goal,) = held.machine.state.protections.sorted_values(), held.machine.goals()
    (opened,) = journal_rebuild.opening_rows([RiskOpened(day="2026-11-23", protections=(level,), goals=(exit_goal,))])
    assert (opened.protections, opened.goals) == ((level,), (exit_goal,))


def test_carried_position_of_a_lost_journal_is_guarded_at_the_level_that_risk_carried(held: OrderBench) -> None:
    made = OrderBench()
    made.broker.net, made.time = dict(held.broker.net), held.time
    (level,) = held.machine.state.protections.sorted_values()
    carried = RiskOpened(day="2026-11-23", positions=(held.position(),), protections=(replace(level, order=""),))
    for row in journal_rebuild.opening_rows([carried]):
        made.machine.apply(row)
    made.see_mode()
    learn(made)
    made.tick(SECOND)
    made.read()
    made.tick(SECOND)
    assert [(call.order.purpose, call.order.trigger_price) for call in made.calls] == [(Purpose.STOP, 90.0)]


def test_flatten_of_a_lost_journal_goes_on_and_waits_with_its_exits(held: OrderBench) -> None:
    asked = FlattenRequested(
        id="f1", account=ACCOUNT, at_ns=held.now, deadline_machine_ns=held.time + 60 * SECOND, reason="flatten"
    )
    learn(held, asked)
    held.tick(SECOND)
    held.read()
    held.tick(SECOND)
    held.read()
    assert not held.calls and [g.waits_machine_ns > 0 for g in held.machine.goals()] == [True]
    go_on(held, 12)
    assert exits(held) == [50]


def test_flatten_whose_exit_had_filled_in_the_lost_part_sends_none(held: OrderBench) -> None:
    gone = held.machine.state.orders.get("e1")
    assert gone is not None
    asked = FlattenRequested(
        id="f1", account=ACCOUNT, at_ns=held.now, deadline_machine_ns=held.time + 60 * SECOND, reason="flatten"
    )
    held.step(asked)
    sold = held.broker.place(Order(**{**_fields(gone), "side": Side.SELL}), held.time, held.time)
    held.broker.trade(sold, 50, 99.0)
    learn(held)
    go_on(held)
    assert not exits(held) and [f.state for f in held.machine.state.flattens.sorted_values()] == ["done"]


def refuse_stops(bench: OrderBench, seconds: int) -> None:
    """The exchange rejects the stop that rests, and the broker every further one."""
    for _ in range(seconds):
        bench.tick(SECOND)
        for placed in bench.broker.orders.values():
            if placed.order_type is OrderType.SL:
                bench.broker.drop(placed, BrokerStatus.REJECTED)
        for call in list(bench.calls):
            if call.call is Call.PLACE and call.order.purpose is Purpose.STOP:
                bench.end(call, Outcome.REFUSED, message="no")
        bench.read()


def test_stop_that_fails_while_an_exit_waits_begins_no_second_exit(held: OrderBench) -> None:
    """The exit was sent in the lost part and rests at a limit; what takes over for the stop waits with it."""
    gone = held.machine.state.orders.get("e1")
    assert gone is not None
    other = {**_fields(gone), "side": Side.SELL, "order_type": OrderType.LIMIT, "price": 99.0}
    held.broker.place(Order(**other), held.time, held.time)
    learn(held, goal())
    refuse_stops(held, 40)
    assert exits(held) == [], "an exit went out beside one that nobody here knows"
    assert "STOP_FAILED" in held.codes()
    assert {(g.elsewhere, g.waits_machine_ns > 0) for g in held.machine.goals()} == {(50, True)}
    assert len(held.machine.goals()) == 2, "one goal for the failed stop, however long it waits"


def test_exit_that_is_commanded_while_another_waits_for_the_books_waits_too(held: OrderBench) -> None:
    learn(held, goal())
    held.step(goal("g2"))
    held.tick(SECOND)
    assert not exits(held) and all(g.waits_machine_ns for g in held.machine.goals())
    go_on(held, 12)
    assert exits(held) == [50]
