"""Fields of orders and positions in the trade log."""

from __future__ import annotations

from typing import Any

from mytrading.messages.orders import Order, PositionChanged


def order_fields(order: Order) -> dict[str, Any]:
    """What the trade log says of an order: `filled` is confirmed, `seen` is sighted beyond it; nothing empty."""
    fields = {
        "id": order.client_order_id,
        "broker": order.broker_order_id,
        "state": order.state.value,
        "strategy": order.strategy,
        "purpose": order.purpose.value,
        "side": order.side.value,
        "quantity": order.quantity,
        "instrument": order.instrument,
        "filled": order.filled,
        "seen": order.filled_seen if order.filled_seen != order.filled else 0,
        "price": order.average_price or order.price,
        "wanted": _wanted(order),
        "cause": order.cause,
        "problem": order.message,
    }
    return {name: value for name, value in fields.items() if value}


def position_fields(row: PositionChanged) -> dict[str, Any]:
    """What the trade log says of a position, and of the fill that moved it."""
    position = row.position
    return {
        "strategy": position.strategy,
        "instrument": position.instrument,
        "quantity": position.quantity,
        "seen": position.quantity_seen,
        "average": round(position.average_price, 4),
        "realised": round(position.realised, 2),
        "fill": row.fill_quantity,
        "at": round(row.fill_price, 4),
    }


def _wanted(order: Order) -> str:
    wanted = order.evidence.modify.wanted
    return f"{wanted.quantity} at {wanted.price:g} trigger {wanted.trigger_price:g}" if wanted is not None else ""
