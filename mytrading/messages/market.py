"""Stream `market`: what the exchange says. Newest wins; nothing here is journaled except by value inside a decision."""

from __future__ import annotations

import msgspec


class Quote(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="q"):
    """Last price and best bid and ask of one instrument. What the broker did not supply is None, never invented.

    `market_ns` is market time on receipt by the server or by us, `exchange_ns` the exchange's own time, `received_ns`
    machine time at which the frame was read from the socket (latency is measured from it).
    """

    instrument: str
    market_ns: int
    received_ns: int
    ltp: float
    bid: float | None = None
    ask: float | None = None
    bid_quantity: int | None = None
    ask_quantity: int | None = None
    volume: int | None = None
    open_interest: int | None = None
    open: float | None = None
    high: float | None = None
    low: float | None = None
    previous_close: float | None = None
    exchange_ns: int | None = None


class Bar(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="b"):
    """One completed bar: `start_ns` inclusive, `end_ns` exclusive, anchored to the session's open.

    `received_ns` is the machine time of the quote or clock tick that completed it. Volume is 0 for an index.
    """

    instrument: str
    timeframe: str
    start_ns: int
    end_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: int = 0
    ticks: int = 0
    received_ns: int = 0


class DepthLevel(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One price level of a book."""

    price: float
    quantity: int
    orders: int = 0


class Depth(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="d"):
    """The best levels of both sides, best first."""

    instrument: str
    market_ns: int
    received_ns: int
    bids: tuple[DepthLevel, ...] = ()
    asks: tuple[DepthLevel, ...] = ()


class MarketStep(msgspec.Struct, frozen=True, array_like=True, gc=False, tag="s"):
    """In lock-step the `n`-th note that the quotes and bars of all steps so far went out; two in a row have no gap."""

    n: int
    market_ns: int


MarketMessage = Quote | Bar | Depth | MarketStep
