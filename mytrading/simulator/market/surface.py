"""One volatility surface, and the prices of futures and options on it.

Used by `MarketDay`. The one rule: every derivative of an underlying is priced from the same spot, carry and surface,
so that puts, calls and futures of one expiry agree with each other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mytrading.core import black76
from mytrading.messages.instruments import InstrumentKind

Array = NDArray[np.float64]

CARRY = 0.06
YEAR_NS = 365 * 86_400 * 1_000_000_000
_SKEW, _SMILE = -0.11, 0.09
_LOWEST, _HIGHEST = 0.05, 0.9


def years_to(expiry_ns: int, times: NDArray[np.int64]) -> Array:
    """Years from each time to an expiry, never negative."""
    return np.maximum(expiry_ns - times, 0) / YEAR_NS


def forward(spot: Array, years: Array) -> Array:
    """The forward price: spot with carry."""
    return np.asarray(spot * np.exp(CARRY * years))


def volatility(level: float, strike: float, forward_price: Array, years: Array) -> Array:
    """Volatility of a year at a strike: `level` at the money, higher for low strikes and far from the money."""
    spread = np.sqrt(np.maximum(years, 1.0 / 365.0 / 4.0))
    moneyness = np.clip(np.log(strike / forward_price) / spread, -1.5, 1.5)
    shape = 1.0 + (_SKEW * moneyness + _SMILE * moneyness * moneyness) / max(level, 0.05)
    near = 1.0 + 0.15 * np.exp(-years * 40.0)
    return np.asarray(np.clip(level * near * shape, _LOWEST, _HIGHEST))


def theoretical(kind: InstrumentKind, strike: float, spot: Array, years: Array, level: float) -> Array:
    """The price of a future or an option, elementwise over spot and time."""
    ahead = forward(spot, years)
    if kind is InstrumentKind.FUT:
        return ahead
    sigma = volatility(level, strike, ahead, years)
    return black76.price(ahead, strike, years, sigma, CARRY, kind is InstrumentKind.CE)
