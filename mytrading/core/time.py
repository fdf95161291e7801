"""Spans of time in nanoseconds, and dates and times of day in India.

A moment is market time: nanoseconds since 1970 in UTC. A date is the one that clocks in India show at that moment;
whether an exchange trades on it is asked of the calendar.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from functools import lru_cache

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
DAY_SECONDS = 86_400
DAY = DAY_SECONDS * SECOND
IST_OFFSET_SECONDS = 19_800
IST_OFFSET = IST_OFFSET_SECONDS * SECOND
"""Nanoseconds by which Indian time is ahead of UTC."""
IST = timezone(timedelta(seconds=IST_OFFSET_SECONDS), "IST")
"""India has had one zone and no summer time since 1945."""
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


def day_number(ns: int) -> int:
    """Indian date of a moment (ns UTC) as days since 1970-01-01: a cheap key."""
    return (ns + IST_OFFSET) // DAY


def ist_date(ns: int) -> date:
    """Indian date of a moment (ns UTC)."""
    return date.fromordinal(_EPOCH_ORDINAL + (ns + IST_OFFSET) // DAY)


def iso_day(ns: int) -> str:
    """Indian date of a moment (ns UTC) in ISO format."""
    return iso_day_of((ns + IST_OFFSET) // DAY)


@lru_cache(maxsize=64)
def iso_day_of(number: int) -> str:
    """ISO date of a day number (days since 1970-01-01)."""
    return date.fromordinal(_EPOCH_ORDINAL + number).isoformat()


def day_number_of(day: str) -> int:
    """Day number (days since 1970-01-01) of an ISO date."""
    return date.fromisoformat(day).toordinal() - _EPOCH_ORDINAL


def day_start(ns: int) -> int:
    """The Indian midnight (ns UTC) at which the day of a moment begins."""
    return ns - (ns + IST_OFFSET) % DAY


def day_end(ns: int) -> int:
    """The Indian midnight (ns UTC) at which the day of a moment ends."""
    return day_start(ns) + DAY


def second_of_day(ns: int) -> int:
    """Whole seconds since midnight in India at a moment (ns UTC)."""
    return (ns // SECOND + IST_OFFSET_SECONDS) % DAY_SECONDS


def hhmm(seconds: int) -> str:
    """Format seconds since midnight as a time of day: 15:10, or 15:10:30 if there are seconds."""
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}"
    return f"{text}:{seconds % 60:02d}" if seconds % 60 else text


def clock_time(ns: int) -> str:
    """Format a moment (ns UTC) as time of day in India: 15:10:30."""
    second = ns // SECOND + IST_OFFSET_SECONDS
    return f"{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


def format_ist(ns: int, pattern: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Format a moment (ns UTC) in Indian time by a strftime pattern."""
    return datetime.fromtimestamp(ns // SECOND, IST).strftime(pattern)


def to_ns(day: date, at: time) -> int:
    """Return the moment (ns UTC) of a date and a time of day in India."""
    seconds = at.hour * 3600 + at.minute * 60 + at.second - IST_OFFSET_SECONDS
    return ((day.toordinal() - _EPOCH_ORDINAL) * DAY_SECONDS + seconds) * SECOND + at.microsecond * 1000
