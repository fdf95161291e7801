"""Volatilities of options by strike and expiry: modelled off the underlying, or read off a day's closing prices.

Prices are rupees, volatilities and rates a year (0.13 is 13 %). Times are years of the variance clock
(`variance_clock`), by which volatility is measured; only carry and discount go by the calendar, years of 365 days.

The modelled volatility at a strike is `level · term · shape`:

* `level`: the volatility at the money, given from outside;
* `term = 1 + near · exp(−days / near_days)`: what short-lived options have more than long-lived ones;
* `shape = 1 + skew · z + smile · z²`, where `z = ln(strike / forward) / (level · term · √years)` counts standard
  deviations from the money, cut at `edge` on either side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.core.options.black76 import implied_volatilities, parity_forward

Floats = NDArray[np.float64]

LOWEST, HIGHEST = 0.02, 4.0
"""Volatilities a surface never leaves."""
_LEAST_YEARS = 1.0 / (365.0 * 24 * 60)
"""A minute: nearer to the end, distance from the money is still counted with it."""
LEAST_STRIKES = 5
"""Fewer strikes with a volatility say nothing of a smile."""
_NEIGHBOURS, _APART = 3, 0.2
"""A volatility this share away from the median of so many strikes each side is that of an old trade."""


@dataclass(frozen=True)
class Shape:
    """Volatility by strike and time, and the spread of trading; see the top of this file.

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

    def atm_volatility(self, level: float, years: Floats) -> Floats:
        """Annualised at-the-money volatility `years` before the expiry; `level`: that of options long before it."""
        return np.asarray(level * (1.0 + self.near * np.exp(-years * 365.0 / self.near_days)))

    def deviations(self, level: float, forward: Floats, strike: Floats | float, years: Floats) -> Floats:
        """Standard deviations from forward to strike (above 0: strike higher), cut at `edge`; `level`: volatility."""
        spread = self.atm_volatility(level, years) * np.sqrt(np.maximum(years, _LEAST_YEARS))
        return np.asarray(np.clip(np.log(strike / forward) / spread, -self.edge, self.edge))

    def volatility(self, level: float, forward: Floats, strike: Floats | float, years: Floats) -> Floats:
        """Annualised volatility of options at `strike`, `years` before expiry; `level` as for `atm_volatility`."""
        z = self.deviations(level, forward, strike, years)
        shape = 1.0 + self.skew * z + self.smile * z * z
        return np.asarray(np.clip(self.atm_volatility(level, years) * shape, LOWEST, HIGHEST))

    def half_spread(self, level: float, forward: Floats, strike: Floats | float, years: Floats) -> Floats:
        """Half the bid-ask spread in whole ticks, wider away from the forward; `level` as for `atm_volatility`."""
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

    def volatility_at(self, strike: Floats | float) -> Floats:
        """Annualised implied volatility at a strike: interpolated, beyond the outer strikes that of the outer ones."""
        return np.asarray(np.interp(strike, self.strikes, self.iv))


class Pair(NamedTuple):
    """The prices of call and put at a strike, 0 where there is none."""

    strike: float
    call: float
    put: float


def forward_by_parity(pairs: Sequence[Pair], years: float, rate: float, spot: float | None) -> float:
    """The forward price by put-call parity of the pairs nearest `spot` (None: the money); NaN if none has both."""
    strikes, calls, puts = (np.array([pair[n] for pair in pairs], dtype=np.float64) for n in range(3))
    return parity_forward(strikes, calls, puts, years, rate, spot, 5)


def fit_smile(pairs: Sequence[Pair], years: float, clock_years: float, rate: float, spot: float) -> Smile | None:
    """Fit one expiry's implied volatility by strike from out-of-the-money prices, dropping those far from neighbours.

    `years` are of 365 days, for forward and discount; the volatilities are of a year of the variance clock, on which
    `clock_years` are left. None if the forward is unknown, no time is left, or fewer than `LEAST_STRIKES`
    strikes remain.
    """
    ordered = sorted(pairs)
    enough = len(ordered) >= LEAST_STRIKES and years > 0 and clock_years > 0
    forward = forward_by_parity(ordered, years, rate, spot) if enough else math.nan
    if math.isnan(forward) or forward <= 0 or spot <= 0:
        return None
    strikes = np.array([pair.strike for pair in ordered])
    calls = strikes >= forward
    prices = np.where(calls, [pair.call for pair in ordered], [pair.put for pair in ordered])
    iv, _ = implied_volatilities(prices * math.exp(rate * years), forward, strikes, clock_years, 0.0, calls)
    known = np.isfinite(iv) & (prices > 0)
    strikes, iv = strikes[known], iv[known]
    middle = [float(np.median(iv[max(n - _NEIGHBOURS, 0) : n + _NEIGHBOURS + 1])) for n in range(len(iv))]
    near = np.abs(iv / np.array(middle) - 1.0) <= _APART if len(iv) else np.zeros(0, dtype=bool)
    strikes, iv = strikes[near], iv[near]
    return None if len(strikes) < LEAST_STRIKES else Smile(strikes, iv, math.log(forward / spot) / years)


def round_to_ticks(prices: Floats, tick: float) -> Floats:
    """Round prices to the nearest tick, but at least one tick: a worthless option is still offered at that."""
    return np.asarray(np.round(np.maximum(np.round(prices / tick), 1.0) * tick, 6))


def daily_variance(day: NDArray[np.int64], opens: Floats, closes: Floats) -> tuple[NDArray[np.int64], Floats]:
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


def atm_levels(variance: Floats, sessions: int, least: int, first: float, factor: float = 1.0) -> Floats:
    """The annualised volatility level of each day, from the mean `variance` of at most `sessions` days before it.

    It is the root of 252 times that mean, times `factor` (implied over realised volatility). Days with fewer than
    `least` days before them have the level `first`.
    """
    sums = np.concatenate(([0.0], np.cumsum(variance)))
    found = np.full(len(variance), first)
    for index in range(max(least, 1), len(variance)):
        begin = max(index - sessions, 0)
        found[index] = factor * np.sqrt(252.0 * (sums[index] - sums[begin]) / (index - begin))
    return np.asarray(np.clip(found, LOWEST, HIGHEST))
