"""Scenario matrix: profit of the whole book, or of one underlying, at other spots and volatilities, by Black's formula.

For display alone. All underlyings move by the same share. Shares and futures move as their underlying does; an option
is priced anew with its implied volatility. What cannot be priced is listed with its reason.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from msgspec.structs import replace

from mytrading.core.calendar import Calendar
from mytrading.core.calendar.expiries import session_ends
from mytrading.core.instruments.book import InstrumentBook, NoSuchContract
from mytrading.core.instruments.symbology import DERIVATIVE_EXCHANGES, instrument_id, parse_symbol, quoting_exchange
from mytrading.core.options.black76 import Reason, carried_forward, implied_one, price_one
from mytrading.core.options.chain import YEAR_NS, fair_price
from mytrading.messages.console_api import ScenarioGap, ScenarioTable
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.streams.quote_lease import QuoteLease

RATE = 0.065
WAIT_S = 4.0
SPOT_MOVES = (-0.05, -0.03, -0.02, -0.01, -0.005, 0.0, 0.005, 0.01, 0.02, 0.03, 0.05)
VOLATILITY_MOVES = (-0.3, -0.15, 0.0, 0.15, 0.3)
"""Shares by which spot and implied volatility move."""
_WHY_NOT = {
    Reason.NO_TIME_VALUE: "holds no time value, so it has no implied volatility",
    Reason.BELOW_INTRINSIC: "lies below the intrinsic value, so it has no implied volatility",
    Reason.ABOVE_BOUND: "is more than any volatility explains",
}


class ScenarioHolding(NamedTuple):
    """Signed units of a contract with its price and its underlying's in rupees; of an option its volatility and its
    life in years."""

    contract: Instrument
    units: int
    price: float
    spot: float
    volatility: float = 0.0
    years: float = 0.0


class ScenarioBook(NamedTuple):
    """Net units by contract, what is held of which nothing is known, and all underlyings."""

    units: dict[Instrument, int]
    unknown: list[ScenarioGap]
    underlyings: set[str]


def scenario_profit(held: ScenarioHolding, days: float, spot_move: float, volatility_move: float) -> float:
    """Return what a holding makes in rupees if spot and volatility move by these shares within `days`."""
    if not held.contract.kind.is_option:
        return held.units * held.spot * spot_move
    left = max(held.years - days / 365, 0.0)
    forward = float(carried_forward(held.spot * (1 + spot_move), left, RATE))
    call = held.contract.kind is InstrumentKind.CE
    then = price_one(forward, held.contract.strike, left, held.volatility * (1 + volatility_move), RATE, call)
    return held.units * (then - held.price)


def held_units(row: Mapping[str, Any]) -> int:
    """Signed units of a position: confirmed ones, else those that were reported and not confirmed yet."""
    return int(row["quantity"] or row.get("quantity_seen", 0))


def held_contracts(positions: Iterable[Mapping[str, Any]], book: InstrumentBook, underlying: str = "") -> ScenarioBook:
    """Return what is held of an underlying ("": of all), over accounts and strategies. What `book` does not list is
    known by its symbol."""
    net: dict[str, int] = {}
    for row in positions:
        net[row["instrument"]] = net.get(row["instrument"], 0) + held_units(row)
    found = ScenarioBook({}, [], set())
    for name, units in net.items():
        contract = book.get(name) or _by_symbol(name)
        if not units:
            continue
        if contract is None:
            found.unknown.append(ScenarioGap(instrument=name, units=units, reason="not among today's contracts"))
            continue
        found.underlyings.add(contract.underlying)
        if underlying in ("", contract.underlying):
            found.units[contract] = units
    return found


def _by_symbol(name: str) -> Instrument | None:
    """The contract that an instrument's name tells; None if it tells none."""
    exchange, _, symbol = name.partition(":")
    parts = parse_symbol(symbol, exchange)
    if not parts.kind.is_derivative and exchange not in DERIVATIVE_EXCHANGES:
        return None
    expiry = parts.expiry.isoformat() if parts.expiry is not None else ""
    return Instrument(
        id=name, exchange=exchange, symbol=symbol, kind=parts.kind, underlying=parts.underlying, expiry=expiry,
        strike=parts.strike,
    )  # fmt: skip


def spot_id(contract: Instrument, book: InstrumentBook) -> str:
    """Return the id of what moves a contract: its underlying, or itself."""
    if not contract.kind.is_derivative:
        return contract.id
    try:
        return book.spot(contract.underlying).id
    except NoSuchContract:
        return instrument_id(quoting_exchange(contract.underlying), contract.underlying)


def priced_holding(
    contract: Instrument, units: int, price: float | None, spot: float | None, years: float
) -> ScenarioHolding | str:
    """Return a holding, an option with its implied volatility; or why it cannot be priced."""
    if contract.kind.is_option:
        if not spot:
            return f"no price of its underlying {contract.underlying}"
        if not price:
            return "no price"
        if years <= 0:
            return "it has expired"
        forward = float(carried_forward(spot, years, RATE))
        call = contract.kind is InstrumentKind.CE
        volatility, reason = implied_one(price, forward, contract.strike, years, RATE, call)
        if reason != Reason.FOUND:
            return f"its price {price:,.2f} {_WHY_NOT.get(Reason(reason), 'cannot be explained')}"
        return ScenarioHolding(contract, units, price, spot, volatility, years)
    if not (moved := spot or price):
        return "no price"
    return ScenarioHolding(contract, units, price or moved, moved)


def make_table(underlying: str, days: float, held: list[ScenarioHolding], left_out: list[ScenarioGap]) -> ScenarioTable:
    """Return the sums over what is held, for each move of volatility and of spot."""
    return ScenarioTable(
        underlying=underlying,
        spots={one.contract.underlying: one.spot for one in held},
        days=days,
        spot_moves=list(SPOT_MOVES),
        volatility_moves=list(VOLATILITY_MOVES),
        profit=[
            [round(sum(scenario_profit(one, days, move, vol) for one in held), 2) + 0.0 for move in SPOT_MOVES]
            for vol in VOLATILITY_MOVES
        ],
        positions=len(held),
        left_out=left_out,
    )


def scenario(
    config: RunConfig,
    calendar: Calendar,
    book: InstrumentBook,
    positions: Iterable[Mapping[str, Any]],
    known: Mapping[str, float],
    underlying: str,
    days: float,
) -> ScenarioTable:
    """Return the table of what is held of an underlying ("": of all), on quotes of this moment, or without one on
    the last price of `known`, which are then named."""
    contracts, left_out, underlyings = held_contracts(positions, book, underlying)
    moving = {one: spot_id(one, book) for one in contracts}
    wanted = {name for one, spot in moving.items() for name in (one.id, spot)}
    live: dict[str, float | None] = {}
    with QuoteLease(config, "console scenario", session_ends(calendar), book) as lease:
        until = time.monotonic() + WAIT_S
        while wanted - live.keys() and time.monotonic() < until:
            lease.renew(wanted)
            for quote in lease.quotes(0.1):
                live[quote.instrument] = fair_price(quote)
        now = lease.now
    prices = {**known, **{name: price for name, price in live.items() if price}}
    held: list[ScenarioHolding] = []
    for one, units in contracts.items():
        years = max(book.expires_at_ns(one.exchange, one.expiry) - now, 0) / YEAR_NS if one.expiry else 0.0
        found = priced_holding(one, units, prices.get(one.id), prices.get(moving[one]), years)
        if isinstance(found, str):
            left_out.append(ScenarioGap(instrument=one.id, units=units, reason=found))
        else:
            held.append(found)
    table = make_table(underlying, days, held, left_out)
    last_known = sorted(name for name in wanted - live.keys() if name in prices)
    return replace(table, underlyings=sorted(underlyings), last_known=last_known, at_ms=now // 1_000_000)
