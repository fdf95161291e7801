"""The indicators known by name, and the type with which an author adds one of his own.

A kernel takes whole columns and returns an array of the same length, NaN where it has no value yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.core.indicators.talib_only import talib

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
    """Simple moving average of the last `period` values."""
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
    if len(values) == 0:
        return np.empty(0)
    return function(values, timeperiod=period)


def _before_average(period: int) -> int:
    return period - 1


def _before_rsi(period: int) -> int:
    return period


def _plain(
    name: str, kernel: Callable[..., FloatArray], lookback: Callable[..., int], period: int, about: str
) -> Indicator:
    return Indicator(name, kernel, lookback, ("close",), MappingProxyType({"period": period}), about, "Own")


OWN: Mapping[str, Indicator] = MappingProxyType(
    {
        "SMA": _plain("SMA", sma, _before_average, 20, "Simple moving average"),
        "EMA": _plain("EMA", ema, _before_average, 20, "Exponential moving average"),
        "RSI": _plain("RSI", rsi, _before_rsi, 14, "Relative strength index of Wilder"),
    }
)
"""Those that strategies used first; `catalogue` has all."""
