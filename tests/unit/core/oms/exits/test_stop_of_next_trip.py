"""A protection that outlives its position guards nothing of the next one: each trip has the stop of its own entry."""

from __future__ import annotations

from typing import Any

import pytest

from mytrading.messages.enums import Call, OrderState, OrderType, Purpose, Side
from mytrading.messages.orders import Order
from tests.kit.fake_broker import SECOND, OrderBench

LONG = {"stop_trigger": 90.0, "stop_limit": 87.0}
SHORT = {"side": Side.SELL, "stop_trigger": 110.0, "stop_limit": 113.0}
LOWER = {"order_type": OrderType.LIMIT, "price": 80.0, "stop_trigger": 70.0, "stop_limit": 67.0}


@pytest.fixture
def bench() -> OrderBench:
    """Long 50 with a stop at 90 at the broker."""
    made = OrderBench()
    made.check_purity = True
    made.hold(**LONG)
    made.accept()
    return made


def stops(bench: OrderBench) -> list[tuple[Side, int, float, OrderState]]:
    found = [order for order in bench.machine.orders() if order.purpose is Purpose.STOP]
    return [(order.side, order.quantity, order.trigger_price, order.state) for order in found if live(order)]


def live(order: Order) -> bool:
    return order.state in (OrderState.SUBMITTED, OrderState.ACCEPTED) and not order.evidence.cancel.wanted


def close_by_hand(bench: OrderBench) -> None:
    """Sell the position at the broker: two reads show it, and the stop's cancel is out."""
    bench.broker.by_hand(0)
    bench.broker.by_hand(10, instrument="NFO:B")  # a book that is empty altogether would be doubted
    for _ in range(4):
        bench.tick(3 * SECOND)
        bench.read()
    assert bench.position().quantity == 0
    assert [call.call for call in bench.calls] == [Call.CANCEL]


def go_on(bench: OrderBench, seconds: int = 10) -> None:
    """Every call is answered, entries and exits fill at once."""
    for _ in range(seconds):
        for call in list(bench.calls):
            if call.call is Call.CANCEL:
                bench.cancel(call)
                continue
            placed = bench.accept(call)
            if call.order.purpose is not Purpose.STOP:
                bench.broker.trade(placed, call.order.quantity, 100.0)
                bench.report(placed)
        bench.tick(SECOND)
        bench.read()


@pytest.mark.parametrize("terms", [SHORT, LOWER], ids=["other side", "same side"])
def test_entry_waits_until_the_stop_of_the_trip_before_is_gone_and_has_its_own(
    bench: OrderBench, terms: dict[str, Any]
) -> None:
    """Else both may fill: twice short; and its own stop could not be placed beside the old one."""
    close_by_hand(bench)
    bench.enter("e2", **terms)
    assert bench.order("e2").state is OrderState.INITIALIZED
    go_on(bench)
    side = Side.BUY if terms is SHORT else Side.SELL
    assert stops(bench) == [(side, 50, terms["stop_trigger"], OrderState.ACCEPTED)]


def test_entry_of_the_other_side_that_waited_for_the_close_has_its_own_stop(bench: OrderBench) -> None:
    bench.close("x1")
    bench.enter("e2", **SHORT)
    go_on(bench, 20)
    assert bench.position().quantity == -50
    assert stops(bench) == [(Side.BUY, 50, 110.0, OrderState.ACCEPTED)]


def test_entry_of_the_other_side_after_a_rest_that_was_slow_to_go_has_its_own_stop() -> None:
    bench = OrderBench()
    bench.check_purity = True
    bench.read()
    bench.enter("e1", 100, order_type=OrderType.LIMIT, price=100.0, **LONG)
    rest = bench.accept()
    bench.broker.trade(rest, 50, 100.0)
    bench.report(rest)
    bench.read()
    bench.accept()
    bench.close("x1")
    assert not [call for call in bench.calls if call.order.purpose is Purpose.STOP], "the rest of the entry ends first"
    for _ in range(8):
        bench.tick(SECOND)
        for call in list(bench.calls):
            if call.order.purpose is Purpose.STOP:
                bench.cancel(call)  # that of the rest hangs
        bench.read()
    leaving = bench.accept()
    bench.broker.trade(leaving, 50, 99.0)
    bench.report(leaving)
    bench.read()
    bench.enter("e2", **SHORT)
    go_on(bench, 30)
    assert bench.position().quantity == -50
    assert stops(bench) == [(Side.BUY, 50, 110.0, OrderState.ACCEPTED)]


def test_rest_that_fills_after_a_stop_out_is_guarded_by_its_own_plan(bench: OrderBench) -> None:
    stop = next(placed for placed in bench.broker.orders.values() if placed.trigger_price)
    bench.enter("e2", **LOWER)
    rest = bench.accept()
    bench.broker.trigger(stop)
    bench.broker.trade(stop, 50, 89.0)
    bench.report(stop)
    bench.read()
    bench.broker.trade(rest, 50, 80.0)
    bench.report(rest)
    assert [(call.order.purpose, call.order.trigger_price) for call in bench.calls] == [(Purpose.STOP, 70.0)]


def test_fill_after_a_released_position_was_closed_is_guarded_again(bench: OrderBench) -> None:
    """A person answers for the position whose stop was taken away, until it is flat, and not for the next."""
    (stop,) = (order for order in bench.machine.orders() if order.purpose is Purpose.STOP)
    bench.enter("e2", **LOWER)
    rest = bench.accept()
    bench.ask_cancel(stop.client_order_id, force=True, reason="mine")
    bench.cancel()
    bench.read()
    bench.tick(SECOND)
    bench.read()
    bench.broker.by_hand(0)
    bench.broker.by_hand(10, instrument="NFO:B")
    for _ in range(4):
        bench.tick(3 * SECOND)
        bench.read()
    assert bench.position().quantity == 0
    bench.broker.trade(rest, 50, 80.0)
    bench.report(rest)
    go_on(bench, 3)
    assert stops(bench) == [(Side.SELL, 50, 70.0, OrderState.ACCEPTED)]


def test_second_fill_of_a_trip_joins_the_stop_that_was_moved(bench: OrderBench) -> None:
    """Lots added to a position are guarded where that is guarded, as ever."""
    bench.enter("e2", **LOWER)
    rest = bench.accept()
    bench.broker.trade(rest, 50, 80.0)
    bench.report(rest)
    go_on(bench, 5)
    assert {trigger for _, _, trigger, _ in stops(bench)} == {90.0}
    assert sum(quantity for _, quantity, _, _ in stops(bench)) == 100
