"""Holes in data: stretches of a session, and whole trading days, without bars."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from mytrading.backtest.data.columns import Columns
from mytrading.backtest.data.feeds import session_bounds
from mytrading.core.calendar import Calendar
from mytrading.core.time import DAY, MINUTE, format_ist, ist_date

LEAST_HOLE = 15 * MINUTE
"""Shorter stretches without a trade are common in thinly traded shares."""
_SHOWN = 3
_OPTION = re.compile(r"\d(?:CE|PE)$")


def describe_holes(columns: Columns, calendar: Calendar) -> Iterator[str]:
    """Yield notes on an instrument's holes; none of daily bars, options, or exchanges not in the calendar."""
    exchange, _, symbol = columns.instrument.partition(":")
    if columns.span_ns >= DAY or exchange not in calendar.exchanges or _OPTION.search(symbol) or not len(columns):
        return
    if found := holes(columns, calendar):
        spans = [f"{format_ist(start)[:10]} {_clock(start)}–{_clock(end)}" for start, end in found]
        yield f"{columns.instrument} has no bars {_listed(spans)}: what the strategy wants meanwhile waits for the next"
    if days := missing_days(columns, calendar):
        count = f"{len(days)} trading day{'s' if len(days) > 1 else ''}"
        yield f"{columns.instrument} has no bars of {count}: {_listed([day.isoformat() for day in days])}"


def holes(columns: Columns, calendar: Calendar, least_ns: int = LEAST_HOLE) -> list[tuple[int, int]]:
    """Return start and end (ns) of each hole of `least_ns` or more in a session, also after its open and before its
    close. The data may begin after the open of its first day and end before the close of its last."""
    opens, closes = session_bounds(columns, calendar)
    inside = (columns.start_ns >= opens) & (columns.start_ns < closes) & (closes - opens < DAY)
    if not inside.any():
        return []
    starts, opens, closes = columns.start_ns[inside], opens[inside], closes[inside]
    ends = starts + columns.span_ns
    turns = np.flatnonzero(opens[1:] != opens[:-1])
    least = max(least_ns, columns.span_ns)
    found = [
        _pairs(ends[:-1], np.where(opens[1:] == opens[:-1], starts[1:], ends[:-1]), least),
        _pairs(opens[turns + 1], starts[turns + 1], least),
        _pairs(ends[turns], closes[turns], least),
    ]
    return sorted(pair for pairs in found for pair in pairs)


def missing_days(columns: Columns, calendar: Calendar) -> list[date]:
    """Return the trading days between the first and the last bar without any, in years whose holidays are listed."""
    exchange = columns.instrument.partition(":")[0]
    years = {day.year for day in calendar.holidays(exchange)}
    there = {ist_date(int(ns)) for ns in columns.start_ns[np.unique(columns.start_ns // DAY, return_index=True)[1]]}
    there |= {ist_date(int(ns)) for ns in columns.start_ns[-1:]}
    day, last, found = min(there), max(there), []
    while (day := day + timedelta(days=1)) < last:
        if day not in there and day.year in years and calendar.is_trading_day(exchange, day):
            found.append(day)
    return found


def _pairs(starts: NDArray[np.int64], ends: NDArray[np.int64], least_ns: int) -> list[tuple[int, int]]:
    """Return (start, end) of the stretches that last at least `least_ns`."""
    wide = ends - starts >= least_ns
    return list(zip(starts[wide].tolist(), ends[wide].tolist(), strict=True))


def _clock(ns: int) -> str:
    return format_ist(ns)[11:16]


def _listed(texts: list[str]) -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more
