"""Money over time, worked out after a run from its fills and the closes.

Used by the result, the metrics and the report. The one rule: equity is capital plus what the fills moved plus what is
held at the close of the bar, never an estimate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mytrading.backtest.columns import Columns
from mytrading.backtest.ledger import Fill
from mytrading.core.indicators import FloatArray

_DAY = 86_400_000_000_000
_IST = 19_800_000_000_000


@dataclass(frozen=True)
class Curve:
    """`equity` (rupees after costs) and `exposure` (rupees of what is held), one a bar time.

    Bar times are `start_ns` plus `span_ns`: what the columns have is not copied.
    """

    start_ns: NDArray[np.int64]
    span_ns: int
    equity: FloatArray
    exposure: FloatArray

    @property
    def end_ns(self) -> NDArray[np.int64]:
        """When each bar was complete."""
        return self.start_ns + self.span_ns

    def daily(self) -> tuple[NDArray[np.int64], FloatArray]:
        """Days (since 1970, Indian dates) and the equity at the end of each."""
        if not len(self.start_ns):
            return np.empty(0, dtype=np.int64), np.empty(0)
        days = (self.start_ns + (self.span_ns - 1 + _IST)) // _DAY
        lasts = np.concatenate((np.flatnonzero(days[1:] != days[:-1]), [len(days) - 1]))
        return days[lasts], self.equity[lasts]


def curve_of(
    capital: float, data: Sequence[Columns], fills: Sequence[Fill], exits: Mapping[str, FloatArray] | None = None
) -> Curve:
    """The equity curve over the bar times of all instruments together.

    `exits` are bid and ask at the end of each bar of an instrument, of shape (2, n): what is held is then worth what it
    could be closed at, and its close where they are NaN.
    """
    if not data:
        return Curve(np.empty(0, dtype=np.int64), 0, np.array([capital]), np.empty(0))
    starts = data[0].start_ns
    if len(data) > 1:
        starts = np.unique(np.concatenate([columns.start_ns for columns in data]))
    equity = np.full(len(starts), capital)
    exposure = np.zeros(len(starts))
    for columns in data:
        mine = [fill for fill in fills if fill.instrument == columns.instrument]
        if mine:
            _add(columns, mine, starts, equity, exposure, (exits or {}).get(columns.instrument))
    return Curve(starts, data[0].span_ns, equity, exposure)


def _add(
    columns: Columns, fills: list[Fill], starts: NDArray[np.int64], equity: FloatArray, exposure: FloatArray,
    exits: FloatArray | None,
) -> None:  # fmt: skip
    at = np.searchsorted(starts, np.array([fill.at_ns for fill in fills]) - columns.span_ns, side="right")
    at = np.minimum(at, len(starts) - 1)
    change = np.zeros(len(starts))
    np.add.at(change, at, np.array([-fill.units * fill.price - fill.cost for fill in fills]))
    equity += np.cumsum(change, out=change)
    change[:] = 0.0
    np.add.at(change, at, np.array([float(fill.units) for fill in fills]))
    units = np.cumsum(change, out=change)
    if len(starts) == len(columns):
        units *= columns.close if exits is None else _worth(units, columns.close, exits)
    else:
        row = np.searchsorted(columns.start_ns, starts, side="right") - 1
        at = np.maximum(row, 0)
        worth = columns.close[at] if exits is None else _worth(units, columns.close[at], exits[:, at])
        units *= np.where(row >= 0, worth, 0.0)
    equity += units
    exposure += np.abs(units, out=units)


def _worth(units: FloatArray, close: FloatArray, exits: FloatArray) -> FloatArray:
    """What a unit can be closed at: the bid of what was bought, the ask of what was sold, else the close."""
    side = np.where(units > 0, exits[0], exits[1])
    return np.where(np.isnan(side), close, side)
