"""The feed's parts: who wants what and for how long, and when the line counts as sick."""

from __future__ import annotations

from datetime import date, datetime, time

import pytest

from mytrading.core.calendar import IST, Calendar
from mytrading.daemons.feed_health import (
    LOW_FOR_NS,
    SETTLE_NS,
    SILENT_NS,
    FeedHealth,
    StaleLimits,
)
from mytrading.daemons.feed_wants import KEEP_NS, Wants
from mytrading.messages.enums import OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.orders import Order, OrderChanged, Position, PositionChanged

SECOND = 1_000_000_000
NOON = int(datetime(2026, 11, 20, 12, 0, tzinfo=IST).timestamp()) * SECOND
SBIN, NIFTY, CALL = "NSE:SBIN", "NSE_INDEX:NIFTY", "NFO:NIFTY24NOV2626000CE"


@pytest.fixture
def health() -> FeedHealth:
    hours = {"sessions": [{"from": date(2020, 1, 1), "open": time(9, 15), "close": time(15, 30)}], "holidays": ["X"]}
    calendar = Calendar.from_dict(
        {"exchanges": {"NSE": hours, "NFO": hours, "NSE_INDEX": {"like": "NSE"}}, "holidays": {"X": {}}}
    )
    made = FeedHealth(calendar, StaleLimits.of(5.0))
    for instrument in (SBIN, NIFTY, CALL):
        made.add(instrument)
    return made


def order(state: OrderState) -> OrderChanged:
    made = Order(
        client_order_id="c1", account="main", instrument=SBIN, product=Product.MIS, strategy="s", run="r", cause="x",
        purpose=Purpose.ENTRY, side=Side.BUY, quantity=1, order_type=OrderType.MARKET, state=state,
        created_ns=0, updated_ns=0,
    )  # fmt: skip
    return OrderChanged(event="x", order=made, machine_ns=0)


def position(quantity: int) -> PositionChanged:
    held = Position(account="main", instrument=SBIN, product=Product.MIS, strategy="s", run="r", quantity=quantity)
    return PositionChanged(position=held, client_order_id="c1", fill_quantity=1, fill_price=1.0, at_ns=0)


def test_wanted_instrument_is_kept_for_a_minute_after_the_last_asking() -> None:
    wants = Wants(["NSE"])
    wants.asked([SBIN], 0)
    wants.asked([SBIN], 10 * SECOND)
    assert wants.unwanted([SBIN], 10 * SECOND + KEEP_NS) == []
    assert wants.unwanted([SBIN], 11 * SECOND + KEEP_NS) == [SBIN]


def test_watched_instrument_is_kept_for_ever_and_nonsense_is_refused() -> None:
    wants = Wants(["NSE"])
    assert wants.watch([SBIN, "MARS:X", "SBIN", "NSE:"]) == (SBIN,)
    assert wants.refused == {"MARS:X", "SBIN", "NSE:"}
    assert wants.unwanted([SBIN], KEEP_NS * 10) == []


def test_live_order_keeps_its_instrument_until_it_ends() -> None:
    wants = Wants(["NSE"])
    assert wants.traded(order(OrderState.ACCEPTED), 0) == [SBIN]
    assert wants.unwanted([SBIN], KEEP_NS * 10) == []
    assert wants.traded(order(OrderState.UNKNOWN), 0) == [SBIN]
    assert wants.traded(order(OrderState.FILLED), 0) == []
    assert wants.unwanted([SBIN], KEEP_NS * 10) == [SBIN]


def test_position_keeps_its_instrument_until_it_is_flat() -> None:
    wants = Wants(["NSE"])
    assert wants.traded(position(-5), 0) == [SBIN]
    assert wants.unwanted([SBIN], KEEP_NS * 10) == []
    wants.traded(position(0), 0)
    assert wants.unwanted([SBIN], KEEP_NS * 10) == [SBIN]


def test_coverage_low_for_a_while_is_low_and_heals_at_once(health: FeedHealth) -> None:
    health.connected(0)
    later = SETTLE_NS + SECOND
    health.ticked(NIFTY, NOON, 0)
    coverage = health.look(NOON + later, later)
    assert (coverage.fresh, coverage.total) == (1 - 1, 3)
    assert not health.is_low
    health.look(NOON + later, later + LOW_FOR_NS)
    assert health.is_low
    for instrument in (SBIN, NIFTY, CALL):
        health.ticked(instrument, NOON + later, later + LOW_FOR_NS)
    assert health.look(NOON + later, later + LOW_FOR_NS).share == 1.0
    assert not health.is_low


def test_coverage_right_after_connecting_and_out_of_session_is_not_low(health: FeedHealth) -> None:
    health.connected(0)
    for step in range(4):
        health.look(NOON, step * SECOND)
    assert not health.is_low
    night = NOON + 8 * 3600 * SECOND
    for step in range(100):
        assert health.look(night, step * SECOND).total == 0
    assert not health.is_low and not health.is_silent(100 * SECOND)


def test_option_is_given_more_time_than_an_index(health: FeedHealth) -> None:
    for instrument in (SBIN, NIFTY, CALL):
        health.ticked(instrument, NOON, 0)
    assert health.look(NOON + 30 * SECOND, 30 * SECOND).stale == (SBIN, NIFTY)


def test_connection_that_gives_nothing_in_session_is_silent_once_per_wait(health: FeedHealth) -> None:
    health.connected(0)
    health.look(NOON, 0)
    assert not health.is_silent(SILENT_NS - 1)
    assert health.is_silent(SILENT_NS)
    assert not health.is_silent(SILENT_NS + SECOND)
    health.lost()
    assert not health.is_silent(SILENT_NS * 5)


def test_ticking_needs_every_liquid_instrument_on_this_connection(health: FeedHealth) -> None:
    health.connected(0)
    watched = (SBIN, NIFTY, CALL)
    health.ticked(SBIN, NOON, 0)
    assert not health.ticking(watched, NOON)
    health.ticked(NIFTY, NOON, 0)
    assert health.ticking(watched, NOON)
    health.connected(1)
    assert not health.ticking(watched, NOON)
    assert health.ticking(watched, NOON + 10 * 3600 * SECOND)
