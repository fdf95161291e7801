"""The normal distribution's tails in compiled code: scaled complementary error function and distribution function.

Used by the kernels of `volatility`. `erfcx` follows W. J. Cody's rational approximations (Math. Comp. 23, 1969), whose
error is below that of double precision. The one rule: relative accuracy holds out to where a double ends, since prices
far out of the money are made of nothing else.
"""

from __future__ import annotations

from math import exp, sqrt

from mytrading.core.kernels import kernel

_INV_SQRT_PI = 0.56418958354775628695
_SQRT_HALF = 0.70710678118654752440
_SMALL, _MIDDLE = 0.46875, 4.0
_NO_MORE = 26.5
"""Beyond it `exp(x²)` leaves the doubles."""


@kernel(inline="always")
def _erf_near_zero(x: float) -> float:
    y = x * x
    num = (
        (((1.85777706184603153e-1 * y + 3.16112374387056560e00) * y + 1.13864154151050156e02) * y
         + 3.77485237685302021e02) * y + 3.20937758913846947e03
    )  # fmt: skip
    den = (
        ((y + 2.36012909523441209e01) * y + 2.44024637934444173e02) * y + 1.28261652607737228e03
    ) * y + 2.84423683343917062e03
    return x * num / den


@kernel(inline="always")
def _erfcx_middle(y: float) -> float:
    num = 2.15311535474403846e-8 * y + 5.64188496988670089e-1
    num = (((num * y + 8.88314979438837594e00) * y + 6.61191906371416295e01) * y + 2.98635138197400131e02) * y
    num = (((num + 8.81952221241769090e02) * y + 1.71204761263407058e03) * y + 2.05107837782607147e03) * y
    den = ((y + 1.57449261107098347e01) * y + 1.17693950891312499e02) * y + 5.37181101862009858e02
    den = ((den * y + 1.62138957456669019e03) * y + 3.29079923573345963e03) * y + 4.36261909014324716e03
    return (num + 1.23033935479799725e03) / ((den * y + 3.43936767414372164e03) * y + 1.23033935480374942e03)


@kernel(inline="always")
def _erfcx_tail(y: float) -> float:
    z = 1.0 / (y * y)
    num = (1.63153871373020978e-2 * z + 3.05326634961232344e-1) * z + 3.60344899949804439e-1
    num = ((num * z + 1.25781726111229246e-1) * z + 1.60837851487422766e-2) * z + 6.58749161529837803e-4
    den = ((z + 2.56852019228982242e00) * z + 1.87295284992346047e00) * z + 5.27905102951428412e-1
    den = (den * z + 6.05183413124413191e-2) * z + 2.33520497626869185e-3
    return (_INV_SQRT_PI - z * num / den) / y


@kernel()
def erfcx(x: float) -> float:
    """`exp(x²)·erfc(x)`; infinite below -26.5, where it leaves the doubles."""
    y = abs(x)
    if y <= _SMALL:
        return exp(x * x) * (1.0 - _erf_near_zero(x))
    scaled = _erfcx_middle(y) if y <= _MIDDLE else _erfcx_tail(y)
    if x > 0.0:
        return scaled
    return 2.0 * exp(x * x) - scaled if y < _NO_MORE else float("inf")


@kernel()
def cdf(x: float) -> float:
    """The standard normal distribution function; the lower tail keeps its relative accuracy down to 1e-300."""
    if x <= 0.0:
        return 0.5 * exp(-0.5 * x * x) * erfcx(-x * _SQRT_HALF)
    return 1.0 - 0.5 * exp(-0.5 * x * x) * erfcx(x * _SQRT_HALF)


@kernel()
def density(x: float) -> float:
    """The standard normal density."""
    return exp(-0.5 * x * x) / sqrt(2.0 * 3.14159265358979323846)
