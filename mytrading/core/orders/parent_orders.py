"""Parents of slices, folded from the slices each time and kept nowhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from mytrading.core.orders.state_machine import LIVE, UNRESOLVED, with_cancel
from mytrading.messages.enums import OrderState
from mytrading.messages.orders import Order

_END_RANK = (OrderState.LOST, OrderState.GHOST, OrderState.REJECTED, OrderState.EXPIRED, OrderState.CANCELLED)
"""Precedence of ends for a parent whose slices ended differently, if nothing of it was filled."""


def group_slices(orders: Iterable[Order]) -> list[tuple[Order, tuple[Order, ...]]]:
    """Return each order with its slices, in input order; an unsliced order has ()."""
    found: dict[str, list[Order]] = {}
    for order in orders:
        found.setdefault(order.links.parent or order.client_order_id, []).append(order)
    return [
        (parent_of_slices(each), tuple(sorted(each, key=lambda each: each.links.slice)))
        if each[0].links.parent
        else (each[0], ())
        for each in found.values()
    ]


def parent_of_slices(slices: Sequence[Order]) -> Order:
    """Return the parent order of these slices: quantities summed, fill prices averaged, replaced slices left out."""
    replaced = {order.links.replaces for order in slices}
    ordered = sorted(slices, key=lambda each: each.links.slice)
    current = [order for order in ordered if order.client_order_id not in replaced]
    earlier = sum(order.filled for order in ordered if order.client_order_id in replaced)
    first, filled = current[0], sum(order.filled for order in slices)
    value = sum(order.filled * order.average_price for order in slices)
    return replace(
        first, client_order_id=first.links.parent, links=replace(first.links, parent="", slice=0),
        quantity=earlier + sum(order.quantity for order in current), filled=filled,
        filled_seen=sum(order.filled_seen for order in slices), average_price=value / filled if filled else 0.0,
        state=_state(current), broker_order_id="", created_ns=min(order.created_ns for order in slices),
        updated_ns=max(order.updated_ns for order in slices),
        evidence=with_cancel(first.evidence, wanted=any(order.evidence.cancel.wanted for order in current)),
        message=_message(current),
    )  # fmt: skip


def _state(slices: Sequence[Order]) -> OrderState:
    """Return a parent's state: unresolved if a slice is; partially filled once a slice is, also when the rest ended."""
    states = [order.state for order in slices]
    if len(set(states)) == 1:
        return states[0]
    for state in states:
        if state in UNRESOLVED:
            return state
    if any(order.filled for order in slices):
        return OrderState.PARTIALLY_FILLED
    out = [state for state in states if state in LIVE]
    return out[0] if out else next((state for state in _END_RANK if state in states), states[0])


def _message(slices: Sequence[Order]) -> str:
    counts = Counter(order.state.value for order in slices)
    said = next((order.message for order in slices if order.message), "")
    text = f"{len(slices)} slices: " + ", ".join(f"{count} {state}" for state, count in counts.items())
    return f"{text}; {said}" if said else text
