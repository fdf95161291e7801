"""Result of an operator's request about one order, from the orders of the read model.

A request without proof of its end is waiting, never done.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mytrading.core.oms.operator_requests import REFUSED
from mytrading.core.orders.state_machine import live
from mytrading.messages.enums import OrderState, Purpose
from mytrading.messages.orders import Order

WAITING = "waiting"


class RequestResult(NamedTuple):
    """A word (waiting, refused, cancelled, modified, replaced, filled, ended), a sentence, and the id of the order."""

    word: str
    text: str
    order: str


def result_of(order: Order, orders: Iterable[Order], request: str, *, cancel: bool) -> RequestResult:
    """What became of the request `request` to cancel or else to modify `order`; `orders` are all that are known."""
    name = order.client_order_id
    if order.links.request == request and order.message.startswith(REFUSED):
        return RequestResult("refused", order.message.removeprefix(REFUSED), name)
    if order.links.request != request and live(order):
        return RequestResult(WAITING, "the router has not taken it up yet", name)
    return _cancelled(order) if cancel else _modified(order, orders)


def _cancelled(order: Order) -> RequestResult:
    name, sums = order.client_order_id, f"{order.filled_seen} of {order.quantity} filled"
    if live(order):
        return RequestResult(WAITING, f"the cancel is requested and its end not proven; {sums} so far", name)
    if order.state is OrderState.FILLED:
        return RequestResult("filled", f"it filled before the cancel: {sums}", name)
    if order.state is OrderState.CANCELLED:
        return RequestResult("cancelled", f"cancelled, {sums}", name)
    return RequestResult("ended", f"it ended {order.state}, {sums}", name)


def _modified(order: Order, orders: Iterable[Order]) -> RequestResult:
    name = order.client_order_id
    if live(order):
        if order.evidence.modify.wanted or order.evidence.cancel.wanted:
            return RequestResult(WAITING, "the change is requested and not yet in the order book", name)
        return RequestResult("modified", f"the order book shows {_words(order)}", name)
    after = _successor(order, orders)
    if after is not None:
        return RequestResult(
            "replaced", f"replaced by order {after.client_order_id}: {_words(after)}", after.client_order_id
        )
    if order.evidence.modify.wanted or (
        order.purpose is Purpose.STOP and order.message.startswith("withdrawn: replaced")
    ):
        return RequestResult(WAITING, "the old order has ended, the new one is not placed yet", name)
    if order.state is OrderState.FILLED:
        return RequestResult(
            "filled", f"it filled: {order.filled_seen} of {order.quantity}, requested {_words(order)}", name
        )
    return RequestResult(
        "ended", f"it ended {order.state} meanwhile, {order.filled_seen} of {order.quantity} filled", name
    )


def _successor(order: Order, orders: Iterable[Order]) -> Order | None:
    if order.purpose is not Purpose.STOP:
        return next((other for other in orders if other.links.replaces == order.client_order_id), None)
    owner = order.owner
    stops = [
        other
        for other in orders
        if other.purpose is Purpose.STOP and other.owner == owner and other.created_ns > order.created_ns
    ]
    return max(stops, key=lambda other: other.created_ns, default=None)


def _words(order: Order) -> str:
    text = f"{order.side} {order.quantity} {order.instrument} {order.order_type}"
    text += f" at {order.price:g}" if order.price else ""
    text += f" trigger {order.trigger_price:g}" if order.trigger_price else ""
    return f"{text}, {order.state}"
