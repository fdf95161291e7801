"""Spans of time in nanoseconds, and the Indian date of a market time.

Used all over risk and the rules of runs. The one rule: a date here is counted from the market time alone; whether there
is a session on it is asked of the calendar.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
IST_NS = 19_800 * SECOND
"""So far India's clocks are ahead of UTC."""
_EPOCH = date(1970, 1, 1).toordinal()


def day_of(ns: int) -> str:
    """The Indian date (ISO) of a market time."""
    return _date_of((ns + IST_NS) // DAY)


@lru_cache(maxsize=64)
def _date_of(number: int) -> str:
    """The date so many days after the first of 1970."""
    return date.fromordinal(_EPOCH + number).isoformat()
