"""Bars of one instrument as columns, checked once.

Rows of a `Columns` are sorted, have no holes inside a bar and never change; anything wrong with a file is said
before a run begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, time
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from mytrading.core.indicators import FloatArray
from mytrading.core.time import DAY, MINUTE, to_ns
from mytrading.messages.market import Bar

SPANS = {f"{minutes}m": minutes * MINUTE for minutes in (1, 3, 5, 10, 15, 30)} | {"1h": 60 * MINUTE, "1d": DAY}
CHUNK = 16_384
_FIRST_CHUNK = 256
BARS_AT_ONCE = 1024
"""Made at a time: more of them leave the processor's cache before they are used."""


class DataError(ValueError):
    """History that cannot be used; the message says what was found where, and what to do."""


@dataclass(frozen=True, slots=True)
class Columns:
    """`start_ns` is int64 of shape (n,), ascending; `table` float64 of shape (5, n): open, high, low, close, volume."""

    instrument: str
    timeframe: str
    start_ns: NDArray[np.int64]
    table: FloatArray

    def __len__(self) -> int:
        return len(self.start_ns)

    @property
    def span_ns(self) -> int:
        """Return the length of one bar in nanoseconds."""
        return SPANS[self.timeframe]

    @property
    def close(self) -> FloatArray:
        """Return the closing prices, float64 of shape (n,)."""
        close: FloatArray = self.table[3]
        return close

    def bars(self, first: int = 0, last: int | None = None) -> Iterator[tuple[range, Iterator[Bar]]]:
        """Yield chunks of rows `first` to before `last` (None: all): the range of rows, and their bars as messages. The
        first chunk is small, so that a few bars cost little; the others end at multiples of `BARS_AT_ONCE`."""
        begin, size = first, _FIRST_CHUNK
        end = len(self) if last is None else last
        name, timeframe = repeat(self.instrument), repeat(self.timeframe)
        while begin < end:
            after = min(begin + size, begin // BARS_AT_ONCE * BARS_AT_ONCE + BARS_AT_ONCE, end)
            part = slice(begin, after)
            start, ends = self.start_ns[part], (self.start_ns[part] + self.span_ns).tolist()
            prices = (column[part].tolist() for column in self.table[:4])
            with np.errstate(invalid="raise"):
                volume = self.table[4, part].astype(np.int64).tolist()
            yield (
                range(begin, after),
                map(Bar, name, timeframe, start.tolist(), ends, *prices, volume, repeat(0), ends),
            )
            begin, size = after, BARS_AT_ONCE

    def bar(self, index: int, end_ns: int) -> Bar:
        """Return row `index` as a bar message that is complete at `end_ns`."""
        opens, high, low, close, volume = self.table[:, index].tolist()
        start, name, timeframe = int(self.start_ns[index]), self.instrument, self.timeframe
        return Bar(name, timeframe, start, end_ns, opens, high, low, close, int(volume), 0, end_ns)

    def between(self, first_ns: int, last_ns: int) -> Columns:
        """Return the bars that start at or after `first_ns` and before `last_ns`."""
        low, high = np.searchsorted(self.start_ns, [first_ns, last_ns])
        return Columns(self.instrument, self.timeframe, self.start_ns[low:high], self.table[:, low:high])

    def between_days(self, first: date | None, last: date | None) -> Columns:
        """Return the bars of the days in India from `first` to `last`, both included (None: no bound)."""
        low = to_ns(first, time.min) if first is not None else -(1 << 62)
        return self.between(low, to_ns(last, time.min) + DAY if last is not None else 1 << 62)

    def on_day(self, day: date) -> Columns:
        """Return the bars that start on a day in India."""
        begin = to_ns(day, time.min)
        return self.between(begin, begin + DAY)


def build_columns(
    instrument: str, start_ns: NDArray[np.int64], table: FloatArray, source: str, timeframe: str = ""
) -> Columns:
    """Build columns from arrays after validating them; `DataError` names `source` (the file) and the first wrong bar.
    An empty `timeframe` is found by the spacing of the bars."""
    if len(start_ns) == 0:
        raise DataError(f"{source}: no bars in it; check the file, --instrument, --from and --to")
    if not np.all(start_ns[1:] > start_ns[:-1]):
        at = int(np.argmax(start_ns[1:] <= start_ns[:-1])) + 1
        raise DataError(
            f"{source}: bar {at + 1} starts at or before the one in front of it; sort by time, drop repeats"
        )
    prices = table[:4]
    if not np.all(np.isfinite(prices)) or not np.all(prices > 0):
        at = int(np.argmax(~np.all(np.isfinite(prices) & (prices > 0), axis=0)))
        raise DataError(f"{source}: bar {at + 1} has a price that is missing or not above 0; mend or drop the row")
    low, high = table[2], table[1]
    tolerance = 1e-9 * high
    wrong = (low > np.minimum(table[0], table[3]) + tolerance) | (high < np.maximum(table[0], table[3]) - tolerance)
    if np.any(wrong):
        at = int(np.argmax(wrong))
        raise DataError(f"{source}: bar {at + 1} opens or closes outside its low and high; mend or drop the row")
    return Columns(instrument, timeframe or timeframe_of(start_ns, source), start_ns, table)


def timeframe_of(start_ns: NDArray[np.int64], source: str) -> str:
    """Return the timeframe by the most frequent spacing of bars (1m for one bar), the shortest supported one of equals;
    bars whole days apart are of a day. `DataError` if unsupported."""
    if len(start_ns) < 2:
        return "1m"
    steps, counts = np.unique(np.diff(start_ns), return_counts=True)
    most = {int(step) for step in steps[counts == counts.max()]}
    for name, span in SPANS.items():
        if span in most:
            return name
    if not np.any(steps % DAY):
        return "1d"
    step = min(most)
    known = ", ".join(SPANS)
    raise DataError(f"{source}: most bars are {step / 1e9:g} s apart; expected one of {known}")


def resample(columns: Columns, timeframe: str, open_ns: NDArray[np.int64]) -> tuple[Columns, NDArray[np.int64]]:
    """Return longer bars anchored to each session's open (`open_ns`, one a bar), and the last source row of each."""
    span = SPANS[timeframe]
    if span % columns.span_ns:
        raise DataError(f"{timeframe} bars cannot be made of {columns.timeframe} bars; give finer data")
    bucket = open_ns + (columns.start_ns - open_ns) // span * span
    firsts = np.flatnonzero(np.concatenate(([True], bucket[1:] != bucket[:-1])))
    lasts = np.concatenate((firsts[1:], [len(columns)])) - 1
    table = np.empty((5, len(firsts)))
    table[0] = columns.table[0, firsts]
    table[1] = np.maximum.reduceat(columns.table[1], firsts)
    table[2] = np.minimum.reduceat(columns.table[2], firsts)
    table[3] = columns.table[3, lasts]
    table[4] = np.add.reduceat(columns.table[4], firsts)
    return Columns(columns.instrument, timeframe, bucket[firsts], table), lasts
