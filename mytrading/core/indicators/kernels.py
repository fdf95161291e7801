"""The type of an indicator, the moving averages and RSI, and TA-Lib without pandas and polars.

A kernel takes whole columns and returns an array of the same length, NaN where it has no value yet. TA-Lib's package
would load pandas and polars (160 MB) just to recognise their types. Only this module imports it: the first import in a
process decides for all.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_HEAVY = ("pandas", "polars")


def _import_talib() -> ModuleType:
    """A None in `sys.modules` makes an import fail as if the package were not installed; TA-Lib copes with that."""
    absent = [name for name in _HEAVY if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        import talib
    finally:
        for name in absent:
            del sys.modules[name]
    module: ModuleType = talib
    return module


talib = _import_talib()


def description(function: str, **parameters: float) -> Any:
    """Return TA-Lib's description of a function: `info` with inputs, outputs and defaults, and `lookback`."""
    from talib import abstract

    return abstract.Function(function, **parameters)  # type: ignore[attr-defined]


FloatArray = NDArray[np.float64]

MAX_PERIOD = 10_000


class Indicator(NamedTuple):
    """An indicator: `kernel(*columns, **parameters)` over the columns named in `inputs`.

    `parameters` are the defaults and say which parameters exist; `lookback` gives the bars before the first value.
    Inputs are open, high, low, close, volume, `start_s` (seconds UTC) and `day` (a number of the trading day).
    """

    name: str
    kernel: Callable[..., FloatArray]
    lookback: Callable[..., int]
    inputs: tuple[str, ...] = ("close",)
    parameters: Mapping[str, float] = MappingProxyType({})
    about: str = ""
    group: str = "User"


def sma(values: FloatArray, period: int) -> FloatArray:
    """Simple moving average of the last `period` values; NaN before there are so many."""
    return _run(talib.SMA, values, period)


def ema(values: FloatArray, period: int) -> FloatArray:
    """Exponential moving average, factor 2 / (period + 1), seeded with the simple average of the first `period`."""
    return _run(talib.EMA, values, period)


def rsi(values: FloatArray, period: int) -> FloatArray:
    """Wilder's relative strength index, 0 to 100, seeded with the simple average of the first `period` changes."""
    return _run(talib.RSI, values, period)


def _run(function: Callable[..., FloatArray], values: FloatArray, period: int) -> FloatArray:
    if not 2 <= period <= MAX_PERIOD:
        raise ValueError(f"period must be a whole number from 2 to {MAX_PERIOD}, found {period}")
    return np.empty(0) if len(values) == 0 else function(values, timeperiod=period)


def _before_average(period: int) -> int:
    return period - 1


def _before_rsi(period: int) -> int:
    return period


OWN: Mapping[str, Indicator] = MappingProxyType(
    {
        name: Indicator(name, kernel, lookback, ("close",), MappingProxyType({"period": period}), about, "Own")
        for name, kernel, lookback, period, about in (
            ("SMA", sma, _before_average, 20, "Simple moving average"),
            ("EMA", ema, _before_average, 20, "Exponential moving average"),
            ("RSI", rsi, _before_rsi, 14, "Relative strength index of Wilder"),
        )
    }
)
"""Indicators with kernels of their own; `catalogue` has all."""
