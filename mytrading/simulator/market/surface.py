"""One volatility surface, and the prices of futures and options on it.

Every derivative of an underlying is priced from the same spot, carry and surface, so that puts, calls and futures of
one expiry agree with each other. A whole day of one option (22,500 seconds) takes about a millisecond: what contracts
of an expiry share is computed once, and the normal distribution is read from a table.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.core.options.black76 import normal_cdf
from mytrading.core.time import SECOND
from mytrading.messages.instruments import InstrumentKind

Array = NDArray[np.float64]

CARRY = 0.06
YEAR_NS = 365 * 86_400 * SECOND
_SKEW, _SMILE = -0.11, 0.09
_LOWEST, _HIGHEST = 0.05, 0.9
_SHORTEST_YEARS = 1.0 / 365.0 / 4.0

# The distribution function at steps of 1/2048 between -8 and 8; lines between them are within 1e-8 of it.
_EDGE, _STEPS = 8.0, 2048
_TABLE = np.array([normal_cdf(place / _STEPS - _EDGE) for place in range(int(2 * _EDGE) * _STEPS + 1)])
_SLOPES = np.diff(_TABLE, append=1.0)


class ExpiryTerms(NamedTuple):
    """Pricing terms common to all contracts of one expiry, over the ticks of a day."""

    forward: Array
    log_forward: Array
    root: Array
    spread: Array
    near: Array
    discount: Array


def expiry_terms(spot: Array, expiry_ns: int, times: NDArray[np.int64]) -> ExpiryTerms:
    """Compute an expiry's forward and volatility terms, from the spot price at each of the times (ns UTC)."""
    years = np.maximum(expiry_ns - times, 0) / YEAR_NS
    ahead = spot * np.exp(CARRY * years)
    spread = np.sqrt(np.maximum(years, _SHORTEST_YEARS))
    near = 1.0 + 0.15 * np.exp(-years * 40.0)
    return ExpiryTerms(ahead, np.log(ahead), np.sqrt(years), spread, near, np.exp(-CARRY * years))


def implied_volatility(level: float, strike: float, expiry: ExpiryTerms) -> Array:
    """Return the implied volatility per year (share of 1) at a strike, from the `level` at the money."""
    moneyness = np.clip((np.log(strike) - expiry.log_forward) / expiry.spread, -1.5, 1.5)
    shape = 1.0 + (_SKEW * moneyness + _SMILE * moneyness * moneyness) / max(level, 0.05)
    return np.asarray(np.clip(level * expiry.near * shape, _LOWEST, _HIGHEST))


def theoretical_prices(kind: InstrumentKind, strike: float, expiry: ExpiryTerms, level: float) -> Array:
    """Return a future's or option's prices by Black's formula over the day's ticks; `level`: volatility at the
    money."""
    ahead = expiry.forward
    if kind is InstrumentKind.FUT:
        return ahead
    spread = np.maximum(implied_volatility(level, strike, expiry) * expiry.root, 1e-12)
    d1 = (expiry.log_forward - np.log(strike)) / spread + 0.5 * spread
    call = ahead * _normal_cdf(d1) - strike * _normal_cdf(d1 - spread)
    undiscounted = call if kind is InstrumentKind.CE else call - ahead + strike
    inside = ahead - strike if kind is InstrumentKind.CE else strike - ahead
    return np.asarray(np.maximum(np.maximum(undiscounted, inside), 0.0) * expiry.discount)


def _normal_cdf(x: Array) -> Array:
    place = (np.clip(x, -_EDGE, _EDGE) + _EDGE) * _STEPS
    step = place.astype(np.int64)
    return np.asarray(_TABLE[step] + (place - step) * _SLOPES[step])
