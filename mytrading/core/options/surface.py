"""Modelled option prices off the underlying: a forward, a volatility for every strike and expiry, Black's formula.

Used by backtests where no prices of the options were recorded. The one rule: a price follows from the underlying at one
moment and from what was known before it, from nothing later. Prices are rupees, volatilities and rates a year (0.13 is
13 %), times years of 365 days.

The volatility at a strike is `level · term · shape`:

* `level`: the volatility at the money, given from outside;
* `term = 1 + near · exp(−days / near_days)`: what short-lived options have more than long-lived ones;
* `shape = 1 + skew · z + smile · z²`, where `z = ln(strike / forward) / (level · term · √years)` counts standard
  deviations from the money, cut at `edge` on either side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mytrading.core.options import black76

Floats = NDArray[np.float64]

LOWEST, HIGHEST = 0.02, 4.0
"""Volatilities a surface never leaves."""
_LEAST_YEARS = 1.0 / (365.0 * 24 * 60)
"""A minute: nearer to the end, distance from the money is still counted with it."""


@dataclass(frozen=True)
class Shape:
    """How volatility depends on strike and time, and what trading costs; see the top of this file.

    The defaults are those of NIFTY's near expiries in March 2026, to about 5 % of the volatility within two and a half
    standard deviations. `spread_ticks` is half the distance of bid and ask at the money, `wing_ticks` what is added for
    each standard deviation from it. `carry` makes the forward of the spot, `rate` discounts.
    """

    skew: float = -0.12
    smile: float = 0.05
    near: float = 0.08
    near_days: float = 10.0
    edge: float = 3.0
    carry: float = 0.065
    rate: float = 0.065
    spread_ticks: float = 2.0
    wing_ticks: float = 1.0

    def at_the_money(self, level: float, years: Floats) -> Floats:
        """The volatility at the forward, `years` before the expiry."""
        return np.asarray(level * (1.0 + self.near * np.exp(-years * 365.0 / self.near_days)))

    def deviations(self, level: float, forward: Floats, strike: Floats | float, years: Floats) -> Floats:
        """Standard deviations between the forward and a strike, above 0 for strikes over it, cut at `edge`."""
        spread = self.at_the_money(level, years) * np.sqrt(np.maximum(years, _LEAST_YEARS))
        return np.asarray(np.clip(np.log(strike / forward) / spread, -self.edge, self.edge))

    def volatility(self, level: float, forward: Floats, strike: Floats | float, years: Floats) -> Floats:
        """The volatility of options at a strike."""
        z = self.deviations(level, forward, strike, years)
        shape = 1.0 + self.skew * z + self.smile * z * z
        return np.asarray(np.clip(self.at_the_money(level, years) * shape, LOWEST, HIGHEST))

    def half_spread(self, level: float, forward: Floats, strike: Floats | float, years: Floats) -> Floats:
        """Half the distance of bid and ask, whole ticks."""
        z = np.abs(self.deviations(level, forward, strike, years))
        return np.asarray(np.round(self.spread_ticks + self.wing_ticks * z))


@dataclass(frozen=True, eq=False)
class Smile:
    """The volatilities of one expiry that were read off prices: `strikes` ascending, float64 of one length with `iv`.

    A strike keeps its volatility while the underlying moves; between strikes it is a straight line, beyond the outer
    ones that of the outer ones. `basis` is the yearly rate at which spot became forward when the prices were made.
    """

    strikes: Floats
    iv: Floats
    basis: float

    def at(self, strike: Floats | float) -> Floats:
        """The volatility at a strike."""
        return np.asarray(np.interp(strike, self.strikes, self.iv))


def forward_of(spot: Floats, years: Floats, carry: float) -> Floats:
    """Spot carried to the expiry."""
    return np.asarray(spot * np.exp(carry * years))


def premium(
    forward: Floats, strike: Floats | float, years: Floats, volatility: Floats, rate: float, is_call: bool
) -> Floats:
    """What an option is worth, never under its discounted value in the money, which is all it has at its end."""
    return black76.price(forward, strike, years, volatility, rate, is_call)


def in_ticks(prices: Floats, tick: float) -> Floats:
    """Prices at the nearest tick, at least one: what has no value is offered at the least price there is."""
    return np.asarray(np.round(np.maximum(np.round(prices / tick), 1.0) * tick, 6))


def realised(day: NDArray[np.int64], opens: Floats, closes: Floats) -> tuple[NDArray[np.int64], Floats]:
    """The days that bars fall on (ascending) and the variance of each, not yet of a year.

    `day`, `opens` and `closes` are of bars in order of time. A day's variance is the sum of the squared logarithmic
    moves from the close before it to its open, within its first bar, and from close to close.
    """
    firsts = np.flatnonzero(np.concatenate(([True], day[1:] != day[:-1])))
    logs = np.log(closes)
    moves = np.diff(logs, prepend=logs[0])
    moves[firsts] = logs[firsts] - np.log(opens[firsts])
    squares = moves * moves
    gaps = np.log(opens[firsts[1:]]) - logs[firsts[1:] - 1]
    variance = np.add.reduceat(squares, firsts)
    variance[1:] += gaps * gaps
    return day[firsts], np.asarray(variance)


def levels(variance: Floats, sessions: int, least: int, first: float, factor: float = 1.0) -> Floats:
    """The level of each day: the root of the mean variance of at most `sessions` days before it, of a year of 252.

    It is times `factor`, by which options are dearer than what comes to pass. `first`, as it is, holds for the days
    that have fewer than `least` before them. No day's own variance is in its level.
    """
    sums = np.concatenate(([0.0], np.cumsum(variance)))
    found = np.full(len(variance), first)
    for index in range(max(least, 1), len(variance)):
        begin = max(index - sessions, 0)
        found[index] = factor * np.sqrt(252.0 * (sums[index] - sums[begin]) / (index - begin))
    return np.asarray(np.clip(found, LOWEST, HIGHEST))
