"""Bars of one series of prices, anchored to the session's open: what an exit on a trend is judged by.

A bar is handed out by `ended_bars`, which changes nothing, and is history once `add_ended` gets it, so that history is
what is journaled. A bar in the history is final, and prices for it are passed over.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from mytrading.core.bars.builder import bucket, timeframe_name
from mytrading.core.calendar import Calendar
from mytrading.core.time import MINUTE
from mytrading.messages.market import Bar

GRACE_NS = 300_000_000
"""Market time after a bar's end in which a price of it may still come, if none of the next one has."""
LATE_NS = 10_000_000_000
"""A first bar whose beginning was missed by more than this is not handed out."""
MOST = 2000


class SeriesBars:
    """`name` stands as instrument in its bars. Budget of `add`: 1 µs."""

    def __init__(self, name: str, exchange: str, minutes: int, calendar: Calendar) -> None:
        self.name = name
        self.exchange = exchange
        self.timeframe = timeframe_name(minutes)
        self.bars: list[Bar] = []
        self._calendar = calendar
        self._span = minutes * MINUTE
        self._ended: list[Bar] = []
        self._start = self._end = self._first = self._last = 0
        self._open = self._high = self._low = self._close = 0.0

    def add(self, ns: int, price: float) -> None:
        """Add a price at market time `ns` to the unfinished bar; prices must come in time order."""
        if self._start <= ns < self._end:
            self._high, self._low = max(self._high, price), min(self._low, price)
            self._close, self._last = price, ns
            return
        if ns < self._end:
            return
        if self._end:
            self._ended.append(self._made())
        self._begin(ns, price)

    def _begin(self, ns: int, price: float) -> None:
        self._start = self._end = 0
        session = self._calendar.session(self.exchange, self._calendar.trading_day(ns))
        if session is None or not session.open_ns <= ns < session.close_ns:
            return
        start, end = bucket(session, ns, self._span)
        if self.bars and start < self.bars[-1].end_ns:
            return
        self._start, self._end, self._first, self._last = start, end, ns, ns
        self._open = self._high = self._low = self._close = price

    def _made(self) -> Bar:
        return Bar(
            self.name, self.timeframe, self._start, self._end, self._open, self._high, self._low, self._close,
            received_ns=self._first,
        )  # fmt: skip

    def ended_bars(self, now: int) -> list[Bar]:
        """Return bars ended by market `now` and not yet passed to `add_ended`, in time order; changes nothing.
        Their `received_ns` is the market time of their first price."""
        made = list(self._ended)
        if self._end and now >= self._end + GRACE_NS:
            made.append(self._made())
        return made[1:] if made and not self.bars and made[0].received_ns - made[0].start_ns > LATE_NS else made

    def add_ended(self, bar: Bar) -> None:
        """Insert a completed bar into the history `bars` and drop unfinished bars up to it."""
        self._ended = [made for made in self._ended if made.start_ns > bar.start_ns]
        if self._end and self._end <= bar.end_ns:
            self._start = self._end = 0
        at = bisect_left(self.bars, bar.start_ns, key=lambda known: known.start_ns)
        if at == len(self.bars) or self.bars[at].start_ns != bar.start_ns:
            self.bars.insert(at, bar)
            del self.bars[:-MOST]

    def add_minutes(self, minutes: Iterable[Bar]) -> None:
        """Merge one-minute bars into the unfinished bar, to fill its time before the first price was added."""
        for minute in minutes:
            if not self._end:
                self._begin(minute.start_ns, minute.open)
            if self._start <= minute.start_ns < self._end:
                if minute.start_ns <= self._first:
                    self._first, self._open = minute.start_ns, minute.open
                self._high, self._low = max(self._high, minute.high), min(self._low, minute.low)
                if minute.start_ns >= self._last:
                    self._close, self._last = minute.close, minute.end_ns - 1
