"""What people ask of single orders: cancel one, or change its price, trigger or quantity.

Every request is answered by a row of its order, one that is turned down by a message that begins with `refused`.
"""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.oms.exits import broker_stops
from mytrading.core.oms.placing import entries, modify
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.state_machine import live
from mytrading.messages.control import CancelRequested, ModifyRequested
from mytrading.messages.enums import OrderType, Purpose, Severity, Side
from mytrading.messages.order_evidence import OrderTerms
from mytrading.messages.orders import Order, Protection

REFUSED = "refused: "
_STOPS = (OrderType.SL, OrderType.SL_M)
_PRICED = (OrderType.LIMIT, OrderType.SL)


def on_cancel(oms: OrderDecision, message: CancelRequested) -> None:
    """Cancel one order, whether or not it has left us."""
    order = _asked(oms, message)
    if order is None:
        return
    why = _why_not_cancel(order, message)
    if why:
        _refuse(oms, order, message.id, why)
        return
    level = _protection_of(oms, order)
    if level is not None:
        broker_stops.release(oms, level, message.reason)
    order = oms.change(order, "requested", links=replace(order.links, request=message.id))
    entries.withdraw_one(oms, order, f"withdrawn by a person: {message.reason or 'no reason given'}")


def _asked(oms: OrderDecision, message: CancelRequested | ModifyRequested) -> Order | None:
    order = oms.state.orders.get(message.order)
    if order is None:
        what = f"a person asked for a change of order {message.order}, which the router does not know; nothing was done"
        oms.alert("REQUEST_UNKNOWN", Severity.WARNING, message.order, what)
    return None if order is None or order.links.request == message.id else order


def _refuse(oms: OrderDecision, order: Order, request: str, why: str) -> None:
    links = replace(order.links, request=request)
    oms.change(order, "request_refused", links=links, message=f"{REFUSED}{why}")


def _why_not_cancel(order: Order, message: CancelRequested) -> str:
    if not live(order):
        return f"expected a live order, found one that ended {order.state}"
    if order.purpose.reduces and not (message.force and message.reason):
        return forced_only(order)
    return ""


def forced_only(order: Order) -> str:
    """Why an operator's cancel of a stop or an exit needs force, and what it would do."""
    if order.purpose is Purpose.STOP:
        return "this is the stop of a position, which would be bare; with --force and a reason it is taken away"
    return "an exit is tried until the position is flat, so another would follow; cancel it with --force and a reason"


def _protection_of(oms: OrderDecision, order: Order) -> Protection | None:
    """The protection whose stop an order is, while it guards."""
    if order.purpose is not Purpose.STOP:
        return None
    level = oms.state.protections.get(order.owner)
    return level if level is not None and level.state == "open" else None


def on_modify(oms: OrderDecision, message: ModifyRequested) -> None:
    """Change one order; of a stop, the prices of the protection that it belongs to."""
    order = _asked(oms, message)
    if order is None:
        return
    wanted = new_terms(order, message.price, message.trigger_price, message.quantity)
    why = why_not_modify(order, wanted) or _why_not_now(oms, order)
    if why:
        _refuse(oms, order, message.id, why)
        return
    order = oms.change(order, "requested", links=replace(order.links, request=message.id), message="")
    level = _protection_of(oms, order)
    if level is not None:
        broker_stops.move(oms, level, wanted.trigger_price, wanted.price)
    else:
        modify.request_terms(oms, order, wanted)


def new_terms(order: Order, price: float, trigger: float, quantity: int) -> OrderTerms:
    """An order's terms with what was named of them; a stop-limit whose trigger alone moves takes its limit along."""
    moved_price = price or order.price
    if trigger and not price and order.order_type is OrderType.SL:
        moved_price = round(order.price + trigger - order.trigger_price, 4)
    return OrderTerms(moved_price, trigger or order.trigger_price, quantity or order.quantity)


def why_not_modify(order: Order, wanted: OrderTerms) -> str:
    """What of an order forbids the change, as far as the order alone tells; empty if nothing does."""
    if not live(order):
        return f"expected a live order, found one that ended {order.state}"
    if order.evidence.cancel.wanted:
        return "it is being cancelled"
    if order.purpose.reduces and order.purpose is not Purpose.STOP:
        return "an exit is tried, and re-priced, until the position is flat"
    if wanted == modify.own_terms(order):
        return "expected another price, trigger or quantity than it has, found none"
    return _unfit(order, wanted) or _wrong_quantity(order, wanted)


def _unfit(order: Order, wanted: OrderTerms) -> str:
    kind = order.order_type
    if wanted.price != order.price and kind not in _PRICED:
        return f"a price is for LIMIT and SL orders, this one is {kind}"
    if wanted.trigger_price != order.trigger_price and kind not in _STOPS:
        return f"a trigger is for SL and SL-M orders, this one is {kind}"
    if kind is OrderType.SL and (wanted.price - wanted.trigger_price) * order.side.sign < 0:
        word = "at or above" if order.side is Side.BUY else "at or below"
        return (
            f"a {order.side} stop's price must be {word} its trigger {wanted.trigger_price:g}, found {wanted.price:g}"
        )
    return ""


def _wrong_quantity(order: Order, wanted: OrderTerms) -> str:
    if wanted.quantity == order.quantity:
        return ""
    if order.purpose is Purpose.STOP:
        return f"a stop's quantity follows the position: it stays {order.quantity}"
    if wanted.quantity > order.quantity:
        return f"quantity may only be lowered from {order.quantity}, found {wanted.quantity}: risk sized it; enter anew"
    if wanted.quantity <= order.filled_seen:
        return (
            f"quantity must be above the {order.filled_seen} that are filled, found {wanted.quantity}; cancel the rest"
        )
    return ""


def _why_not_now(oms: OrderDecision, order: Order) -> str:
    if modify.under_way(order):
        return "an earlier change of it is not proven yet; try again in a few seconds"
    if order.purpose is Purpose.STOP:
        return "" if _protection_of(oms, order) is not None else "an exit has taken over from this stop"
    why = entries.forbidden(oms, order, order.net)  # it may have to be placed anew
    return f"{why}; until then it can only be cancelled" if why else ""
