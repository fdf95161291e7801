"""An operator ends an order of unknown fate: it is this order of the broker, or it was never placed.

An operator overrules what is likely, never what is certain: an order is bound to nobody else's order, and never to one
of another instrument, side or product.
"""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.oms.reconcile import order_updates
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.state_machine import ABSENT, UNRESOLVED, same_fingerprint, with_cancel
from mytrading.messages.control import ResolveRequested
from mytrading.messages.enums import OrderState
from mytrading.messages.orders import Order
from mytrading.messages.reports import BrokerOrder

RESOLVABLE = UNRESOLVED | ABSENT


def on_resolve(oms: OrderDecision, request: ResolveRequested) -> None:
    """Bind or give up the order, and answer; what speaks against it is the answer."""
    order = oms.state.orders.get(request.order)
    if order is None:
        oms.answer(request.id, f"expected the id of an order of today, found {request.order!r}; see `orders`", "")
    elif order.state not in RESOLVABLE:
        what = f"expected an order that is UNKNOWN, PARKED, LOST or GHOST, found {order.state}: its fate is known"
        oms.answer(request.id, what, "")
    elif request.broker_order_id:
        oms.answer(request.id, *_bind(oms, order, request))
    else:
        oms.answer(request.id, *_give_up(oms, order, request))


def _bind(oms: OrderDecision, order: Order, request: ResolveRequested) -> tuple[str, str]:
    name = request.broker_order_id
    problem = _unfit(oms, order, request)
    row = oms.state.strangers.get((order.account, name))
    if problem or row is None:
        return problem, ""
    appeared = order.state in ABSENT
    bound = order_updates.bind(oms, order, name, quantity=row.quantity, message=_said("bound by a person", request))
    if bound is None:
        return f"broker order {name} belongs to another order of ours", ""
    oms.read(order.account, "resolved", positions=True)
    ending = "; it was given up before, so what rests of it is cancelled" if appeared else ""
    return "", f"order {order.client_order_id} is broker order {name}{ending}"


def _unfit(oms: OrderDecision, order: Order, request: ResolveRequested) -> str:
    """Why the broker order cannot be this one; empty if it can."""
    state, place = oms.state, (order.account, request.broker_order_id)
    owner, row = state.by_broker.get(place), state.strangers.get(place)
    if owner is not None:
        return f"broker order {place[1]} belongs to order {owner}; see `mytrading orders`"
    if row is None:
        return f"expected a broker order that stands in the order book, found no {place[1]}; see `broker orders`"
    product = row.product or order.product
    if not same_fingerprint(order, row.instrument, row.side, order.quantity) or product is not order.product:
        found = f"{row.side} {row.instrument} {product}"
        return f"broker order {place[1]} is {found}, ours is {order.side} {order.instrument} {order.product}"
    if request.force:
        return ""
    if row.quantity != order.quantity:
        return f"broker order {place[1]} is for {row.quantity}, ours for {order.quantity}; --force if it is ours still"
    if (state.foreign.get(place) or 0) <= order.call.began_machine_ns:
        return f"broker order {place[1]} was there before ours was sent; --force if it is ours still"
    return ""


def _give_up(oms: OrderDecision, order: Order, request: ResolveRequested) -> tuple[str, str]:
    if order.state is OrderState.GHOST:
        return f"order {order.client_order_id} counts as never placed already", ""
    in_view = matching(oms, order)
    if in_view and not request.force:
        names = ", ".join(row.broker_order_id for row in in_view)
        return f"broker order {names} may be this one: bind it with --broker-order, or --force if it is not", ""
    # What stands there now is not this order: only what is first seen after this moment can be.
    call = replace(order.call, began_machine_ns=oms.machine) if in_view else order.call
    evidence = with_cancel(replace(order.evidence, match=None, flapped=False), wanted=False)
    oms.change(
        order,
        "not_placed",
        state=OrderState.GHOST,
        call=call,
        evidence=evidence,
        message=_said("never placed, by the word of a person", request),
    )
    return "", f"order {order.client_order_id} counts as never placed; if it appears it is ours and is cancelled"


def matching(oms: OrderDecision, order: Order) -> list[BrokerOrder]:
    """Orders of the broker that are nobody's and may be this one, by id."""
    state = oms.state
    return [
        row
        for (account, name), row in state.strangers.sorted_items()
        if account == order.account
        and (account, name) not in state.by_broker
        and row.product in (None, order.product)
        and same_fingerprint(order, row.instrument, row.side, row.quantity)
        and (state.foreign.get((account, name)) or 0) > order.call.began_machine_ns
    ]


def _said(what: str, request: ResolveRequested) -> str:
    return f"{what}: {request.reason}" if request.reason else what
