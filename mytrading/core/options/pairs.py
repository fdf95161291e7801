"""Numbers as unevaluated sums of two doubles: what a rounding loses is kept in the second. In compiled code.

Used by `exact` and `volatility`. A pair is (high, low) with |low| at most a unit in the last place of high. Sources:
Dekker (1971) for sums and products, Tang (1989) for the exponential by a table. The one rule: nothing here may be
compiled with `fastmath`, which would take the corrections for zero.
"""

from __future__ import annotations

from fractions import Fraction
from math import expm1, floor, isqrt, ldexp, sqrt

import numpy as np

from mytrading.core.kernels import kernel

BITS = 240
"""Of the whole numbers by which tables are made when this is loaded: they are in units of 2 to the power of -240."""
ONE = 1 << BITS
_LN_2 = 0xB17217F7D1CF79ABC9E3B39803F2F6AF40F343267298B62D8A0D175B8BAA
_SPLIT = 134_217_729.0
_STEPS = 16
"""Steps of the table between 1 and 2."""

Pair = tuple[float, float]


def pair_of(number: Fraction) -> Pair:
    """The pair nearest to a number."""
    high = float(number)
    return high, float(number - Fraction(high))


def _powers() -> list[Pair]:
    step = 2 * ONE
    for _ in range(_STEPS.bit_length() - 1):
        step = isqrt(step * ONE)
    return [pair_of(Fraction(step**row, ONE**row)) for row in range(_STEPS)]


_POWERS = np.array(_powers())
"""2 to the power of j/16: a row for each j from 0 to 15, high and low."""
_STEP = Fraction(_LN_2, ONE * _STEPS)
_STEP_HIGH = floor(_STEP * 2**38) / 2.0**38
"""A sixteenth of ln 2 to so few digits that its multiples by whole numbers are exact."""
_STEP_LOW = float(_STEP - Fraction(_STEP_HIGH))
_PER_STEP = float(1 / _STEP)


@kernel(inline="always")
def sum_of(a: float, b: float) -> Pair:
    """`a + b`, exactly."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


@kernel(inline="always")
def product_of(a: float, b: float) -> Pair:
    """`a · b`, exactly, of numbers between 1e-140 and 1e140."""
    product = a * b
    big = _SPLIT * a
    a_high = big - (big - a)
    big = _SPLIT * b
    b_high = big - (big - b)
    a_low, b_low = a - a_high, b - b_high
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


@kernel(inline="always")
def added(a: Pair, b: Pair) -> Pair:
    """The sum of two pairs, to 100 bits of the larger."""
    total, rest = sum_of(a[0], b[0])
    rest += a[1] + b[1]
    high = total + rest
    return high, rest - (high - total)


@kernel(inline="always")
def times(a: Pair, b: Pair) -> Pair:
    """The product of two pairs, to 100 bits."""
    product, rest = product_of(a[0], b[0])
    rest += a[0] * b[1] + a[1] * b[0]
    high = product + rest
    return high, rest - (high - product)


@kernel()
def root_of(a: Pair) -> Pair:
    """The square root of a pair above zero."""
    root = sqrt(a[0])
    square, rest = product_of(root, root)
    return root, ((a[0] - square) - rest + a[1]) / (2.0 * root)


@kernel()
def exp_of(a: Pair) -> Pair:
    """e to the power of a pair between -600 and 600, to 60 bits."""
    steps = floor(a[0] * _PER_STEP + 0.5)
    left = ((a[0] - steps * _STEP_HIGH) - steps * _STEP_LOW) + a[1]
    whole = floor(steps / _STEPS)
    row = int(steps - whole * _STEPS)
    more = expm1(left)
    high, low = _POWERS[row, 0], _POWERS[row, 1]
    product, rest = product_of(high, more)
    total, lost = sum_of(high, product)
    scale = ldexp(1.0, int(whole))
    return total * scale, (lost + (rest + low + low * more)) * scale
