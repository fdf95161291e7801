"""Stops of unknown fate, stops that somebody moved at the broker, and stops that would become too many."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mytrading.core.oms import OmsLimits
from mytrading.core.orders.state_machine import ModifyRules
from mytrading.messages.control import ResolveRequested
from mytrading.messages.enums import Call, OrderState, OrderType, Outcome, Purpose, Side
from mytrading.messages.orders import Order
from mytrading.messages.run_config import UnknownExit
from tests.kit.fake_broker import SECOND, OrderBench, Placed
from tests.kit.oms_protection import settle

PLAN = {"stop_trigger": 90.0, "stop_limit": 87.0}


@pytest.fixture
def bench() -> OrderBench:
    return OrderBench(OmsLimits())


def stops(bench: OrderBench, *states: OrderState) -> list[Order]:
    found = [order for order in bench.machine.orders() if order.purpose is Purpose.STOP]
    return [order for order in found if not states or order.state in states]


def guarding(bench: OrderBench) -> list[int]:
    """Units of each stop at the broker, smallest first."""
    names = {order.client_order_id for order in stops(bench)}
    found = [placed for placed in bench.broker.orders.values() if placed.open and placed.client_order_id in names]
    return sorted(placed.quantity - placed.filled for placed in found)


def into_the_dark(bench: OrderBench, turns: int = 60, purposes: tuple[Purpose, ...] = (Purpose.STOP,)) -> int:
    """Time passes and books are read; placing calls of these purposes time out and placed nothing. How many did?"""
    lost = 0
    for _ in range(turns):
        for call in list(bench.calls):
            if call.call is Call.PLACE and call.order.purpose in purposes:
                lost += 1
                bench.end(call, Outcome.UNKNOWN, message="timed out")
            elif call.call is Call.PLACE:
                bench.accept(call)
            elif call.call is Call.CANCEL:
                bench.cancel(call)
            else:
                bench.modify(call)
        bench.tick(2 * SECOND)
        bench.read()
    return lost


def guarded(bench: OrderBench, quantity: int = 50) -> Placed:
    """A position whose stop rests at the broker, all of it read."""
    bench.hold("e1", quantity, **PLAN)
    stop = bench.accept()
    bench.read()
    return stop


def test_stop_of_unknown_fate_is_placed_once_more_and_then_waits_for_a_person(bench: OrderBench) -> None:
    bench.hold("e1", 50, **PLAN)
    assert into_the_dark(bench, 200) == 2
    assert sorted(order.state for order in stops(bench)) == [OrderState.GHOST, OrderState.UNKNOWN]
    alarms = [alert for alert in bench.alerts if alert.code == "STOP_IN_DOUBT"]
    assert [(alert.severity, "resolve" in alert.message) for alert in alarms] == [("critical", True)]


def test_person_who_ends_the_doubt_gets_another_stop_placed(bench: OrderBench) -> None:
    bench.hold("e1", 50, **PLAN)
    into_the_dark(bench)
    (waits,) = stops(bench, OrderState.UNKNOWN)
    bench.step(ResolveRequested(id="r1", order=waits.client_order_id, at_ns=bench.now))
    settle(bench, 40)
    assert guarding(bench) == [50]


def test_second_stop_that_is_at_the_broker_after_all_is_adopted(bench: OrderBench) -> None:
    bench.hold("e1", 50, **PLAN)
    into_the_dark(bench)
    (waits,) = stops(bench, OrderState.UNKNOWN)
    bench.broker.place(waits, bench.time)
    settle(bench)
    assert guarding(bench) == [50]
    assert stops(bench, OrderState.UNKNOWN) == []


def test_exit_goes_out_although_the_second_stop_is_in_doubt_and_only_once_more(bench: OrderBench) -> None:
    bench.hold("e1", 50, **PLAN)
    into_the_dark(bench)
    bench.close("g1")
    assert into_the_dark(bench, 100, (Purpose.STOP, Purpose.EXIT)) == 1
    (goal,) = bench.machine.goals()
    assert (goal.state, goal.ghosts) == ("stuck", 1)
    exits = [order for order in bench.machine.orders() if order.purpose is Purpose.EXIT]
    assert [order.state for order in exits] == [OrderState.UNKNOWN]


def test_exit_after_two_doubtful_stops_flattens(bench: OrderBench) -> None:
    bench.hold("e1", 50, **PLAN)
    into_the_dark(bench)
    bench.close("g1")
    settle(bench, 3)
    (placed,) = [placed for placed in bench.broker.orders.values() if placed.open]
    bench.broker.trade(placed, 50, 99.0)
    settle(bench)
    assert (bench.position().quantity, [goal.state for goal in bench.machine.goals()]) == (0, ["done"])


def test_no_stop_is_given_up_where_every_doubt_waits_for_a_person() -> None:
    bench = OrderBench(OmsLimits(unknown_exit=UnknownExit.WAIT))
    bench.hold("e1", 50, **PLAN)
    assert into_the_dark(bench) == 1
    bench.close("g1")
    into_the_dark(bench)
    assert [order.state for order in stops(bench)] == [OrderState.UNKNOWN]
    assert {"STOP_IN_DOUBT", "GOAL_STUCK"} <= bench.codes()


def test_doubt_about_stops_survives_a_restart(bench: OrderBench) -> None:
    bench.hold("e1", 50, **PLAN)
    into_the_dark(bench)
    bench.crash()
    assert into_the_dark(bench) == 0
    assert len(stops(bench)) == 2


# changes at the terminal


def test_stop_made_smaller_at_the_terminal_is_completed_by_another(bench: OrderBench) -> None:
    stop = guarded(bench)
    stop.quantity = 25
    settle(bench)
    assert guarding(bench) == [25, 25]
    assert [alert.subject for alert in bench.alerts if alert.code == "ORDER_CHANGED"] == [stop.client_order_id]


def test_stop_made_smaller_at_the_terminal_that_fills_before_it_is_read_leaves_the_rest_guarded(
    bench: OrderBench,
) -> None:
    stop = guarded(bench)
    stop.quantity = 25
    bench.broker.trigger(stop)
    bench.broker.trade(stop, 25, 90.0)
    settle(bench)
    assert (bench.position().quantity, guarding(bench)) == (25, [25])
    assert bench.order(stop.client_order_id).state is OrderState.FILLED


def test_stop_made_larger_at_the_terminal_is_cut_to_what_is_held(bench: OrderBench) -> None:
    stop = guarded(bench)
    stop.quantity = 80
    settle(bench)
    assert guarding(bench) == [50]


def test_stop_moved_at_the_terminal_stays_where_it_was_put(bench: OrderBench) -> None:
    stop = guarded(bench)
    stop.trigger_price, stop.price = 80.0, 77.0
    settle(bench)
    assert (stop.trigger_price, stop.price, stop.modifies) == (80.0, 77.0, 0)
    assert [(level.trigger, level.limit) for level in bench.machine.state.protections.sorted_values()] == [(80.0, 77.0)]
    bench.broker.drop(stop)
    settle(bench)
    (follower,) = stops(bench, OrderState.ACCEPTED)
    assert (follower.trigger_price, follower.price) == (80.0, 77.0), "the next one lies there too"


def test_entry_changed_at_the_terminal_is_what_the_broker_shows(bench: OrderBench) -> None:
    bench.read()
    bench.enter("e1", 100, order_type=OrderType.LIMIT, price=100.0, **PLAN)
    placed = bench.accept()
    bench.read()
    placed.price, placed.quantity = 98.0, 75
    bench.tick(10 * SECOND)
    bench.read()
    assert bench.order("e1").quantity == 100, "one read is no proof"
    settle(bench, 4)
    assert (bench.order("e1").price, bench.order("e1").quantity) == (98.0, 75)
    bench.broker.trade(placed, 75, 98.0)
    settle(bench)
    assert (bench.order("e1").state, guarding(bench)) == (OrderState.FILLED, [75])


def test_book_that_shows_no_prices_changes_none(bench: OrderBench) -> None:
    stop = guarded(bench)
    stop.price = stop.trigger_price = 0.0
    settle(bench)
    assert (bench.order(stop.client_order_id).trigger_price, bench.codes()) == (90.0, set())


def test_one_read_of_another_quantity_changes_nothing(bench: OrderBench) -> None:
    stop = guarded(bench)
    stop.quantity = 25
    bench.read()
    stop.quantity = 50
    settle(bench)
    assert (guarding(bench), bench.codes()) == ([50], set())


# how many


def filled_in_parts(bench: OrderBench, parts: int, units: int = 10, more: int = 0, **fields: int) -> None:
    """An entry of which each part fills when the one before is guarded; `more` units of it do not."""
    bench.read()
    bench.enter("e1", parts * units + more, order_type=OrderType.LIMIT, price=100.0, **PLAN, **fields)
    settle(bench, 3)
    for _ in range(parts):
        entry = next(placed for placed in bench.broker.orders.values() if placed.open and placed.side is Side.BUY)
        bench.broker.trade(entry, units, 100.0)
        bench.report(entry)
        settle(bench, 4)


@pytest.mark.parametrize("in_place", [True, False])
def test_entry_filled_in_twenty_parts_has_few_stops_that_cover_all_of_it(in_place: bool) -> None:
    bench = OrderBench(OmsLimits(modify=ModifyRules(in_place=in_place)))
    filled_in_parts(bench, 20)
    settle(bench)
    assert sum(guarding(bench)) == 200
    assert len(guarding(bench)) <= bench.limits.stops_most
    assert not {"STOP_FAILED", "ORDER_ILLEGAL"} & bench.codes()


def test_parts_that_fill_while_a_stop_is_on_its_way_share_the_next(bench: OrderBench) -> None:
    bench.read()
    bench.enter("e1", 100, **PLAN)
    entry = bench.accept()
    for _ in range(10):
        bench.broker.trade(entry, 10, 100.0)
        bench.report(entry)
    assert [order.quantity for order in stops(bench, OrderState.SUBMITTED)] == [10]
    assert [order.quantity for order in stops(bench, OrderState.INITIALIZED)] == [90]
    settle(bench)
    assert guarding(bench) == [10, 90]


def test_joined_stops_leave_all_others_in_place(bench: OrderBench) -> None:
    filled_in_parts(bench, 5, more=10)
    assert len(guarding(bench)) == 5
    entry = next(placed for placed in bench.broker.orders.values() if placed.client_order_id == "e1")
    bench.broker.trade(entry, 10, 100.0)
    bench.report(entry)
    bench.tick(SECOND)
    assert [call.call for call in bench.calls] == [Call.CANCEL], "one ends, four stay"
    settle(bench)
    assert guarding(bench) == [10, 10, 10, 10, 20]


def test_stops_above_the_freeze_quantity_are_bounded_too(bench: OrderBench) -> None:
    filled_in_parts(bench, 20, lot=5, freeze=60)
    settle(bench, 20)
    assert sum(guarding(bench)) == bench.position().quantity > 180
    assert max(guarding(bench)) <= 60
    assert len(guarding(bench)) <= bench.limits.stops_most + 4


def test_stop_whose_change_waits_is_cut_by_what_is_still_too_much() -> None:
    bench = OrderBench(OmsLimits())
    stop = guarded(bench, 100)
    bench.machine.apply(bench.order(stop.client_order_id))
    entry = next(placed for placed in bench.broker.orders.values() if placed.client_order_id == "e1")
    assert entry.filled == 100
    for left in (60, 40):
        bench.broker.by_hand(left)
        settle(bench, 10)
        assert (bench.position().quantity, guarding(bench)) == (left, [left])


def test_stops_in_doubt_together_are_all_given_up_before_the_one_exit_goes_out(bench: OrderBench) -> None:
    bench.read()
    bench.enter("e1", 20, **PLAN)
    entry = bench.accept()
    for _ in range(2):
        bench.broker.trade(entry, 10, 100.0)
        bench.report(entry)
        into_the_dark(bench, 1)
    assert [order.quantity for order in stops(bench, OrderState.UNKNOWN)] == [10, 10]
    bench.close("g1")
    assert into_the_dark(bench, 100, (Purpose.STOP, Purpose.EXIT)) == 1
    exits = [order.state for order in bench.machine.orders() if order.purpose is Purpose.EXIT]
    assert sorted(exits) == [OrderState.UNKNOWN]
    assert [goal.ghosts for goal in bench.machine.goals()] == [1]


def test_stops_in_doubt_together_are_each_placed_once_more(bench: OrderBench) -> None:
    bench.read()
    bench.enter("e1", 20, **PLAN)
    entry = bench.accept()
    for _ in range(2):
        bench.broker.trade(entry, 10, 100.0)
        bench.report(entry)
        into_the_dark(bench, 1)
    into_the_dark(bench, 100)
    assert sum(order.quantity for order in stops(bench, OrderState.GHOST)) == 20
    assert sum(order.quantity for order in stops(bench, OrderState.UNKNOWN)) == 20


@pytest.mark.parametrize("left", [20, 0])
def test_stop_of_unknown_fate_beside_a_sale_by_hand_is_placed_again_for_what_is_left(
    bench: OrderBench, left: int
) -> None:
    """A trade of anybody in the contract kept the doubt up: bare until a person resolved it."""
    bench.hold("e1", 50, **PLAN)
    bench.end(bench.calls[0], Outcome.UNKNOWN, message="timed out")
    bench.tick(1 * SECOND)
    bench.broker.by_hand(35)
    bench.read()
    bench.broker.by_hand(left)
    for _ in range(20):
        bench.tick(2 * SECOND)
        bench.read()
        assert bench.position().quantity in (50, left)
    assert bench.position().quantity == left and "ORDER_GHOST" in bench.codes()
    assert [(call.order.purpose, call.order.quantity) for call in bench.calls] == [(Purpose.STOP, left)] * (left > 0)


def test_exit_of_unknown_fate_beside_a_sale_by_hand_is_sent_again_for_what_is_left(bench: OrderBench) -> None:
    bench.hold("e1", 50)
    bench.close("g1")
    bench.end(bench.calls[0], Outcome.UNKNOWN, message="timed out")
    bench.tick(1 * SECOND)
    bench.broker.by_hand(20)
    for _ in range(14):
        bench.tick(2 * SECOND)
        bench.read()
    assert [(call.order.purpose, call.order.quantity) for call in bench.calls] == [(Purpose.EXIT, 20)]


@pytest.mark.parametrize("known", ["the same units", "no row of its order", "fewer gone than traded"])
def test_sale_that_may_be_the_stops_own_keeps_the_doubt_up(bench: OrderBench, known: str) -> None:
    bench.hold("e1", 50, **PLAN)
    lost = bench.calls[0].order
    bench.end(bench.calls[0], Outcome.UNKNOWN, message="timed out")
    bench.tick(1 * SECOND)
    bench.broker.by_hand(0 if known == "the same units" else 20)
    for _ in range(14):
        bench.tick(2 * SECOND)
        rows = bench.broker.books(bench.time)
        hidden = tuple(row for row in rows.orders or () if not row.broker_order_id.startswith("H"))
        net = (replace((rows.positions or ())[0], quantity=30),)
        lies = {"no row of its order": {"orders": hidden}, "fewer gone than traded": {"positions": net}}
        bench.read(**lies.get(known, {}))
    state = bench.order(lost.client_order_id).state
    assert state is (OrderState.FILLED if known == "the same units" else OrderState.UNKNOWN)
    assert bench.calls == []


@pytest.mark.parametrize(("price", "is_ours"), [(100.0, False), (87.0, True)])
def test_limit_order_that_rests_at_another_price_is_not_the_stop_of_unknown_fate(
    bench: OrderBench, price: float, is_ours: bool
) -> None:
    """A person's target order of the same size was taken for the stop: the position stood there without one. At the
    stop's own limit it may be the stop, which some books call LIMIT once it has triggered."""
    bench.hold("e1", 50, **PLAN)
    lost = bench.calls[0].order
    bench.end(bench.calls[0], Outcome.UNKNOWN, message="timed out")
    target = bench.broker.stranger(lost, bench.time, OrderType.LIMIT)
    target.price = price
    for _ in range(14):
        for call in list(bench.calls):
            bench.accept(call)
        bench.tick(2 * SECOND)
        bench.read()
    taken = [order.client_order_id for order in bench.machine.orders() if order.broker_order_id == target.id]
    assert taken == [lost.client_order_id] * is_ours
    assert guarding(bench) == ([] if is_ours else [50])
