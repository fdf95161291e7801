"""The `openalgo` SDK's `api` over our client, with the calls it lacks.

For authors, notebooks and tests; imported on demand and never by a daemon, since the SDK costs 160 MB. Its methods keep
their names and dictionaries; those added here give types and raise `OpenAlgoError`, under SDK 1.x and 2.x alike, so
that a notebook survives a newer Python. Scripts written for other clients find their words too (`get_account`,
`search_symbol`, `positions`, `orderbook(order_id)`, `SL-L`), with answers as dictionaries. All POST calls take the one
keep-alive connection, so an object belongs to one thread.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from openalgo import api  # type: ignore[import-untyped,unused-ignore]

from mytrading.adapters.openalgo import endpoints
from mytrading.adapters.openalgo.endpoints import Row
from mytrading.adapters.openalgo.rest.broker_quirks import STATUSES
from mytrading.adapters.openalgo.rest.client import Deadline, HttpReply, NotSent, OpenAlgoClient, TransportFailed
from mytrading.messages.codec import UNREADABLE
from mytrading.messages.enums import BrokerStatus

_ORDER_CALLS = frozenset((
    "placeorder", "placesmartorder", "basketorder", "splitorder", "modifyorder", "cancelorder", "cancelallorder",
    "closeposition", "optionsorder", "optionsmultiorder", "strategy/start", "strategy/stop", "strategy/closeall",
    "strategy/closeleg",
))  # fmt: skip
_FUNDS = ("availablecash", "utiliseddebits", "collateral", "m2munrealized")
_RESTING = frozenset(word for word, status in STATUSES.items() if status is BrokerStatus.OPEN)
_STATES: Mapping[BrokerStatus | None, str] = {
    BrokerStatus.OPEN: "OPEN",
    BrokerStatus.TRIGGER_PENDING: "OPEN",
    BrokerStatus.COMPLETE: "COMPLETE",
    BrokerStatus.REJECTED: "REJECTED",
    BrokerStatus.CANCELLED: "CANCELLED",
    BrokerStatus.EXPIRED: "CANCELLED",
}
"""For scripts that poll an order: OPEN waits, PENDING is on its way or in an unknown state."""


class ExtendedOpenAlgoAPI(api):  # type: ignore[misc,unused-ignore]
    """`api` with one connection, the right deadlines, `ping`, `ticker`, GTT, greeks of many and P&L by symbol."""

    def __init__(self, api_key: str, host: str = "http://127.0.0.1:5000", **options_of_sdk: Any) -> None:
        super().__init__(api_key=api_key, host=host, **options_of_sdk)
        self.rest = OpenAlgoClient(host, api_key, time.monotonic_ns)
        """REST client of this package; `client` is SDK 2.x's own pool, which its `instruments` uses."""

    def close(self) -> None:
        """Close our connection, and the SDK's own pool where it has one (2.x)."""
        self.rest.close()
        if (close_pool := getattr(super(), "close", None)) is not None:
            close_pool()

    def _make_request(self, endpoint: str, payload: Mapping[str, Any]) -> Row:
        """Send a POST request of any method of the SDK; failures come as the SDK's dictionaries."""
        answer = self._request(endpoint, payload)
        if isinstance(answer, HttpReply) and answer.status != 200:
            text = f"HTTP {answer.status}: {answer.body.decode(errors='replace')}"
            return {"status": "error", "message": text, "code": answer.status, "error_type": "http_error"}
        return _object(answer) if isinstance(answer, HttpReply) else answer

    def _post(self, endpoint: str, payload: Mapping[str, Any]) -> Row:
        """Send a request of SDK 2.x's `strategy...` methods: a refusal keeps the server's fields, as its legs."""
        answer = self._request(endpoint, payload)
        if not isinstance(answer, HttpReply):
            return answer
        if answer.status != 200:
            return {"status": "error", **_object(answer), "code": answer.status}
        return _object(answer)

    def _request(self, endpoint: str, payload: Mapping[str, Any]) -> HttpReply | Row:
        deadline = Deadline.ORDER if endpoint in _ORDER_CALLS else Deadline.BULK
        try:
            return self.rest.call(endpoint, _with_price_types(payload), deadline)
        except TransportFailed as error:
            kind = "connection_error" if isinstance(error, NotSent) else "timeout_error"
            return {"status": "error", "message": str(error), "error_type": kind}

    def placeorder(self, order: Mapping[str, Any] | None = None, /, **fields: Any) -> Row:
        """Place an order from fields or one dictionary; returns the server's answer, its order id as `order_id` too."""
        return _with_order_id(super().placeorder(**{**(order or {}), **fields}))

    def batch_placeorder(self, orders: Sequence[Mapping[str, Any]], strategy: str = "") -> Row:
        """Place several orders in one `basketorder` call and return its answer; `strategy` empty: the first one's."""
        rows = [_named_as_on_the_wire(dict(order)) for order in orders]
        named = [str(row.pop("strategy")) for row in rows]
        return dict(self.basketorder(strategy=strategy or next(iter(named), "Python"), orders=rows))

    def orderbook(self, order_id: str = "", *, strategy: str = "Python", **fields: Any) -> Row:
        """Return the order book, or with `order_id` that one order, its `status` OPEN, COMPLETE, REJECTED…."""
        return self._order(order_id, strategy) if order_id else super().orderbook(**fields)

    def smartorderbook(self, order_id: str, *, strategy: str = "Python") -> Row:
        """Return one order as `orderbook` does; a stop that the order book calls open has status TRIGGERED.

        OpenAlgo's sandbox says so of one that rests in the market, many live brokers of one that waits as well.
        """
        found = self._order(order_id, strategy)
        is_stop = str(found.get("price_type", "")).upper().startswith("SL")
        return {**found, "status": "TRIGGERED"} if is_stop and found["order_status"] in _RESTING else found

    def _order(self, order_id: str, strategy: str) -> Row:
        reply = self.orderstatus(order_id=order_id, strategy=strategy)
        if reply.get("status") != "success":
            return dict(reply)
        row = reply["data"]
        word = str(row.get("order_status", "")).lower()
        kind = row.get("pricetype", row.get("price_type", ""))  # the sandbox and live brokers name it differently
        own = {"price_type": kind, "order_status": word}
        return {**_with_order_id(row), **own, "status": _STATES.get(STATUSES.get(word), "PENDING")}

    def positions(self) -> Row:
        """Return the position book, its fields as numbers, each row with `entry_price` and `pnl_percentage`."""
        reply = self.positionbook()
        if reply.get("status") != "success":
            return dict(reply)
        return {"status": "success", "positions": [_position(row) for row in reply["data"]]}

    def get_account(self) -> Row:
        """Return the account's `available_margin`, `used_margin` and `cash` (both together) in rupees;
        `margin_percentage` is the used part of `cash`, and `equity` adds collateral and open P&L to it."""
        reply = self.funds()
        if reply.get("status") != "success":
            return dict(reply)
        found = {name: _number(reply["data"].get(name)) for name in _FUNDS}
        available, used = found["availablecash"], found["utiliseddebits"]
        if available is None or used is None:
            return {"status": "error", "message": f"expected {' and '.join(_FUNDS[:2])}, found {reply['data']}"}
        return {
            "status": "success",
            "cash": available + used,
            "equity": available + used + (found["collateral"] or 0.0) + (found["m2munrealized"] or 0.0),
            "used_margin": used,
            "available_margin": available,
            "margin_percentage": 100.0 * used / (available + used) if available + used else 0.0,
        }

    def search_symbol(self, symbol: str, exchange: str = "") -> Row:
        """Return a symbol's contract with its `token`; without `exchange` an error row unless exactly one lists it."""
        if exchange:
            reply = self.symbol(symbol=symbol, exchange=exchange)
            return {**reply["data"], "status": "success"} if reply.get("status") == "success" else dict(reply)
        reply = self.search(query=symbol)
        if reply.get("status") != "success":
            return dict(reply)
        rows = [row for row in reply["data"] if row.get("symbol") == symbol]
        if len(rows) == 1:
            return {**rows[0], "status": "success"}
        found = ", ".join(str(row.get("exchange")) for row in rows) or "none"
        return {"status": "error", "message": f"{symbol}: expected one exchange that lists it, found {found}; name one"}

    def ping(self) -> endpoints.Pong:
        """Check the API key and the broker session. Raises `BrokerDisconnected`."""
        return endpoints.ping(self.rest)

    def placegttorder(self, **fields: Any) -> endpoints.Triggered:
        """Place a GTT trigger at the broker; fields as in `endpoints.place_gtt` or SDK 2.x."""
        return endpoints.place_gtt(self.rest, **_named_as_on_the_wire(fields))

    def modifygttorder(self, **fields: Any) -> endpoints.Triggered:
        """Replace a GTT trigger at the broker; fields as in `endpoints.modify_gtt` or SDK 2.x."""
        return endpoints.modify_gtt(self.rest, **_named_as_on_the_wire(fields))

    def cancelgttorder(self, trigger_id: str, strategy: str = "Python") -> endpoints.Triggered:
        """Cancel a GTT trigger at the broker."""
        return endpoints.cancel_gtt(self.rest, trigger_id, strategy)

    def gttorderbook(self) -> list[Row]:
        """Return the GTT triggers at the broker, a row each."""
        return endpoints.gtt_book(self.rest)

    def multioptiongreeks(self, symbols: Sequence[Mapping[str, Any]], **fields: Any) -> list[endpoints.ServerGreeks]:
        """Return greeks of at most 50 options in one call."""
        return endpoints.multi_greeks(self.rest, symbols, **fields)

    def ticker(
        self, symbol: str, exchange: str, interval: str = "D", *, start_date: str, end_date: str
    ) -> list[endpoints.Candle]:
        """Return bars from the server's `ticker/EXCHANGE:SYMBOL`, which cuts long ranges short; days as 2026-11-20."""
        return endpoints.ticker(self.rest, symbol, exchange, interval, start_date, end_date)

    def pnlsymbols(self) -> list[Row]:
        """Return profit and loss by symbol, in the server's sandbox only."""
        return endpoints.pnl_by_symbol(self.rest)


def _object(answer: HttpReply) -> Row:
    try:
        return msgspec.json.decode(answer.body, type=Row)
    except UNREADABLE:
        raw = answer.body.decode(errors="replace")
        return {"status": "error", "message": "not JSON", "raw_response": raw, "error_type": "json_error"}


def _named_as_on_the_wire(fields: Row) -> Row:
    named = {"pricetype" if name == "price_type" else name: value for name, value in fields.items()}
    return {"strategy": "Python", **named}


def _with_price_types(payload: Mapping[str, Any]) -> Row:
    """The same with `SL-L`, as stop-limit is called elsewhere, in OpenAlgo's word, in legs and baskets as well."""
    found = {
        name: [_with_price_types(row) if isinstance(row, Mapping) else row for row in value]
        if isinstance(value, list)
        else value
        for name, value in payload.items()
    }
    return {**found, "pricetype": "SL"} if found.get("pricetype") == "SL-L" else found


def _with_order_id(row: Mapping[str, Any]) -> Row:
    return {**row, "order_id": row["orderid"]} if "orderid" in row else dict(row)


def _position(row: Mapping[str, Any]) -> Row:
    quantity, entry = int(_number(row.get("quantity")) or 0), _number(row.get("average_price")) or 0.0
    pnl, value = _number(row.get("pnl")), abs(quantity) * entry
    share = 100.0 * pnl / value if pnl is not None and value else 0.0
    own = {"quantity": quantity, "entry_price": entry, "ltp": _number(row.get("ltp")), "pnl": pnl}
    return {**row, **own, "pnl_percentage": round(share, 2)}


def _number(value: object) -> float | None:
    try:
        number = float(str(value).replace(",", ""))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
