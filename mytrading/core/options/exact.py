"""Black's price in more digits than a double has, so that what is rounded in the end is all that is rounded.

Used by `volatility`: the price of an option in the money has to come back to two units in the last place, and the
formula in doubles alone is off by up to six. Words and formula are those of `spread`; `Y` is taken from a table of it
at every sixteenth and its series from there, `Yₙ₊₁ = z·Yₙ + n·Yₙ₋₁`. The one rule: a share of the price above a
hundredth is in pairs; what is less is in doubles, whose error is as much less.
"""

from __future__ import annotations

from fractions import Fraction
from math import exp, fabs, isqrt, sqrt

import numpy as np

from mytrading.core.kernels import kernel
from mytrading.core.options.normal import erfcx
from mytrading.core.options.pairs import BITS, ONE, Pair, added, exp_of, pair_of, product_of, root_of, sum_of, times
from mytrading.core.options.spread import SQRT_2_PI, SQRT_HALF, part

_PI = 0x3243F6A8885A308D313198A2E03707344A4093822299F31D0082EFA98EC4E
"""In units of 2 to the power of -240, as all numbers by which the table is made."""
_FIRST, _LAST, _A_UNIT = -56, 24, 16
"""The table is of -3.5 to 1.5."""
_FAR = -2.0
"""`h` below it: less than a hundredth of the price lies out of the money."""
_CLOSE, _WIDE = 0.25, 1.5
"""`t` below the one: the difference is a series; above the other: the price is its bound less what is missing."""
_ENOUGH = 1e-19


def _ratio_at(row: int) -> Fraction:
    """`Y` at a number of sixteenths: `√(π/2)·exp(z²/2)` and `z + z³/3 + z⁵/15 + …`."""
    square, per = row * row, _A_UNIT * _A_UNIT
    power, odd, powers, odds, n = ONE, row * ONE // _A_UNIT, 0, 0, 0
    while power or abs(odd) > 1:
        powers, odds = powers + power, odds + odd
        n += 1
        power = power * square // (2 * per * n)
        odd = odd * square // (per * (2 * n + 1))
    return Fraction((isqrt(_PI * ONE // 2) * powers >> BITS) + odds, ONE)


def _slope_at(row: int) -> Fraction:
    return 1 + _ratio_at(row) * Fraction(row, _A_UNIT)


_ROWS = range(_FIRST, _LAST + 1)
_RATIOS = np.array([pair_of(_ratio_at(row)) for row in _ROWS])
_SLOPES = np.array([pair_of(_slope_at(row)) for row in _ROWS])
_PER_ROOT = pair_of(Fraction(ONE, isqrt(_PI * ONE // 2)))
"""2 divided by `√(2π)`."""


@kernel()
def _ratio(z: Pair) -> Pair:
    """`Y` between -3.5 and 1.5."""
    row = int(z[0] * _A_UNIT + (0.5 - _FIRST))
    node = (row + _FIRST) / _A_UNIT
    more = (z[0] - node) + z[1]
    before, now = _RATIOS[row, 0], _SLOPES[row, 0]
    weight, rest = more, more * now
    for n in range(1, 10):
        before, now = now, node * now + n * before
        weight *= more / (n + 1)
        rest += weight * now
    total, lost = sum_of(_RATIOS[row, 0], rest)
    return total, lost + _RATIOS[row, 1]


@kernel()
def _apart(h: float, t: float) -> tuple[float, float, float]:
    """(`(Y(h+t) − Y(h−t)) / 2` as a pair, and roughly the mean of the two); `h` from -2 to 0, `t` up to 1.5."""
    if t >= _CLOSE:
        up, down = _ratio(sum_of(h, t)), _ratio(sum_of(h, -t))
        high, low = added(up, (-down[0], -down[1]))
        return 0.5 * high, 0.5 * low, 0.5 * (up[0] + down[0])
    row = int(h * _A_UNIT + (0.5 - _FIRST))
    node = (row + _FIRST) / _A_UNIT
    more = h - node
    before, now = _RATIOS[row, 0], _SLOPES[row, 0]
    mean = before + more * now
    power_before, power = 0.0, 1.0
    weight, rest, reach, size = 1.0, 0.0, fabs(more) + t, 1.0
    for n in range(1, 40):
        before, now = now, node * now + n * before
        power_before, power = power, 2.0 * more * power - (more * more - t * t) * power_before
        weight /= n + 1
        rest += now * power * weight
        size *= reach
        if size * now * weight * n < _ENOUGH:
            break
    total, lost = sum_of(_SLOPES[row, 0], rest)
    high, low = times((total, lost + _SLOPES[row, 1]), (t, 0.0))
    return high, low, mean


@kernel()
def _outside(x: float, s: Pair, root: Pair) -> Pair:
    """The worth out of the money of an option near it; `root` is the geometric mean of forward and strike."""
    h, t = x / s[0], 0.5 * s[0]
    spread_high, spread_low, mean = _apart(h, t)
    squares = added(product_of(h, h), product_of(t, t))
    scale = times(times(root, _PER_ROOT), exp_of((-0.5 * squares[0], -0.5 * squares[1])))
    back, lost = product_of(h, s[0])
    left_out = s[1] + ((x - back) - lost) * mean  # by the rounding of s and of h
    return added(times(scale, (spread_high, spread_low)), (0.5 * scale[0] * left_out, 0.0))


@kernel()
def spread_of(volatility: float, years: float) -> Pair:
    """`σ√T`."""
    return times(root_of((years, 0.0)), (volatility, 0.0))


@kernel()
def worth_of(forward: float, strike: float, x: float, s: Pair, call: bool) -> Pair:
    """The premium of an option without its discount; `x` is `-|ln(F/K)|`, `s` the pair `σ√T` above zero."""
    inside = sum_of(forward, -strike) if call else sum_of(strike, -forward)
    if inside[0] <= 0.0:
        inside = (0.0, 0.0)
    h, t = x / s[0], 0.5 * s[0]
    if t > _WIDE and h + t > 0.5:
        tails = 0.5 * (erfcx((t - h) * SQRT_HALF) + erfcx((t + h) * SQRT_HALF))
        missing = sqrt(forward * strike) * tails * exp(-0.5 * (h * h + t * t))
        return sum_of(forward if call else strike, -missing)
    if h < _FAR or t > _WIDE:
        return added(inside, (part(x, s[0]) * sqrt(forward * strike), 0.0))
    return added(inside, _outside(x, s, root_of(product_of(forward, strike))))


@kernel()
def slope_of(forward: float, strike: float, x: float, s: float) -> float:
    """What a worth gains with `s`, of 1.00."""
    return sqrt(forward * strike) / SQRT_2_PI * exp(-0.5 * (x * x / (s * s) + 0.25 * s * s))
