"""Orders above the freeze quantity, cut into slices that carry the id of their `parent`, which is no order itself."""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.ids import client_order_id
from mytrading.core.oms.state.alert_codes import EventAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.slicing import Sizes, Unsliceable, closing_slice_quantities, slice_quantities
from mytrading.core.orders.state_machine import LIVE
from mytrading.messages.enums import OrderState, Severity
from mytrading.messages.orders import Order, OrderChanged

_UNKNOWN = Sizes()
"""Of an instrument that no command named."""


def create_entry_orders(oms: OrderDecision, order: Order) -> None:
    """Emit an entry as INITIALIZED, sliced if above the freeze quantity; raises `Unsliceable`, emitting nothing."""
    _begin(oms, order, slice_quantities(order.quantity, oms.state.sizes.get(order.instrument) or _UNKNOWN))


def create_closing_orders(oms: OrderDecision, order: Order, fits: int) -> None:
    """Emit an exit or stop as INITIALIZED; if it needs slices, for at most the `fits` units that it may still close."""
    sizes = oms.state.sizes.get(order.instrument) or _UNKNOWN
    if sizes.fits(order.quantity) and not order.quantity % (sizes.lot or 1):
        oms.emit(OrderChanged(event="initialized", order=order, machine_ns=oms.machine))
        return
    quantities = closing_slice_quantities(order.quantity, sizes)
    if fits < order.quantity and len(quantities) > 1:
        quantities = closing_slice_quantities(fits, sizes)
    _begin(oms, order, quantities)


def preview_entry_orders(oms: OrderDecision, entry: Order) -> list[Order]:
    """Return the order, or the slices, that an entry would be sent as now; nothing is emitted."""
    try:
        quantities = slice_quantities(entry.quantity, oms.state.sizes.get(entry.instrument) or _UNKNOWN)
    except Unsliceable:
        quantities = (entry.quantity,)
    return _cut(entry, quantities)


def _begin(oms: OrderDecision, order: Order, quantities: tuple[int, ...]) -> None:
    for each in _cut(order, quantities):
        oms.emit(OrderChanged(event="initialized", order=each, machine_ns=oms.machine))


def _cut(order: Order, quantities: tuple[int, ...]) -> list[Order]:
    """The order, or a slice for each quantity; the first alone carries the trace of the quote behind the order."""
    if quantities == (order.quantity,):
        return [order]
    parent = order.client_order_id
    return [
        replace(
            order,
            client_order_id=client_order_id(order.account, parent, order.purpose, order.instrument, number),
            quantity=quantity,
            links=replace(order.links, parent=parent, slice=number),
            call=order.call if number == 1 else replace(order.call, trace_ns=0),
        )
        for number, quantity in enumerate(quantities, 1)
    ]


def orders_by_id(oms: OrderDecision, name: str) -> list[Order]:
    """Return the order with this id, or all slices of the parent with this id; [] if unknown."""
    if (order := oms.state.orders.get(name)) is not None:
        return [order]
    return sorted([oms.order(part) for part in oms.state.parts.get(name) or ()], key=lambda part: part.links.slice)


def sibling_slices(oms: OrderDecision, order: Order) -> list[Order]:
    """Return the other slices of an order's parent; [] if it is no slice."""
    if not order.links.parent:
        return []
    return [part for part in orders_by_id(oms, order.links.parent) if part.client_order_id != order.client_order_id]


def alert_rejected_slice(oms: OrderDecision, order: Order, reason: str) -> None:
    """Alert that a slice of an entry was rejected, so that the entry stays smaller; other orders are ignored."""
    if not order.links.parent or order.purpose.reduces:
        return
    others = sibling_slices(oms, order)
    replaced = {part.links.replaces for part in (*others, order)}
    current = [part for part in others if part.client_order_id not in replaced]
    earlier = sum(part.filled for part in others if part.client_order_id in replaced)
    whole = order.quantity + earlier + sum(part.quantity for part in current)
    kept = earlier + sum(part.quantity if part.state in LIVE else part.filled for part in current)
    gone = sum(part.state is OrderState.REJECTED for part in current) + 1
    what = f"{gone} of {len(current) + 1} slices of {order.side} {whole} {order.instrument} rejected: {reason}"
    text = f"{what}; the others are kept ({kept} units filled or out)"
    oms.alert(EventAlert.ENTRY_SHORT, Severity.WARNING, order.links.parent, text)
