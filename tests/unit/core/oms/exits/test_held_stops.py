"""Stops of carried shares: they wait for the first price of the day, and for a person where it is half the last one."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mytrading.core.oms import OmsLimits
from mytrading.core.time import DAY, SECOND, iso_day
from mytrading.messages.commands import HoldStop
from mytrading.messages.enums import Outcome, Product, Purpose
from mytrading.messages.orders import Order, PositionAdjusted, ProtectionChanged
from tests.kit.fake_broker import OrderBench
from tests.kit.state_digest import state_digest

SHARE = {"instrument": "NSE:A", "product": Product.CNC, "stop_trigger": 90.0, "stop_limit": 87.0}
OWNER = {"account": "main", "instrument": "NSE:A", "product": Product.CNC, "strategy": "s1"}


@pytest.fixture
def bench() -> OrderBench:
    """50 shares bought the day before with a stop at 90, which ended with its day; the exchange has not opened yet."""
    made = OrderBench(OmsLimits(first_price_patience=30 * SECOND))
    made.check_purity = True
    made.hold("e1", 50, **SHARE)
    made.accept()
    made.read()
    made.session_open = False
    made.time += DAY
    day = iso_day(made.now)
    opened = made.machine.snapshot(day)
    ended = {order.client_order_id for order in opened.orders if order.purpose is Purpose.STOP}
    opened = replace(opened, orders=tuple(o for o in opened.orders if o.client_order_id not in ended))
    made.machine.apply(opened)
    made.journal = [opened]
    made.calls.clear()
    made.broker.orders.clear()
    made.see_mode()
    made.tick(SECOND)
    return made


def stops(bench: OrderBench) -> list[Order]:
    return [call.order for call in bench.calls if call.order.purpose is Purpose.STOP]


def told(bench: OrderBench, ratio: float) -> None:
    """Risk's word on the first price."""
    bench.step(HoldStop(id=f"h{bench.time}", **OWNER, ratio=ratio))


def test_stop_of_carried_shares_waits_for_the_first_price_of_the_day(bench: OrderBench) -> None:
    bench.session_open = True
    bench.tick(SECOND)
    assert stops(bench) == []
    told(bench, 0.0)
    bench.tick(SECOND)
    assert [(stop.trigger_price, stop.quantity) for stop in stops(bench)] == [(90.0, 50)]
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_stop_does_not_wait_for_a_price_that_does_not_come(bench: OrderBench) -> None:
    bench.session_open = True
    for _ in range(29):
        bench.tick(SECOND)
    assert stops(bench) == []
    bench.tick(2 * SECOND)
    assert len(stops(bench)) == 1


def test_word_of_risk_before_the_open_counts_at_the_open(bench: OrderBench) -> None:
    told(bench, 0.0)
    assert stops(bench) == []
    bench.session_open = True
    bench.tick(SECOND)
    assert len(stops(bench)) == 1


def test_held_stop_is_not_placed_until_a_person_decides_and_then_at_the_new_level(bench: OrderBench) -> None:
    """Half of the shares were sold at the open: a price that a bonus had halved counted as beyond the old stop."""
    told(bench, 2.0)
    bench.session_open = True
    for _ in range(120):
        bench.tick(SECOND)
    told(bench, 0.0)  # of a risk that has lost its memory
    bench.tick(SECOND)
    assert bench.calls == []
    (position,) = bench.machine.positions()
    (level,) = bench.machine.state.protections.sorted_values()
    word = PositionAdjusted(
        position=replace(position, average_price=50.0),
        cause="corporate_action",
        quantity=0,
        price=50.0,
        at_ns=bench.now,
    )
    for row in (word, ProtectionChanged(protection=replace(level, trigger=45.0, limit=43.5), at_ns=bench.now)):
        bench.step(row)
    bench.tick(SECOND)
    assert [(stop.trigger_price, stop.price) for stop in stops(bench)] == [(45.0, 43.5)]


def test_hold_outlives_the_turn_of_the_day(bench: OrderBench) -> None:
    told(bench, 2.0)
    bench.time += DAY
    bench.machine.apply(bench.machine.snapshot(iso_day(bench.now)))
    bench.see_mode()
    bench.session_open = True
    for _ in range(120):
        bench.tick(SECOND)
    assert bench.calls == []


def test_held_position_can_be_closed(bench: OrderBench) -> None:
    told(bench, 2.0)
    bench.session_open = True
    bench.tick(SECOND)
    bench.close("g1", instrument="NSE:A", product=Product.CNC)
    (call,) = bench.calls
    assert (call.order.purpose, call.order.quantity) == (Purpose.EXIT, 50)
    bench.end(call, Outcome.ACCEPTED, "B9")


def test_shares_bought_today_have_their_stop_at_once() -> None:
    bench = OrderBench(OmsLimits(first_price_patience=30 * SECOND))
    bench.hold("e1", 50, **SHARE)
    assert len(stops(bench)) == 1
