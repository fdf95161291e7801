"""Bars for trend exits: anchored to the session, confirmed, journaled; and the runs that a turn of the trend ends."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from datetime import time
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.bars.price_series import SeriesBars
from mytrading.core.calendar import Calendar
from mytrading.core.time import MINUTE, to_ns
from mytrading.messages.exit_rules import StrategyRules, TrendExit, TrendRule
from mytrading.messages.market import Bar, Quote
from tests.kit.project import ROOT
from tests.kit.risk_bench import CALL, DAY, PUT, SECOND, SHARE, WATCH
from tests.kit.risk_run_bench import RunBench, events, goals
from tests.kit.trend_prices import CLOSES

OPEN = to_ns(DAY, time(9, 15))
BREAKOUT = TrendRule(exit=TrendExit.BREAKOUT, period=3, multiplier=1.5, instrument=WATCH)


def calendar() -> Calendar:
    return Calendar.from_dict(tomllib.loads((ROOT / "config" / "calendar.toml").read_text()))


def series(minutes: int = 10) -> SeriesBars:
    return SeriesBars("trend X", "NSE", minutes, calendar())


def taken(bars: SeriesBars, now: int) -> list[Bar]:
    due = bars.ended_bars(now)
    for bar in due:
        bars.add_ended(bar)
    return due


def test_bars_are_anchored_to_the_open_and_end_with_the_next_price_or_the_clock() -> None:
    bars = series()
    for second, price in ((0, 100.0), (300, 105.0), (599, 99.0), (600, 101.0)):
        bars.add(OPEN + second * SECOND, price)
    (first,) = taken(bars, OPEN + 600 * SECOND)
    assert (first.start_ns, first.end_ns) == (OPEN, OPEN + 10 * MINUTE)
    assert (first.open, first.high, first.low, first.close, first.timeframe) == (100, 105, 99, 99, "10m")
    assert bars.ended_bars(OPEN + 20 * MINUTE) == []
    assert [bar.close for bar in taken(bars, OPEN + 20 * MINUTE + SECOND)] == [101]
    bars.add(OPEN + 15 * MINUTE, 500.0)
    assert bars.ended_bars(OPEN + 40 * MINUTE) == [], "a price for a kept bar was built in"


def test_first_bar_whose_beginning_was_missed_is_left_out_unless_minutes_complete_it() -> None:
    bars = series()
    bars.add(OPEN + 5 * MINUTE, 100.0)
    bars.add(OPEN + 10 * MINUTE, 101.0)
    assert taken(bars, OPEN + 10 * MINUTE) == []
    bars = series()
    bars.add(OPEN + 5 * MINUTE, 100.0)
    minutes = [
        Bar("NSE:X", "1m", OPEN + n * MINUTE, OPEN + (n + 1) * MINUTE, 90.0 + n, 95.0 + n, 85.0, 91.0) for n in range(5)
    ]
    bars.add_minutes(minutes)
    bars.add(OPEN + 10 * MINUTE, 101.0)
    (bar,) = taken(bars, OPEN + 10 * MINUTE)
    assert (bar.open, bar.high, bar.low, bar.close) == (90.0, 100.0, 85.0, 100.0)


def test_prices_outside_the_session_make_no_bar() -> None:
    bars = series()
    bars.add(OPEN - MINUTE, 100.0)
    assert bars.ended_bars(OPEN + 60 * MINUTE) == []


class TrendBench(RunBench):
    """A bench at the open, that is given a bar of the watched instrument at a time."""

    def __init__(self, rule: TrendRule = BREAKOUT, **rules: Any) -> None:
        super().__init__(StrategyRules(trend=rule, **rules))
        self.now = OPEN
        self.bar = 0

    def price(self, second: int, price: float, instrument: str = WATCH) -> tuple[Any, ...]:
        """A last price at a second of the present bar."""
        at = OPEN + self.bar * 5 * MINUTE + second * SECOND
        self.machine_ns += max(at - self.now, 0)
        self.machine.set_machine_time(self.machine_ns)
        self.now = max(self.now, at)
        return self.give(Quote(instrument, at, self.machine_ns, price))

    def bars(self, closes: list[float]) -> list[Any]:
        """So many bars: each has its close, a rupee above it, and one and a half below."""
        rows: list[Any] = []
        for close in closes:
            for second, price in ((0, close), (100, close + 1), (200, close - 1.5), (299, close)):
                rows += self.price(second, price)
            self.bar += 1
        return rows


def test_confirmed_turn_ends_the_run_and_an_unfinished_bar_does_not() -> None:
    bench = TrendBench()
    bench.take(CALL, -65, 100.0)
    assert events(bench.bars(CLOSES[:5])) == []
    assert events(bench.bars([106.0])) == [], "the bar has not ended"
    rows = bench.pass_time(1.5)
    (event,), (goal,) = events(rows), goals(rows)
    assert (event.kind, event.value, goal.instrument) == ("supertrend", 106.0, CALL)
    assert event.threshold == pytest.approx(101.0833, abs=1e-4)
    assert "breakout" in event.note
    assert events(bench.bars([110.0, 113.0])) == []


def test_turn_before_the_entry_does_not_end_a_run_that_requires_a_cross() -> None:
    bench = TrendBench()
    bench.bars(CLOSES[:8])
    bench.take(CALL, -65, 100.0)
    assert events(bench.bars(CLOSES[8:10])) == []
    bench = TrendBench(replace(BREAKOUT, require_cross=False))
    bench.bars(CLOSES[:8])
    bench.take(CALL, -65, 100.0)
    assert len(events(bench.bars(CLOSES[8:10]))) == 1


def test_bars_and_trend_come_back_after_a_kill_and_on_the_next_day() -> None:
    bench = TrendBench()
    bench.take(CALL, -65, 100.0)
    bench.bars(CLOSES[:5])
    journaled = [row for row in bench.rows if not isinstance(row, Quote)]
    bench.price(0, 104.0)
    bench.again(journaled)
    bench.bars([106.0])
    assert len(events(bench.pass_time(1.5))) == 1
    bench = TrendBench()
    bench.take(CALL, -65, 100.0)
    bench.bars(CLOSES[:5])
    bench.pass_time(2)
    kept = bench.machine.runs.trend_bars()
    bench.next_day()
    assert bench.machine.runs.trend_bars() == kept
    assert len(kept) == 5


def test_stored_minutes_fill_the_history_before_the_first_quote() -> None:
    bench = TrendBench()
    minutes = [
        Bar(WATCH, "1m", at := OPEN + n * 5 * MINUTE, at + MINUTE, close, close + 1, close - 1.5, close)
        for n, close in enumerate(CLOSES[:5])
    ]
    bench.bar, bench.now = 5, OPEN + 25 * MINUTE
    rows = bench.machine.runs.series.backfill_bars(WATCH, minutes, bench.now)
    assert len(rows) == 5
    for row in rows:
        bench.machine.apply(row)
    assert bench.machine.runs.series.backfill_bars(WATCH, minutes, bench.now) == []
    bench.take(CALL, -65, 100.0)
    bench.bars([106.0])
    assert len(events(bench.pass_time(1.5))) == 1


def test_bar_under_way_at_a_restart_is_completed_with_stored_minutes() -> None:
    bench = TrendBench()
    at = OPEN + 5 * 5 * MINUTE
    whole = [Bar(WATCH, "1m", start := OPEN + n * MINUTE, start + MINUTE, 100.0, 101.0, 98.5, 100.0) for n in range(25)]
    minute = Bar(WATCH, "1m", at, at + MINUTE, 100.0, 100.5, 60.0, 90.0)
    series = bench.machine.runs.series
    series.complete_open_bars(WATCH, [*whole, minute])
    assert not any(found.ended_bars(at + 9 * MINUTE) for found in series.all.values()), (
        "nothing was kept, so nothing was cut"
    )
    bench.bar, bench.now = 5, at
    for row in series.backfill_bars(WATCH, whole, at):
        bench.machine.apply(row)
    series.complete_open_bars(WATCH, [*whole, minute])
    series.add_quote(Quote(WATCH, at + 2 * MINUTE, 0, 95.0))
    ((made,),) = [found.ended_bars(at + 6 * MINUTE) for found in series.all.values()]
    assert (made.start_ns, made.open, made.high, made.low, made.close) == (at, 100.0, 100.5, 60.0, 95.0)


def test_watched_instrument_of_a_trend_rule_is_wanted_all_day() -> None:
    assert TrendBench().machine.wanted_instruments() == (WATCH,)


def test_premium_is_that_of_one_set_and_ends_a_sold_straddle_when_it_breaks_out() -> None:
    bench = TrendBench(replace(BREAKOUT, instrument=""))
    bench.take(CALL, -130, 50.0)
    bench.take(PUT, -130, 50.0)
    found: list[Any] = []
    for close in CLOSES[:6]:
        for second, price in ((0, close), (100, close + 1), (200, close - 1.5), (299, close)):
            found += bench.price(second, 50.0, PUT)
            found += bench.price(second, price - 50.0, CALL)
        bench.bar += 1
    (kept,) = {bar.instrument for bar in found if isinstance(bar, Bar)}
    assert kept == "premium S"
    rows = bench.pass_time(1.5)
    assert [(event.kind, event.value) for event in events(rows)] == [("supertrend", 106.0)]
    assert {goal.instrument for goal in goals(rows)} == {CALL, PUT}


def test_premium_has_no_price_while_a_leg_has_none_and_begins_anew_with_other_proportions() -> None:
    bench = TrendBench(replace(BREAKOUT, instrument=""))
    bench.take(CALL, -65, 50.0)
    bench.take(PUT, -65, 50.0)
    bench.bars(CLOSES[:2])
    for second in (0, 299):
        bench.price(second, 50.0, CALL)
    bench.bar += 1
    bench.price(0, 50.0, CALL)
    assert bench.machine.runs.trend_bars() == ()
    bench.price(1, 50.0, PUT)
    bench.bar += 1
    bench.price(0, 50.0, PUT)
    bench.price(1, 50.0, CALL)
    assert [bar.close for bar in bench.machine.runs.trend_bars()] == [100.0]
    bench.take(PUT, -130, 50.0)
    assert bench.machine.runs.trend_bars() == ()
    bench.take(SHARE, 10, 50.0)
    bench.take(SHARE, 0, 0.0)
    assert bench.machine.runs.trend_bars() == ()


@pytest.mark.slow
@pytest.mark.parametrize(("exits", "loaded"), [("None", "False"), ("TrendExit.BREAKOUT", "True")])
def test_numba_is_loaded_only_if_a_strategy_has_a_trend_rule(exits: str, loaded: str) -> None:
    script = (
        "import sys\nfrom lab.bench.risk_quote import loaded_machine, _RULES\n"
        "from mytrading.messages.exit_rules import TrendExit, TrendRule\nfrom pathlib import Path\n"
        "import lab.bench.risk_quote as bench, msgspec\n"
        f"bench._RULES = msgspec.structs.replace(_RULES, trend=TrendRule(exit={exits}, instrument='NSE:SHARED'))\n"
        f"loaded_machine(Path({str(ROOT)!r}))\nprint('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == loaded
