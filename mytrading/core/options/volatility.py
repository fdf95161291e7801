"""Black's formula, its inverse and its derivatives for whole option chains, in compiled code.

Used by option chains, backtests of options and the `chain` command. Prices are those of options on a forward (Black,
1976); an option on a spot price is one on the forward that put-call parity or carry gives (`spot_forward`). Rates and
volatilities are a year (0.13 is 13 %), times are years of 365 days. The one rule: a price that holds no volatility is
answered with NaN and a reason, never with a guess.

The inverse works on the logarithm of the out-of-the-money price, undiscounted and divided by the geometric mean of
forward and strike, so that a price of 1e-50 is as well inverted as one of 100: with `x = -|ln(F/K)|`, `s = σ√T`,
`h = x/s`, `t = s/2` and `Y(z) = Φ(z)/φ(z)` it is `φ-part · (Y(h+t) − Y(h−t))`, a difference that is taken as a series
in `t` where both terms are close. Householder steps of the third order, kept between bounds, end at the last bit.
"""

from __future__ import annotations

from enum import IntEnum
from math import exp, expm1, fabs, log, log1p, nan, sqrt
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mytrading.core.options.normal import cdf, density, erfcx

Floats = NDArray[np.float64]

_SQRT_HALF = 0.70710678118654752440
_SQRT_HALF_PI = 1.25331413731550025121
_SQRT_2_PI = 2.50662827463100050242
_STEPS = 16
_LAST = 1e-14
"""A step this small of the second order is the last one."""
_CLOSE = 3e-5
"""So is one this small of the third order: what it leaves is its fourth power."""
_POLISHED = 1e-250
"""Above it the last step is on the price itself, whose rounding is less than that of its logarithm."""
_ULP = 2.220446049250313e-16
_TERMS = 65
"""Of the series for prices: 25 do below a spread of one, what lies above it needs more."""
DAYS_A_YEAR = 365.0


class Reason(IntEnum):
    """Why a price has no implied volatility; `FOUND` where it has one."""

    FOUND = 0
    BAD_INPUT = 1
    """A price, forward, strike or time that is not a number above zero."""
    NO_TIME_VALUE = 2
    """Less than four units in the last place above its discounted intrinsic value: rounding, not volatility."""
    BELOW_INTRINSIC = 3
    """Under the discounted intrinsic value: arbitrage, or a stale quote."""
    ABOVE_BOUND = 4
    """At or over the discounted forward (call) or strike (put): no volatility reaches it."""


class Greeks(NamedTuple):
    """Derivatives of the premium of each option, rupees of premium, float64 arrays of one length.

    `delta` a rupee of the forward; `gamma` a rupee of the forward, of delta; `theta_year` a year of time passing and
    `theta` a calendar day; `vega_year` for 1.00 of volatility and `vega` a percentage point; `rho_year` for 1.00 of the
    rate, the forward held, and `rho` a percentage point.
    """

    delta: Floats
    gamma: Floats
    theta_year: Floats
    theta: Floats
    vega_year: Floats
    vega: Floats
    rho_year: Floats
    rho: Floats


@njit(cache=True)
def _spread_by_series(h: float, t: float) -> float:
    """`(Y(h+t) − Y(h−t)) / 2` for small `t`: the odd terms of its series, with `Yₙ₊₁ = h·Yₙ + n·Yₙ₋₁`."""
    before, now = _SQRT_HALF_PI * erfcx(-h * _SQRT_HALF), 0.0
    now = 1.0 + h * before
    total, weight = t * now, t
    for n in range(1, _TERMS, 2):
        even = h * now + n * before
        odd = h * even + (n + 1) * now
        before, now = even, odd
        weight *= t * t / ((n + 1) * (n + 2))
        term = weight * now
        total += term
        if fabs(term) < 0.25 * _ULP * total:
            break
    return total


@njit(cache=True)
def _spread(h: float, t: float) -> float:
    """`(Y(h+t) − Y(h−t)) / 2`: the normalised price without its exponential part. `h ≤ 0`, `t > 0`."""
    if (t < 0.5 and h > -3.0) or (t < 0.15 and h > -8.0) or (t < 1.5 and h > -0.5):
        return _spread_by_series(h, t)
    return 0.5 * _SQRT_HALF_PI * (erfcx(-(h + t) * _SQRT_HALF) - erfcx((t - h) * _SQRT_HALF))


@njit(cache=True)
def _log_price(x: float, s: float) -> float:
    """The logarithm of the normalised out-of-the-money price."""
    h, t = x / s, 0.5 * s
    return log(2.0 * _spread(h, t) / _SQRT_2_PI) - 0.5 * (h * h + t * t)


@njit(cache=True)
def _part(x: float, s: float) -> float:
    """The normalised out-of-the-money price itself: a few units in the last place nearer than by its logarithm."""
    h, t = x / s, 0.5 * s
    return 2.0 / _SQRT_2_PI * _spread(h, t) * exp(-0.5 * (h * h + t * t))


@njit(cache=True)
def _guess_below(x: float, log_beta: float) -> float:
    """A start for prices under the inflection: there `β·√(2π)/|x|` depends, nearly, on `q = |x|/s` alone."""
    level = log(-x / _SQRT_2_PI) - log_beta
    if level < 1.6:
        middle = exp(-level) + _SQRT_HALF_PI
        return float(-x / (middle - sqrt(middle * middle - 2.0)))
    q = sqrt(2.0 * level)
    for _ in range(3):
        over = 0.5 * q * q + log(q * (q * q + 2.6)) - level
        q -= over / (q + 1.0 / q + 2.0 * q / (q * q + 2.6))
    return float(-x / q)


@njit(cache=True)
def _first_guess(x: float, log_beta: float) -> float:
    """A start near the root, by the side of the inflection of the price in `s` on which it lies."""
    turn = sqrt(-2.0 * x)
    at_turn = _log_price(x, turn) if turn > 0.0 else -np.inf
    if log_beta < at_turn:
        return _guess_below(x, log_beta)
    beta_turn = exp(at_turn) if turn > 0.0 else 0.0
    return float(turn + (exp(log_beta) - beta_turn) * _SQRT_2_PI * exp(-0.5 * x))


@njit(cache=True)
def _upper_root(x: float, beta: float, s: float) -> float:
    """`s` for a price over half its bound: what is missing to the bound is solved for instead, by its logarithm."""
    missing = log(exp(0.5 * x) - beta)
    low, high = 0.0, np.inf
    for _ in range(4 * _STEPS):
        h, t = x / s, 0.5 * s
        tails = 0.5 * _SQRT_HALF_PI * (erfcx((h + t) * _SQRT_HALF) + erfcx((t - h) * _SQRT_HALF))
        error = log(2.0 * tails / _SQRT_2_PI) - 0.5 * (h * h + t * t) - missing
        if error > 0.0:
            low = s
        else:
            high = s
        slope = -0.5 / tails
        step = error / slope
        curve = slope * (h * h / s - 0.25 * s) - slope * slope
        step /= max(0.5, 1.0 - 0.5 * step * curve / slope)
        new = s - step
        if fabs(step) <= _LAST * s:
            return new
        if not low < new < high:
            new = 0.5 * (low + high) if high < np.inf else 2.0 * s
        s = new
    return s


@njit(cache=True)
def _root(x: float, log_beta: float) -> float:
    """`s = σ√T` at which the normalised out-of-the-money price is `exp(log_beta)`."""
    s = _first_guess(x, log_beta)
    if log_beta > 0.5 * x - 0.69314718055994531:
        return _upper_root(x, exp(log_beta), s)
    low, high = 0.0, np.inf
    for _ in range(_STEPS):
        h, t = x / s, 0.5 * s
        spread = _spread(h, t)
        error = log(2.0 * spread / _SQRT_2_PI) - 0.5 * (h * h + t * t) - log_beta
        if error > 0.0:
            high = s
        else:
            low = s
        slope = 0.5 / spread
        bend = h * h / s - 0.25 * s
        ratio2 = bend - slope
        ratio3 = bend * bend - 3.0 * h * h / (s * s) - 0.25 - 3.0 * slope * bend + 2.0 * slope * slope
        step = error / slope
        under = 1.0 - step * (ratio2 - step * ratio3 / 6.0)
        new = s - step * (1.0 - 0.5 * step * ratio2) / under if under > 0.3 else -1.0
        if fabs(new - s) * (1.0 + h * h) <= _CLOSE * s:
            return new
        if not low < new < high:
            new = s * exp(min(max(-step / s, -1.0), 1.0))
        s = new
    return s


@njit(cache=True)
def _log_moneyness(forward: float, strike: float) -> float:
    apart = (forward - strike) / strike
    return log1p(apart) if fabs(apart) < 0.5 else log(forward / strike)


@njit(cache=True)
def price_one(forward: float, strike: float, years: float, volatility: float, rate: float, call: bool) -> float:
    """Premium of one option; its discounted intrinsic value where no time or no volatility is left."""
    inside = max(forward - strike if call else strike - forward, 0.0)
    discount = exp(-rate * years) if years > 0.0 else 1.0
    if not (years > 0.0 and volatility > 0.0):
        return discount * inside
    x, s = -fabs(_log_moneyness(forward, strike)), volatility * sqrt(years)
    outside = _part(x, s) * sqrt(forward * strike)
    return discount * (inside + outside)


@njit(cache=True)
def _given_back(
    price: float, forward: float, strike: float, years: float, volatility: float, rate: float, call: bool
) -> float:
    """The neighbour of a volatility that gives the price back to two units in the last place, where rounding hid it."""
    best, least = volatility, np.inf
    for k in range(13):
        near = volatility * (1.0 + (k // 2 + k % 2) * (_ULP if k % 2 else -_ULP))
        error = fabs(price_one(forward, strike, years, near, rate, call) - price)
        if error < least:
            best, least = near, error
        if least <= _ULP * price:
            break
    return best


@njit(cache=True)
def implied_one(
    price: float, forward: float, strike: float, years: float, rate: float, call: bool
) -> tuple[float, int]:
    """(volatility, reason) of one option; see `implied`."""
    if not (price > 0.0 and forward > 0.0 and strike > 0.0 and years > 0.0 and price + forward + strike < np.inf):
        return nan, 1
    bound = (forward if call else strike) * exp(-rate * years)
    if price >= bound:
        return nan, 4
    inside = max(forward - strike if call else strike - forward, 0.0)
    worth = price * exp(rate * years) if rate != 0.0 else price
    value = worth - inside
    if inside > 0.0:
        if value < -4.0 * _ULP * worth:
            return nan, 3
        if value < 4.0 * _ULP * worth:
            return nan, 2
    x = -fabs(_log_moneyness(forward, strike))
    beta = value / sqrt(forward * strike)
    root = _root(x, log(beta))
    if beta > _POLISHED:
        root += 2.0 * _spread(x / root, 0.5 * root) * (beta / _part(x, root) - 1.0)
    volatility = root / sqrt(years)
    if inside > 0.0:
        volatility = _given_back(price, forward, strike, years, volatility, rate, call)
    return volatility, 0


@njit(cache=True)
def _greeks_one(
    forward: float, strike: float, years: float, volatility: float, rate: float, call: bool, out: Floats
) -> None:
    """Delta, gamma, theta, vega, rho (a year, for 1.00) of one option into `out[0:5]`."""
    if not (years > 0.0 and volatility > 0.0 and forward > 0.0 and strike > 0.0):
        out[:] = nan
        return
    root = sqrt(years)
    s = volatility * root
    d1 = _log_moneyness(forward, strike) / s + 0.5 * s
    discount, dens = exp(-rate * years), density(d1)
    premium = price_one(forward, strike, years, volatility, rate, call)
    out[0] = discount * cdf(d1) if call else -discount * cdf(-d1)
    out[1] = discount * dens / (forward * s)
    out[2] = rate * premium - 0.5 * discount * forward * dens * volatility / root
    out[3] = discount * forward * dens * root
    out[4] = -years * premium


@njit(cache=True)
def implied_into(
    prices: Floats, forward: float, strikes: Floats, years: float, rate: float, calls: NDArray[np.bool_],
    out: Floats, reasons: NDArray[np.int8],
) -> None:  # fmt: skip
    """The kernel of `implied`, into arrays that are there already."""
    for i in range(prices.size):
        out[i], reasons[i] = implied_one(prices[i], forward, strikes[i], years, rate, calls[i])


@njit(cache=True)
def greeks_into(
    forward: float, strikes: Floats, years: float, volatilities: Floats, rate: float, calls: NDArray[np.bool_],
    out: Floats,
) -> None:  # fmt: skip
    """The kernel of `greeks`, into an array of shape (contracts, 5) that is there already."""
    for i in range(strikes.size):
        _greeks_one(forward, strikes[i], years, volatilities[i], rate, calls[i], out[i])


@njit(cache=True)
def _prices_into(
    forward: float, strikes: Floats, years: float, volatilities: Floats, rate: float, calls: NDArray[np.bool_],
    out: Floats,
) -> None:  # fmt: skip
    for i in range(strikes.size):
        out[i] = price_one(forward, strikes[i], years, volatilities[i], rate, calls[i])


def prices(
    forward: float, strikes: Floats, years: float, volatilities: Floats, rate: float, calls: NDArray[np.bool_]
) -> Floats:
    """Premiums of a chain of one expiry, rupees; `strikes`, `volatilities`, `calls` (True for CE) of one length."""
    out = np.empty(strikes.size)
    _prices_into(forward, strikes, years, volatilities, rate, calls, out)
    return out


def implied(
    premiums: Floats, forward: float, strikes: Floats, years: float, rate: float, calls: NDArray[np.bool_]
) -> tuple[Floats, NDArray[np.int8]]:
    """Volatility of each premium of one expiry and the `Reason` where it is NaN, arrays of one length.

    Out of the money it is right to 1e-12 for every premium down to 1e-50, from minutes to years; in the money it gives
    the premium back to two units in the last place.
    """
    out, reasons = np.empty(premiums.size), np.empty(premiums.size, np.int8)
    implied_into(premiums, forward, strikes, years, rate, calls, out, reasons)
    return out, reasons


def greeks(
    forward: float, strikes: Floats, years: float, volatilities: Floats, rate: float, calls: NDArray[np.bool_]
) -> Greeks:
    """The greeks of a chain of one expiry; NaN where a volatility is."""
    out = np.empty((strikes.size, 5))
    greeks_into(forward, strikes, years, volatilities, rate, calls, out)
    delta, gamma, theta, vega, rho = (np.ascontiguousarray(column) for column in out.T)
    return Greeks(delta, gamma, theta, theta / DAYS_A_YEAR, vega, vega / 100.0, rho, rho / 100.0)


def spot_forward(spot: float, years: float, rate: float, dividend_yield: float = 0.0) -> float:
    """The forward of Black and Scholes: spot carried at the rate less its yield, both a year."""
    return spot + spot * expm1((rate - dividend_yield) * years)


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
