"""Swing highs and lows of a day, each confirmed by two later bars: the newest swing as known on every bar.

Bar i is *above* bar j if both its high and its close are higher, and *below* if both its low and its close are lower. A
low is confirmed by the second bar above one of the bars since the last swing, a high by the second bar below one; highs
and lows alternate, and a swing that is exceeded before the next one is confirmed moves with it. Each day begins again.
Budget: 2 ms for a day of 375 bars.

Source: the rules of the option-selling system whose behaviour is described in the documentation of
`Swing_Break_Seller`. Causal, a swing shows on the bar that confirmed it and not on its extreme.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.core.numba_cache import kernel

FloatArray = NDArray[np.float64]

NOTHING, NEW_LOW, NEW_HIGH, LOWER_LOW, HIGHER_HIGH = range(5)


class Swings(NamedTuple):
    """One value a bar, NaN before the first swing of the day (`event`: 0). `age` counts bars since the extreme."""

    low: FloatArray
    high: FloatArray
    side: FloatArray
    event: FloatArray
    age: FloatArray


def swings(high: FloatArray, low: FloatArray, close: FloatArray, day: FloatArray) -> Swings:
    """Return the swing lows and highs of bars in time order; `day` is a number that changes with the trading day."""
    table = np.full((5, len(close)), np.nan)
    table[3] = NOTHING
    firsts = np.flatnonzero(np.diff(day, prepend=np.nan) != 0.0)
    for begin, end in zip(firsts, np.append(firsts[1:], len(close)), strict=False):
        _day(high[begin:end], low[begin:end], close[begin:end], table[:, begin:end])
    return Swings(*table)


@kernel()
def _extreme(values: FloatArray, begin: int, end: int, sign: float) -> int:
    """The first index of the greatest (`sign` 1) or least (−1) value in `[begin, end]`."""
    best = begin
    for i in range(begin + 1, end + 1):
        if sign * values[i] > sign * values[best]:
            best = i
    return best


@kernel()
def _confirms(
    values: FloatArray, close: FloatArray, i: int, begin: int, counts: NDArray[np.int64], sign: float, stops: bool
) -> bool:
    """Counts the bars since `begin` that bar `i` is above (`sign` 1) or below (−1); true at a second count of one.

    With `stops` counting ends there, as it does where a swing follows from it.
    """
    found = False
    for j in range(begin, i):
        if sign * values[i] > sign * values[j] and sign * close[i] > sign * close[j]:
            counts[j] += 1
            if counts[j] >= 2:
                found = True
                if stops:
                    break
    return found


@kernel()
def _first_side(
    high: FloatArray, low: FloatArray, close: FloatArray, i: int, above: NDArray[np.int64], below: NDArray[np.int64]
) -> int:
    """Return the swing that bar `i` confirms as the day's first: −1 a low, 1 a high, 0 none; bar by bar, lows first."""
    for j in range(i):
        if high[i] > high[j] and close[i] > close[j]:
            above[j] += 1
            if above[j] >= 2:
                return -1
        if low[i] < low[j] and close[i] < close[j]:
            below[j] += 1
            if below[j] >= 2:
                return 1
    return 0


@kernel()
def _day(high: FloatArray, low: FloatArray, close: FloatArray, table: FloatArray) -> None:
    """The swings of one day into the rows of `table`: low, high, side, event, age."""
    size = len(close)
    above, below = np.zeros(size, np.int64), np.zeros(size, np.int64)
    side, at = 0, -1
    newest_low, newest_high = np.nan, np.nan
    for i in range(size):
        event, new = 0, 0
        if side == 0:
            new = _first_side(high, low, close, i, above, below)
            begin = 0
        else:
            begin = at + 1
            turns = _confirms(low, close, i, begin, below, -1.0, True) if side < 0 else _confirms(
                high, close, i, begin, above, 1.0, True)  # fmt: skip
            new = -side if turns else 0
        if new != 0:
            at = _extreme(high, begin, i, 1.0) if new > 0 else _extreme(low, begin, i, -1.0)
            side, event = new, 2 if new > 0 else 1
            above[:], below[:] = 0, 0
        elif side < 0 and begin < i:
            k = _extreme(low, begin, i, -1.0)
            if _confirms(high, close, i, begin, above, 1.0, low[k] < low[at]) and low[k] < low[at]:
                at, event = k, 3
        elif side > 0 and begin < i:
            k = _extreme(high, begin, i, 1.0)
            if _confirms(low, close, i, begin, below, -1.0, high[k] > high[at]) and high[k] > high[at]:
                at, event = k, 4
        if event == 1 or event == 3:
            newest_low = low[at]
        elif event == 2 or event == 4:
            newest_high = high[at]
        table[0, i], table[1, i], table[3, i] = newest_low, newest_high, event
        if side != 0:
            table[2, i], table[4, i] = side, i - at
