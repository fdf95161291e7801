"""A day's contracts and volatilities out of end-of-day prices.

Used by backtests and by `mytrading chain` on a file of the exchange. The one rule: only what traded says what an option
was worth; settlement prices of what did not are the exchange's own model, or of days before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mytrading.core.options import volatility
from mytrading.core.options.surface import Floats, Smile

LEAST_STRIKES = 5
"""Fewer strikes with a volatility say nothing of a smile."""
_NEIGHBOURS, _APART = 3, 0.2
"""A volatility this share away from the median of so many strikes each side is that of an old trade."""


class Pair(NamedTuple):
    """The prices of call and put at a strike, 0 where there is none."""

    strike: float
    call: float
    put: float


def forward_by_parity(pairs: Sequence[Pair], years: float, rate: float, spot: float | None) -> float:
    """The forward that the pairs near the money agree on; NaN where there is none."""
    strikes, calls, puts = (np.array([pair[n] for pair in pairs], dtype=np.float64) for n in range(3))
    return volatility.parity_forward(strikes, calls, puts, years, rate, spot, 5)


def smile_of(pairs: Sequence[Pair], years: float, rate: float, spot: float) -> Smile | None:
    """The volatilities of an expiry off the prices out of the money, without those far from their neighbours'.

    None where the forward cannot be told, no time is left, or fewer than `LEAST_STRIKES` remain.
    """
    ordered = sorted(pairs)
    forward = forward_by_parity(ordered, years, rate, spot) if len(ordered) >= LEAST_STRIKES and years > 0 else math.nan
    if math.isnan(forward) or forward <= 0 or spot <= 0:
        return None
    strikes = np.array([pair.strike for pair in ordered])
    calls = strikes >= forward
    prices = np.where(calls, [pair.call for pair in ordered], [pair.put for pair in ordered])
    iv, _ = volatility.implied(prices, forward, strikes, years, rate, calls)
    known = np.isfinite(iv) & (prices > 0)
    strikes, iv = _without_strays(strikes[known], iv[known])
    if len(strikes) < LEAST_STRIKES:
        return None
    return Smile(strikes, iv, math.log(forward / spot) / years)


def _without_strays(strikes: Floats, iv: Floats) -> tuple[Floats, Floats]:
    middle = [float(np.median(iv[max(n - _NEIGHBOURS, 0) : n + _NEIGHBOURS + 1])) for n in range(len(iv))]
    near = np.abs(iv / np.array(middle) - 1.0) <= _APART if len(iv) else np.zeros(0, dtype=bool)
    return strikes[near], iv[near]
