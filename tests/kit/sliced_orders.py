"""Orders that are slices of a parent."""

from __future__ import annotations

from typing import Any

from mytrading.messages.enums import OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.orders import Order
from tests.kit.order_samples import order_of


def order(number: int, state: OrderState, filled: int = 0, **fields: Any) -> Order:
    made: dict[str, Any] = {
        "client_order_id": f"p{number}", "account": "main", "instrument": "NFO:A", "product": Product.MIS,
        "strategy": "s", "run": "r", "cause": "c", "purpose": Purpose.ENTRY, "side": Side.BUY, "quantity": 100 - number,
        "order_type": OrderType.MARKET, "state": state, "created_ns": number, "updated_ns": number, "parent": "p",
        "slice": number, "filled": filled, "filled_seen": filled,
    }  # fmt: skip
    return order_of(**{**made, **fields})
