"""Black's formula (1976) for options on a forward: price, greeks and implied volatility.

Rates and volatilities are a year (0.13 is 13 %), times years of 365 days, prices rupees. A price without a volatility
gives NaN and a reason. The functions of one option (`price_one` …) are plain Python, those of arrays (`prices` …)
compile the same source with numba at their first call.

With `low` and `high` the lesser and greater of forward and strike, `s = σ√T`, `h = ln(low/high)/s` and `t = s/2`, an
option out of the money is worth `low·Φ(h+t) − high·Φ(h−t)` before discounting. The inverse solves for `s` the logarithm
of that time value, or, above half of `low`, of what is missing to `low`, by bounded Householder steps of the third
order. The volatility is right to 1e-9 where the time value, and what is missing to `low`, is a tick or more.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from math import erfc, exp, fabs, inf, log, log1p, nan, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

DAYS_A_YEAR = 365.0
_SQRT_HALF = 0.70710678118654752440
_SQRT_HALF_PI = 1.25331413731550025121
_SQRT_2_PI = 2.50662827463100050242
_MOST_STEPS = 64
_LAST_STEP = 1e-3
"""A step this small, relative, is the last one: the steps are of the fourth order, so it leaves some 1e-12."""
_ROUNDING = 1e-15
"""Share of a premium that its own rounding, and that of its discount, may have made."""
_LEAST_SHARE = 1e-12
"""Share of forward and strike below which a time value is the rounding of the formula."""
_FAR = 700.0
"""Rate times years beyond it leave the doubles."""


class Reason(IntEnum):
    """Result of a search for implied volatility: `FOUND`, or why a price has none."""

    FOUND = 0
    BAD_INPUT = 1
    """A price, forward, strike or time that is not a number above zero."""
    NO_TIME_VALUE = 2
    """No more above its discounted intrinsic value than rounding makes."""
    BELOW_INTRINSIC = 3
    """Under the discounted intrinsic value: arbitrage, or a stale quote."""
    ABOVE_BOUND = 4
    """At or over the discounted forward (call) or strike (put): no volatility reaches it."""


class Greeks(NamedTuple):
    """Derivatives of the premium of each option, rupees of premium, float64 arrays of one length.

    `delta` a rupee of the forward; `gamma` a rupee of the forward, of delta; `theta` a calendar day; `vega` a
    percentage point of volatility; `rho` a percentage point of the rate, the forward held.
    """

    delta: Floats
    gamma: Floats
    theta: Floats
    vega: Floats
    rho: Floats


def normal_cdf(x: float) -> float:
    """The standard normal distribution function; its lower tail keeps its relative accuracy."""
    return 0.5 * erfc(-x * _SQRT_HALF)


def _log_ratio(low: float, high: float) -> float:
    return log1p((low - high) / high) if low > 0.5 * high else log(low) - log(high)


def _time_value(low: float, high: float, x: float, s: float) -> float:
    """Undiscounted; `x` is `ln(low/high)`."""
    h, t = x / s, 0.5 * s
    return max(low * normal_cdf(h + t) - high * normal_cdf(h - t), 0.0)


def price_one(forward: float, strike: float, years: float, volatility: float, rate: float, call: bool) -> float:
    """Premium of one option; its discounted intrinsic value where no time or no volatility is left."""
    inside = max(forward - strike if call else strike - forward, 0.0)
    low, high = min(forward, strike), max(forward, strike)
    if not (years > 0.0 and volatility > 0.0 and low > 0.0):
        return inside * exp(-rate * max(years, 0.0))
    return exp(-rate * years) * (inside + _time_value(low, high, _log_ratio(low, high), volatility * sqrt(years)))


def greeks_one(
    forward: float, strike: float, years: float, volatility: float, rate: float, call: bool
) -> tuple[float, float, float, float, float]:
    """Delta, gamma, theta (per year), vega, rho (each per 1.00) of one option; NaN unless all but `rate` exceed 0."""
    if not (years > 0.0 and volatility > 0.0 and forward > 0.0 and strike > 0.0):
        return nan, nan, nan, nan, nan
    low, high = min(forward, strike), max(forward, strike)
    x, root, discount = _log_ratio(low, high), sqrt(years), exp(-rate * years)
    s = volatility * root
    d1 = (x if forward < strike else -x) / s + 0.5 * s
    premium = discount * (max(forward - strike if call else strike - forward, 0.0) + _time_value(low, high, x, s))
    spread = discount * forward * exp(-0.5 * d1 * d1) / _SQRT_2_PI
    return (
        discount * normal_cdf(d1) if call else -discount * normal_cdf(-d1),
        spread / (forward * forward * s),
        rate * premium - 0.5 * spread * volatility / root,
        spread * root,
        -years * premium,
    )


def _start_below(x: float, log_share: float) -> float:
    """A start for time values under the inflection: `share·√(2π)/|x|` depends, nearly, on `q = |x|/s` alone."""
    level = log(-x / _SQRT_2_PI) - log_share
    if level < 1.6:
        middle = exp(-level) + _SQRT_HALF_PI
        return -x / (middle - sqrt(middle * middle - 2.0))
    q = sqrt(2.0 * level)
    for _ in range(2):
        over = 0.5 * q * q + log(q * (q * q + 2.6)) - level
        q -= over / (q + 1.0 / q + 2.0 * q / (q * q + 2.6))
    return -x / q


def _start(x: float, share: float) -> float:
    """A start near the root, on the side of the inflection of the time value in `s` on which the root lies."""
    turn, up = sqrt(-2.0 * x), exp(0.5 * x)
    at_turn = 0.5 * (up - erfc(sqrt(-x)) / up)
    return _start_below(x, log(share)) if share < at_turn else turn + (share - at_turn) * _SQRT_2_PI / up


def _total_volatility(low: float, high: float, value: float) -> float:
    """`s = σ√T` at which the undiscounted time value is `value`."""
    x = _log_ratio(low, high)
    sign = -1.0 if value < 0.5 * low else 1.0
    wanted = log(value if sign < 0.0 else low - value)
    s = _start(x, value / (sqrt(low) * sqrt(high)))
    least, most = 0.0, inf
    for _ in range(_MOST_STEPS):
        h, t = x / s, 0.5 * s
        there = low * normal_cdf(-sign * (h + t)) + sign * high * normal_cdf(h - t)
        vega = low * exp(-0.5 * (h + t) * (h + t)) / _SQRT_2_PI
        error = log(there) - wanted if there > 0.0 else -inf
        if error * sign > 0.0:
            least = s
        else:
            most = s
        new = -1.0
        if there > 0.0 and vega > 0.0:
            slope = -sign * vega / there
            bend = h * h / s - 0.25 * s
            second = bend - slope
            third = bend * bend - 3.0 * h * h / (s * s) - 0.25 - 3.0 * slope * bend + 2.0 * slope * slope
            step = error / slope
            under = 1.0 - step * (second - step * third / 6.0)
            new = s - step * (1.0 - 0.5 * step * second) / under if under > 0.3 else s - step
            if fabs(new - s) * (1.0 + h * h) <= _LAST_STEP * s:
                return new
        if not least < new < most:
            new = 0.5 * (least + most) if most < inf else 2.0 * s
        s = new
    return s


def implied_one(
    price: float, forward: float, strike: float, years: float, rate: float, call: bool
) -> tuple[float, int]:
    """Return (volatility a year, `Reason` number) of one premium; NaN where the reason is not `FOUND`."""
    if not (price > 0.0 and forward > 0.0 and strike > 0.0 and years > 0.0 and price + forward + strike < inf):
        return nan, 1
    if not fabs(rate * years) < _FAR:
        return nan, 1
    worth, bound = price * exp(rate * years), forward if call else strike
    if not bound - worth > _ROUNDING * bound:
        return nan, 4
    low, high = min(forward, strike), max(forward, strike)
    inside = high - low if bound == high else 0.0
    value, rounding = worth - inside, max(_ROUNDING * worth, _LEAST_SHARE * low)
    if value < rounding:
        return nan, 2 if value >= -rounding else 3
    return _total_volatility(low, high, value) / sqrt(years), 0


def _prices_into(
    forwards: Floats, strikes: Floats, years: Floats, volatilities: Floats, rate: float, calls: Flags, out: Floats
) -> None:
    for i in range(out.size):
        out[i] = price_one(forwards[i], strikes[i], years[i], volatilities[i], rate, calls[i])


def _implied_into(
    premiums: Floats, forward: float, strikes: Floats, years: float, rate: float, calls: Flags,
    out: Floats, reasons: NDArray[np.int8],
) -> None:  # fmt: skip
    for i in range(premiums.size):
        out[i], reasons[i] = implied_one(premiums[i], forward, strikes[i], years, rate, calls[i])


def _greeks_into(
    forward: float, strikes: Floats, years: float, volatilities: Floats, rate: float, calls: Flags, out: Floats
) -> None:
    for i in range(strikes.size):
        out[0, i], out[1, i], out[2, i], out[3, i], out[4, i] = greeks_one(
            forward, strikes[i], years, volatilities[i], rate, calls[i]
        )


_FUNCTIONS = (
    normal_cdf,
    _log_ratio,
    _time_value,
    price_one,
    greeks_one,
    _start_below,
    _start,
    _total_volatility,
    implied_one,
    _prices_into,
    _implied_into,
    _greeks_into,
)
_interpreted: dict[str, Any] = {}


def disable_numba() -> None:
    """Calculate without numba in this process, for 120 MB less memory; a chain then takes 3 ms."""
    _interpreted.update((function.__name__, function) for function in _FUNCTIONS)


def _compiled() -> dict[str, Any]:
    return _interpreted or _by_numba()


@cache
def _by_numba() -> dict[str, Any]:
    from mytrading.core.numba_cache import compiled_together

    return compiled_together(*_FUNCTIONS)


def prices(
    forward: Floats | float, strikes: Floats | float, years: Floats | float, volatilities: Floats | float, rate: float,
    calls: Flags | bool,
) -> Floats:  # fmt: skip
    """Premiums elementwise, all but `rate` broadcast against each other; `calls` is True for CE."""
    given = np.broadcast_arrays(forward, strikes, years, volatilities, calls)
    ahead, ladder, left, sigma = (np.array(column, np.float64).ravel() for column in given[:4])
    out = np.empty(ahead.size)
    _compiled()["_prices_into"](ahead, ladder, left, sigma, rate, np.array(given[4], np.bool_).ravel(), out)
    return out.reshape(given[0].shape)


def implied_volatilities(
    premiums: Floats, forward: float, strikes: Floats, years: float, rate: float, calls: Flags
) -> tuple[Floats, NDArray[np.int8]]:
    """Volatility of each premium of one expiry and the `Reason` where it is NaN, arrays of one length."""
    out, reasons = np.empty(premiums.size), np.empty(premiums.size, np.int8)
    _compiled()["_implied_into"](premiums, forward, strikes, years, rate, calls, out, reasons)
    return out, reasons


def greeks(forward: float, strikes: Floats, years: float, volatilities: Floats, rate: float, calls: Flags) -> Greeks:
    """The greeks of a chain of one expiry; NaN where a volatility is."""
    out = np.empty((5, strikes.size))
    _compiled()["_greeks_into"](forward, strikes, years, volatilities, rate, calls, out)
    delta, gamma, theta, vega, rho = out
    return Greeks(delta, gamma, theta / DAYS_A_YEAR, vega / 100.0, rho / 100.0)


def carried_forward(spot: Floats | float, years: Floats | float, carry: float) -> Floats:
    """Return the forward: spot carried over `years` at the yearly rate `carry` (share of 1), elementwise."""
    return np.asarray(spot * np.exp(carry * years))


def parity_forward(
    strikes: Floats, calls: Floats, puts: Floats, years: float, rate: float, near: float | None = None, pairs: int = 3
) -> float:
    """The forward that put-call parity gives for one expiry: the median over the pairs nearest the money.

    `calls` and `puts` are premiums at `strikes`, NaN or 0 where there is none. `near` is a price to look around, such
    as the spot; without it the strike at which both premiums are closest. NaN where no strike has both.
    """
    both = np.flatnonzero((calls > 0.0) & (puts > 0.0))
    if both.size == 0:
        return nan
    centre = near if near is not None else float(strikes[both[np.argmin(np.abs(calls[both] - puts[both]))]])
    chosen = both[np.argsort(np.abs(strikes[both] - centre), kind="stable")[:pairs]]
    growth = exp(rate * years) if years > 0.0 else 1.0
    return float(np.median(strikes[chosen] + growth * (calls[chosen] - puts[chosen])))
