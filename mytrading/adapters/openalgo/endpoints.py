"""REST calls of an OpenAlgo server as typed functions.

Each function sends exactly one request. It raises `OpenAlgoError` for an answer that is no success, `NotSent` or
`MaybeSent` for none. Daemons place orders through a venue, which journals them. A price of 0 means that the server has
none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import quote as url_quote

import msgspec

from mytrading.adapters.openalgo.rest.client import Deadline, HttpReply, OpenAlgoClient
from mytrading.adapters.openalgo.rest.errors import EmptyAnswer, FateUnknown, Malformed, typed_error
from mytrading.messages.codec import UNREADABLE

T = TypeVar("T")

Row = dict[str, Any]
"""A row whose keys depend on the broker."""


class _Head(msgspec.Struct):
    status: Any = ""
    data: msgspec.Raw = msgspec.Raw()


_head = msgspec.json.Decoder(_Head)


def decode_answer(answer: HttpReply, kind: type[T], *, whole: bool = False, placing: bool = False) -> T:
    """Decode the `data` of a server answer, or the `whole` of it, as `kind`. Raises an `OpenAlgoError` unless its HTTP
    status is 200 and it says "success" or "partial". `placing`: the call could have changed an order, so that any
    unclear answer is `FateUnknown`."""
    try:
        head = _head.decode(answer.body)
    except UNREADABLE:
        head = _Head()
    if answer.status != 200 or head.status not in ("success", "partial"):
        raise typed_error(answer, placing=placing)
    has_data = bytes(head.data) != b""
    try:
        return msgspec.json.decode(answer.body if whole else head.data, type=kind, strict=False)
    except UNREADABLE as error:
        text = f"expected {kind.__name__}, found another shape: {error}" if whole or has_data else "found no data"
        if placing:
            raise FateUnknown(text, answer.status) from error
        empty = _is_empty(head.data) if has_data else not whole
        raise (EmptyAnswer if empty else Malformed)(text, answer.status) from error


def _is_empty(data: msgspec.Raw) -> bool:
    with suppress(*UNREADABLE):
        return not msgspec.json.decode(data)
    return False


def _ask(
    client: OpenAlgoClient,
    endpoint: str,
    fields: Mapping[str, Any],
    kind: type[T],
    deadline: Deadline = Deadline.DATA,
    *,
    whole: bool = False,
) -> T:
    """POST a read. Fields that are None are left out: the server refuses null."""
    payload = {key: value for key, value in fields.items() if value is not None}
    return decode_answer(client.call(endpoint, payload, deadline), kind, whole=whole)


class Pong(msgspec.Struct, frozen=True):
    """The server knows the key and has a session at `broker`; whether the broker answers remains open."""

    message: str
    broker: str = ""


class Analyzer(msgspec.Struct, frozen=True):
    """The server's one switch between live and analyze."""

    mode: str
    analyze_mode: bool


class Margin(msgspec.Struct, frozen=True):
    """Rupees, by the live broker even in analyze mode."""

    total_margin_required: float
    span_margin: float = 0.0
    exposure_margin: float = 0.0


def ping(client: OpenAlgoClient) -> Pong:
    """Call `ping`, which checks the API key and the broker session. Raises `BrokerDisconnected`."""
    return _ask(client, "ping", {}, Pong)


def analyzer(client: OpenAlgoClient) -> Analyzer:
    """Call `analyzer`: read whether the server is in live or analyze mode."""
    return _ask(client, "analyzer", {}, Analyzer)


def margin(client: OpenAlgoClient, positions: Sequence[Mapping[str, Any]]) -> Margin:
    """Call `margin`: the margin in rupees that 1 to 50 positions (rows of the endpoint's fields) require."""
    rows = [{key: str(value) for key, value in row.items()} for row in positions]
    return _ask(client, "margin", {"positions": rows}, Margin, Deadline.BOOK)


def pnl_by_symbol(client: OpenAlgoClient) -> list[Row]:
    """Call `pnl/symbols`: rows of profit and loss by symbol; only the server's sandbox (analyze mode) answers it."""
    return _ask(client, "pnl/symbols", {}, list[Row], Deadline.BOOK)


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


class _Quotes(msgspec.Struct):
    results: list[QuoteOf]


class ServerContract(msgspec.Struct, frozen=True, gc=False):
    """A row of the server's master contract. `expiry` as 25-AUG-26; a `freeze_qty` of 1 means unknown."""

    symbol: str
    exchange: str
    name: str | None = ""
    token: Any = ""
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


def quote(client: OpenAlgoClient, symbol: str, exchange: str) -> ServerQuote:
    """Call `quotes`: the current quote of one instrument."""
    return _ask(client, "quotes", {"symbol": symbol, "exchange": exchange}, ServerQuote)


def quotes(client: OpenAlgoClient, instruments: Iterable[tuple[str, str]]) -> list[QuoteOf]:
    """Call `multiquotes`: current quotes of (symbol, exchange) pairs; the answers may come in any order."""
    symbols = [{"symbol": symbol, "exchange": exchange} for symbol, exchange in instruments]
    return _ask(client, "multiquotes", {"symbols": symbols}, _Quotes, whole=True).results


def symbol(client: OpenAlgoClient, name: str, exchange: str) -> ServerContract:
    """Call `symbol`: the contract details of one symbol. Raises `SymbolNotFound`."""
    return _ask(client, "symbol", {"symbol": name, "exchange": exchange}, ServerContract)


def search(client: OpenAlgoClient, query: str, exchange: str | None = None) -> list[ServerContract]:
    """Call `search`: at most 500 contracts that match a query (`exchange` None: everywhere), or none."""
    return _ask(client, "search", {"query": query, "exchange": exchange}, list[ServerContract])


def expiries(client: OpenAlgoClient, name: str, exchange: str, kind: str) -> list[str]:
    """Call `expiry`: expiry dates of underlying `name` (25-AUG-26), ascending; `kind` is "futures" or "options"."""
    return _ask(client, "expiry", {"symbol": name, "exchange": exchange, "instrumenttype": kind}, list[str])


def ticker(client: OpenAlgoClient, symbol: str, exchange: str, interval: str, start: str, end: str) -> list[Candle]:
    """Call `ticker`: bars from day `start` to `end` (2026-11-20), at most 30 days of minutes or 10 years of `D` (days).
    `ValueError` for a name that would change the URL: the server answers those with bars of NSE:RELIANCE."""
    if not symbol or not exchange or set(f"{symbol}{exchange}") & {":", "/", "?", " "}:
        raise ValueError(f"ticker: expected an exchange and a symbol, say NSE and SBIN, found {exchange!r}, {symbol!r}")
    place = f"ticker/{url_quote(exchange)}:{url_quote(symbol, safe='')}"
    query = {"interval": interval, "from": start, "to": end, "format": "json"}
    return decode_answer(client.get(place, query, Deadline.BULK), list[Candle])


def holidays(client: OpenAlgoClient, year: int | None = None) -> list[Holiday]:
    """Call `market/holidays`: the exchange holidays of a year, the present one by default."""
    return _ask(client, "market/holidays", {"year": year}, list[Holiday])


def timings(client: OpenAlgoClient, day: str) -> list[ServerSession]:
    """Call `market/timings`: opening hours of each exchange on a day (2026-01-26); empty if all are closed."""
    return _ask(client, "market/timings", {"date": day}, list[ServerSession])


class ServerGreeks(msgspec.Struct, frozen=True):
    """IV in percent, theta per day, vega per volatility point. An IV of 0 comes with a `note`."""

    symbol: str
    exchange: str = ""
    implied_volatility: float = 0.0
    greeks: dict[str, float] = {}
    status: str = ""
    message: str | Row = ""
    note: str = ""
    option_price: float = 0.0
    spot_price: float = 0.0
    days_to_expiry: float = 0.0


def multi_greeks(client: OpenAlgoClient, symbols: Sequence[Mapping[str, Any]], **fields: Any) -> list[ServerGreeks]:
    """Call `multioptiongreeks` with its rows and other fields: greeks of at most 50 options, each with a status."""
    return _ask(client, "multioptiongreeks", {"symbols": list(symbols), **fields}, list[ServerGreeks], Deadline.BOOK)


# triggers that rest at the broker for days (GTT): Zerodha and Dhan only, others raise `NotSupported`


class Triggered(msgspec.Struct, frozen=True):
    """A trigger that was taken."""

    trigger_id: str | int | None = None
    mode: str = ""


def place_gtt(client: OpenAlgoClient, **fields: Any) -> Triggered:
    """Call `placegttorder` with its `fields`: place a SINGLE or OCO GTT (good-till-triggered) order; returns its id."""
    return _with_trigger_id(_change_gtt(client, "placegttorder", fields))


def modify_gtt(client: OpenAlgoClient, **fields: Any) -> Triggered:
    """Call `modifygttorder`: replace a GTT trigger; takes all fields of `place_gtt` and `trigger_id`."""
    return _with_trigger_id(_change_gtt(client, "modifygttorder", fields))


def cancel_gtt(client: OpenAlgoClient, trigger_id: str, strategy: str) -> Triggered:
    """Call `cancelgttorder`: cancel one GTT trigger; `strategy` is the name that goes with every order call."""
    return _change_gtt(client, "cancelgttorder", {"trigger_id": trigger_id, "strategy": strategy})


def gtt_book(client: OpenAlgoClient) -> list[Row]:
    """Call `gttorderbook`: one row per GTT trigger with its legs, none without triggers."""
    return _ask(client, "gttorderbook", {}, list[Row], Deadline.BOOK)


def _change_gtt(client: OpenAlgoClient, endpoint: str, fields: Mapping[str, Any]) -> Triggered:
    """POST a call that makes or changes a trigger. Raises `FateUnknown` unless the answer is definitive."""
    payload = {key: value for key, value in fields.items() if value is not None}
    return decode_answer(client.call(endpoint, payload, Deadline.ORDER), Triggered, whole=True, placing=True)


def _with_trigger_id(found: Triggered) -> Triggered:
    if not str(found.trigger_id or "").strip():
        raise FateUnknown("success without a trigger id", 200)
    return found
