"""Scenario matrix: profit of the positions in one underlying at other spots and volatilities, by Black's formula.

For display alone. A contract without an implied volatility is listed as left out.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from math import isnan
from typing import Any, NamedTuple

from mytrading.core.calendar import Calendar
from mytrading.core.calendar.expiries import session_ends
from mytrading.core.instruments.book import InstrumentBook, NoSuchContract
from mytrading.core.options.black76 import carried_forward, implied_one, price_one
from mytrading.core.options.chain import YEAR_NS, fair_price
from mytrading.messages.console_api import ScenarioTable
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.streams.quote_lease import QuoteLease

RATE = 0.065
WAIT_S = 4.0
SPOT_MOVES = (-0.05, -0.03, -0.02, -0.01, -0.005, 0.0, 0.005, 0.01, 0.02, 0.03, 0.05)
VOLATILITY_MOVES = (-0.3, -0.15, 0.0, 0.15, 0.3)
"""Shares by which spot and implied volatility move."""


class ScenarioHolding(NamedTuple):
    """Units of a contract with its price now, its volatility (0 for what is no option) and its life in years."""

    contract: Instrument
    units: int
    price: float
    volatility: float
    years: float


def value(held: ScenarioHolding, spot: float, days: float, spot_move: float, volatility_move: float) -> float:
    """Return what a holding makes in rupees if spot and volatility move by these shares within `days`."""
    if not held.contract.kind.is_option:
        return held.units * spot * spot_move
    left = max(held.years - days / 365, 0.0)
    forward = float(carried_forward(spot * (1 + spot_move), left, RATE))
    call = held.contract.kind is InstrumentKind.CE
    then = price_one(forward, held.contract.strike, left, held.volatility * (1 + volatility_move), RATE, call)
    return held.units * (then - held.price)


def make_table(
    underlying: str, spot: float, days: float, held: list[ScenarioHolding], without: list[str]
) -> ScenarioTable:
    """Return the sums over what is held, for each move of volatility and of spot."""
    return ScenarioTable(
        underlying=underlying,
        spot=spot,
        days=days,
        spot_moves=list(SPOT_MOVES),
        volatility_moves=list(VOLATILITY_MOVES),
        profit=[
            [round(sum(value(one, spot, days, move, vol) for one in held), 2) + 0.0 for move in SPOT_MOVES]
            for vol in VOLATILITY_MOVES
        ],
        positions=len(held),
        without_price=without,
    )


def held_contract(
    contract: Instrument, units: int, price: float | None, spot: float, years: float
) -> ScenarioHolding | None:
    """Return a holding with its implied volatility; None if it has no price, or none that a volatility explains."""
    if not price:
        return None
    if not contract.kind.is_option:
        return ScenarioHolding(contract, units, price, 0.0, years)
    forward = float(carried_forward(spot, years, RATE))
    found, _ = implied_one(price, forward, contract.strike, years, RATE, contract.kind is InstrumentKind.CE)
    return None if isnan(found) else ScenarioHolding(contract, units, price, found, years)


def scenario(
    config: RunConfig,
    calendar: Calendar,
    book: InstrumentBook,
    positions: Iterable[Mapping[str, Any]],
    underlying: str,
    days: float,
) -> ScenarioTable:
    """Return the table of what is held of an underlying, on quotes of this moment. Raises `NoSuchContract`."""
    units: dict[str, int] = {}
    for row in positions:
        units[row["instrument"]] = units.get(row["instrument"], 0) + row["quantity"]
    known = [(book.get(name), count) for name, count in units.items() if count]
    mine = [(one, count) for one, count in known if one is not None and one.underlying == underlying]
    spot_id = book.spot(underlying).id
    prices: dict[str, float | None] = {}
    with QuoteLease(config, "console scenario", session_ends(calendar), book) as lease:
        wanted = {spot_id, *(one.id for one, _ in mine)}
        until = time.monotonic() + WAIT_S
        while wanted - prices.keys() and time.monotonic() < until:
            lease.renew(wanted)
            for quote in lease.quotes(0.1):
                prices[quote.instrument] = fair_price(quote)
        now = lease.now
    if not (spot := prices.get(spot_id)):
        raise NoSuchContract(f"no price of {underlying} came within {WAIT_S:g} s; is its market open?")
    held: list[ScenarioHolding] = []
    without: list[str] = []
    for one, count in mine:
        years = max(book.expires_at_ns(one.exchange, one.expiry) - now, 0) / YEAR_NS if one.expiry else 0.0
        found = held_contract(one, count, prices.get(one.id), spot, years)
        if found is None:
            without.append(one.id)
        else:
            held.append(found)
    return make_table(underlying, spot, days, held, without)
