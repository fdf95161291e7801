"""Completed bars as columns, and indicator lines over them.

A series grows at its end and is cut at its front only by whole trading days, so that a process that has run for weeks
and one that has just been restarted compute from the same first bar. Bars may be filled in ahead of the cursor:
kernels are causal, so the history is computed once and then walked through.

The one rule: nothing at or behind the cursor is ever shown.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.core.indicators import FloatArray, Indicator
from mytrading.messages.market import Bar
from mytrading.strategies.errors import StrategyError
from mytrading.strategies.lines import Computed, LineKey, Mark, SharedLines, line_key

_COLUMNS = ("open", "high", "low", "close", "volume")
_FIRST_CAPACITY = 512
_DAY = 86_400_000_000_000
_IST = 19_800_000_000_000
_NAN = float("nan")


def ist_day(ns: int) -> int:
    """The number of the day in India that an instant lies in."""
    return (ns + _IST) // _DAY


class BarColumns(NamedTuple):
    """The newest bars, oldest first; arrays are views and read-only. Prices in rupees, `start_ns` market time."""

    start_ns: NDArray[np.int64]
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray


class BarSeries:
    """The bars of one instrument and timeframe: at most `days` whole trading days before the newest bar's."""

    def __init__(self, days: int) -> None:
        self._days = days
        self._table = np.empty((len(_COLUMNS), _FIRST_CAPACITY))
        self._start = np.empty(_FIRST_CAPACITY, dtype=np.int64)
        self._day_firsts: list[tuple[int, int]] = []
        self.filled = 0
        self.cursor = 0
        self.version = 0
        """Counts changes of what is filled: values that were computed at another version are computed anew."""
        self.last_end_ns = 0

    def fill(self, bar: Bar) -> bool:
        """Put a bar behind the filled ones without showing it; false, and nothing done, if it is not newer."""
        if bar.end_ns <= self.last_end_ns:
            return False
        self._open_day(ist_day(bar.start_ns))
        if self.filled == len(self._start):
            self._grow()
        self._table[:, self.filled] = (bar.open, bar.high, bar.low, bar.close, bar.volume)
        self._start[self.filled] = bar.start_ns
        self.filled += 1
        self.version += 1
        self.last_end_ns = bar.end_ns
        return True

    def adopt(self, start_ns: NDArray[np.int64], table: FloatArray, span_ns: int) -> None:
        """Take whole columns as the filled bars, not shown yet and not copied; only for a series that is empty."""
        self._start, self._table = start_ns, table
        self.filled, self.cursor = len(start_ns), 0
        self.version += 1
        self.last_end_ns = int(start_ns[-1]) + span_ns

    @property
    def mark(self) -> Mark:
        """Which bars these are: equal marks of the same instrument, timeframe and days are equal bars."""
        return (int(self._start[0]) if self.filled else 0, self.filled, self.last_end_ns)

    @property
    def days(self) -> int:
        """Whole trading days kept before the newest."""
        return self._days

    @property
    def next_start_ns(self) -> int:
        """Start of the bar that `show_next` would show, 0 if there is none."""
        return int(self._start[self.cursor]) if self.cursor < self.filled else 0

    def show_next(self) -> None:
        """Move the cursor over the next filled bar."""
        self.cursor = min(self.cursor + 1, self.filled)

    def column(self, name: str) -> FloatArray:
        """All filled values of a column, for kernels only; `day` and `start_s` are worked out of the bars' starts."""
        if name == "day":
            return ((self._start[: self.filled] + _IST) // _DAY).astype(np.float64)
        if name == "start_s":
            return (self._start[: self.filled] // 1_000_000_000).astype(np.float64)
        return self._table[_COLUMNS.index(name), : self.filled]

    def newest(self, n: int) -> BarColumns:
        """The newest `n` shown bars, fewer if there are fewer."""
        begin = max(0, self.cursor - n)
        table = self._table[:, begin : self.cursor]
        start = self._start[begin : self.cursor]
        table.flags.writeable = start.flags.writeable = False
        return BarColumns(start, *table)

    def _open_day(self, day: int) -> None:
        """Note where a trading day begins, and forget the days that are too old."""
        if self._day_firsts and self._day_firsts[-1][0] == day:
            return
        self._day_firsts.append((day, self.filled))
        if len(self._day_firsts) > self._days + 1:
            self._cut(self._day_firsts[-self._days - 1][1])

    def _cut(self, count: int) -> None:
        keep = self.filled - count
        self._table[:, :keep] = self._table[:, count : self.filled].copy()
        self._start[:keep] = self._start[count : self.filled].copy()
        self._day_firsts = [(day, first - count) for day, first in self._day_firsts if first >= count]
        self.filled, self.cursor = keep, max(0, self.cursor - count)
        self.version += 1

    def _grow(self) -> None:
        self._table = np.concatenate([self._table, np.empty_like(self._table)], axis=1)
        self._start = np.concatenate([self._start, np.empty_like(self._start)])


class Line:
    """One indicator over one series, recomputed from the first bar when the series has grown. Budget: 5 µs a day.

    What another strategy has computed of the same bars is taken from `shared`.
    """

    def __init__(
        self,
        indicator: Indicator,
        inputs: tuple[str, ...],
        parameters: dict[str, float],
        shared: SharedLines | None = None,
        key: LineKey | None = None,
    ) -> None:
        self.indicator = indicator
        self.inputs = inputs
        self.parameters = parameters
        self._shared = shared if shared is not None else SharedLines()
        self._key = key if key is not None else line_key(indicator.kernel, inputs, parameters, "", "", 0)
        self._values = np.empty(0)
        self.view: memoryview[float] = memoryview(self._values)  # type: ignore[arg-type]
        """The values as Python numbers, computed at `version` of the series."""
        self.version = -1

    def value(self, series: BarSeries, back: int = 0) -> float:
        """The value at the newest shown bar, or `back` bars before; NaN where there is none."""
        if series.version != self.version:
            self._computed(series)
        index = series.cursor - 1 - back
        return self.view[index] if index >= 0 else _NAN

    def whole(self, series: BarSeries) -> FloatArray:
        """The values at all filled bars, shown or not: for who walks a strategy through history."""
        return self._computed(series)

    def values(self, series: BarSeries, n: int) -> FloatArray:
        """The values at the newest `n` shown bars, oldest first."""
        view = self._computed(series)[max(0, series.cursor - n) : series.cursor]
        view.flags.writeable = False
        return view

    def _computed(self, series: BarSeries) -> FloatArray:
        if series.version != self.version:
            mark = series.mark
            found = self._shared.get(self._key, mark)
            if found is None:
                found = self._compute(series)
                self._shared.put(self._key, mark, found)
            self._values, self.view = found
            self.version = series.version
        return self._values

    def _compute(self, series: BarSeries) -> Computed:
        columns = [series.column(name) for name in self.inputs]
        values = self.indicator.kernel(*columns, **self.parameters)
        if len(values) != series.filled:
            raise StrategyError(
                f"indicator {self.indicator.name}: a kernel returns one value per bar, NaN where it has none; "
                f"expected {series.filled}, found {len(values)}"
            )
        return Computed(values, memoryview(np.ascontiguousarray(values, np.float64)))  # type: ignore[arg-type]
