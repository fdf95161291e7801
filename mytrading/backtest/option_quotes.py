"""Recorded bid and ask of contracts: which are believed, and what they make of a price at a moment of a bar.

Used by `option_files`, `option_market` and `option_loop`. The one rule: a quote is that of its bar's end, so it is
known from there on: to the next bar at its open and while it is walked, never to the bar it belongs to.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mytrading.backtest.columns import Columns
from mytrading.core.indicators import FloatArray

Sides = tuple[float, float]
"""Bid and ask, rupees."""
_EPSILON = 1e-6


def sane_quotes(quotes: FloatArray) -> FloatArray:
    """Bid and ask of shape (2, n); both NaN where one is missing, not above 0, or the bid lies above the ask."""
    bid, ask = quotes
    good = np.isfinite(bid) & np.isfinite(ask) & (bid > 0) & (ask >= bid)
    return np.where(good, quotes, np.nan)


def no_quotes(count: int) -> FloatArray:
    """`count` moments at which nobody recorded bid and ask."""
    return np.full((2, count), np.nan)


@dataclass(frozen=True)
class Recorded:
    """Bars by contract, and bid and ask at the end of each where they were recorded; grows by `add`."""

    columns: dict[str, Columns]
    quotes: dict[str, FloatArray]

    def add(self, new: Columns, quotes: FloatArray | None) -> None:
        """Put bars beside those there are; of two that start together the first one stays."""
        name = new.instrument
        before = self.columns.get(name)
        if before is None:
            self.columns[name] = new
            if quotes is not None:
                self.quotes[name] = quotes
            return
        start = np.concatenate([before.start_ns, new.start_ns])
        order = np.argsort(start, kind="stable")
        keep = order[np.concatenate(([True], np.diff(start[order]) > 0))]
        table = np.concatenate([before.table, new.table], axis=1)
        self.columns[name] = Columns(name, new.timeframe, start[keep], table[:, keep])
        known = self.quotes.get(name)
        if known is not None or quotes is not None:
            parts = (
                no_quotes(len(before)) if known is None else known,
                no_quotes(len(new)) if quotes is None else quotes,
            )
            self.quotes[name] = np.concatenate(parts, axis=1)[:, keep]


def quotes_before(start_ns: NDArray[np.int64], span_ns: int, quotes: FloatArray) -> FloatArray:
    """Of bars of one day, what was quoted as each began: at the end of the bar in front of it, if that ended then."""
    found = no_quotes(len(start_ns))
    found[:, 1:] = np.where(np.diff(start_ns) == span_ns, quotes[:, :-1], np.nan)
    return found


def around(price: float, sides: Sides, tick: float) -> Sides:
    """Bid and ask around a price, as far apart as those last recorded; each half in whole ticks, rounded up."""
    half = math.ceil((sides[1] - sides[0]) / 2 / tick - _EPSILON) * tick
    return max(price - half, min(price, tick)), price + half
