"""Limits after a start: judged on prices of now, or on none; a price of before is worth what was last known of it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.messages.enums import LimitAction
from mytrading.messages.records import LevelMoved
from mytrading.messages.reports import Funds
from mytrading.messages.risk_events import RiskEventRecorded
from mytrading.messages.runconfig import RiskLimits
from mytrading.messages.signals import Leg
from tests.unit.core.limit_desks import SPREAD, KeptDesk
from tests.unit.core.test_risk_machine import CALL, LIMITS, PUT, codes

LARGE = replace(LIMITS, max_position_size=1e9, max_order_size=1e9, min_order_size=0, max_daily_loss=6_500)
NEXT = "2026-03-19"
MAIN = ("account", "main")


def events(rows: Any) -> list[RiskEventRecorded]:
    return [row for row in rows if isinstance(row, RiskEventRecorded)]


def profit(desk: KeptDesk) -> float:
    return desk.machine.state.memory.money.profit(MAIN)


def long_call(limits: RiskLimits = LARGE, bid: float = 100.0, units: int = 650) -> KeptDesk:
    """A desk that holds calls bought at 100, at this bid."""
    desk = KeptDesk(limits)
    desk.give(Funds(account="main", available=1_000_000.0, used=0.0))
    desk.pass_time(1)
    desk.at(CALL, bid)
    desk.hold(CALL, units)
    return desk


def minute(desk: KeptDesk, **bids: float) -> None:
    """A minute later these are the bids, and prices are noted."""
    desk.later(61)
    for name, bid in bids.items():
        desk.at({"call": CALL, "put": PUT}[name], bid)
    desk.pass_time(0.25)


def test_price_that_was_noted_counts_for_more_than_a_journaled_quote_of_before() -> None:
    desk = long_call()
    desk.at(CALL, 91.0, journaled=True)
    minute(desk, call=110.0)
    desk.hold(CALL, 1_300, price=105.0)
    desk.restart()
    assert profit(desk) == pytest.approx(5.0 * 1_300)
    assert events(desk.pass_time(0.25)) == []
    assert desk.machine.limits.reached("main", "S") == {}


def test_restart_values_a_position_at_what_it_would_be_closed_at() -> None:
    desk = long_call()
    desk.at(PUT, 95.0 - SPREAD)
    desk.hold(PUT, -650)
    minute(desk, call=96.0, put=95.0 - SPREAD)
    assert profit(desk) == pytest.approx(650)
    desk.restart()
    assert profit(desk) == pytest.approx(650)


def test_last_price_that_an_older_journal_holds_is_read_for_both_sides() -> None:
    desk = long_call()
    desk.restart()
    desk.machine.apply(LevelMoved(name=f"limit mark {CALL}", value=103.0, at_ns=desk.now))
    assert profit(desk) == pytest.approx(3.0 * 650)
    desk.hold(CALL, -650)
    assert profit(desk) == pytest.approx(-3.0 * 650)


def test_day_begins_with_the_profit_that_the_last_prices_made() -> None:
    desk = long_call()
    desk.at(CALL, 100.0, journaled=True)
    for bid in (110.0, 120.0, 130.0):
        minute(desk, call=bid)
    desk.later(79_000)
    desk.restart(NEXT)
    assert profit(desk) == 0.0
    assert events(desk.pass_time(0.25)) == []
    assert events(desk.at(CALL, 130.0)) == []
    assert profit(desk) == pytest.approx(0.0)
    desk.later(1)
    (event,) = events(desk.twice(CALL, 120.0))
    assert event.value == pytest.approx(-6_500)


def test_turn_of_a_day_keeps_a_price_that_is_older_than_those_of_others() -> None:
    desk = long_call()
    minute(desk, call=130.0)
    desk.later(28_800)
    desk.at(PUT, 50.0)
    desk.machine.apply(opened := desk.machine.snapshot(NEXT))
    assert opened.levels[f"limit mark_long {CALL}"] == 130.0
    assert profit(desk) == pytest.approx(0.0), "what is carried is worth what it was"


def two_legs(action: LimitAction = LimitAction.NO_ENTRIES) -> KeptDesk:
    """Calls and puts of which one won what the other lost, both since the last prices that were noted."""
    desk = long_call(replace(LARGE, max_daily_loss_action=action))
    desk.at(PUT, 100.0)
    desk.hold(PUT, 650)
    minute(desk, call=100.0, put=100.0)
    desk.at(PUT, 120.0)
    desk.at(CALL, 80.0)
    assert events(desk.journal) == []
    desk.restart()
    return desk


def test_limit_is_reached_by_nothing_while_a_leg_waits_for_its_first_quote() -> None:
    desk = two_legs(LimitAction.FLATTEN)
    assert events(desk.twice(CALL, 80.0)) == []
    assert events(desk.pass_time(1)) == []
    assert events(desk.hold(CALL, 650, realised=-10.0)) == []
    assert codes(desk.wish("a", Leg(instrument=CALL, lots=12), Leg(instrument=PUT, lots=10))) == ["DAILY_LOSS"], (
        "nothing is entered meanwhile"
    )
    assert events(desk.at(PUT, 120.0)) == [], "what the two made together"
    assert desk.machine.limits.reached("main", "S") == {}
    desk.later(1)
    assert len(events(desk.twice(PUT, 109.0))) == 1


def test_leg_without_a_quote_for_a_minute_counts_at_its_last_known_price() -> None:
    desk = two_legs()
    desk.at(CALL, 80.0)
    assert events(desk.pass_time(59)) == []
    assert len(events(desk.pass_time(1))) == 1


def test_limit_is_reached_at_once_where_nothing_is_open() -> None:
    desk = long_call()
    minute(desk, call=95.0)
    desk.restart()
    assert len(events(desk.hold(CALL, 0, realised=-6_500.0))) == 1


def test_old_prices_make_no_peak_and_take_none_back() -> None:
    desk = long_call(replace(LARGE, max_daily_loss=1e9, max_drawdown=0.01))
    desk.at(PUT, 100.0)
    desk.hold(PUT, 650)
    minute(desk, call=100.0, put=102.0)
    desk.later(1)
    desk.at(PUT, 102.0)
    desk.pass_time(1)
    desk.at(PUT, 82.0)
    desk.at(CALL, 118.0, journaled=True)
    desk.restart()
    desk.twice(CALL, 118.0)
    desk.pass_time(0.25)
    assert desk.machine.state.memory.peaks[MAIN] == pytest.approx(1_000_000 + 2 * 650)
    assert events(desk.at(PUT, 82.0)) == []
    desk.later(1)
    desk.twice(PUT, 92.0)
    assert desk.machine.state.memory.peaks[MAIN] == pytest.approx(1_000_000 + 10 * 650)


def test_equity_begins_to_be_known_when_what_is_held_is_priced() -> None:
    desk = KeptDesk(LARGE)
    desk.at(CALL, 100.0)
    desk.hold(CALL, 650)
    minute(desk, call=104.0)
    desk.at(CALL, 90.0)
    desk.restart()
    desk.give(Funds(account="main", available=1_000_000.0, used=0.0))
    desk.pass_time(0.25)
    assert desk.machine.state.memory.bases == {}
    desk.at(CALL, 90.0)
    desk.pass_time(0.25)
    assert desk.machine.state.memory.bases["main"] == pytest.approx(1_006_500)
