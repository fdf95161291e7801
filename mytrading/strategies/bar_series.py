"""Completed bars of one instrument and timeframe as columns, and indicator values over them.

A series grows at its end and is cut at its front only by whole trading days, so that a process that has run for weeks
and one that has just restarted compute from the same first bar. Bars may be filled in ahead of the cursor: kernels are
causal, so history is computed once and then walked through. Values are shared between strategies only where kernel,
inputs, parameters, instrument, timeframe and bars are equal.

Invariant: a strategy sees no bar at or after the cursor.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.core.indicators import FloatArray, Indicator
from mytrading.core.time import DAY, IST_OFFSET, SECOND, day_number
from mytrading.messages.market import Bar
from mytrading.strategies.errors import StrategyError

_COLUMNS = ("open", "high", "low", "close", "volume")
_FIRST_CAPACITY = 512
_NAN = float("nan")

BarRange = tuple[int, int, int]
"""Start of the first bar, number of bars, end of the last bar."""


class BarColumns(NamedTuple):
    """The newest bars, oldest first; arrays are views and read-only. Prices in rupees, `start_ns` market time."""

    start_ns: NDArray[np.int64]
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray


def _read_only(start_ns: NDArray[np.int64], table: FloatArray) -> BarColumns:
    """Views of whole arrays that cannot be written to, and neither can what is cut from them."""
    views = start_ns.view(), table.view()
    for view in views:
        view.flags.writeable = False
    return BarColumns(views[0], *views[1])


class BarSeries:
    """The bars of one instrument and timeframe: at most `days` whole trading days before the newest bar's."""

    def __init__(self, days: int) -> None:
        self._days = days
        self._table = np.empty((len(_COLUMNS), _FIRST_CAPACITY))
        self._start = np.empty(_FIRST_CAPACITY, dtype=np.int64)
        self._views = _read_only(self._start, self._table)
        self._day_firsts: list[tuple[int, int]] = []
        self.filled = 0
        self.cursor = 0
        self.version = 0
        """Counts changes of the filled bars: values computed at another version are out of date."""
        self.last_end_ns = 0

    def fill(self, bar: Bar) -> bool:
        """Append a bar that the strategy does not see yet; false, without effect, if it is not newer than the last."""
        if bar.end_ns <= self.last_end_ns:
            return False
        self._open_day(day_number(bar.start_ns))
        if self.filled == len(self._start):
            self._table = np.concatenate([self._table, np.empty_like(self._table)], axis=1)
            self._start = np.concatenate([self._start, np.empty_like(self._start)])
            self._views = _read_only(self._start, self._table)
        self._table[:, self.filled] = (bar.open, bar.high, bar.low, bar.close, bar.volume)
        self._start[self.filled] = bar.start_ns
        self.filled += 1
        self.version += 1
        self.last_end_ns = bar.end_ns
        return True

    def adopt(self, start_ns: NDArray[np.int64], table: FloatArray, span_ns: int) -> None:
        """Fill an empty series with whole columns (`table`: open, high, low, close, volume), not copied; `span_ns` is a
        bar's length. The strategy sees none of the bars yet."""
        self._start, self._table = start_ns, table
        self._views = _read_only(start_ns, table)
        self.filled, self.cursor = len(start_ns), 0
        self.version += 1
        self.last_end_ns = int(start_ns[-1]) + span_ns

    @property
    def bar_range(self) -> BarRange:
        """(first start ns, number of bars, last end ns) of the filled bars, for comparing series."""
        return (int(self._start[0]) if self.filled else 0, self.filled, self.last_end_ns)

    @property
    def next_start_ns(self) -> int:
        """Start (ns UTC) of the bar that `show_next` would show, 0 if there is none."""
        return int(self._start[self.cursor]) if self.cursor < self.filled else 0

    def show_next(self) -> None:
        """Let the strategy see the next filled bar; no effect without one."""
        self.cursor = min(self.cursor + 1, self.filled)

    def column(self, name: str) -> FloatArray:
        """All filled values of a column, for kernels only; `day` (number of the day in India) and `start_s` (s UTC) are
        computed from the bars' starts."""
        if name == "day":
            return ((self._start[: self.filled] + IST_OFFSET) // DAY).astype(np.float64)
        if name == "start_s":
            return (self._start[: self.filled] // SECOND).astype(np.float64)
        return self._table[_COLUMNS.index(name), : self.filled]

    def newest(self, n: int) -> BarColumns:
        """The newest `n` shown bars, fewer if there are fewer."""
        shown = slice(max(0, self.cursor - n), self.cursor)
        start, opens, high, low, close, volume = self._views
        return BarColumns(start[shown], opens[shown], high[shown], low[shown], close[shown], volume[shown])

    def _open_day(self, day: int) -> None:
        """Record where a trading day begins, and cut days that are too old."""
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


IndicatorCache = dict[tuple[object, ...], tuple[BarRange, FloatArray, "memoryview[float]"]]
"""The newest values of each indicator, as an array and as a view of Python floats, and the bars they are of."""


class IndicatorSeries:
    """One indicator over one series, recomputed from the first bar when the series has grown. Budget: 5 µs a day."""

    def __init__(
        self,
        indicator: Indicator,
        inputs: tuple[str, ...],
        parameters: dict[str, float],
        cache: IndicatorCache,
        instrument: str = "",
        timeframe: str = "",
        days: int = 0,
    ) -> None:
        self.indicator = indicator
        self.inputs = inputs
        self.parameters = parameters
        self._cache = cache
        self._key = (indicator.kernel, inputs, tuple(sorted(parameters.items())), instrument, timeframe, days)
        """The first bar of a series depends on `days`, how much history is kept."""
        self._values = np.empty(0)
        self.view: memoryview[float] = memoryview(self._values)  # type: ignore[arg-type]
        """The values as Python floats, computed at `version` of the series."""
        self.version = -1

    def value(self, series: BarSeries, back: int = 0) -> float:
        """The value at the newest shown bar, or `back` bars before; NaN where there is none."""
        if series.version != self.version:
            self.all_values(series)
        index = series.cursor - 1 - back
        return self.view[index] if index >= 0 else _NAN

    def all_values(self, series: BarSeries) -> FloatArray:
        """The values at all filled bars, shown or not, for loops that walk a strategy through history."""
        if series.version != self.version:
            bar_range = series.bar_range
            known = self._cache.get(self._key)
            if known is None or known[0] != bar_range:
                known = self._cache[self._key] = (bar_range, *self._compute(series))
            _, self._values, self.view = known
            self.version = series.version
        return self._values

    def _compute(self, series: BarSeries) -> tuple[FloatArray, memoryview[float]]:
        values = self.indicator.kernel(*(series.column(name) for name in self.inputs), **self.parameters)
        if len(values) != series.filled:
            raise StrategyError(
                f"indicator {self.indicator.name}: a kernel returns one value per bar, NaN where it has none; "
                f"expected {series.filled}, found {len(values)}"
            )
        return values, memoryview(np.ascontiguousarray(values, np.float64))  # type: ignore[arg-type]
