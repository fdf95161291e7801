"""Market data and contracts: quotes, depth, intervals, symbols, search, expiries, holidays, timings.

A price of 0 means that the server has none.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote as url_quote

import msgspec

from mytrading.adapters.openalgo.api.request import Row, ask, fetch
from mytrading.adapters.openalgo.rest.client import Deadline, OpenAlgoClient


class ServerQuote(msgspec.Struct, frozen=True):
    """Rupees and units; without a time, which the server does not give."""

    ltp: float
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    bid: float = 0.0
    ask: float = 0.0
    prev_close: float = 0.0
    volume: float = 0.0
    oi: float = 0.0


class QuoteOf(msgspec.Struct, frozen=True):
    """One of several quotes: `data`, or `error`."""

    symbol: str
    exchange: str
    data: ServerQuote | None = None
    error: str | Row = ""


class Level(msgspec.Struct, frozen=True):
    """One price level."""

    price: float
    quantity: float


class ServerDepth(msgspec.Struct, frozen=True):
    """Five levels a side, best first."""

    ltp: float
    bids: list[Level]
    asks: list[Level]
    ltq: float = 0.0
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    prev_close: float = 0.0
    volume: float = 0.0
    oi: float = 0.0
    totalbuyqty: float = 0.0
    totalsellqty: float = 0.0


class ServerContract(msgspec.Struct, frozen=True):
    """A row of the server's master contract. `expiry` as 25-AUG-26; a `freeze_qty` of 1 means unknown."""

    symbol: str
    exchange: str
    name: str | None = ""
    brsymbol: str | None = ""
    brexchange: str | None = ""
    token: str | int | None = ""
    expiry: str | None = ""
    strike: float | None = 0.0
    lotsize: float | None = 1.0
    instrumenttype: str | None = ""
    tick_size: float | None = 0.0
    freeze_qty: float | None = 0.0


class Candle(msgspec.Struct, frozen=True):
    """A bar; `timestamp` is its start in epoch seconds, of a daily one midnight in UTC."""

    timestamp: float
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    oi: float = 0.0


class ServerSession(msgspec.Struct, frozen=True):
    """Opening hours of an exchange in epoch milliseconds."""

    exchange: str
    start_time: int
    end_time: int


class Holiday(msgspec.Struct, frozen=True):
    """A day of the server's calendar; `date` as 2026-01-26."""

    date: str
    description: str = ""
    holiday_type: str = ""
    closed_exchanges: list[str] = []
    open_exchanges: list[ServerSession] = []


class _Quote(msgspec.Struct):
    data: ServerQuote


class _Quotes(msgspec.Struct):
    results: list[QuoteOf]


class _Depth(msgspec.Struct):
    data: ServerDepth


class _Intervals(msgspec.Struct):
    data: dict[str, list[str]]


class _Contract(msgspec.Struct):
    data: ServerContract


class _Contracts(msgspec.Struct):
    data: list[ServerContract]


class _Candles(msgspec.Struct):
    data: list[Candle]


class _Words(msgspec.Struct):
    data: list[str]


class _Sessions(msgspec.Struct):
    data: list[ServerSession]


class _Holidays(msgspec.Struct):
    data: list[Holiday]


def quote(client: OpenAlgoClient, symbol: str, exchange: str) -> ServerQuote:
    """`quotes` of one instrument."""
    return ask(client, "quotes", {"symbol": symbol, "exchange": exchange}, _Quote, Deadline.DATA).data


def quotes(client: OpenAlgoClient, instruments: Iterable[tuple[str, str]]) -> list[QuoteOf]:
    """`multiquotes` of (symbol, exchange) pairs, in any order."""
    symbols = [{"symbol": symbol, "exchange": exchange} for symbol, exchange in instruments]
    return ask(client, "multiquotes", {"symbols": symbols}, _Quotes, Deadline.DATA).results


def depth(client: OpenAlgoClient, symbol: str, exchange: str) -> ServerDepth:
    """`depth` of one instrument."""
    return ask(client, "depth", {"symbol": symbol, "exchange": exchange}, _Depth, Deadline.DATA).data


def intervals(client: OpenAlgoClient) -> dict[str, list[str]]:
    """`intervals` of the broker's history: seconds, minutes, hours, days, weeks, months."""
    return ask(client, "intervals", {}, _Intervals, Deadline.DATA).data


def symbol(client: OpenAlgoClient, name: str, exchange: str) -> ServerContract:
    """`symbol`: one contract. Raises `SymbolNotFound`."""
    return ask(client, "symbol", {"symbol": name, "exchange": exchange}, _Contract, Deadline.DATA).data


def search(client: OpenAlgoClient, query: str, exchange: str | None = None) -> list[ServerContract]:
    """`search`: at most 500 contracts; none is a success."""
    return ask(client, "search", {"query": query, "exchange": exchange}, _Contracts, Deadline.DATA).data


def expiries(client: OpenAlgoClient, name: str, exchange: str, kind: str) -> list[str]:
    """`expiry` dates as 25-AUG-26, ascending; `kind` is futures or options."""
    fields = {"symbol": name, "exchange": exchange, "instrumenttype": kind}
    return ask(client, "expiry", fields, _Words, Deadline.DATA).data


def ticker(client: OpenAlgoClient, symbol: str, exchange: str, interval: str, start: str, end: str) -> list[Candle]:
    """`ticker`: bars of one instrument from one day to another (2026-11-20), at most 30 days of minutes, 10 years of D.

    `ValueError` for a name the server would take for another address: it answers those with bars of NSE:RELIANCE.
    """
    if not symbol or not exchange or set(f"{symbol}{exchange}") & {":", "/", "?", " "}:
        raise ValueError(f"ticker: expected an exchange and a symbol, say NSE and SBIN, found {exchange!r}, {symbol!r}")
    place = f"ticker/{url_quote(exchange)}:{url_quote(symbol, safe='')}"
    query = {"interval": interval, "from": start, "to": end, "format": "json"}
    return fetch(client, place, query, _Candles, Deadline.BULK).data


def holidays(client: OpenAlgoClient, year: int | None = None) -> list[Holiday]:
    """`market/holidays` of a year."""
    return ask(client, "market/holidays", {"year": year}, _Holidays, Deadline.DATA).data


def timings(client: OpenAlgoClient, day: str) -> list[ServerSession]:
    """`market/timings` of a day (2026-01-26); none means closed."""
    return ask(client, "market/timings", {"date": day}, _Sessions, Deadline.DATA).data
