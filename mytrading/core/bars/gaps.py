"""Completeness of a range of bars: those that the calendar lets one expect, against those found.

A missing minute is reported, never filled; of an option that hardly trades it may mean that nobody traded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, time, timedelta
from typing import NamedTuple

from mytrading.core.calendar import Calendar
from mytrading.core.time import DAY, to_ns
from mytrading.messages.market import Bar


class Gap(NamedTuple):
    """Bars missing in a row: from the start of the first to the end of the last (market ns)."""

    start_ns: int
    end_ns: int
    bars: int


class Completeness(NamedTuple):
    """Bars expected by now, how many of them are there, and where the others are missing."""

    expected: int
    found: int
    gaps: tuple[Gap, ...] = ()

    @property
    def found_share(self) -> float:
        """Share of the expected bars that were found: 1.0 if none is missing or none was expected."""
        return self.found / self.expected if self.expected else 1.0


def measure_completeness(
    bars: Iterable[Bar], calendar: Calendar, exchange: str, span_ns: int, start: date, end: date, now: int
) -> Completeness:
    """Count found and expected bars of `span_ns` in the sessions from `start` to `end`, and their gaps.
    Only bars that ended by `now` (market ns) are expected."""
    starts = {bar.start_ns for bar in bars}
    expected = found = 0
    gaps: list[Gap] = []
    for begin, finish in _expected(calendar, exchange, span_ns, start, end):
        if finish > now:
            break
        expected += 1
        if begin in starts:
            found += 1
        elif gaps and gaps[-1].end_ns == begin:
            gaps[-1] = Gap(gaps[-1].start_ns, finish, gaps[-1].bars + 1)
        else:
            gaps.append(Gap(begin, finish, 1))
    return Completeness(expected, found, tuple(gaps))


def _expected(calendar: Calendar, exchange: str, span_ns: int, start: date, end: date) -> Iterator[tuple[int, int]]:
    """Start and end of every bar of the range; the last of a session may be short, a daily one is the whole day."""
    for offset in range((end - start).days + 1):
        day = start + timedelta(days=offset)
        session = calendar.session(exchange, day)
        if session is None:
            continue
        if span_ns == DAY:
            midnight = to_ns(day, time.min)
            yield midnight, midnight + DAY
            continue
        for begin in range(session.open_ns, session.close_ns, span_ns):
            yield begin, begin + span_ns
