"""Stamps of bars that are there already, in the store or a person's own file: shifted, or outside trading hours.

Nothing is refused here: a file is its owner's, and a stored series may be one. What history is believed when it is
fetched is decided by `adapters.openalgo.rest.proven_history`, under the same proofs.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np

from mytrading.backtest.data.columns import Columns
from mytrading.backtest.data.feeds import session_bounds
from mytrading.core.bars.history_proofs import MOST_DAYS_OFF, day_shift, minutes_late, why_days_shifted, why_shifted
from mytrading.core.calendar import Calendar
from mytrading.core.time import DAY, ist_date
from mytrading.messages.brokers import HistoryRules

_AS_IT_IS = HistoryRules()


def describe_shift(columns: Columns, calendar: Calendar) -> str:
    """Return how the stamps of one-minute or daily bars are proven to be off, "" if they are not."""
    if columns.timeframe not in ("1m", "1d") or not len(columns):
        return ""
    exchange = columns.instrument.partition(":")[0]
    first, last = (ist_date(int(columns.start_ns[at])) for at in (0, -1))
    if columns.timeframe == "1m":
        late = minutes_late(columns.start_ns.tolist(), calendar, exchange, last + timedelta(days=1))
        what = why_shifted(late, _AS_IT_IS)
    else:
        days = {ist_date(ns) for ns in columns.start_ns.tolist()}
        end = last + timedelta(days=MOST_DAYS_OFF)  # an early Friday is missing after the last bar
        what = why_days_shifted(day_shift(days, calendar, exchange, first, end), _AS_IT_IS)
    return f"{columns.instrument} {columns.timeframe}: {what.partition(';')[0]}" if what else ""


def count_outside(columns: Columns, calendar: Calendar) -> int:
    """Return how many bars within days lie outside the sessions of their exchange; 0 where it has none that day."""
    if columns.span_ns >= DAY or columns.instrument.partition(":")[0] not in calendar.exchanges:
        return 0
    opens, closes = session_bounds(columns, calendar)
    outside = (columns.start_ns < opens) | (columns.start_ns >= closes)
    return int(np.count_nonzero(outside & (closes - opens < DAY)))


def describe_stamps(columns: Columns, calendar: Calendar) -> Iterator[str]:
    """Yield notes on the stamps of an instrument's bars."""
    if shift := describe_shift(columns, calendar):
        yield f"{shift}; a run on them trades at wrong times"
    elif outside := count_outside(columns, calendar):
        yield f"{columns.instrument} has {outside} bars outside trading hours"
