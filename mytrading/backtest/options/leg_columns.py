"""A day of option legs as numpy columns: what they can cost together, and the first bar that comes to a level.

All arrays are float64 of one length, a bar each, rupees; `DayPrices.columns` holds them and cannot be written to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.backtest.data.columns import Columns
from mytrading.core.options.surface import Floats


class PriceReach(NamedTuple):
    """The least and the most that a contract costs from the end of the bar before to the end of each bar."""

    low: Floats
    high: Floats

    def leaves(self, floor: float, ceiling: float) -> NDArray[np.bool_]:
        """Return at which bars the price comes to `floor` or below it, or to `ceiling` or above it."""
        return np.asarray((self.low <= floor) | (self.high >= ceiling))


def price_reach(columns: Columns, first: int) -> PriceReach:
    """Return the reach of the bars from row `first` on; that of the first bar of all begins with its open."""
    _, high, low, close, _ = columns.table[:, first:]
    before = np.concatenate((columns.close[first - 1 : first], close[:-1])) if first else np.append(low[:1], close[:-1])
    return PriceReach(np.minimum(low, before), np.maximum(high, before))


def combined_premium(prices: Sequence[Floats], units: Sequence[int]) -> Floats:
    """Return what a set of legs costs together: `units` of each are signed, below 0 for sold ones."""
    return np.asarray(np.tensordot(np.array(units, np.float64), np.stack(prices), axes=1))


def combined_reach(legs: Sequence[PriceReach], units: Sequence[int]) -> PriceReach:
    """Return bounds of the combined premium, whatever way each leg takes through its bars; see `combined_premium`."""
    least = [leg.low if held > 0 else leg.high for leg, held in zip(legs, units, strict=True)]
    most = [leg.high if held > 0 else leg.low for leg, held in zip(legs, units, strict=True)]
    return PriceReach(combined_premium(least, units), combined_premium(most, units))


def first_bar(found: NDArray[np.bool_]) -> int | None:
    """Return the first row at which a condition holds; None if it never does."""
    row = int(np.argmax(found)) if len(found) else 0
    return row if len(found) and found[row] else None
