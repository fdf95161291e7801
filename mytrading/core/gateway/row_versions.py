"""Marks of what a person saw of an order or a position: a command that names another mark is refused.

Screens are always a little behind. An order that was filled or changed meanwhile, or another number of units, would
make the command mean something else than its author saw.
"""

from __future__ import annotations

from hashlib import blake2b

from mytrading.core.orders.state_machine import describe_order
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.orders import Order, Position


def _mark(*values: object) -> str:
    return blake2b(repr(values).encode(), digest_size=6).hexdigest()


def order_version(order: Order) -> str:
    """Return the mark of an order: another one after each change of state, fills, terms or requests under way."""
    known = order.evidence
    return _mark(
        str(order.state), order.filled_seen, order.quantity, order.price, order.trigger_price, order.broker_order_id,
        known.cancel.wanted, known.modify.wanted,
    )  # fmt: skip


def position_version(held: Position | UnmanagedChanged) -> str:
    """Return the mark of a position, or of unmanaged units: another one when their number or their price changes."""
    return _mark(held.quantity, getattr(held, "quantity_seen", 0), held.average_price)


def why_changed(expected: str, now: str, what: str) -> str:
    """Return why a command is refused whose author saw the mark `expected`; empty if it still holds, or is empty."""
    if expected in ("", now):
        return ""
    return f"MOVED: it changed since it was shown, nothing was done: it is now {what}; look again, then repeat"


def describe_held(held: Position | UnmanagedChanged) -> str:
    """Return units and price of a position in words."""
    return f"{held.quantity:+d} of {held.instrument} at {held.average_price:,.2f}"


def why_order_changed(expected: str, order: Order) -> str:
    """Return why a command on an order is refused, as `why_changed`."""
    return why_changed(expected, order_version(order), describe_order(order))


def why_position_changed(expected: str, held: Position | UnmanagedChanged) -> str:
    """Return why a command on a position is refused, as `why_changed`."""
    return why_changed(expected, position_version(held), describe_held(held))
