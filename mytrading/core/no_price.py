"""Last prices that are none, and books that are not known: judged by what one frame says of itself.

The feed, risk, the router and the replay of a tape judge by the same rules, so that none believes what another refused.
"""

from __future__ import annotations

import math

from msgspec.structs import replace

from mytrading.messages.market import Quote

FACTOR = 10.0
"""A last price so many times the ask, or the bid so many times the last price, contradicts the book."""
LEAST_RUPEES, LEAST_TICKS = 5.0, 10
"""And lies further from it than both: cheap options do trade at ten times their book of a moment before."""


def is_crossed(bid: float | None, ask: float | None) -> bool:
    """True of a bid above the ask: an emptied side keeps its last price at some brokers, so neither is known."""
    return bid is not None and ask is not None and bid > ask > 0


def contradicts_book(quote: Quote, tick: float) -> bool:
    """True if a last price cannot be one beside the bid and ask of its own frame, however often it comes. A crossed
    book contradicts nothing. Budget: 300 ns."""
    ltp, bid, ask = quote.ltp, quote.bid, quote.ask
    above = ask is not None and 0.0 < ask * FACTOR < ltp
    below = bid is not None and bid > ltp * FACTOR
    if not (above or below) or is_crossed(bid, ask):
        return False
    least = max(LEAST_RUPEES, LEAST_TICKS * tick)
    return (above and ask is not None and ltp - ask > least) or (below and bid is not None and bid - ltp > least)


def book_alone(quote: Quote, frame: Quote | None = None) -> Quote:
    """Return a quote whose last price is none: 0, which no reader takes for a price. Its book stays, with the stamps of
    the `frame` that brought it where those of the quote are of an earlier last price."""
    stamps = frame or quote
    return replace(quote, ltp=0.0, market_ns=stamps.market_ns, received_ns=stamps.received_ns)


def stand_in(quote: Quote, option: bool) -> float:
    """Return the middle of bid and ask in rupees, 0.0 without a book; an `option` without a bid has bid 0."""
    bid, ask = quote.bid or 0.0, quote.ask or 0.0
    if not (0.0 < ask < math.inf) or not 0.0 <= bid <= ask or (bid == 0.0 and not option):
        return 0.0
    return (bid + ask) / 2
