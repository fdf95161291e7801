"""Orders above the freeze quantity: slices that go together, are found again one by one, and count as one."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mytrading.core.oms import OmsLimits
from mytrading.core.orders.parent_orders import parent_of_slices
from mytrading.core.orders.state_machine import ModifyRules
from mytrading.messages.enums import BrokerStatus, Call, OrderState, OrderType, Outcome, Purpose, Side
from mytrading.messages.orders import Order, PositionAdjusted
from tests.kit.fake_broker import SECOND, OpenCall, OrderBench

LOT, FREEZE = 50, 200
SIZED = {"lot": LOT, "freeze": FREEZE}


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.check_purity = True
    made.read()
    return made


def slices_of(bench: OrderBench, parent: str) -> list[Order]:
    found = [order for order in bench.machine.orders() if order.links.parent == parent]
    return sorted(found, key=lambda order: order.links.slice)


def placings(bench: OrderBench, purpose: Purpose = Purpose.ENTRY) -> list[OpenCall]:
    found = [call for call in bench.calls if call.call is Call.PLACE and call.order.purpose is purpose]
    return sorted(found, key=lambda call: call.order.links.slice)


def fill_all(bench: OrderBench, purpose: Purpose = Purpose.ENTRY) -> None:
    for call in placings(bench, purpose):
        placed = bench.accept(call)
        bench.broker.trade(placed, placed.quantity, 100.0)
        bench.report(placed)
    bench.read()


def hold(bench: OrderBench, quantity: int, **fields: float) -> None:
    """Hold a quantity that needed slices."""
    bench.enter("e1", quantity, **SIZED, **fields)
    fill_all(bench)
    bench.tick(2 * SECOND)
    assert bench.position().quantity == quantity


def test_entry_within_the_freeze_quantity_is_one_order_of_its_own_id(bench: OrderBench) -> None:
    bench.enter("e1", FREEZE, **SIZED)
    assert [(call.order.client_order_id, call.order.quantity, call.order.links.parent) for call in bench.calls] == [
        ("e1", FREEZE, "")
    ]


def test_entry_above_the_freeze_quantity_goes_as_different_slices_at_once(bench: OrderBench) -> None:
    bench.enter("e1", 450, **SIZED)
    sent = [call.order for call in placings(bench)]
    assert [(order.links.slice, order.quantity, order.links.parent) for order in sent] == [
        (1, 200, "e1"), (2, 150, "e1"), (3, 100, "e1")
    ]  # fmt: skip
    assert bench.machine.state.orders.get("e1") is None


def test_slices_have_the_same_ids_whenever_they_are_cut(bench: OrderBench) -> None:
    bench.enter("e1", 450, **SIZED)
    again = OrderBench()
    again.read()
    again.tick(SECOND)
    again.enter("e1", 450, **SIZED)
    ids = [order.client_order_id for order in slices_of(bench, "e1")]
    assert ids == [order.client_order_id for order in slices_of(again, "e1")] and len(set(ids)) == 3


def test_sliced_entry_is_taken_once_even_on_the_next_day(bench: OrderBench) -> None:
    bench.enter("e1", 450, **SIZED)
    assert bench.enter("e1", 450, **SIZED) == []
    fill_all(bench)
    bench.machine.apply(bench.machine.snapshot("2026-11-23"))
    bench.read()
    assert bench.enter("e1", 450, **SIZED) == []


def test_entry_that_cannot_be_sliced_is_denied_with_what_could_be(bench: OrderBench) -> None:
    bench.enter("e1", 11 * LOT, **SIZED)
    bench.enter("e2", 225, **SIZED)
    assert bench.order("e1").state is bench.order("e2").state is OrderState.DENIED
    assert "use at most 500" in bench.order("e1").message and "lot size 50" in bench.order("e2").message
    assert bench.calls == []


def test_rejected_slice_leaves_the_others_and_is_reported(bench: OrderBench) -> None:
    bench.enter("e1", 450, **SIZED)
    bench.end(placings(bench)[1], Outcome.REFUSED, message="margin")
    fill_all(bench)
    assert [order.state.value for order in slices_of(bench, "e1")] == ["FILLED", "REJECTED", "FILLED"]
    assert bench.position().quantity == 300 and bench.calls == []
    (alert,) = [alert for alert in bench.alerts if alert.code == "ENTRY_SHORT"]
    assert alert.subject == "e1" and "1 of 3 slices" in alert.message and "300 units" in alert.message


def test_unknown_slice_blocks_other_entries_but_not_the_siblings_that_are_out(bench: OrderBench) -> None:
    bench.enter("e1", 450, **SIZED)
    first, second, third = placings(bench)
    bench.end(first, Outcome.UNKNOWN, message="timed out")
    for call in (second, third):
        placed = bench.accept(call)
        bench.broker.trade(placed, placed.quantity, 100.0)
        bench.report(placed)
    bench.enter("e2", 100)
    bench.read()
    bench.tick(2 * SECOND)
    assert bench.position().quantity == 250 and placings(bench) == []
    assert bench.order("e2").state is OrderState.INITIALIZED


def test_unknown_slices_find_their_own_broker_orders(bench: OrderBench) -> None:
    bench.enter("e1", 450, **SIZED)
    calls = placings(bench)
    placed = {call.order.client_order_id: bench.broker.place(call.order, bench.time) for call in reversed(calls)}
    for call in calls:
        bench.end(call, Outcome.UNKNOWN, message="timed out")
    bench.read()
    bench.read()
    found = {order.client_order_id: order.broker_order_id for order in slices_of(bench, "e1")}
    assert found == {name: row.id for name, row in placed.items()}


def test_crash_between_slices_repeats_none(bench: OrderBench) -> None:
    bench.enter("e1", 450, **SIZED)
    placed = [bench.broker.place(call.order, bench.time) for call in placings(bench)]
    bench.crash()
    for _ in range(3):
        bench.tick(2 * SECOND)
        bench.read()
    assert [order.broker_order_id for order in slices_of(bench, "e1")] == [row.id for row in placed]
    assert all(count == 1 for count in bench.broker.placements.values())


def test_exit_of_more_than_the_freeze_quantity_goes_as_slices_that_never_sell_more(bench: OrderBench) -> None:
    hold(bench, 450)
    bench.close("g1")
    exits = [call.order for call in placings(bench, Purpose.EXIT)]
    assert [(order.side, order.quantity) for order in exits] == [(Side.SELL, 200), (Side.SELL, 150), (Side.SELL, 100)]
    fill_all(bench, Purpose.EXIT)
    assert bench.position().quantity == 0 and bench.machine.goals()[0].state == "done"


def test_exit_slices_not_sent_yet_shrink_with_the_position_the_last_first() -> None:
    bench = OrderBench(OmsLimits(calls_per_second=1))
    bench.read()
    bench.enter("e1", 450, **SIZED)
    for _ in range(3):
        fill_all(bench)
        bench.tick(2 * SECOND)
    bench.close("g1")
    less = replace(bench.position(), quantity=400, quantity_seen=400)
    bench.step(PositionAdjusted(position=less, cause="correction", quantity=-50, price=100.0, at_ns=bench.now))
    sent = []
    for _ in range(3):
        sent += [call.order.quantity for call in placings(bench, Purpose.EXIT)]
        fill_all(bench, Purpose.EXIT)
        bench.tick(2 * SECOND)
    assert sent == [200, 150, 50] and bench.position().quantity == 0


def test_rejected_exit_slice_is_tried_again_for_the_rest(bench: OrderBench) -> None:
    hold(bench, 450)
    bench.close("g1")
    bench.end(placings(bench, Purpose.EXIT)[1], Outcome.REFUSED, message="busy")
    fill_all(bench, Purpose.EXIT)
    bench.tick(SECOND)
    (call,) = placings(bench, Purpose.EXIT)
    assert call.order.quantity == 150 and call.order.links.parent == ""


def test_unknown_exit_slices_become_ghosts_of_one_attempt(bench: OrderBench) -> None:
    hold(bench, 450)
    bench.close("g1")
    first, second, third = placings(bench, Purpose.EXIT)
    bench.end(first, Outcome.UNKNOWN, message="timed out")
    bench.end(second, Outcome.UNKNOWN, message="timed out")
    placed = bench.accept(third)
    bench.broker.trade(placed, 100, 100.0)
    bench.report(placed)
    for _ in range(3):
        bench.tick(16 * SECOND)
        bench.read()
    states = [bench.order(call.order.client_order_id).state for call in (first, second)]
    assert states == [OrderState.GHOST, OrderState.GHOST]
    assert [call.order.quantity for call in placings(bench, Purpose.EXIT)] == [200, 150]


def test_stop_of_more_than_the_freeze_quantity_goes_as_slices(bench: OrderBench) -> None:
    bench.enter("e1", 450, **SIZED, stop_trigger=90.0, stop_limit=89.0)
    calls = placings(bench)
    rows = [bench.accept(call) for call in calls]
    for placed in rows:
        bench.broker.trade(placed, placed.quantity, 100.0)
    bench.read()
    for _ in range(4):
        for call in placings(bench, Purpose.STOP):
            bench.accept(call)
        bench.tick(2 * SECOND)
    stops = [order for order in bench.machine.orders() if order.purpose is Purpose.STOP]
    assert sum(order.quantity for order in stops) == 450
    assert all(order.quantity <= FREEZE and order.order_type is OrderType.SL for order in stops)
    assert all(order.state is OrderState.ACCEPTED for order in stops)


def test_dropped_stop_above_the_freeze_quantity_is_placed_again_in_slices(bench: OrderBench) -> None:
    hold(bench, 450, stop_trigger=90.0, stop_limit=89.0)
    for _ in range(4):
        for call in placings(bench, Purpose.STOP):
            bench.accept(call)
        bench.tick(2 * SECOND)
    for placed in bench.broker.orders.values():
        bench.broker.drop(placed, BrokerStatus.CANCELLED)
    for _ in range(3):
        bench.tick(2 * SECOND)
        bench.read()
    bench.tick(2 * SECOND)
    assert [call.order.quantity for call in placings(bench, Purpose.STOP)] == [200, 150, 100]


def test_freeze_of_the_day_before_holds_until_a_command_tells_another(bench: OrderBench) -> None:
    hold(bench, 450)
    bench.machine.apply(bench.machine.snapshot("2026-11-23"))
    bench.see_mode()
    bench.read()
    bench.close("g1")
    assert [call.order.quantity for call in placings(bench, Purpose.EXIT)] == [200, 150, 100]
    bench.tick(2 * SECOND)
    other = OrderBench()
    other.read()
    hold(other, 450)
    other.close("g1", lot=50, freeze=250)
    assert [call.order.quantity for call in placings(other, Purpose.EXIT)] == [250, 200]


def test_slice_that_is_replaced_has_a_slice_for_its_successor() -> None:
    bench = OrderBench(OmsLimits(modify=ModifyRules(in_place=False)))
    bench.check_purity = True
    bench.read()
    bench.enter("e1", 450, order_type=OrderType.LIMIT, price=100.0, **SIZED)
    for call in placings(bench):
        bench.accept(call)
    bench.read()
    second = slices_of(bench, "e1")[1]
    bench.broker.trade(bench.broker.orders[second.broker_order_id], 50, 100.0)
    bench.read()
    bench.ask_modify(second.client_order_id, price=101.0)
    bench.cancel()
    for _ in range(3):
        bench.tick(SECOND)
        bench.read()
    (after,) = [order for order in bench.machine.orders() if order.links.replaces]
    assert (after.links.parent, after.links.slice, after.quantity, after.price) == ("e1", 2, 100, 101.0)
    gone = bench.order(second.client_order_id)
    assert (gone.state, gone.evidence.modify.by_replacement) == (OrderState.CANCELLED, False)
    assert parent_of_slices(slices_of(bench, "e1")).quantity == 450
    bench.end(placings(bench)[0], Outcome.REFUSED, message="margin")
    (short,) = [alert for alert in bench.alerts if alert.code == "ENTRY_SHORT"]
    assert (short.subject, "1 of 3 slices of BUY 450" in short.message) == ("e1", True)
