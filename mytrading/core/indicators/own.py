"""Indicators that TA-Lib lacks, or has differently: session and anchored VWAP, Supertrend as Pine draws it, swings.

Part of the catalogue. Kernels in compiled code are imported when they are first called, so that a process that needs
none of them does not load numba. A value belongs to the bar on which it was known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mytrading.core.indicators.kernels import FloatArray, Indicator


def vwap(high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray, day: FloatArray) -> FloatArray:
    """Volume-weighted average of (high + low + close) / 3 since the first bar of the day; NaN before any volume."""
    return _weighted(high, low, close, volume, np.flatnonzero(np.diff(day, prepend=np.nan) != 0.0))


def anchored_vwap(
    high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray, start_s: FloatArray, anchor: float
) -> FloatArray:
    """The same since the first bar that starts at or after `anchor` (seconds UTC); NaN before it."""
    first = int(np.searchsorted(start_s, anchor))
    found = np.full(len(close), np.nan)
    found[first:] = _weighted(high[first:], low[first:], close[first:], volume[first:], np.array([0]))
    return found


def _weighted(
    high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray, firsts: NDArray[np.intp]
) -> FloatArray:
    """Running averages that begin again at `firsts`; each piece is summed by itself, so that none depends on others."""
    found = np.full(len(close), np.nan)
    typical = (high + low + close) / 3.0
    for begin, end in zip(firsts, np.append(firsts[1:], len(close)), strict=False):
        traded = np.cumsum(volume[begin:end])
        with np.errstate(invalid="ignore", divide="ignore"):
            average = np.cumsum(typical[begin:end] * volume[begin:end]) / traded
        found[begin:end] = np.where(traded > 0.0, average, np.nan)
    return found


def _supertrend(
    output: int, high: FloatArray, low: FloatArray, close: FloatArray, period: float, multiplier: float
) -> FloatArray:
    from mytrading.core.indicators.supertrend import supertrend

    found = supertrend(high, low, close, _whole("SUPERTREND", "period", period), multiplier)
    if output == 0:
        return found.line
    return np.where(np.isnan(found.line), np.nan, found.direction.astype(np.float64))


def _swing(output: str, high: FloatArray, low: FloatArray, close: FloatArray, day: FloatArray) -> FloatArray:
    from mytrading.core.indicators.swings import swings

    found: FloatArray = getattr(swings(high, low, close, day), output)
    return found


def _whole(name: str, parameter: str, value: float) -> int:
    if not float(value).is_integer():
        raise ValueError(f"{name}: {parameter} must be a whole number, found {value:g}")
    return int(value)


def _none(**_: float) -> int:
    return 0


def _before_supertrend(period: float, multiplier: float) -> int:  # noqa: ARG001 - every parameter is handed over
    return int(period) - 1


def _own(
    name: str, kernel: Callable[..., FloatArray], inputs: tuple[str, ...], about: str,
    parameters: Mapping[str, float] = MappingProxyType({}), lookback: Callable[..., int] = _none,
) -> Indicator:  # fmt: skip
    return Indicator(name, kernel, lookback, inputs, parameters, about, "Own")


_BARS = ("high", "low", "close")
_TREND = MappingProxyType({"period": 7, "multiplier": 3.0})
_SWING_ABOUT = {
    "low": "Price of the newest confirmed swing low of the day",
    "high": "Price of the newest confirmed swing high of the day",
    "side": "1 if the newest swing is a high, −1 if it is a low",
    "event": "On this bar: 1 new low, 2 new high, 3 lower low of the same swing, 4 higher high of it, else 0",
    "age": "Bars since the extreme of the newest swing",
}

_TREND_LINE = _own(
    "SUPERTREND.line", partial(_supertrend, 0), _BARS, "Supertrend as Pine draws it", _TREND, _before_supertrend
)
_TREND_SIDE = _own(
    "SUPERTREND.direction", partial(_supertrend, 1), _BARS, "1 bullish, −1 bearish", _TREND, _before_supertrend
)
_VWAP = _own("VWAP", vwap, (*_BARS, "volume", "day"), "Volume-weighted average price of the session")
_ANCHORED = _own(
    "AVWAP",
    anchored_vwap,
    (*_BARS, "volume", "start_s"),
    "Volume-weighted average price since a moment (seconds UTC)",
    MappingProxyType({"anchor": 0.0}),
)
_SWINGS = tuple(
    _own(f"SWING.{name}", partial(_swing, name), (*_BARS, "day"), about) for name, about in _SWING_ABOUT.items()
)
MORE: Mapping[str, Indicator] = MappingProxyType(
    {item.name: item for item in (_VWAP, _ANCHORED, _TREND_LINE, _TREND_SIDE, *_SWINGS)}
)
"""By name. A lookback of 0 says that NaN is a value of it: there may be no volume, or no swing yet."""
