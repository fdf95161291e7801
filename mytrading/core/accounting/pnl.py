"""Profit and loss of positions from quotes, in rupees."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from mytrading.messages.market import Quote
from mytrading.messages.orders import Position


class Profit(NamedTuple):
    """Rupees: `realised` by closing, `unrealised` on what is open."""

    realised: float = 0.0
    unrealised: float = 0.0

    @property
    def total(self) -> float:
        """Realised and unrealised profit, in rupees."""
        return self.realised + self.unrealised


def exit_price(quantity: int, quote: Quote) -> float:
    """Return the price at which a position of signed `quantity` would close: bid if long, ask if short.
    Without a valid bid and ask, and of a bid above the ask, the last price."""
    long, short = exit_prices(quote)
    return long if quantity > 0 else short


def exit_prices(quote: Quote) -> tuple[float, float]:
    """Return what `exit_price` is for a long and for a short position, for callers that value many by one quote."""
    bid, ask = quote.bid, quote.ask
    if bid is None or ask is None or not 0.0 < bid <= ask < math.inf:
        return quote.ltp, quote.ltp
    return bid, ask


def drop_implausible_book(quote: Quote, reach: float) -> Quote:
    """Return the quote without bid and ask if either is more than `reach` rupees from the last price.
    The feed checks only last prices, so a wrong book must not change the profit here. Budget: 200 ns."""
    low, high = quote.ltp - reach, quote.ltp + reach
    bid, ask = quote.bid, quote.ask
    if (bid is None or low <= bid <= high) and (ask is None or low <= ask <= high):
        return quote
    return replace(quote, bid=None, ask=None, bid_quantity=None, ask_quantity=None)


def unrealised(quantity: int, average_price: float, quote: Quote) -> float:
    """Return the unrealised profit in rupees of signed `quantity` bought or sold at `average_price`, at this quote."""
    return quantity * (exit_price(quantity, quote) - average_price)


def profit(positions: Iterable[Position], quotes: Mapping[str, Quote]) -> Profit:
    """Return realised and unrealised profit in rupees; a position whose instrument has no quote adds 0 unrealised."""
    realised = open_profit = 0.0
    for position in positions:
        realised += position.realised
        quote = quotes.get(position.instrument) if position.quantity else None
        if quote is not None:
            open_profit += unrealised(position.quantity, position.average_price, quote)
    return Profit(realised, open_profit)
