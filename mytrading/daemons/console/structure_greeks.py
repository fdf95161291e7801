"""Greeks of what a structure holds together: of each leg by its last price and that of its underlying."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import exp, isnan
from typing import NamedTuple

from mytrading.core.instruments.book import InstrumentBook, NoSuchContract
from mytrading.core.instruments.symbology import parse_symbol
from mytrading.core.options.black76 import carried_forward, greeks_one, implied_one
from mytrading.core.options.chain import YEAR_NS
from mytrading.daemons.console.scenario import RATE
from mytrading.messages.instruments import InstrumentKind

DAYS = 365
POINT = 0.01


class NetGreeks(NamedTuple):
    """Of all units together: delta in units of the underlying, theta in rupees a day and no more than the time value
    that is left, vega in rupees a point."""

    delta: float
    gamma: float
    theta: float
    vega: float


class GreekLeg(NamedTuple):
    """Signed units of an instrument, and its last price (None if there is none)."""

    instrument: str
    units: int
    price: float | None


def net_greeks(
    legs: Iterable[GreekLeg], book: InstrumentBook, prices: Mapping[str, float | None], now: int
) -> NetGreeks | None:
    """Return the greeks of legs together; None where one of them has no price, or its underlying has none in `prices`
    (by instrument). `now` is market ns."""
    sums = [0.0, 0.0, 0.0, 0.0]
    for leg in legs:
        if not leg.units:
            continue
        found = _greeks(leg, book, prices, now)
        if found is None:
            return None
        for place, one in enumerate(found):
            sums[place] += leg.units * one
    return NetGreeks(*(round(one, 4) + 0.0 for one in sums))


def _greeks(leg: GreekLeg, book: InstrumentBook, prices: Mapping[str, float | None], now: int) -> NetGreeks | None:
    """Greeks of one unit."""
    contract = book.get(leg.instrument)
    if contract is None:
        exchange, _, symbol = leg.instrument.partition(":")
        return None if parse_symbol(symbol, exchange).kind.is_option else NetGreeks(1.0, 0.0, 0.0, 0.0)
    if not contract.kind.is_option:
        return NetGreeks(1.0, 0.0, 0.0, 0.0)
    try:
        spot = prices.get(book.spot(contract.underlying).id)
    except NoSuchContract:
        return None
    years = (book.expires_at_ns(contract.exchange, contract.expiry) - now) / YEAR_NS
    if not (spot and leg.price and years > 0):
        return None
    call = contract.kind is InstrumentKind.CE
    forward = float(carried_forward(spot, years, RATE))
    volatility, _ = implied_one(leg.price, forward, contract.strike, years, RATE, call)
    if isnan(volatility):
        return None
    delta, gamma, theta, vega, _ = greeks_one(forward, contract.strike, years, volatility, RATE, call)
    if isnan(delta):
        return None
    # an option cannot lose more than its time value, though the formula's rate of the last hours would
    intrinsic = max(forward - contract.strike if call else contract.strike - forward, 0.0) * exp(-RATE * years)
    return NetGreeks(delta, gamma, max(theta / DAYS, min(intrinsic - leg.price, 0.0)), vega * POINT)
