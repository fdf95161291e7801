"""Payoff of a set of legs at an expiry, price by price: curve, breakevens, most and least, probability of profit.

The horizon is the first expiry among the legs; options that live longer are valued there by Black-76 at the volatility
they have now. Costs and margin are not in it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from mytrading.core.options.black76 import normal_cdf, price_one

_NEAR = 1e-9


class PayoffLeg(NamedTuple):
    """A leg: `kind` CE, PE, FUT or EQ, signed `units` at `price` rupees each; `years` are left at the horizon."""

    kind: str
    units: int
    price: float
    strike: float = 0.0
    years: float = 0.0
    volatility: float = 0.0

    @property
    def is_curved(self) -> bool:
        """True for an option that still has time to run at the horizon: its payoff is a curve, not straight lines."""
        return self.kind in ("CE", "PE") and self.years > 0.0

    def value_at(self, spot: float, rate: float) -> float:
        """Rupees a unit is worth at the horizon with the underlying at `spot`; `rate`: yearly interest, share of 1."""
        if self.kind not in ("CE", "PE"):
            return spot
        if self.is_curved:
            forward = spot * math.exp(rate * self.years)
            return price_one(forward, self.strike, self.years, self.volatility, rate, self.kind == "CE")
        return max(spot - self.strike if self.kind == "CE" else self.strike - spot, 0.0)


class Payoff(NamedTuple):
    """Rupees. `most` and `least` are None where there is no bound; `net` is paid (above 0) or received for the legs."""

    net: float
    breakevens: tuple[float, ...]
    most: float | None
    least: float | None


def profit(legs: Sequence[PayoffLeg], spot: float, rate: float = 0.0) -> float:
    """Rupees earned by all legs with the underlying at `spot` at the horizon."""
    return sum(leg.units * (leg.value_at(spot, rate) - leg.price) for leg in legs)


def premium(legs: Sequence[PayoffLeg]) -> float:
    """Rupees paid for options and shares, less those received; a future costs nothing to enter."""
    return sum(leg.units * leg.price for leg in legs if leg.kind != "FUT")


def payoff(legs: Sequence[PayoffLeg], spot: float, rate: float = 0.0) -> Payoff:
    """Return cost, breakevens, bounds: exact for legs that expire together, else searched up to four times `spot`."""
    strikes = {leg.strike for leg in legs if leg.strike}
    top = max([spot, *strikes])
    corners = {0.0, top, *strikes}  # prices between which the payoff is straight, or nearly so
    if any(leg.is_curved for leg in legs):
        corners |= {top * 4.0, *(spot * k / 400 for k in range(1601))}
    points = sorted(corners)
    values = [profit(legs, point, rate) for point in points]
    slope = sum(leg.units for leg in legs if leg.kind != "PE")  # rupees a rupee of the underlying, above every strike
    return Payoff(
        premium(legs),
        _crossings(legs, points, values, slope, rate),
        None if slope > 0 else max(values),
        None if slope < 0 else min(values),
    )


def probability_of_profit(
    legs: Sequence[PayoffLeg], spot: float, years: float, volatility: float, rate: float = 0.0
) -> float:
    """Return the probability (0 to 1) that the legs earn anything at the horizon, `years` from now, if the underlying
    then is lognormal about its forward with this yearly `volatility` (share of 1); 0 or 1 without time or volatility.
    """
    deviation = volatility * math.sqrt(max(years, 0.0))
    if not deviation > 0.0:
        return float(profit(legs, spot, rate) > 0.0)
    middle = math.log(spot) + rate * years - 0.5 * deviation * deviation
    edges = [0.0, *sorted(payoff(legs, spot, rate).breakevens), math.inf]
    chance = 0.0
    for low, high in itertools.pairwise(edges):
        inside = 0.5 * (low + high) if math.isfinite(high) else 2.0 * max(low, spot)
        if profit(legs, inside, rate) > 0.0:
            above = 1.0 if math.isinf(high) else normal_cdf((math.log(high) - middle) / deviation)
            chance += above - (normal_cdf((math.log(low) - middle) / deviation) if low > 0.0 else 0.0)
    return chance


def _crossings(
    legs: Sequence[PayoffLeg], points: Sequence[float], values: Sequence[float], slope: int, rate: float
) -> tuple[float, ...]:
    found: list[float] = []
    for k in range(len(points) - 1):
        low, high = values[k], values[k + 1]
        if (low < -_NEAR and high > _NEAR) or (low > _NEAR and high < -_NEAR):
            found.append(_zero(legs, points[k], points[k + 1], rate))
        elif abs(low) <= _NEAR < abs(high) or (abs(low) <= _NEAR and k and abs(values[k - 1]) > _NEAR):
            found.append(points[k])
    last, value = points[-1], values[-1]
    if value * slope < 0:
        found.append(last - value / slope)
    elif abs(value) <= _NEAR and (slope or (len(values) > 1 and abs(values[-2]) > _NEAR)):
        found.append(last)
    return tuple(round(price, 2) for price in dict.fromkeys(found) if price > 0)


def _zero(legs: Sequence[PayoffLeg], low: float, high: float, rate: float) -> float:
    """Return the price of zero payoff between two prices at which its signs differ."""
    at_low, at_high = profit(legs, low, rate), profit(legs, high, rate)
    if not any(leg.is_curved for leg in legs):
        return low - at_low * (high - low) / (at_high - at_low)
    for _ in range(60):
        middle = 0.5 * (low + high)
        value = profit(legs, middle, rate)
        low, high, at_low = (middle, high, value) if value * at_low > 0 else (low, middle, at_low)
    return 0.5 * (low + high)
