"""Indicator values over bar series, computed once for all strategies of a process.

Values are shared only where kernel, inputs, parameters, instrument, timeframe and bars are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from mytrading.core.indicators import FloatArray, Indicator
from mytrading.strategies.bar_series import BarRange, BarSeries
from mytrading.strategies.errors import StrategyError

_NAN = float("nan")


class IndicatorKey(NamedTuple):
    """Identifies an indicator of a series. The first bar depends on `days`, how much history is kept."""

    kernel: Callable[..., FloatArray]
    inputs: tuple[str, ...]
    parameters: tuple[tuple[str, float], ...]
    instrument: str
    timeframe: str
    days: int


class IndicatorValues(NamedTuple):
    """One value per filled bar, as an array and as a view of Python floats."""

    values: FloatArray
    view: memoryview[float]


class IndicatorCache:
    """The newest values by key. `computed` counts kernel calls, `shared` those that the cache saved."""

    def __init__(self) -> None:
        self._found: dict[IndicatorKey, tuple[BarRange, IndicatorValues]] = {}
        self.computed = 0
        self.shared = 0

    def get(self, key: IndicatorKey, bar_range: BarRange) -> IndicatorValues | None:
        """The values over these bars; None if they are not in the cache."""
        known = self._found.get(key)
        if known is None or known[0] != bar_range:
            return None
        self.shared += 1
        return known[1]

    def clear(self) -> None:
        """Drop all values."""
        self._found.clear()

    def put(self, key: IndicatorKey, bar_range: BarRange, computed: IndicatorValues) -> None:
        """Store computed values."""
        self.computed += 1
        self._found[key] = (bar_range, computed)


def indicator_key(
    kernel: Callable[..., FloatArray],
    inputs: tuple[str, ...],
    parameters: Mapping[str, float],
    instrument: str,
    timeframe: str,
    days: int,
) -> IndicatorKey:
    """The cache key of an indicator."""
    return IndicatorKey(kernel, inputs, tuple(sorted(parameters.items())), instrument, timeframe, days)


class IndicatorSeries:
    """One indicator over one series, recomputed from the first bar when the series has grown. Budget: 5 µs a day."""

    def __init__(
        self,
        indicator: Indicator,
        inputs: tuple[str, ...],
        parameters: dict[str, float],
        cache: IndicatorCache | None = None,
        key: IndicatorKey | None = None,
    ) -> None:
        self.indicator = indicator
        self.inputs = inputs
        self.parameters = parameters
        self._cache = cache if cache is not None else IndicatorCache()
        self._key = key if key is not None else indicator_key(indicator.kernel, inputs, parameters, "", "", 0)
        self._values = np.empty(0)
        self.view: memoryview[float] = memoryview(self._values)  # type: ignore[arg-type]
        """The values as Python floats, computed at `version` of the series."""
        self.version = -1

    def value(self, series: BarSeries, back: int = 0) -> float:
        """The value at the newest shown bar, or `back` bars before; NaN where there is none."""
        if series.version != self.version:
            self._computed(series)
        index = series.cursor - 1 - back
        return self.view[index] if index >= 0 else _NAN

    def whole(self, series: BarSeries) -> FloatArray:
        """The values at all filled bars, shown or not, for loops that walk a strategy through history."""
        return self._computed(series)

    def values(self, series: BarSeries, n: int) -> FloatArray:
        """The values at the newest `n` shown bars, oldest first."""
        view = self._computed(series)[max(0, series.cursor - n) : series.cursor]
        view.flags.writeable = False
        return view

    def _computed(self, series: BarSeries) -> FloatArray:
        if series.version != self.version:
            bar_range = series.bar_range
            found = self._cache.get(self._key, bar_range)
            if found is None:
                found = self._compute(series)
                self._cache.put(self._key, bar_range, found)
            self._values, self.view = found
            self.version = series.version
        return self._values

    def _compute(self, series: BarSeries) -> IndicatorValues:
        columns = [series.column(name) for name in self.inputs]
        values = self.indicator.kernel(*columns, **self.parameters)
        if len(values) != series.filled:
            raise StrategyError(
                f"indicator {self.indicator.name}: a kernel returns one value per bar, NaN where it has none; "
                f"expected {series.filled}, found {len(values)}"
            )
        return IndicatorValues(values, memoryview(np.ascontiguousarray(values, np.float64)))  # type: ignore[arg-type]
