"""Limits after a start: judged on prices of now, or on none; a price of before is worth what was last known of it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.messages.enums import LimitAction
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.reports import Funds
from mytrading.messages.risk_events import RiskEventRecorded
from mytrading.messages.run_config import RiskLimits
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import CALL, LIMITS, PUT, codes
from tests.kit.risk_limit_bench import SPREAD, JournaledBench

LARGE = replace(LIMITS, max_position_size=1e9, max_order_size=1e9, min_order_size=0, max_daily_loss=6_500)
NEXT = "2026-03-19"
MAIN = ("account", "main")


def events(rows: Any) -> list[RiskEventRecorded]:
    return [row for row in rows if isinstance(row, RiskEventRecorded)]


def profit(bench: JournaledBench) -> float:
    return bench.machine.state.memory.money.profit(MAIN)


def long_call(limits: RiskLimits = LARGE, bid: float = 100.0, units: int = 650) -> JournaledBench:
    """A bench that holds calls bought at 100, at this bid."""
    bench = JournaledBench(limits)
    bench.give(Funds(account="main", available=1_000_000.0, used=0.0))
    bench.pass_time(1)
    bench.at(CALL, bid)
    bench.hold(CALL, units)
    return bench


def minute(bench: JournaledBench, **bids: float) -> None:
    """A minute later these are the bids, and prices are noted."""
    bench.later(61)
    for name, bid in bids.items():
        bench.at({"call": CALL, "put": PUT}[name], bid)
    bench.pass_time(0.25)


def test_price_that_was_noted_counts_for_more_than_a_journaled_quote_of_before() -> None:
    bench = long_call()
    bench.at(CALL, 91.0, journaled=True)
    minute(bench, call=110.0)
    bench.hold(CALL, 1_300, price=105.0)
    bench.restart()
    assert profit(bench) == pytest.approx(5.0 * 1_300)
    assert events(bench.pass_time(0.25)) == []
    assert bench.machine.limits.entry_blocks("main", "S") == {}


def test_restart_values_a_position_at_what_it_would_be_closed_at() -> None:
    bench = long_call()
    bench.at(PUT, 95.0 - SPREAD)
    bench.hold(PUT, -650)
    minute(bench, call=96.0, put=95.0 - SPREAD)
    assert profit(bench) == pytest.approx(650)
    bench.restart()
    assert profit(bench) == pytest.approx(650)


def test_last_price_that_an_older_journal_holds_is_read_for_both_sides() -> None:
    bench = long_call()
    bench.restart()
    bench.machine.apply(LevelMoved(name=f"limit mark {CALL}", value=103.0, at_ns=bench.now))
    assert profit(bench) == pytest.approx(3.0 * 650)
    bench.hold(CALL, -650)
    assert profit(bench) == pytest.approx(-3.0 * 650)


def test_day_begins_with_the_profit_that_the_last_prices_made() -> None:
    bench = long_call()
    bench.at(CALL, 100.0, journaled=True)
    for bid in (110.0, 120.0, 130.0):
        minute(bench, call=bid)
    bench.later(79_000)
    bench.restart(NEXT)
    assert profit(bench) == 0.0
    assert events(bench.pass_time(0.25)) == []
    assert events(bench.at(CALL, 130.0)) == []
    assert profit(bench) == pytest.approx(0.0)
    bench.later(1)
    (event,) = events(bench.twice(CALL, 120.0))
    assert event.value == pytest.approx(-6_500)


def test_turn_of_a_day_keeps_a_price_that_is_older_than_those_of_others() -> None:
    bench = long_call()
    minute(bench, call=130.0)
    bench.later(28_800)
    bench.at(PUT, 50.0)
    bench.machine.apply(opened := bench.machine.snapshot(NEXT))
    assert opened.levels[f"limit mark_long {CALL}"] == 130.0
    assert profit(bench) == pytest.approx(0.0), "what is carried is worth what it was"


def two_legs(action: LimitAction = LimitAction.NO_ENTRIES) -> JournaledBench:
    """Calls and puts of which one won what the other lost, both since the last prices that were noted."""
    bench = long_call(replace(LARGE, max_daily_loss_action=action))
    bench.at(PUT, 100.0)
    bench.hold(PUT, 650)
    minute(bench, call=100.0, put=100.0)
    bench.at(PUT, 120.0)
    bench.at(CALL, 80.0)
    assert events(bench.journal) == []
    bench.restart()
    return bench


def test_limit_is_reached_by_nothing_while_a_leg_waits_for_its_first_quote() -> None:
    bench = two_legs(LimitAction.FLATTEN)
    assert events(bench.twice(CALL, 80.0)) == []
    assert events(bench.pass_time(1)) == []
    assert events(bench.hold(CALL, 650, realised=-10.0)) == []
    assert codes(bench.intent("a", Leg(instrument=CALL, lots=12), Leg(instrument=PUT, lots=10))) == ["DAILY_LOSS"], (
        "nothing is entered meanwhile"
    )
    assert events(bench.at(PUT, 120.0)) == [], "what the two made together"
    assert bench.machine.limits.entry_blocks("main", "S") == {}
    bench.later(1)
    assert len(events(bench.twice(PUT, 109.0))) == 1


def test_leg_without_a_quote_for_a_minute_counts_at_its_last_known_price() -> None:
    bench = two_legs()
    bench.at(CALL, 80.0)
    assert events(bench.pass_time(59)) == []
    assert len(events(bench.pass_time(1))) == 1


def test_limit_is_reached_at_once_where_nothing_is_open() -> None:
    bench = long_call()
    minute(bench, call=95.0)
    bench.restart()
    assert len(events(bench.hold(CALL, 0, realised=-6_500.0))) == 1


def test_old_prices_make_no_peak_and_take_none_back() -> None:
    bench = long_call(replace(LARGE, max_daily_loss=1e9, max_drawdown=0.01))
    bench.at(PUT, 100.0)
    bench.hold(PUT, 650)
    minute(bench, call=100.0, put=102.0)
    bench.later(1)
    bench.at(PUT, 102.0)
    bench.pass_time(1)
    bench.at(PUT, 82.0)
    bench.at(CALL, 118.0, journaled=True)
    bench.restart()
    bench.twice(CALL, 118.0)
    bench.pass_time(0.25)
    assert bench.machine.state.memory.peaks[MAIN] == pytest.approx(1_000_000 + 2 * 650)
    assert events(bench.at(PUT, 82.0)) == []
    bench.later(1)
    bench.twice(PUT, 92.0)
    assert bench.machine.state.memory.peaks[MAIN] == pytest.approx(1_000_000 + 10 * 650)


def test_equity_begins_to_be_known_when_what_is_held_is_priced() -> None:
    bench = JournaledBench(LARGE)
    bench.at(CALL, 100.0)
    bench.hold(CALL, 650)
    minute(bench, call=104.0)
    bench.at(CALL, 90.0)
    bench.restart()
    bench.give(Funds(account="main", available=1_000_000.0, used=0.0))
    bench.pass_time(0.25)
    assert bench.machine.state.memory.bases == {}
    bench.at(CALL, 90.0)
    bench.pass_time(0.25)
    assert bench.machine.state.memory.bases["main"] == pytest.approx(1_006_500)
