"""The ticks that bars stand for: a price a second, from open over high and low to close.

Used by `replay` for files of bars. The one rule: bars built from these ticks equal the file's, price by price.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_SECOND = 1_000_000_000
_MINUTE = 60
SHORTEST = 4
_LONGEST = 3600


class BarRows(NamedTuple):
    """Bars of one day, ascending: `start` in ns UTC, prices in rupees, volume of each bar."""

    start: NDArray[np.int64]
    prices: NDArray[np.float64]
    volume: NDArray[np.int64]


def bar_seconds(start: NDArray[np.int64]) -> int:
    """The length of bars by the smallest gap between them; a minute for a single one."""
    return int(np.diff(start).min()) // _SECOND if len(start) > 1 else _MINUTE


def path(bars: BarRows) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Times, prices and volume so far: open at the start, high and low a third and two thirds on, close at the end."""
    length = min(bar_seconds(bars.start), _LONGEST)
    at = np.arange(length)
    corners = np.array([0, length // 3, 2 * length // 3, length - 1])
    times = (bars.start[:, None] + at * _SECOND).ravel()
    prices = np.concatenate([np.interp(at, corners, row) for row in bars.prices])
    before = np.cumsum(bars.volume) - bars.volume
    volume = (before[:, None] + bars.volume[:, None] * (at + 1) // length).ravel()
    return times, prices, volume
