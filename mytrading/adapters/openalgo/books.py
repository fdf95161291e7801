"""The broker's books as OpenAlgo gives them, turned into our levels.

Pure. The one rule: a book that does not make sense, even in one row, is None ("unknown"), never empty ("flat") and
never shorter than it is; the row is named among the problems.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import msgspec

from mytrading.messages.enums import BrokerStatus, OrderType, Product, Side
from mytrading.messages.reports import BrokerOrder, BrokerPosition, BrokerTrades, Funds

Row = TypeVar("Row")

_STATUS = {
    "open": BrokerStatus.OPEN,
    "pending": BrokerStatus.OPEN,
    "trigger pending": BrokerStatus.TRIGGER_PENDING,
    "complete": BrokerStatus.COMPLETE,
    "completed": BrokerStatus.COMPLETE,
    "filled": BrokerStatus.COMPLETE,
    "traded": BrokerStatus.COMPLETE,
    "cancelled": BrokerStatus.CANCELLED,
    "canceled": BrokerStatus.CANCELLED,
    "rejected": BrokerStatus.REJECTED,
    "expired": BrokerStatus.EXPIRED,
}


class Parsed(NamedTuple):
    """A book (None: unknown), what was wrong with single rows, and the mode the answer came in ("" if unsaid)."""

    book: Any
    problems: tuple[str, ...] = ()
    mode: str = ""


class _Envelope(msgspec.Struct):
    status: str = ""
    data: Any = None
    mode: str = ""
    message: Any = ""


_decoder = msgspec.json.Decoder(_Envelope)


def broker_status(text: str) -> BrokerStatus:
    """Our word for a broker's; an unknown one is OTHER, which counts as live."""
    return _STATUS.get(" ".join(text.lower().replace("_", " ").split()), BrokerStatus.OTHER)


def order_book(body: bytes) -> Parsed:
    """/orderbook → tuple[BrokerOrder, …]."""
    envelope = _envelope(body)
    if isinstance(envelope, Parsed):
        return envelope
    rows = envelope.data.get("orders") if isinstance(envelope.data, dict) else None
    if not isinstance(rows, list):
        return Parsed(None, ("order book: expected data.orders, a list; found none",), envelope.mode)
    return _rows(rows, broker_order, "order book", envelope.mode)


def trade_book(body: bytes) -> Parsed:
    """/tradebook → tuple[BrokerTrades, …], the rows of one order summed."""
    parsed = _list(body, "trade book", _trade)
    if parsed.book is None:
        return parsed
    sums: dict[str, BrokerTrades] = {}
    for trade in parsed.book:
        known = sums.get(trade.broker_order_id)
        if known is not None:
            trade = msgspec.structs.replace(
                known, quantity=known.quantity + trade.quantity, value=known.value + trade.value
            )
        sums[trade.broker_order_id] = trade
    return parsed._replace(book=tuple(sums.values()))


def position_book(body: bytes) -> Parsed:
    """/positionbook → tuple[BrokerPosition, …], flat rows included."""
    return _list(body, "position book", _position)


def funds(body: bytes, account: str, machine_ns: int) -> Parsed:
    """/funds → Funds. Missing keys are a failure of the broker, not zero rupees."""
    envelope = _envelope(body)
    if isinstance(envelope, Parsed):
        return envelope
    data = envelope.data
    if not isinstance(data, dict) or "availablecash" not in data:
        return Parsed(None, ("funds: expected availablecash, found none: the broker did not answer",), envelope.mode)
    try:
        found = Funds(
            account=account,
            available=float(data["availablecash"]),
            used=float(data.get("utiliseddebits") or 0.0),
            collateral=float(data.get("collateral") or 0.0),
            realised=float(data.get("m2mrealized") or 0.0),
            unrealised=float(data.get("m2munrealized") or 0.0),
            machine_ns=machine_ns,
        )
    except (TypeError, ValueError) as error:
        return Parsed(None, (f"funds: expected numbers, found {error}",), envelope.mode)
    return Parsed(found, (), envelope.mode)


def analyzer_mode(body: bytes) -> str:
    """/analyzer → "analyze" or "live", "" if the answer does not say."""
    envelope = _envelope(body)
    if isinstance(envelope, Parsed) or not isinstance(envelope.data, dict):
        return ""
    return str(envelope.data.get("mode") or "")


def broker_order(row: dict[str, Any]) -> BrokerOrder:
    """One row of an order book, or one order update; raises `ValueError` or `KeyError` naming what is wrong."""
    status_text = str(row["order_status"])
    filled, average = row.get("filled_quantity"), row.get("average_price")
    return BrokerOrder(
        broker_order_id=_identity(row),
        instrument=_instrument(row),
        side=Side(str(row["action"]).upper()),
        quantity=_units(row["quantity"]),
        status=broker_status(status_text),
        product=_member(Product, row.get("product")),
        filled=None if filled in (None, "") else _units(filled),
        average_price=None if average in (None, "") else float(average),
        order_type=_member(OrderType, row.get("pricetype") or row.get("price_type")),
        price=float(row.get("price") or 0.0),
        trigger_price=float(row.get("trigger_price") or 0.0),
        status_text=status_text,
        message=str(row.get("rejection_reason") or row.get("reason") or ""),
        time_text=str(row.get("timestamp") or ""),
        tag=str(row.get("strategy") or ""),
    )


def _trade(row: dict[str, Any]) -> BrokerTrades:
    quantity = _units(row["quantity"])
    price = row.get("average_price") or row.get("price")
    return BrokerTrades(
        broker_order_id=_identity(row),
        instrument=_instrument(row),
        side=Side(str(row["action"]).upper()),
        quantity=quantity,
        value=quantity * float(price),  # type: ignore[arg-type]
    )


def _position(row: dict[str, Any]) -> BrokerPosition:
    pnl = row.get("pnl")
    return BrokerPosition(
        instrument=_instrument(row),
        product=Product(str(row["product"]).upper()),
        quantity=_units(row["quantity"]),
        average_price=float(row.get("average_price") or 0.0),
        pnl=None if pnl in (None, "") else float(pnl),
    )


def _envelope(body: bytes) -> _Envelope | Parsed:
    try:
        envelope = _decoder.decode(body)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        return Parsed(None, (f"expected a JSON object, found: {error}",))
    if envelope.status != "success":
        return Parsed(None, (f"expected success, found {envelope.status!r}: {envelope.message}",), envelope.mode)
    return envelope


def _list(body: bytes, name: str, parse: Callable[[dict[str, Any]], Row]) -> Parsed:
    envelope = _envelope(body)
    if isinstance(envelope, Parsed):
        return envelope
    if not isinstance(envelope.data, list):
        return Parsed(None, (f"{name}: expected a list, found {type(envelope.data).__name__}",), envelope.mode)
    return _rows(envelope.data, parse, name, envelope.mode)


def _rows(rows: list[Any], parse: Callable[[dict[str, Any]], Row], name: str, mode: str) -> Parsed:
    found: list[Row] = []
    problems: list[str] = []
    for number, row in enumerate(rows, 1):
        try:
            found.append(parse(row))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problems.append(f"{name}: row {number}: {type(error).__name__} {error} in {str(row)[:200]}")
    return Parsed(None if problems else tuple(found), tuple(problems), mode)


def _identity(row: dict[str, Any]) -> str:
    identity = str(row["orderid"]).strip()
    if not identity or identity == "None":
        raise ValueError("orderid is empty")
    return identity


def _instrument(row: dict[str, Any]) -> str:
    return f"{row['exchange']}:{row['symbol']}"


def _units(value: Any) -> int:
    number = float(value)
    if number != int(number):
        raise ValueError(f"expected whole units, found {value!r}")
    return int(number)


def _member(kind: Any, value: Any) -> Any:
    try:
        return kind(str(value).upper()) if value else None
    except ValueError:
        return None
