"""The broker's books as messages: order book, trade book, position book, funds, and single order updates.

Brokers differ in numbers (text or not), in names of fields, forms of time and status words (`broker_quirks`) and in
what they leave out; what one of them says differently is in its row of the table of brokers. A book whose list is
missing is None, "unknown", never an empty book, because an empty book says flat; a row that cannot be read is passed on
with what of it could, and spoils no other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from msgspec.structs import replace

from mytrading.adapters.openalgo.rest import broker_quirks as quirks
from mytrading.adapters.openalgo.rest.client import HttpReply
from mytrading.adapters.openalgo.rest.errors import ReadFailed, decode_read, error_text
from mytrading.adapters.openalgo.rest.numbers import MOST_COUNT, MOST_ID
from mytrading.core.instruments.symbology import instrument_id, split_id
from mytrading.core.reconciler.read_plan import merge_order_rows
from mytrading.messages.brokers import PLAIN, BrokerRules, PositionScope, TradeQuantity
from mytrading.messages.codec import UNREADABLE
from mytrading.messages.enums import Side
from mytrading.messages.reports import BrokerOrder, BrokerPosition, BrokerTrades, Funds, UnreadRow
from mytrading.messages.text import shown

T = TypeVar("T")
N = TypeVar("N", int, float)

_MOST_TEXT = 300
_NOT_FOUND = 404


class Book(NamedTuple, Generic[T]):
    """A parsed book: the rows that could be read, None if the list itself could not, and those that could not.

    `realised` is the day's realised profit (rupees) where a position book totals it, as in analyzer mode. `odd_words`
    are status words of the order book that are in no table, each with the ids of the orders that bear it.
    """

    rows: T | None
    problems: tuple[str, ...] = ()
    mode: str = ""
    unread_rows: tuple[UnreadRow, ...] = ()
    realised: float | None = None
    odd_words: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def unread(self) -> tuple[str, ...]:
        """The instruments of rows that could not be read, as far as they are known."""
        return tuple(dict.fromkeys(row.instrument for row in self.unread_rows if row.instrument))


class _Envelope(msgspec.Struct):
    status: Any = ""
    data: Any = None
    mode: Any = None
    total_today_realized_pnl: Any = None


class _BadRow(ValueError):
    """A row that cannot be read; the text names the field."""


_decoder = msgspec.json.Decoder(_Envelope)


def parse_orders(answer: HttpReply, rules: BrokerRules = PLAIN) -> Book[tuple[BrokerOrder, ...]]:
    """Parse an `/orderbook` answer by the row of its broker. Raises `ReadFailed`."""
    envelope = decode_envelope(answer)
    rows = envelope.data.get("orders") if isinstance(envelope.data, dict) else None
    book = _book(envelope, rows, "orders", partial(parse_order, rules=rules), rules)
    if book.rows is None:
        return book
    orders, problems = merge_order_rows(book.rows), book.problems
    if repeated := len(book.rows) - len(orders):
        problems += (f"{repeated} rows are of orders that stand above already: the furthest along counts",)
    odd: dict[str, tuple[str, ...]] = {}
    for order in book.rows:
        if quirks.is_unknown_status(order.status_text, rules):
            odd[order.status_text] = (*odd.get(order.status_text, ()), order.broker_order_id)
    return book._replace(rows=orders, problems=problems, odd_words=tuple(sorted(odd.items())))


def parse_order_status(answer: HttpReply, rules: BrokerRules = PLAIN) -> Book[BrokerOrder]:
    """Parse an `/orderstatus` answer, one order; `rows` is None if it cannot be read, or the server does not know it.
    Raises `ReadFailed` where the server says neither."""
    try:
        envelope = decode_envelope(answer)
    except ReadFailed as error:
        if error.status == _NOT_FOUND:
            return Book(None, (), "")
        raise
    row = envelope.data if isinstance(envelope.data, dict) else {}
    kind = quirks.field_value(row, "pricetype") or row.get("price_type")
    try:
        return Book(parse_order({**row, "pricetype": kind}, rules), (), shown(envelope.mode or ""))
    except (_BadRow, *UNREADABLE) as problem:
        raise ReadFailed("malformed", f"orderstatus: {problem}", answer.status) from problem


def parse_trades(answer: HttpReply, rules: BrokerRules = PLAIN) -> Book[tuple[BrokerTrades, ...]]:
    """Parse a `/tradebook` answer into trades summed per order; into none where its rows prove nothing. Raises
    `ReadFailed`."""
    envelope = decode_envelope(answer)
    book = _book(envelope, envelope.data, "trades", partial(_trade, rules=rules), rules)
    if rules.trade_quantity is TradeQuantity.NOTHING and book.rows is not None:
        return Book((), (), book.mode)
    return Book(None if book.rows is None else _summed(book.rows), book.problems, book.mode, book.unread_rows)


def parse_positions(answer: HttpReply, rules: BrokerRules = PLAIN) -> Book[tuple[BrokerPosition, ...]]:
    """Parse a `/positionbook` answer, closed rows (quantity 0) included. Rows that are alike are one where the broker
    joins lists, as a position may be in both. Raises `ReadFailed`."""
    envelope = decode_envelope(answer)
    total = envelope.total_today_realized_pnl
    realised = float(total) if isinstance(total, int | float) and -MOST_COUNT <= total <= MOST_COUNT else None
    book = _book(envelope, envelope.data, "positions", partial(_position_row, rules=rules), rules)
    if rules.positions is PositionScope.PARTIAL and book.rows is not None:
        book = book._replace(rows=tuple(dict.fromkeys(book.rows)))
    return book._replace(realised=realised)


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


def parse_order(row: dict[str, Any], rules: BrokerRules = PLAIN, *, update: bool = False) -> BrokerOrder:
    """Parse one order of a book, or (`update`) of an `order_update` frame. Raises `ValueError` naming the wrong
    field."""
    quantity, status, instrument = _units(row, "quantity"), _text(row, "order_status"), _instrument(row, rules)
    product, exchange = quirks.field_value(row, "product"), split_id(instrument)[0]
    return BrokerOrder(
        broker_order_id=_order_id(row, rules),
        instrument=instrument,
        side=_side(row),
        quantity=quantity,
        status=quirks.status_of(status, rules, update=update),
        product=quirks.order_product_of(product, exchange, rules, update=update),
        filled=_or_none(_units, row, "filled_quantity"),
        average_price=_or_none(_number, row, "average_price"),
        order_type=quirks.order_type_of(quirks.field_value(row, "pricetype"), rules),
        price=_number(row, "price", 0.0),
        trigger_price=_number(row, "trigger_price", 0.0),
        status_text=status,
        message=quirks.with_refusal_code(_text(row, "rejection_reason")),
        time_ns=quirks.parse_time_ns(quirks.field_value(row, "timestamp")),
        tag=_text(row, "strategy"),
    )


def _book(
    envelope: _Envelope, rows: Any, name: str, parse: Callable[[dict[str, Any]], T], rules: BrokerRules
) -> Book[tuple[T, ...]]:
    """The rows that can be read, and what can be told of the others; None if there is no list of rows."""
    mode = shown(envelope.mode or "")
    if not isinstance(rows, list):
        return Book(None, (f"{name}: expected a list, found {type(rows).__name__}",), mode)
    parsed: list[T] = []
    problems: list[str] = []
    unread: list[UnreadRow] = []
    for number, row in enumerate(rows):
        fields = row if isinstance(row, dict) else {}
        if row is None or (isinstance(row, dict) and _is_no_row(row, name)):
            continue
        try:
            parsed.append(parse(fields))
        except (_BadRow, *UNREADABLE) as problem:
            if name == "positions" and _or_none(partial(_units, signed=True), fields, "quantity") == 0:
                continue  # whatever it is of, nothing is held
            problems.append(f"{name} row {number}: {problem}")
            unread.append(_unread_row(fields, name, str(problem), rules))
    return Book(tuple(parsed), tuple(problems), mode, tuple(unread))


def _is_no_row(row: dict[str, Any], name: str) -> bool:
    """True for a row without id, symbol and quantity, by which some brokers say that there is none."""
    empty = quirks.is_blank(quirks.field_value(row, "quantity")) and quirks.is_blank(row.get("symbol"))
    return empty and (name == "positions" or quirks.is_blank(quirks.field_value(row, "orderid")))


def _unread_row(row: dict[str, Any], name: str, problem: str, rules: BrokerRules) -> UnreadRow:
    try:
        instrument = _instrument(row, rules)
    except _BadRow:
        instrument = ""
    order = "" if name == "positions" else quirks.order_id_of(quirks.field_value(row, "orderid"), rules)
    return UnreadRow(book=name, broker_order_id=order, instrument=instrument, problem=shown(problem, _MOST_TEXT))


def _trade(row: dict[str, Any], rules: BrokerRules) -> tuple[str, BrokerTrades]:
    quantity, price = _units(row, "quantity"), _number(row, "average_price")
    trade = BrokerTrades(
        broker_order_id=_order_id(row, rules),
        instrument=_instrument(row, rules),
        side=_side(row),
        quantity=quantity,
        value=quantity * price if rules.trade_prices else 0.0,
        price=price if rules.trade_prices and not quantity else 0.0,
        tag=_text(row, "strategy"),
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


def _position_row(row: dict[str, Any], rules: BrokerRules) -> BrokerPosition:
    instrument, found = _instrument(row, rules), row.get("product")
    product = quirks.product_of(found, split_id(instrument)[0], rules)
    if product is None:
        raise _BadRow(f"product is {_shown(found)}")
    return BrokerPosition(
        instrument=instrument,
        product=product,
        quantity=_units(row, "quantity", signed=True),
        average_price=_number(row, "average_price", 0.0),
        pnl=_or_none(_number, row, "pnl"),
        last_price=_or_none(_number, row, "ltp") or 0.0,
    )


def _order_id(row: dict[str, Any], rules: BrokerRules) -> str:
    found = quirks.field_value(row, "orderid")
    if not (name := quirks.order_id_of(found, rules)):
        raise _BadRow(f"orderid is {_shown(found)}")
    return name


def _text(row: dict[str, Any], name: str) -> str:
    return shown(quirks.field_value(row, name) or "", _MOST_TEXT)


def _shown(found: Any) -> str:
    """A value of a row in words: text in quotes, so that blanks are seen, and "nothing" for none."""
    if found is None:
        return "nothing"
    return (
        shown(found, 80) if isinstance(found, int | float) else shown([found], 81).removeprefix("[").removesuffix("]")
    )


def _instrument(row: dict[str, Any], rules: BrokerRules) -> str:
    exchange, symbol = row.get("exchange"), row.get("symbol")
    if not isinstance(symbol, str) or quirks.is_blank(symbol):
        raise _BadRow(f"exchange and symbol are {_shown(exchange)} and {_shown(symbol)}")
    place, name = quirks.contract_of(exchange if isinstance(exchange, str) else "", symbol, rules)
    if place not in quirks.EXCHANGES or not name:
        raise _BadRow(f"exchange and symbol are {_shown(exchange)} and {_shown(symbol)}")
    if len(place) + len(name) > MOST_ID:
        raise _BadRow(f"exchange and symbol have {len(place) + len(name)} characters")
    return instrument_id(place, name)


def _side(row: dict[str, Any]) -> Side:
    found = quirks.field_value(row, "action")
    try:
        return Side(str(found).strip().upper())
    except ValueError:
        raise _BadRow(f"action is {_shown(found)}") from None


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
