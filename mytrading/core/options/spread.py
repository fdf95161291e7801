"""The normalised out-of-the-money price of Black's formula in doubles, a few units in the last place near.

Used by `volatility` and `exact`. With `x = -|ln(F/K)|`, `s = σ√T`, `h = x/s`, `t = s/2` and `Y(z) = Φ(z)/φ(z)` it is
`φ-part · (Y(h+t) − Y(h−t))`, of forward and strike whose geometric mean is 1. The one rule: relative accuracy holds
however small the price is.
"""

from __future__ import annotations

from math import exp, fabs, log, log1p

from mytrading.core.kernels import kernel
from mytrading.core.options.normal import erfcx

SQRT_HALF = 0.70710678118654752440
SQRT_HALF_PI = 1.25331413731550025121
SQRT_2_PI = 2.50662827463100050242
ULP = 2.220446049250313e-16
_TERMS = 65
"""Of the series for prices: 25 do below a spread of one, what lies above it needs more."""


@kernel()
def _spread_by_series(h: float, t: float) -> float:
    """`(Y(h+t) − Y(h−t)) / 2` for small `t`: the odd terms of its series, with `Yₙ₊₁ = h·Yₙ + n·Yₙ₋₁`."""
    before, now = SQRT_HALF_PI * erfcx(-h * SQRT_HALF), 0.0
    now = 1.0 + h * before
    total, weight = t * now, t
    for n in range(1, _TERMS, 2):
        even = h * now + n * before
        odd = h * even + (n + 1) * now
        before, now = even, odd
        weight *= t * t / ((n + 1) * (n + 2))
        term = weight * now
        total += term
        if fabs(term) < 0.25 * ULP * total:
            break
    return total


@kernel()
def spread(h: float, t: float) -> float:
    """`(Y(h+t) − Y(h−t)) / 2`: the normalised price without its exponential part. `h ≤ 0`, `t > 0`."""
    if (t < 0.5 and h > -3.0) or (t < 0.15 and h > -8.0) or (t < 1.5 and h > -0.5):
        return _spread_by_series(h, t)
    return 0.5 * SQRT_HALF_PI * (erfcx(-(h + t) * SQRT_HALF) - erfcx((t - h) * SQRT_HALF))


@kernel()
def log_price(x: float, s: float) -> float:
    """The logarithm of the normalised out-of-the-money price."""
    h, t = x / s, 0.5 * s
    return log(2.0 * spread(h, t) / SQRT_2_PI) - 0.5 * (h * h + t * t)


@kernel()
def part(x: float, s: float) -> float:
    """The normalised out-of-the-money price itself: a few units in the last place nearer than by its logarithm."""
    h, t = x / s, 0.5 * s
    return 2.0 / SQRT_2_PI * spread(h, t) * exp(-0.5 * (h * h + t * t))


@kernel()
def log_moneyness(forward: float, strike: float) -> float:
    apart = (forward - strike) / strike
    return log1p(apart) if fabs(apart) < 0.5 else log(forward / strike)
