"""After a lost journal: stops and exits that rest at the broker are ours by their shape, and get no twin."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.messages.enums import Call, OrderState, OrderType, Purpose, Side
from mytrading.messages.journal_rows import JournalRelearned
from mytrading.messages.orders import Order, OrderChanged, ProtectionChanged
from tests.kit.fake_broker import SECOND, OrderBench, Placed
from tests.kit.oms_rebuild import PLAN, entry, exits, goal, learn

STOP = {"order_type": OrderType.SL, "trigger_price": 90.0, "price": 87.0}


def rebuilt(missing: str, *missed: object) -> OrderBench:
    """Fifty held, their stop at the broker; of the journal its rows are `missing`, of a protection all or its stop."""
    old = OrderBench()
    old.hold("e1", **PLAN)
    old.accept()
    old.read()
    made = OrderBench()
    made.broker, made.time = old.broker, old.time + 10 * SECOND
    for row in old.journal:
        if not _is_lost(row, missing):
            made.machine.apply(row)
    learn(made, *missed)
    return made


def _is_lost(row: Any, missing: str) -> bool:
    if isinstance(row, ProtectionChanged):
        return missing == "protection" or row.protection.attempts > 0
    return isinstance(row, OrderChanged) and row.order.purpose is Purpose.STOP


def go_on(bench: OrderBench, seconds: int = 30, **books: Any) -> None:
    for _ in range(seconds):
        bench.tick(SECOND)
        for call in list(bench.calls):
            if call.call is Call.CANCEL:
                bench.cancel(call)
            elif call.order.purpose is Purpose.STOP:
                bench.accept(call)
        bench.read(**books)


def stops(bench: OrderBench) -> list[Placed]:
    """Stops that rest at the broker."""
    return [row for row in bench.broker.orders.values() if row.open and row.order_type is OrderType.SL]


def place(bench: OrderBench, **fields: Any) -> Placed:
    """An order at the broker that nobody here knows: SELL 50, MARKET unless it says otherwise."""
    known = bench.machine.state.orders.get("e1")
    assert known is not None
    return bench.broker.place(replace(known, client_order_id="lost", side=Side.SELL, **fields), bench.time, bench.time)


@pytest.mark.parametrize("missing", ["stop", "protection"])
def test_stop_of_the_lost_part_is_taken_over_and_gets_no_twin(missing: str) -> None:
    bench = rebuilt(missing)
    bench.tick(SECOND)
    assert not bench.calls, "a stop went out before the book was looked at"
    go_on(bench)
    (stop,) = stops(bench)
    (order,) = [order for order in bench.machine.orders() if order.purpose is Purpose.STOP]
    assert (order.broker_order_id, order.state) == (stop.id, OrderState.ACCEPTED)
    assert [level.waits_machine_ns for level in bench.machine.state.protections.sorted_values()] == [0]


def test_stop_that_was_taken_over_is_the_exit_when_it_fills() -> None:
    bench = rebuilt("stop")
    go_on(bench, 3)
    (stop,) = stops(bench)
    bench.broker.trade(stop, 50, 89.0)
    bench.report(stop)
    go_on(bench, 3)
    assert bench.position().quantity == 0 and len(bench.broker.orders) == 2
    assert "POSITION_REVERSED" not in bench.codes()


def test_stop_of_an_entry_that_only_the_broker_remembers_is_taken_over_too() -> None:
    bench = OrderBench()
    sent = OrderBench()
    sent.read()
    sent.step(replace(entry(50), freeze=0))
    placed = bench.broker.place(sent.calls[0].order, bench.time, bench.time)
    bench.broker.trade(placed, 50, 100.0)
    stop = replace(sent.calls[0].order, client_order_id="lost", side=Side.SELL, **STOP)
    bench.broker.place(stop, bench.time, bench.time)
    learn(bench, replace(entry(50), freeze=0))
    go_on(bench)
    assert bench.position().quantity == 50
    (resting,) = stops(bench)
    assert [o.broker_order_id for o in bench.machine.orders() if o.purpose is Purpose.STOP] == [resting.id]


def test_second_stop_that_appears_late_is_taken_over_and_cancelled() -> None:
    """The call of the lost part was still out when the book was read: the server places it afterwards."""
    bench = rebuilt("stop")
    bench.broker.orders.pop("B2")
    go_on(bench, 5)
    (mine,) = stops(bench)
    place(bench, **STOP)
    go_on(bench, 10)
    assert len(stops(bench)) == 1
    assert sum(row.quantity for row in stops(bench)) == 50
    assert mine.id in {order.broker_order_id for order in bench.machine.orders()}


@pytest.mark.parametrize(
    ("other", "placed"),
    [
        ({"trigger_price": 91.0}, []),
        ({"price": 86.0}, []),
        ({"order_type": OrderType.LIMIT, "trigger_price": 0.0}, [OrderState.ACCEPTED]),
    ],
)
def test_order_of_another_shape_is_left_alone_and_a_stop_gets_none_beside_it(
    other: dict[str, Any], placed: list[OrderState]
) -> None:
    bench = rebuilt("stop")
    bench.broker.orders.pop("B2")
    strange = place(bench, **{**STOP, **other})
    go_on(bench, 5)
    assert strange.id not in {order.broker_order_id for order in bench.machine.orders()}
    assert [order.state for order in bench.machine.orders() if order.purpose is Purpose.STOP] == placed
    assert ("STOP_BESIDE_ORDER" in bench.codes()) is not bool(placed)


def test_stop_is_placed_after_fifteen_seconds_without_a_book() -> None:
    bench = rebuilt("stop")
    for _ in range(14):
        bench.tick(SECOND)
        bench.read(orders=None, trades=None, positions=None)
    assert not bench.calls
    for _ in range(2):
        bench.tick(SECOND)
    assert [call.order.purpose for call in bench.calls] == [Purpose.STOP]


def test_order_that_was_nobodys_before_the_journal_was_lost_stays_nobodys() -> None:
    bench = OrderBench()
    bench.hold("e1", **PLAN)
    bench.accept()
    strange = place(bench, **STOP)
    bench.read()
    learn(bench)
    go_on(bench, 5)
    assert strange.id not in {order.broker_order_id for order in bench.machine.orders()}


def test_journal_that_an_older_version_rebuilt_takes_nothing_over() -> None:
    """Its row does not say when it was rebuilt, so that anybody's order would look like one of the lost part."""
    bench = OrderBench()
    bench.hold("e1", **PLAN)
    bench.accept()
    bench.read()
    bench.machine.apply(JournalRelearned(copies=0, read=0, at_ns=bench.now))
    strange = place(bench, **STOP)
    go_on(bench, 5)
    assert strange.open and strange.id not in {order.broker_order_id for order in bench.machine.orders()}


def test_exit_of_the_lost_part_that_rests_is_taken_over_and_chased() -> None:
    bench = rebuilt("stop")
    bench.broker.orders.pop("B2")
    sold = place(bench, order_type=OrderType.MARKET)
    learn(bench, goal())
    go_on(bench, 3)
    (order,) = [order for order in bench.machine.orders() if order.purpose is Purpose.EXIT]
    assert (order.broker_order_id, order.links.goal) == (sold.id, "g1")
    go_on(bench, 15)
    assert not sold.open, "it rested too long for an exit"
    assert exits(bench) == [50, 50] and [call.order.quantity for call in bench.calls] == [50]
    assert "GOAL_STUCK" not in bench.codes()


def test_exit_that_was_taken_over_and_fills_is_the_only_one() -> None:
    bench = rebuilt("stop")
    bench.broker.orders.pop("B2")
    sold = place(bench, order_type=OrderType.MARKET)
    learn(bench, goal())
    go_on(bench, 3)
    bench.broker.trade(sold, 50, 99.0)
    go_on(bench, 10)
    assert bench.position().quantity == 0 and exits(bench) == [50] and not bench.calls
    assert [found.state for found in bench.machine.goals()] == ["done"]
    assert bench.position().realised == pytest.approx(-50.0)


def test_row_that_an_order_of_unknown_fate_may_be_is_left_to_it() -> None:
    """The stop's call was journaled, its answer was not: its row is found by two sightings like any other."""
    bench = OrderBench()
    bench.hold("e1", **PLAN)
    call = bench.calls[0]
    placed = bench.broker.place(call.order, bench.time, bench.time)
    learn(bench)
    bench.crash()
    go_on(bench, 5)
    own: list[Order] = [order for order in bench.machine.orders() if order.purpose is Purpose.STOP]
    assert [(order.client_order_id, order.broker_order_id) for order in own] == [
        (call.order.client_order_id, placed.id)
    ]
