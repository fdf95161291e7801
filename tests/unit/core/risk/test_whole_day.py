"""A simulated clock over whole days: when risk lets in and closes, at 15:15, on expiries, holidays and at Diwali."""

from __future__ import annotations

from datetime import date, time
from typing import Any

import pytest

from mytrading.core.time import to_ns
from mytrading.messages.commands import CloseGoal, PlaceEntry
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import CALL, SECOND, SHARE, RiskBench, codes

MINUTE = 60
AFTER_AUCTION_REFORM = date(2026, 8, 4)
ORDINARY, EXPIRY = date(2026, 3, 18), date(2026, 3, 24)
HOLIDAY, MUHURAT = date(2026, 11, 24), date(2026, 11, 8)


class Day:
    """A bench that a market clock takes through a day, a minute at a time."""

    def __init__(self, day: date) -> None:
        self.bench = RiskBench()
        self.day = day
        self.count = 0

    def at(self, clock: time) -> None:
        self.bench.now = to_ns(self.day, clock)
        self.bench.machine_ns += SECOND
        self.bench.beat()

    def admits(self, clock: time, instrument: str = CALL) -> str:
        """Empty if an entry is admitted at this time of a fresh day, else the code of its denial."""
        bench = RiskBench()
        bench.now = to_ns(self.day, clock)
        bench.beat()
        bench.quote(instrument)
        rows = bench.intent("a", Leg(instrument=instrument, lots=5 if instrument == SHARE else 1))
        return "" if any(isinstance(row, PlaceEntry) for row in rows) else codes(rows)[0]

    def hold_and_run(self, instrument: str, since: time, until: time) -> list[time]:
        """Times (to the minute) at which what is held since then began to be closed."""
        self.at(since)
        self.bench.quote(instrument)
        (entry, *_) = self.bench.intent("a", Leg(instrument=instrument, lots=5 if instrument == SHARE else 1))
        self.bench.fill(entry)
        closed = []
        while self.bench.now < to_ns(self.day, until):
            self.bench.quote(instrument)
            rows: tuple[Any, ...] = self.bench.pass_time(MINUTE)
            if any(isinstance(row, CloseGoal) for row in rows):
                closed.append(_clock(self.bench.now))
        return closed


def _clock(ns: int) -> time:
    seconds = (ns // SECOND + 19_800) % 86_400
    return time(seconds // 3600, seconds % 3600 // 60)


@pytest.mark.parametrize(
    ("day", "clock", "instrument", "code"),
    [
        (ORDINARY, time(9, 14), CALL, "MARKET_CLOSED"),
        (ORDINARY, time(9, 16), CALL, "FIRST_MINUTES"),
        (ORDINARY, time(9, 20), CALL, ""),
        (ORDINARY, time(15, 11), CALL, ""),
        (ORDINARY, time(15, 12), CALL, "SQUARE_OFF"),
        (ORDINARY, time(15, 16), CALL, "LAST_MINUTES"),
        (ORDINARY, time(15, 31), CALL, "MARKET_CLOSED"),
        (AFTER_AUCTION_REFORM, time(14, 59), SHARE, ""),
        (AFTER_AUCTION_REFORM, time(15, 1), SHARE, "LAST_MINUTES"),
        (AFTER_AUCTION_REFORM, time(15, 20), SHARE, "MARKET_CLOSED"),
        (EXPIRY, time(11, 0), CALL, ""),
        (HOLIDAY, time(11, 0), SHARE, "MARKET_CLOSED"),
        (MUHURAT, time(11, 0), SHARE, "MARKET_CLOSED"),
        (MUHURAT, time(18, 30), SHARE, ""),
        (MUHURAT, time(18, 50), SHARE, "LAST_MINUTES"),
        (MUHURAT, time(19, 5), SHARE, "MARKET_CLOSED"),
    ],
)
def test_entry_is_admitted_exactly_in_the_hours_of_its_day(day: date, clock: time, instrument: str, code: str) -> None:
    assert Day(day).admits(clock, instrument) == code


@pytest.mark.parametrize(
    ("day", "instrument", "since", "until", "closed"),
    [
        (ORDINARY, CALL, time(11, 0), time(15, 29), time(15, 12)),
        (ORDINARY, SHARE, time(11, 0), time(15, 29), time(15, 12)),
        (AFTER_AUCTION_REFORM, SHARE, time(11, 0), time(15, 29), time(15, 7)),
        (AFTER_AUCTION_REFORM, CALL, time(11, 0), time(15, 39), time(15, 12)),
        (EXPIRY, CALL, time(11, 0), time(15, 29), time(15, 12)),
        (MUHURAT, SHARE, time(18, 10), time(18, 59), time(18, 52)),
    ],
)
def test_intraday_position_is_closed_once_before_its_day_ends(
    day: date, instrument: str, since: time, until: time, closed: time
) -> None:
    assert Day(day).hold_and_run(instrument, since, until) == [closed]


def test_holiday_enters_nothing_and_squares_nothing_off() -> None:
    running = Day(date(2026, 11, 23))
    running.at(time(11, 0))
    running.bench.quote(SHARE)
    (entry,) = running.bench.intent("a", Leg(instrument=SHARE, lots=5))
    running.bench.fill(entry)
    running.day = HOLIDAY
    for clock in (time(9, 20), time(12, 0), time(15, 12), time(15, 16), time(18, 0)):
        running.at(clock)
        assert not [row for row in running.bench.pass_time(1) if isinstance(row, CloseGoal | PlaceEntry)]
