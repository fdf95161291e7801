"""Legs as strategies see them: the contracts that are held, with last price, profit and greeks.

Quantities are those of all accounts of the strategy together. Greeks are computed when they are read: the forward is
carried from the last price of the underlying at the rate of the option chain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial

from mytrading.core.engine.contract_selection import RATE
from mytrading.core.instruments.book import InstrumentBook, NoSuchContract
from mytrading.core.time import SECOND
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.orders import Position
from mytrading.strategies.views import LegGreeks, LegView

PriceOf = Callable[[str], float]
"""The last price of an instrument in rupees, 0 if there is none, or only an old one."""
_YEAR_NS = 365 * 24 * 3600 * SECOND


def leg_views(
    positions: Iterable[Position], order: Iterable[str], price_of: PriceOf, book: InstrumentBook, now: int
) -> tuple[LegView, ...]:
    """Return the views of open positions at `now` (market ns), one for each instrument: first those of `order`."""
    held: dict[str, list[Position]] = {name: [] for name in order}
    for position in positions:
        held.setdefault(position.instrument, []).append(position)
    return tuple(_view(name, found, price_of, book, now) for name, found in held.items() if found)


def _view(name: str, held: list[Position], price_of: PriceOf, book: InstrumentBook, now: int) -> LegView:
    units = sum(one.quantity_seen or one.quantity for one in held)
    paid = sum((one.quantity_seen or one.quantity) * one.average_price for one in held)
    entry = paid / units if units else held[0].average_price
    return leg_view(name, units, entry, price_of, book, now)


def leg_view(name: str, units: int, entry_price: float, price_of: PriceOf, book: InstrumentBook, now: int) -> LegView:
    """Return the view of signed `units` held of an instrument at an average price in rupees."""
    contract, last = book.get(name), price_of(name)
    lot = max(contract.lot_size, 1) if contract is not None else 1
    lots = int(math.copysign(abs(units) // lot, units)) if units else 0
    value = partial(_greeks, contract, last, price_of, book, now)
    return LegView(name, units, lots, entry_price, last or None, contract, value)


def _greeks(
    contract: Instrument | None, price: float, price_of: PriceOf, book: InstrumentBook, now: int
) -> LegGreeks | None:
    if contract is None or not contract.kind.is_option or not price:
        return None
    from mytrading.core.options import black76  # for strategies that read greeks alone

    try:
        spot = price_of(book.spot(contract.underlying).id)
        years = (book.expires_at_ns(contract.exchange, contract.expiry) - now) / _YEAR_NS
    except NoSuchContract:
        return None
    if not spot or years <= 0:
        return None
    call, forward = contract.kind is InstrumentKind.CE, float(black76.carried_forward(spot, years, RATE))
    iv, reason = black76.implied_one(price, forward, contract.strike, years, RATE, call)
    if reason:
        return None
    delta, gamma, theta, vega, _ = black76.greeks_one(forward, contract.strike, years, iv, RATE, call)
    return LegGreeks(iv, delta, gamma, theta / black76.DAYS_A_YEAR, vega / 100)
