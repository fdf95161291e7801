"""Supertrend: a band of true ranges that the close must break for the trend to turn.

Seeded as Pine does: the first average true range is the mean of the first `period` ranges, the first being high less
low; TA-Lib's begins a bar later. Causal, `f(x[:k + 1])[k] == f(x)[k]` bit for bit.

Source of the recurrence: TradingView's `ta.supertrend`; its sign is the opposite of `direction` here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.core.numba_cache import kernel

FloatArray = NDArray[np.float64]


class Supertrend(NamedTuple):
    """One value a bar: `line` (NaN before the first), `direction` 1 bullish, −1 bearish, 0 before the first."""

    line: FloatArray
    direction: NDArray[np.int8]


def supertrend(
    high: FloatArray, low: FloatArray, close: FloatArray, period: int = 7, multiplier: float = 3.0
) -> Supertrend:
    """The Supertrend of bars in time order; `period` ≥ 1 bars, `multiplier` > 0. Budget: 100 µs for 2,000 bars."""
    if period < 1 or not multiplier > 0:
        raise ValueError(f"period must be at least 1 and multiplier positive, found {period} and {multiplier:g}")
    return Supertrend(*_kernel(high, low, close, period, multiplier))


def warm() -> None:
    """Compile the Supertrend kernel, or load it from the cache, before the first bar needs it."""
    column = np.arange(3.0)
    supertrend(column + 1.0, column, column + 0.5, 2, 1.0)


@kernel()
def _kernel(
    high: FloatArray, low: FloatArray, close: FloatArray, period: int, multiplier: float
) -> tuple[FloatArray, NDArray[np.int8]]:
    size = len(close)
    line, direction = np.full(size, np.nan), np.zeros(size, np.int8)
    average, upper, lower, up = 0.0, 0.0, 0.0, False
    for i in range(size):
        reach = high[i] - low[i]
        if i > 0:
            reach = max(reach, abs(high[i] - close[i - 1]), abs(low[i] - close[i - 1]))
        if i < period:
            average += (reach - average) / (i + 1)
        else:
            average = (average * (period - 1) + reach) / period
        if i < period - 1:
            continue
        middle, width = (high[i] + low[i]) / 2.0, multiplier * average
        if i == period - 1:
            upper, lower = middle + width, middle - width
        else:
            if middle - width > lower or close[i - 1] < lower:
                lower = middle - width
            if middle + width < upper or close[i - 1] > upper:
                upper = middle + width
            up = close[i] >= lower if up else close[i] > upper
        line[i] = lower if up else upper
        direction[i] = 1 if up else -1
    return line, direction
