"""Implied volatility and greeks of options on a forward, over whole numpy arrays.

Used by the simulator's option routes, and by whoever wants greeks without asking a server. Black's 1976 formula, as in
`black76`; a rate of a year (0.065 is 6.5 %), volatility of a year (0.13 is 13 %). The one rule: a price without time
value has no volatility, and is answered as 0, never as a guess.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.core.options import black76

Array = NDArray[np.float64]

_LOWEST_VOLATILITY, _HIGHEST_VOLATILITY = 1e-4, 5.0
_HALVINGS = 50
_LEAST_TIME_VALUE = 0.01


class Greeks(NamedTuple):
    """Per option: `theta` a calendar day, `vega` a point of volatility, `rho` a point of the rate."""

    delta: Array
    gamma: Array
    theta: Array
    vega: Array
    rho: Array


def time_value(prices: Array, forward: Array, strikes: Array, years: Array, rate: float, is_call: bool) -> Array:
    """What a premium holds beyond its discounted part in the money, rupees; negative below that part."""
    sign = 1.0 if is_call else -1.0
    return np.asarray(prices - np.exp(-rate * years) * np.maximum(sign * (forward - strikes), 0.0))


def implied_volatility(
    prices: Array, forward: Array, strikes: Array, years: Array, rate: float, is_call: bool
) -> Array:
    """The volatility at which the formula gives each premium; 0 without time value, at most 5 (500 %).

    Halves the span between lowest and highest volatility, so that it always ends and never leaves the span.
    """
    low, high = np.full_like(prices, _LOWEST_VOLATILITY), np.full_like(prices, _HIGHEST_VOLATILITY)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        below = black76.price(forward, strikes, years, middle, rate, is_call) < prices
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    has_value = time_value(prices, forward, strikes, years, rate, is_call) > _LEAST_TIME_VALUE
    return np.asarray(np.where(has_value & (years > 0.0), 0.5 * (low + high), 0.0))


def greeks(forward: Array, strikes: Array, years: Array, volatility: Array, rate: float, is_call: bool) -> Greeks:
    """The greeks at a volatility above 0 and with time left, elementwise."""
    discount, root = np.exp(-rate * years), np.sqrt(years)
    d1 = np.log(forward / strikes) / (volatility * root) + 0.5 * volatility * root
    density = np.exp(-0.5 * d1 * d1) / np.sqrt(2.0 * np.pi)
    premium = black76.price(forward, strikes, years, volatility, rate, is_call)
    return Greeks(
        delta=np.asarray(discount * (black76.normal_cdf(d1) - (0.0 if is_call else 1.0))),
        gamma=np.asarray(discount * density / (forward * volatility * root)),
        theta=np.asarray((rate * premium - discount * forward * density * volatility / (2.0 * root)) / 365.0),
        vega=np.asarray(discount * forward * density * root / 100.0),
        rho=np.asarray(-years * premium / 100.0),
    )
