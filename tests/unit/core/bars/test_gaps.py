"""Bars that a calendar lets one expect, against those found."""

from __future__ import annotations

import tomllib
from datetime import date, time

from mytrading.core.bars.gaps import measure_completeness
from mytrading.core.calendar import Calendar
from mytrading.core.time import DAY, MINUTE, to_ns
from mytrading.messages.market import Bar
from tests.kit.project import ROOT

CALENDAR = Calendar.from_dict(tomllib.loads((ROOT / "config/calendar.toml").read_text(encoding="utf-8")))
FRIDAY, MONDAY = date(2026, 11, 20), date(2026, 11, 23)
NEVER = 1 << 62


def bar(start_ns: int, span: int = MINUTE) -> Bar:
    return Bar("NSE:SBIN", "1m", start_ns, start_ns + span, 1.0, 1.0, 1.0, 1.0, 0)


def session(day: date) -> list[Bar]:
    return [bar(to_ns(day, time(9, 15)) + n * MINUTE) for n in range(360)]


def test_whole_days_have_no_gap_and_a_weekend_expects_nothing() -> None:
    found = measure_completeness([*session(FRIDAY), *session(MONDAY)], CALENDAR, "NSE", MINUTE, FRIDAY, MONDAY, NEVER)
    assert (found.expected, found.found, found.gaps, found.found_share) == (720, 720, (), 1.0)


def test_missing_minutes_are_gaps_that_end_with_their_session() -> None:
    bars = session(FRIDAY)
    del bars[-2:], bars[10:13]
    found = measure_completeness([*bars, *session(MONDAY)[1:]], CALENDAR, "NSE", MINUTE, FRIDAY, MONDAY, NEVER)
    assert [(gap.bars, gap.end_ns - gap.start_ns) for gap in found.gaps] == [(3, 3 * MINUTE), (2, 2 * MINUTE),
                                                                             (1, MINUTE)]  # fmt: skip
    assert found.gaps[0].start_ns == to_ns(FRIDAY, time(9, 25))
    assert found.expected - found.found == 6


def test_bars_that_have_not_ended_are_not_expected() -> None:
    now = to_ns(FRIDAY, time(9, 20)) + 1
    assert measure_completeness([], CALENDAR, "NSE", MINUTE, FRIDAY, FRIDAY, now).expected == 5
    assert (
        measure_completeness([], CALENDAR, "NSE", MINUTE, FRIDAY, FRIDAY, to_ns(FRIDAY, time(9, 15))).found_share == 1.0
    )


def test_daily_bars_last_from_midnight_to_midnight() -> None:
    start = to_ns(FRIDAY, time.min)
    found = measure_completeness([bar(start, DAY)], CALENDAR, "NSE", DAY, FRIDAY, MONDAY, NEVER)
    assert (found.expected, found.found) == (2, 1)
    assert found.gaps[0].start_ns == to_ns(MONDAY, time.min)
