"""Levels that a leg has as distances: counted from the quote that risk holds fresh, never from an older price."""

from __future__ import annotations

from typing import Any

import pytest

from mytrading.core.engine.contract_selection import resolve_legs
from mytrading.core.time import SECOND
from mytrading.messages.commands import PlaceEntry, SignalDenied
from mytrading.messages.enums import OrderType
from mytrading.messages.leg_plan import LegRule, LegStop, StopKind
from mytrading.messages.market import Quote
from mytrading.messages.signals import Leg
from tests.kit.risk_basket_bench import Basket, entries
from tests.kit.risk_bench import CALL, NEAR, WATCH

POINTS = StopKind.POINTS


def leg_of(bench: Basket, old_price: float, **rule: Any) -> Leg:
    """A sold or bought call of the strike 23000, chosen by an engine that saw the call last at `old_price`."""
    made = LegRule(**{"strike": "STRIKE 23000", "right": "CE", "lots": -1, **rule})
    book, prices = bench.machine.environment.instruments, {WATCH: 23_000.0, CALL: old_price}
    (leg,) = resolve_legs([made], WATCH, prices, book, bench.now, lambda _name, _day: None)
    assert leg.instrument == CALL
    return leg


def stop_of(entry: PlaceEntry) -> float:
    return entry.held_stop or entry.stop_trigger


def test_stop_of_a_leg_entered_again_was_counted_from_a_price_of_a_minute_before() -> None:
    bench = Basket()
    leg = leg_of(bench, 242.75, stop=LegStop(value=25))
    bench.quote(CALL, 168.85)
    (entry,) = entries(bench.intent("again", leg))
    assert stop_of(entry) == 211.1, "168.85 × 1.25 = 211.0625, on the next tick; from the old price it was 303.45"


@pytest.mark.parametrize(("lots", "stop", "target"), [(-1, 120.0, 60.0), (1, 80.0, 140.0)])
def test_stop_and_target_lie_on_their_sides_of_the_fresh_price(lots: int, stop: float, target: float) -> None:
    bench = Basket()
    leg = leg_of(bench, 500.0, lots=lots, stop=LegStop(kind=POINTS, value=20), target=LegStop(value=40))
    bench.quote(CALL, 100.0)
    (entry,) = entries(bench.intent("a", leg))
    assert (stop_of(entry), entry.held_target) == (stop, target)


def test_limit_entry_rests_beside_the_fresh_price_and_its_stop_is_counted_from_there() -> None:
    bench = Basket()
    leg = leg_of(bench, 242.75, order_type=OrderType.LIMIT, limit=LegStop(value=5), stop=LegStop(kind=POINTS, value=30))
    bench.quote(CALL, 168.85)
    (entry,) = entries(bench.intent("a", leg))
    assert (entry.order_type, entry.price) == (OrderType.LIMIT, 177.3), "168.85 × 1.05 = 177.2925"
    assert stop_of(entry) == 207.3


def test_entry_waits_for_a_fresh_quote_and_takes_its_levels_from_that() -> None:
    bench = Basket()
    leg = leg_of(bench, 242.75, stop=LegStop(value=25))
    bench.quote(CALL, 242.75)
    bench.pass_time(6.0)  # the quote is stale after 5 s
    assert entries(bench.intent("a", leg)) == []
    (entry,) = entries(bench.quote(CALL, 168.85))
    assert stop_of(entry) == 211.1


def test_leg_of_a_basket_that_waited_for_its_hedge_has_its_stop_from_the_price_of_then() -> None:
    bench = Basket()
    sold = leg_of(bench, 200.0, strike="STRIKE 23000", stop=LegStop(value=50))
    bench.quote(CALL, 200.0)
    bench.quote(NEAR, 210.0)
    (hedge,) = entries(bench.intent("a", Leg(instrument=NEAR, lots=1), sold))
    assert hedge.instrument == NEAR
    bench.now += 4 * SECOND
    bench.machine_ns += 4 * SECOND
    bench.beat()
    bench.quote(CALL, 160.0)
    bench.quote(NEAR, 170.0)
    (entry,) = entries(bench.filled(hedge))
    assert (entry.instrument, stop_of(entry)) == (CALL, 240.0)


def test_limit_whose_distance_leaves_no_tick_is_denied_with_the_price() -> None:
    bench = Basket()
    leg = leg_of(bench, 242.75, lots=1, order_type=OrderType.LIMIT, limit=LegStop(kind=POINTS, value=3))
    bench.give(Quote(CALL, bench.now, bench.machine_ns, 2.0, 1.95, 2.05))
    rows = bench.intent("a", leg)
    (denied,) = (row for row in rows if isinstance(row, SignalDenied))
    assert "ORDER_TYPE" in denied.codes
    assert f"less than one tick while {CALL} trades at 2; ask for less" in denied.message
    assert entries(rows) == []
