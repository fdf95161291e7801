"""A chain of 400 quoted contracts, and implied volatility with greeks written out plainly for the benchmarks.

The loop is what a reader of a textbook would write: Black's formula by `erfc`, Newton's steps on the logarithm of the
out-of-the-money price, the greeks by their definitions. It calls nothing of ours, so that a ratio to it says what ours
costs.
"""

from __future__ import annotations

from math import erfc, exp, fabs, log, nan, sqrt
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CONTRACTS = 400
_TICK = 0.05
_SQRT_HALF = 0.7071067811865476
_DENSITY = 0.3989422804014327
_SMALL_STEP = 1e-8
"""Relative; what a Newton step of this size leaves is its square."""


class Chain(NamedTuple):
    """One expiry: `strikes`, `calls` (True for CE) and `premiums` (rupees) of one length; rate and time in years."""

    forward: float
    years: float
    rate: float
    strikes: Floats
    calls: NDArray[np.bool_]
    premiums: Floats


def made_chain() -> Chain:
    """A week's chain as it is quoted: 200 strikes, out of the money in ticks and a tick at least, parity inside.

    Every contract has a volatility, from 11 % at the money to 43 % where a tick is left.
    """
    from mytrading.core.options.black76 import prices

    forward, years, rate = 26_000.0, 7 / 365, 0.065
    strikes = np.repeat(np.arange(CONTRACTS // 2) * 50.0 + 21_000.0, 2)
    calls = np.tile([True, False], CONTRACTS // 2)
    smile = 0.12 + 0.4 * np.log(strikes / forward) ** 2
    outside = prices(forward, strikes, years, smile, rate, strikes >= forward)
    quoted = np.maximum(np.round(outside / _TICK) * _TICK, _TICK)
    inside = np.maximum(np.where(calls, forward - strikes, strikes - forward), 0.0)
    return Chain(forward, years, rate, strikes, calls, quoted + np.exp(-rate * years) * inside)


@njit(cache=True)
def bare_chain(
    premiums: Floats, forward: float, strikes: Floats, years: float, rate: float, calls: NDArray[np.bool_],
    volatilities: Floats, out: Floats,
) -> None:  # fmt: skip
    """Volatility of each premium, and delta, gamma, theta, vega, rho (a year, for 1.00) in the columns of `out`."""
    root, discount = sqrt(years), exp(-rate * years)
    for i in range(premiums.size):
        strike, sign = strikes[i], 1.0 if calls[i] else -1.0
        value = premiums[i] / discount - max(sign * (forward - strike), 0.0)
        if not value > 0.0:
            volatilities[i] = nan
            out[i, :] = nan
            continue
        moneyness = log(forward / strike)
        x, wanted = -fabs(moneyness), log(value / sqrt(forward * strike))
        up, down = exp(0.5 * x), exp(-0.5 * x)
        s = max(sqrt(-2.0 * x), 1e-3)
        for _ in range(100):
            d1 = x / s + 0.5 * s
            price = 0.5 * (up * erfc(-d1 * _SQRT_HALF) - down * erfc((s - d1) * _SQRT_HALF))
            step = (log(price) - wanted) * price / (up * _DENSITY * exp(-0.5 * d1 * d1))
            s = max(s - step, 0.5 * s)
            if fabs(step) < _SMALL_STEP * s:
                break
        volatility = s / root
        volatilities[i] = volatility
        d1 = moneyness / s + 0.5 * s
        density = _DENSITY * exp(-0.5 * d1 * d1)
        first, second = 0.5 * erfc(-sign * d1 * _SQRT_HALF), 0.5 * erfc(-sign * (d1 - s) * _SQRT_HALF)
        premium = discount * sign * (forward * first - strike * second)
        out[i, 0] = sign * discount * first
        out[i, 1] = discount * density / (forward * s)
        out[i, 2] = rate * premium - 0.5 * discount * forward * density * volatility / root
        out[i, 3] = discount * forward * density * root
        out[i, 4] = -years * premium
