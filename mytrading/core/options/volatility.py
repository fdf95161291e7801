"""Black's formula, its inverse and its derivatives for whole option chains, in compiled code.

Used by option chains, backtests of options and the `chain` command. Prices are those of options on a forward (Black,
1976); an option on a spot price is one on the forward that put-call parity or carry gives (`spot_forward`). Rates and
volatilities are a year (0.13 is 13 %), times are years of 365 days. The one rule: a price that holds no volatility is
answered with NaN and a reason, never with a guess.

The inverse works on the logarithm of the out-of-the-money price, undiscounted and divided by the geometric mean of
forward and strike, so that a price of 1e-50 is as well inverted as one of 100: with `x = -|ln(F/K)|`, `s = σ√T`,
`h = x/s`, `t = s/2` and `Y(z) = Φ(z)/φ(z)` it is `φ-part · (Y(h+t) − Y(h−t))`, a difference that is taken as a series
in `t` where both terms are close. Householder steps of the third order, kept between bounds, end at the last bit. In
the money the price is then worked out in pairs of doubles (`exact`); what is missing to it goes into the volatility.
"""

from __future__ import annotations

from enum import IntEnum
from math import exp, expm1, fabs, frexp, ldexp, log, nan, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.core.kernels import kernel
from mytrading.core.options.exact import slope_of, spread_of, worth_of
from mytrading.core.options.normal import cdf, density, erfcx
from mytrading.core.options.pairs import Pair, added, exp_of, product_of, sum_of, times
from mytrading.core.options.spread import SQRT_2_PI, SQRT_HALF, SQRT_HALF_PI, log_moneyness, log_price, part, spread

Floats = NDArray[np.float64]

_STEPS = 16
_LAST = 1e-14
"""A step this small of the second order is the last one."""
_CLOSE = 3e-5
"""So is one this small of the third order: what it leaves is its fourth power."""
_POLISHED = 1e-250
"""Above it the last step is on the price itself, whose rounding is less than that of its logarithm."""
_SHARE = 0.03
"""Of the price out of the money: with less of it the root is good as it is found."""
_FAR = 600.0
"""Rate times years beyond it are taken in doubles."""
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


@kernel()
def _guess_below(x: float, log_beta: float) -> float:
    """A start for prices under the inflection: there `β·√(2π)/|x|` depends, nearly, on `q = |x|/s` alone."""
    level = log(-x / SQRT_2_PI) - log_beta
    if level < 1.6:
        middle = exp(-level) + SQRT_HALF_PI
        return float(-x / (middle - sqrt(middle * middle - 2.0)))
    q = sqrt(2.0 * level)
    for _ in range(3):
        over = 0.5 * q * q + log(q * (q * q + 2.6)) - level
        q -= over / (q + 1.0 / q + 2.0 * q / (q * q + 2.6))
    return float(-x / q)


@kernel()
def _first_guess(x: float, log_beta: float) -> float:
    """A start near the root, by the side of the inflection of the price in `s` on which it lies."""
    turn = sqrt(-2.0 * x)
    at_turn = log_price(x, turn) if turn > 0.0 else -np.inf
    if log_beta < at_turn:
        return _guess_below(x, log_beta)
    beta_turn = exp(at_turn) if turn > 0.0 else 0.0
    return float(turn + (exp(log_beta) - beta_turn) * SQRT_2_PI * exp(-0.5 * x))


@kernel()
def _upper_root(x: float, missing: float, s: float) -> float:
    """`s` for a price over half its bound: what is missing to the bound is solved for instead, by its logarithm."""
    low, high = 0.0, np.inf
    for _ in range(4 * _STEPS):
        h, t = x / s, 0.5 * s
        tails = 0.5 * SQRT_HALF_PI * (erfcx((h + t) * SQRT_HALF) + erfcx((t - h) * SQRT_HALF))
        error = log(2.0 * tails / SQRT_2_PI) - 0.5 * (h * h + t * t) - missing
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


@kernel()
def _root(x: float, log_beta: float) -> float:
    """`s = σ√T` at which the normalised out-of-the-money price is `exp(log_beta)`, up to half its bound."""
    s = _first_guess(x, log_beta)
    low, high = 0.0, np.inf
    for _ in range(_STEPS):
        h, t = x / s, 0.5 * s
        wide = spread(h, t)
        error = log(2.0 * wide / SQRT_2_PI) - 0.5 * (h * h + t * t) - log_beta
        if error > 0.0:
            high = s
        else:
            low = s
        slope = 0.5 / wide
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


@kernel()
def _grown(rate: float, years: float) -> Pair:
    """What a rupee grows to at the rate."""
    if rate == 0.0 or not years > 0.0:
        return 1.0, 0.0
    return exp_of(product_of(rate, years)) if fabs(rate * years) < _FAR else (exp(rate * years), 0.0)


@kernel()
def price_one(forward: float, strike: float, years: float, volatility: float, rate: float, call: bool) -> float:
    """Premium of one option; its discounted intrinsic value where no time or no volatility is left.

    In the money it is within one unit in the last place.
    """
    if not (years > 0.0 and volatility > 0.0):
        return _grown(-rate, years)[0] * max(forward - strike if call else strike - forward, 0.0)
    x = -fabs(log_moneyness(forward, strike))
    worth = times(_grown(-rate, years), worth_of(forward, strike, x, spread_of(volatility, years), call))
    return worth[0] + worth[1]


@kernel()
def _quick_price(forward: float, strike: float, years: float, volatility: float, discount: float, call: bool) -> float:
    """The same in doubles, a few units in the last place near."""
    inside = max(forward - strike if call else strike - forward, 0.0)
    x, s = -fabs(log_moneyness(forward, strike)), volatility * sqrt(years)
    return discount * (inside + part(x, s) * sqrt(forward * strike))


@kernel()
def _given_back(
    worth: Pair, forward: float, strike: float, x: float, years: float, volatility: float, call: bool
) -> float:
    """The double nearest to the volatility of an undiscounted price, from one that is a few units away."""
    s = spread_of(volatility, years)
    there = worth_of(forward, strike, x, s, call)
    slope = slope_of(forward, strike, x, s[0]) * sqrt(years)
    gap = added(worth, (-there[0], -there[1]))[0]
    return volatility + gap / slope if fabs(gap) < 1e-6 * slope * volatility else volatility


@kernel()
def implied_one(
    price: float, forward: float, strike: float, years: float, rate: float, call: bool
) -> tuple[float, int]:
    """(volatility, reason) of one option; see `implied`."""
    if not (price > 0.0 and forward > 0.0 and strike > 0.0 and years > 0.0 and price + forward + strike < np.inf):
        return nan, 1
    growth = _grown(rate, years)
    worth = times(growth, (price, 0.0))
    bound = forward if call else strike
    missing = (bound - worth[0]) - worth[1]
    if not missing > 0.0:
        return nan, 4
    value, inside = worth[0], sum_of(forward, -strike) if call else sum_of(strike, -forward)
    if inside[0] > 0.0:
        value = (worth[0] - inside[0]) + (worth[1] - inside[1])
        least = 4.0 * ldexp(growth[0], frexp(price)[1] - 53)
        if value < least:
            return nan, 2 if value >= -least else 3
    middle = sqrt(forward * strike)
    x, beta = -fabs(log_moneyness(forward, strike)), value / middle
    exactly = inside[0] >= 0.0 and value > _SHARE * worth[0]
    if value > missing:
        root = _upper_root(x, log(missing / middle), _first_guess(x, log(beta)))
    else:
        root = _root(x, log(beta))
        if beta > _POLISHED and not exactly:
            root += 2.0 * spread(x / root, 0.5 * root) * (beta / part(x, root) - 1.0)
    volatility = root / sqrt(years)
    if exactly:
        volatility = _given_back(worth, forward, strike, x, years, volatility, call)
    return volatility, 0


@kernel()
def _greeks_one(
    forward: float, strike: float, years: float, volatility: float, rate: float, call: bool, out: Floats
) -> None:
    """Delta, gamma, theta, vega, rho (a year, for 1.00) of one option into `out[0:5]`."""
    if not (years > 0.0 and volatility > 0.0 and forward > 0.0 and strike > 0.0):
        out[:] = nan
        return
    root = sqrt(years)
    s = volatility * root
    d1 = log_moneyness(forward, strike) / s + 0.5 * s
    discount, dens = exp(-rate * years), density(d1)
    premium = _quick_price(forward, strike, years, volatility, discount, call)
    out[0] = discount * cdf(d1) if call else -discount * cdf(-d1)
    out[1] = discount * dens / (forward * s)
    out[2] = rate * premium - 0.5 * discount * forward * dens * volatility / root
    out[3] = discount * forward * dens * root
    out[4] = -years * premium


@kernel()
def implied_into(
    prices: Floats, forward: float, strikes: Floats, years: float, rate: float, calls: NDArray[np.bool_],
    out: Floats, reasons: NDArray[np.int8],
) -> None:  # fmt: skip
    """The kernel of `implied`, into arrays that are there already."""
    for i in range(prices.size):
        out[i], reasons[i] = implied_one(prices[i], forward, strikes[i], years, rate, calls[i])


@kernel()
def greeks_into(
    forward: float, strikes: Floats, years: float, volatilities: Floats, rate: float, calls: NDArray[np.bool_],
    out: Floats,
) -> None:  # fmt: skip
    """The kernel of `greeks`, into an array of shape (contracts, 5) that is there already."""
    for i in range(strikes.size):
        _greeks_one(forward, strikes[i], years, volatilities[i], rate, calls[i], out[i])


@kernel()
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
    the premium back to two units in the last place, by the exact formula as by `prices`.
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
