"""The broker's books as messages: order book, trade book, position book, funds, and single order updates.

Brokers differ in numbers (text or not), in names of fields, forms of time and status words (`broker_quirks`) and in
what they leave out. A book that is missing or makes no sense is None, "unknown", never an empty book, because an
empty book says flat.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from msgspec.structs import replace

from mytrading.adapters.openalgo.rest import broker_quirks as quirks
from mytrading.adapters.openalgo.rest.client import HttpReply
from mytrading.adapters.openalgo.rest.errors import ReadFailed, decode_read, error_text
from mytrading.adapters.openalgo.rest.numbers import MOST_COUNT, MOST_ID
from mytrading.core.instruments.symbology import instrument_id
from mytrading.core.reconciler.read_plan import merge_order_rows
from mytrading.messages.codec import UNREADABLE
from mytrading.messages.enums import OrderType, Product, Side
from mytrading.messages.reports import BrokerOrder, BrokerPosition, BrokerTrades, Funds
from mytrading.messages.text import shown

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
N = TypeVar("N", int, float)

_MOST_TEXT = 300


class Book(NamedTuple, Generic[T]):
    """A parsed book: `rows` None means unknown; `unread` are instruments of rows that could not be read.

    `realised` is the day's realised profit (rupees) where a position book totals it, as in analyzer mode.
    """

    rows: T | None
    problems: tuple[str, ...] = ()
    mode: str = ""
    unread: tuple[str, ...] = ()
    realised: float | None = None


class _Envelope(msgspec.Struct):
    status: Any = ""
    data: Any = None
    mode: Any = None
    total_today_realized_pnl: Any = None


class _BadRow(ValueError):
    """A row that cannot be read; the text names the field."""


class _NotOurs(Exception):
    """A row that cannot concern an order of ours (say a product we never use): reported, and left out."""


_decoder = msgspec.json.Decoder(_Envelope)


def parse_orders(answer: HttpReply) -> Book[tuple[BrokerOrder, ...]]:
    """Parse an `/orderbook` answer; the instrument of an unreadable row goes to `unread`, and `rows` is None if that is
    unreadable too. Raises `ReadFailed`."""
    envelope = decode_envelope(answer)
    rows = envelope.data.get("orders") if isinstance(envelope.data, dict) else None
    book = _book(envelope, rows, "orders", parse_order)
    listed = book.rows or ()
    orders = merge_order_rows(listed)
    unknown = sorted({order.status_text for order in listed if quirks.is_unknown_status(order.status_text)})
    advice = "such orders count as live; look at them at the broker"
    problems = [*book.problems, *(f"order status {word!r} is unknown: {advice}" for word in unknown)]
    if repeated := len(listed) - len(orders):
        problems.append(f"{repeated} rows are of orders that stand above already: the furthest along counts")
    return book._replace(rows=None if book.rows is None else orders, problems=tuple(problems))


def parse_trades(answer: HttpReply) -> Book[tuple[BrokerTrades, ...]]:
    """Parse a `/tradebook` answer into trades summed per order. Raises `ReadFailed`."""
    envelope = decode_envelope(answer)
    book = _book(envelope, envelope.data, "trades", _trade)
    return Book(None if book.rows is None else _summed(book.rows), book.problems, book.mode, book.unread)


def parse_positions(answer: HttpReply) -> Book[tuple[BrokerPosition, ...]]:
    """Parse a `/positionbook` answer, closed rows (quantity 0) included. Raises `ReadFailed`."""
    envelope = decode_envelope(answer)
    total = envelope.total_today_realized_pnl
    realised = float(total) if isinstance(total, int | float) and -MOST_COUNT <= total <= MOST_COUNT else None
    return _book(envelope, envelope.data, "positions", _position_row)._replace(realised=realised)


def parse_funds(answer: HttpReply, account: str, machine_ns: int) -> Book[Funds]:
    """Parse a `/funds` answer, read at `machine_ns`; `rows` is None for an empty success, by which several brokers
    report errors. Raises `ReadFailed`."""
    envelope = decode_envelope(answer)
    mode = shown(envelope.mode or "")
    data = envelope.data
    if not isinstance(data, dict):
        return Book(None, ("funds: no object under data",), mode)
    try:
        funds = Funds(
            account=account,
            available=_number(data, "availablecash"),
            used=_number(data, "utiliseddebits"),
            collateral=_number(data, "collateral", 0.0),
            realised=_number(data, "m2mrealized", 0.0),
            unrealised=_number(data, "m2munrealized", 0.0),
            machine_ns=machine_ns,
            began_machine_ns=answer.began_ns,
        )
    except _BadRow as problem:
        return Book(None, (f"funds: {problem}",), mode)
    return Book(funds, (), mode)


def parse_analyzer(answer: HttpReply) -> str:
    """Parse an `/analyzer` answer into the server's mode, live or analyze. Raises `ReadFailed`."""
    data = decode_envelope(answer).data
    mode = data.get("mode") if isinstance(data, dict) else None
    if not isinstance(mode, str) or not mode:
        raise ReadFailed("malformed", "the analyzer's answer has no mode", answer.status)
    return mode


def decode_envelope(answer: HttpReply) -> _Envelope:
    """Decode a successful answer's body (status, data, mode); else raise `ReadFailed`, which names the failure."""
    envelope = decode_read(answer, _decoder)
    if envelope.status != "success":
        raise ReadFailed("server", error_text(answer.body, answer.status), answer.status)
    return envelope


def parse_order(row: dict[str, Any]) -> BrokerOrder:
    """Parse one order of a book, or of an `order_update` frame. Raises `ValueError` naming the wrong field."""
    quantity, status = _units(row, "quantity"), _text(row, "order_status")
    return BrokerOrder(
        broker_order_id=_order_id(row),
        instrument=_instrument(row),
        side=_word(row, "action", Side),
        quantity=quantity,
        status=quirks.status_of(status),
        product=_maybe_word(row, "product", Product),
        filled=_or_none(_units, row, "filled_quantity"),
        average_price=_or_none(_number, row, "average_price"),
        order_type=_maybe_word(row, "pricetype", OrderType),
        price=_number(row, "price", 0.0),
        trigger_price=_number(row, "trigger_price", 0.0),
        status_text=status,
        message=quirks.with_refusal_code(_text(row, "rejection_reason")),
        time_ns=quirks.parse_time_ns(quirks.field_value(row, "timestamp")),
        tag=_text(row, "strategy"),
    )


def _book(envelope: _Envelope, rows: Any, name: str, parse: Callable[[dict[str, Any]], T]) -> Book[tuple[T, ...]]:
    """The rows that can be read, with the instruments of those that cannot; None if one says not even that much."""
    mode = shown(envelope.mode or "")
    if not isinstance(rows, list):
        return Book(None, (f"{name}: expected a list, found {type(rows).__name__}",), mode)
    parsed: list[T] = []
    problems: list[str] = []
    unread: list[str] = []
    whole = True
    for number, row in enumerate(rows):
        try:
            parsed.append(parse(row if isinstance(row, dict) else {}))
        except _NotOurs as reason:
            problems.append(f"{name} row {number} left out: {reason}")
        except (_BadRow, *UNREADABLE) as problem:
            problems.append(f"{name} row {number}: {problem}")
            try:
                unread.append(_instrument(row if isinstance(row, dict) else {}))
            except _BadRow:
                whole = False
    return Book(tuple(parsed) if whole else None, tuple(problems), mode, tuple(dict.fromkeys(unread)))


def _trade(row: dict[str, Any]) -> tuple[str, BrokerTrades]:
    quantity, price = _units(row, "quantity"), _number(row, "average_price")
    trade = BrokerTrades(
        broker_order_id=_order_id(row),
        instrument=_instrument(row),
        side=_word(row, "action", Side),
        quantity=quantity,
        value=quantity * price,
    )
    return _text(row, "tradeid").strip(), trade


def _summed(trades: tuple[tuple[str, BrokerTrades], ...]) -> tuple[BrokerTrades, ...]:
    """Return each trade once, as far as trades have ids; one id with other figures is another trade."""
    totals: dict[str, BrokerTrades] = {}
    listed: set[tuple[str, BrokerTrades]] = set()
    for name, row in trades:
        if name and (name, row) in listed:
            continue
        listed.add((name, row))
        if (known := totals.get(row.broker_order_id)) is not None:
            row = replace(known, quantity=known.quantity + row.quantity, value=known.value + row.value)
        totals[row.broker_order_id] = row
    return tuple(totals.values())


def _position_row(row: dict[str, Any]) -> BrokerPosition:
    product = _maybe_word(row, "product", Product)
    if product is None:
        found = row.get("product")
        if isinstance(found, str) and found:
            raise _NotOurs(f"product {_shown(found)}")
        raise _BadRow(f"product is {_shown(found)}")
    return BrokerPosition(
        instrument=_instrument(row),
        product=product,
        quantity=_units(row, "quantity", signed=True),
        average_price=_number(row, "average_price", 0.0),
        pnl=_or_none(_number, row, "pnl"),
    )


def _order_id(row: dict[str, Any]) -> str:
    found = quirks.field_value(row, "orderid")
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise _BadRow(f"orderid is {_shown(found)}")
    name = shown(found, MOST_ID + 1).strip()
    if not 0 < len(name) <= MOST_ID:
        raise _BadRow(f"orderid is {_shown(found)}")
    return name


def _text(row: dict[str, Any], name: str) -> str:
    return shown(quirks.field_value(row, name) or "", _MOST_TEXT)


def _shown(found: Any) -> str:
    return shown(found if isinstance(found, int | float) else [found], 80)


def _instrument(row: dict[str, Any]) -> str:
    exchange, symbol = row.get("exchange"), row.get("symbol")
    if not isinstance(exchange, str) or not isinstance(symbol, str) or not exchange or not symbol:
        raise _BadRow(f"exchange and symbol are {_shown(exchange)} and {_shown(symbol)}")
    if len(exchange) + len(symbol) > MOST_ID:
        raise _BadRow(f"exchange and symbol have {len(exchange) + len(symbol)} characters")
    return instrument_id(exchange, symbol)


def _word(row: dict[str, Any], name: str, kind: type[E]) -> E:
    if (found := _maybe_word(row, name, kind)) is None:
        raise _BadRow(f"{name} is {_shown(quirks.field_value(row, name))}")
    return found


def _maybe_word(row: dict[str, Any], name: str, kind: type[E]) -> E | None:
    try:
        return kind(str(quirks.field_value(row, name)).upper())
    except ValueError:
        return None


def _number(row: dict[str, Any], name: str, default: float | None = None) -> float:
    """A number within `MOST_COUNT`, given as one or as text; `default` where it is absent or empty."""
    if (found := quirks.field_value(row, name)) is None and default is not None:
        return default
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        raise _BadRow(f"{name} is {_shown(found)}")
    try:
        number = float(found.replace(",", "") if isinstance(found, str) else found)
    except (ValueError, OverflowError):
        raise _BadRow(f"{name} is {_shown(found)}") from None
    if not -MOST_COUNT <= number <= MOST_COUNT:
        raise _BadRow(f"{name} is {_shown(found)}")
    return number


def _or_none(read: Callable[[dict[str, Any], str], N], row: dict[str, Any], name: str) -> N | None:
    try:
        return read(row, name)
    except _BadRow:
        return None


def _units(row: dict[str, Any], name: str, *, signed: bool = False) -> int:
    number = _number(row, name)
    if not number.is_integer() or (number < 0 and not signed):
        raise _BadRow(f"{name} is {_shown(quirks.field_value(row, name))}, not whole units")
    return int(number)
