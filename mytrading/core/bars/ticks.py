"""Bars of recorded ticks, whole columns at a time.

Used by backtests of tick files; live bars are built a quote at a time by `core/bars/building`. It loads numba, so it is
imported where ticks are read and nowhere else. The one rule: ticks come in time order, and a minute without any has no
bar.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def bars_of_ticks(
    at_ns: NDArray[np.int64], prices: FloatArray, volumes: FloatArray, span_ns: int
) -> tuple[NDArray[np.int64], FloatArray]:
    """Starts, shape (bars,), and open, high, low, close, volume, shape (5, bars), of bars of `span_ns`.

    `volumes` are the day's so far, as feeds tell them: a bar's is what it adds, and all of it after one that is lower.
    Budget: 1.3 times a bare loop that reads the same columns.
    """
    if len(at_ns) == 0:
        return np.empty(0, np.int64), np.empty((5, 0))
    if np.any(at_ns[1:] < at_ns[:-1]):
        raise ValueError("ticks are not in time order; sort them by time")
    most = min(len(at_ns), int((at_ns[-1] - at_ns[0]) // span_ns) + 2)
    starts, table = np.empty(most, np.int64), np.empty((5, most))
    count = _fill(at_ns, prices, volumes, span_ns, starts, table)
    return starts[:count].copy(), table[:, :count].copy()


@njit(cache=True)
def _fill(
    at_ns: NDArray[np.int64], prices: FloatArray, volumes: FloatArray, span_ns: int,
    starts: NDArray[np.int64], table: FloatArray,
) -> int:  # fmt: skip
    """The next boundary is kept, so that a tick inside a bar costs no division."""
    bar, boundary, before = -1, np.int64(-(1 << 62)), 0.0
    high, low, last = 0.0, 0.0, 0.0
    for i in range(at_ns.size):
        price = prices[i]
        if at_ns[i] >= boundary:
            if bar >= 0:
                table[1, bar], table[2, bar], table[3, bar] = high, low, last
                told = volumes[i - 1]
                table[4, bar] = told - before if told >= before else told
                before = told
            bar += 1
            start = at_ns[i] // span_ns * span_ns
            boundary = start + span_ns
            starts[bar], table[0, bar] = start, price
            high, low = price, price
        elif price > high:
            high = price
        elif price < low:
            low = price
        last = price
    table[1, bar], table[2, bar], table[3, bar] = high, low, last
    told = volumes[at_ns.size - 1]
    table[4, bar] = told - before if told >= before else told
    return bar + 1
