"""Option prices by Black's 1976 formula on the forward, over whole numpy arrays.

Used by the simulator's market, and by whoever needs a theoretical price. `normal_cdf` follows W. J. Cody's rational
approximations of erfc (Math. Comp. 23, 1969), absolute error below 1e-15. The one rule: no calendar here; time to
expiry comes in as years.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_SQRT2 = float(np.sqrt(2.0))
_INV_SQRT_PI = 0.56418958354775628695
_SMALL_NUM = (3.16112374387056560e00, 1.13864154151050156e02, 3.77485237685302021e02, 3.20937758913846947e03)
_SMALL_LEAD = 1.85777706184603153e-1
_SMALL_DEN = (2.36012909523441209e01, 2.44024637934444173e02, 1.28261652607737228e03, 2.84423683343917062e03)
_MID_NUM = (
    5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e01, 2.98635138197400131e02,
    8.81952221241769090e02, 1.71204761263407058e03, 2.05107837782607147e03, 1.23033935479799725e03,
)  # fmt: skip
_MID_LEAD = 2.15311535474403846e-8
_MID_DEN = (
    1.57449261107098347e01, 1.17693950891312499e02, 5.37181101862009858e02, 1.62138957456669019e03,
    3.29079923573345963e03, 4.36261909014324716e03, 3.43936767414372164e03, 1.23033935480374942e03,
)  # fmt: skip
_TAIL_NUM = (
    3.05326634961232344e-1,
    3.60344899949804439e-1,
    1.25781726111229246e-1,
    1.60837851487422766e-2,
    6.58749161529837803e-4,
)
_TAIL_LEAD = 1.63153871373020978e-2
_TAIL_DEN = (
    2.56852019228982242e00,
    1.87295284992346047e00,
    5.27905102951428412e-1,
    6.05183413124413191e-2,
    2.33520497626869185e-3,
)


def _erf_small(x: Array) -> Array:
    y = x * x
    num, den = _SMALL_LEAD * y, y
    for a, b in zip(_SMALL_NUM[:3], _SMALL_DEN[:3], strict=True):
        num, den = (num + a) * y, (den + b) * y
    return np.asarray(x * (num + _SMALL_NUM[3]) / (den + _SMALL_DEN[3]))


def _erfc_mid(y: Array) -> Array:
    num, den = _MID_LEAD * y, y
    for a, b in zip(_MID_NUM[:7], _MID_DEN[:7], strict=True):
        num, den = (num + a) * y, (den + b) * y
    return np.asarray(np.exp(-y * y) * (num + _MID_NUM[7]) / (den + _MID_DEN[7]))


def _erfc_tail(y: Array) -> Array:
    z = 1.0 / (y * y)
    num, den = _TAIL_LEAD * z, z
    for a, b in zip(_TAIL_NUM[:4], _TAIL_DEN[:4], strict=True):
        num, den = (num + a) * z, (den + b) * z
    ratio = z * (num + _TAIL_NUM[4]) / (den + _TAIL_DEN[4])
    return np.asarray(np.exp(-y * y) * (_INV_SQRT_PI - ratio) / y)


def normal_cdf(x: Array) -> Array:
    """The standard normal distribution function, elementwise."""
    flat = np.atleast_1d(np.asarray(x, dtype=np.float64))
    scaled = -flat / _SQRT2
    y = np.abs(scaled)
    result = np.empty_like(y)
    small, tail = y <= 0.46875, y > 4.0
    mid = ~(small | tail)
    result[small] = 1.0 - _erf_small(y[small])
    result[mid] = _erfc_mid(y[mid])
    result[tail] = _erfc_tail(np.minimum(y[tail], 26.0))
    erfc = np.where(scaled < 0.0, 2.0 - result, result)
    return np.asarray(0.5 * erfc).reshape(np.shape(x))


def price(forward: Array, strike: Array | float, years: Array, volatility: Array, rate: float, is_call: bool) -> Array:
    """Black-76 premium in the forward's currency units, elementwise; intrinsic value where no time is left.

    `forward`, `strike` in points, `years` to expiry (calendar), `volatility` and `rate` a year (0.13 is 13 %).
    """
    spread = volatility * np.sqrt(np.maximum(years, 0.0))
    safe = np.maximum(spread, 1e-12)
    d1 = np.log(forward / strike) / safe + 0.5 * safe
    sign = 1.0 if is_call else -1.0
    undiscounted = sign * (forward * normal_cdf(sign * d1) - strike * normal_cdf(sign * (d1 - safe)))
    intrinsic = np.maximum(sign * (forward - strike), 0.0)
    value = np.where(spread > 1e-9, np.maximum(undiscounted, intrinsic), intrinsic)
    return np.asarray(value * np.exp(-rate * np.maximum(years, 0.0)))
