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

    def bars_outside(self, floor: float, ceiling: float) -> NDArray[np.bool_]:
        """Return True for each bar at which the price comes to `floor` or below it, or to `ceiling` or above it."""
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


class LegPath(NamedTuple):
    """The prices of a leg, bar by bar, and what it cost as the first one began."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    before: float


class ProfitReached(NamedTuple):
    """A profit in rupees at which something happens: bar, leg and step at which it is reached, the price of each leg.

    Steps of a bar: 0 its open; 1, 2 and 3 the leg's extreme against its holder, the other one, and its close.
    """

    row: int
    leg: int
    step: int
    profit: float
    prices: list[float]


class BasketPath:
    """The profit of legs that are held together, at every price in the order in which the bars are walked.

    In a bar first all legs open, then each in turn goes to its extremes and its close while the others stand still.
    `units` are signed, `averages` what each leg was entered at.
    """

    def __init__(self, legs: Sequence[LegPath], units: Sequence[int], averages: Sequence[float]) -> None:
        self._open, high, low, self._close = (np.stack([leg[column] for leg in legs]) for column in range(4))
        size, average = np.array(units, np.float64)[:, None], np.array(averages)[:, None]
        self._worst, self._best = np.where(size > 0, low, high), np.where(size > 0, high, low)
        first = np.array([leg.before for leg in legs])[:, None]
        opens, closes = size * (self._open - average), size * (self._close - average)
        before = np.concatenate((size * (first - average), closes[:, :-1]), axis=1)
        at_open = opens.cumsum(axis=0) + before.sum(axis=0) - before.cumsum(axis=0)
        others = closes.cumsum(axis=0) - closes + opens.sum(axis=0) - opens.cumsum(axis=0)
        worst, best = size * (self._worst - average), size * (self._best - average)
        self.profits = np.stack((at_open, others + worst, others + best, others + closes))
        """Rupees: float64 of shape (steps, legs, bars)."""

    def first_outside(self, least: float, most: float, *, enters: bool = True) -> ProfitReached | None:
        """Return the first profit at `least` or below, or at `most` or above; None if there is none. With `enters` the
        legs are entered at the first bar's open, whose profits do not count."""
        outside = (self.profits <= least) | (self.profits >= most)
        if enters:
            outside[0, :, 0] = False
        row = first_bar(np.asarray(outside.any(axis=(0, 1))))
        if row is None:
            return None
        legs = len(self._open)
        place = int(np.argmax(np.concatenate((outside[0, :, row], outside[1:, :, row].T.ravel()))))
        leg, step = (place, 0) if place < legs else divmod(place - legs, 3)
        step += place >= legs
        prices = self._open[:, row].tolist()
        if step:
            prices[:leg] = self._close[:leg, row].tolist()
            prices[leg] = float((self._worst, self._best, self._close)[step - 1][leg, row])
        return ProfitReached(row, leg, step, float(self.profits[step, leg, row]), prices)
