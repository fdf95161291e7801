"""Orders: place, modify, cancel, basket, split, and the whole-account switches.

A success that names no order is not one, because the broker may have refused with HTTP 200 or may not; it raises
`FateUnknown`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mytrading.adapters.openalgo.api.request import Row, ask, order
from mytrading.adapters.openalgo.rest.client import Deadline, OpenAlgoClient
from mytrading.adapters.openalgo.rest.error_types import FateUnknown


class Placed(msgspec.Struct, frozen=True):
    """An order call that was taken. With `pending_order_id` it waits for an operator, and `orderid` is empty."""

    orderid: str | int | None = None
    mode: str = ""
    message: str | Row = ""
    pending_order_id: str | int | None = None

    @property
    def parked(self) -> bool:
        """True if the server holds it for approval."""
        return self.mode == "semi_auto" or self.pending_order_id is not None


class BasketLeg(msgspec.Struct, frozen=True):
    """One order of a basket, split or multi-leg call: `orderid`, or `message` with the reason."""

    status: str = ""
    symbol: str = ""
    exchange: str = ""
    orderid: str | int | None = None
    message: str | Row = ""
    quantity: float = 0.0
    order_num: int = 0
    leg: int = 0
    action: str = ""
    split_results: list[Row] = []


class Legs(msgspec.Struct, frozen=True):
    """Results in the order they completed: match them by content. Success says nothing about any leg.

    With `pending_order_id` the whole request waits for an operator, and there are no results.
    """

    results: list[BasketLeg] = []
    mode: str = ""
    underlying: str = ""
    underlying_ltp: float = 0.0
    total_quantity: float = 0.0
    split_size: float = 0.0
    pending_order_id: str | int | None = None

    @property
    def parked(self) -> bool:
        """True if the server holds all of it for approval."""
        return self.mode == "semi_auto" or self.pending_order_id is not None


class Cancelled(msgspec.Struct, frozen=True):
    """Which orders of the account went. Ids alone, or objects with the reason, by mode."""

    canceled_orders: list[Any] = []
    failed_cancellations: list[Any] = []
    message: str | Row = ""
    mode: str = ""


class ClosedPosition(msgspec.Struct, frozen=True):
    """What the server says about closing; counts come from its sandbox only."""

    message: str | Row = ""
    closed_positions: int = 0
    failed_closures: int = 0
    mode: str = ""


class _OrderStatusReply(msgspec.Struct):
    data: Row


class OpenQuantity(msgspec.Struct, frozen=True):
    """The account's net units, signed."""

    quantity: float
    mode: str = ""


def place(client: OpenAlgoClient, **fields: Any) -> Placed:
    """`placeorder`: strategy, symbol, exchange, action, quantity, pricetype, product, price, trigger_price."""
    return _named(order(client, "placeorder", fields, Placed))


def modify(client: OpenAlgoClient, **fields: Any) -> Placed:
    """`modifyorder`: a full replacement; all fields of `place` and `orderid`."""
    return order(client, "modifyorder", fields, Placed)


def cancel(client: OpenAlgoClient, orderid: str, strategy: str) -> Placed:
    """`cancelorder`."""
    return order(client, "cancelorder", {"orderid": orderid, "strategy": strategy}, Placed)


def cancel_all(client: OpenAlgoClient, strategy: str) -> Cancelled:
    """`cancelallorder`: of the whole account, `strategy` is ignored by the server."""
    return order(client, "cancelallorder", {"strategy": strategy}, Cancelled)


def close_all(client: OpenAlgoClient, strategy: str) -> ClosedPosition:
    """`closeposition`: every position of the account at market, `strategy` is ignored by the server."""
    return order(client, "closeposition", {"strategy": strategy}, ClosedPosition)


def basket(client: OpenAlgoClient, strategy: str, orders: Sequence[Mapping[str, Any]]) -> Legs:
    """`basketorder`: buys before sells, ten at a time in parallel on live servers."""
    return _listed(order(client, "basketorder", {"strategy": strategy, "orders": list(orders)}, Legs))


def split(client: OpenAlgoClient, **fields: Any) -> Legs:
    """`splitorder`: as `place`, with `splitsize` units per order, at most 100 orders."""
    return _listed(order(client, "splitorder", fields, Legs))


def options_order(client: OpenAlgoClient, **fields: Any) -> Placed | Legs:
    """`optionsorder`: underlying, exchange, expiry_date, offset, option_type and the fields of `place`.

    With `splitsize` the answer is `Legs`.
    """
    if fields.get("splitsize"):
        return _listed(order(client, "optionsorder", fields, Legs))
    return _named(order(client, "optionsorder", fields, Placed))


def options_multi_order(client: OpenAlgoClient, **fields: Any) -> Legs:
    """`optionsmultiorder`: strategy, underlying, exchange, expiry_date and `legs`, buys first, no roll-back."""
    return _listed(order(client, "optionsmultiorder", fields, Legs))


def order_status(client: OpenAlgoClient, orderid: str, strategy: str) -> Row:
    """`orderstatus`: the row of one order; keys depend on mode and broker, `books.order_row` reads it."""
    return ask(client, "orderstatus", {"orderid": orderid, "strategy": strategy}, _OrderStatusReply, Deadline.BOOK).data


def open_position(client: OpenAlgoClient, strategy: str, symbol: str, exchange: str, product: str) -> OpenQuantity:
    """`openposition`: the account's net of one instrument and product."""
    fields = {"strategy": strategy, "symbol": symbol, "exchange": exchange, "product": product}
    return ask(client, "openposition", fields, OpenQuantity, Deadline.BOOK)


def _named(placed: Placed) -> Placed:
    if not placed.parked and not str(placed.orderid or "").strip():
        raise FateUnknown("success without an order id", 200)
    return placed


def _listed(legs: Legs) -> Legs:
    if not legs.parked and not legs.results:
        raise FateUnknown("success without results", 200)
    return legs
