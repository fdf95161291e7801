"""What became of a person's request about one order, told from the orders as the screens know them.

Used by the gateway for the command line. The one rule: a request that is not settled is said to wait, never to be done.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mytrading.core.oms.person import REFUSED
from mytrading.core.order import live
from mytrading.messages.enums import OrderState, Purpose
from mytrading.messages.orders import Order

WAITING = "waiting"


class Result(NamedTuple):
    """A word (waiting, refused, cancelled, modified, replaced, filled, ended), a sentence, and the id of the order."""

    word: str
    text: str
    order: str


def result_of(order: Order, orders: Iterable[Order], request: str, *, cancel: bool) -> Result:
    """What became of the request `request` to cancel or else to modify `order`; `orders` are all that are known."""
    name = order.client_order_id
    if order.request == request and order.message.startswith(REFUSED):
        return Result("refused", order.message.removeprefix(REFUSED), name)
    if order.request != request and live(order):
        return Result(WAITING, "the router has not taken it up yet", name)
    return _cancelled(order) if cancel else _modified(order, orders)


def _cancelled(order: Order) -> Result:
    name, sums = order.client_order_id, f"{order.filled_seen} of {order.quantity} filled"
    if live(order):
        return Result(WAITING, f"the cancel is asked for and its end not proven; {sums} so far", name)
    if order.state is OrderState.FILLED:
        return Result("filled", f"it filled before the cancel: {sums}", name)
    if order.state is OrderState.CANCELLED:
        return Result("cancelled", f"cancelled, {sums}", name)
    return Result("ended", f"it ended {order.state}, {sums}", name)


def _modified(order: Order, orders: Iterable[Order]) -> Result:
    name = order.client_order_id
    if live(order):
        if order.pending_modify or order.pending_cancel:
            return Result(WAITING, "the change is asked for and not yet seen in the order book", name)
        return Result("modified", f"the order book shows {_words(order)}", name)
    after = _successor(order, orders)
    if after is not None:
        return Result("replaced", f"replaced by order {after.client_order_id}: {_words(after)}", after.client_order_id)
    if order.pending_modify or (order.purpose is Purpose.STOP and order.message.startswith("withdrawn: replaced")):
        return Result(WAITING, "the old order has ended, the new one is not placed yet", name)
    if order.state is OrderState.FILLED:
        return Result("filled", f"it filled: {order.filled_seen} of {order.quantity}, asked for {_words(order)}", name)
    return Result("ended", f"it ended {order.state} meanwhile, {order.filled_seen} of {order.quantity} filled", name)


def _successor(order: Order, orders: Iterable[Order]) -> Order | None:
    if order.purpose is not Purpose.STOP:
        return next((other for other in orders if other.replaces == order.client_order_id), None)
    owner = (order.account, order.instrument, order.product, order.strategy)
    stops = [
        other
        for other in orders
        if other.purpose is Purpose.STOP
        and (other.account, other.instrument, other.product, other.strategy) == owner
        and other.created_ns > order.created_ns
    ]
    return max(stops, key=lambda other: other.created_ns, default=None)


def _words(order: Order) -> str:
    text = f"{order.side} {order.quantity} {order.instrument} {order.order_type}"
    text += f" at {order.price:g}" if order.price else ""
    text += f" trigger {order.trigger_price:g}" if order.trigger_price else ""
    return f"{text}, {order.state}"
