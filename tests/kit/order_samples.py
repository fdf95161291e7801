"""Orders as messages carry them."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from mytrading.messages.enums import OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.order_evidence import ReportedFills
from mytrading.messages.orders import EntryPlan, Order, OrderEvidence, OrderLinks, PlacingCall

S = OrderState
_PARTS = {"call": PlacingCall, "plan": EntryPlan, "links": OrderLinks}
_FILLS = {
    "stream_filled": "stream",
    "book_filled": "book",
    "trade_filled": "trades",
    "trade_value": "trade_value",
    "stream_void": "stream_void",
}


def order_of(**fields: Any) -> Order:
    """An order whose parts may be named as if they were fields of its own."""
    parts: dict[str, Any] = {}
    for name, kind in _PARTS.items():
        own = {key: fields.pop(key) for key in kind.__struct_fields__ if key in fields}
        if own:
            parts[name] = kind(**own)
    fills = {known: fields.pop(name) for name, known in _FILLS.items() if name in fields}
    if fills:
        evidence = fields.pop("evidence", OrderEvidence())
        parts["evidence"] = replace(evidence, fills=ReportedFills(**fills))
    return Order(**fields, **parts)


def order(**fields: object) -> Order:
    base: dict[str, object] = {
        "client_order_id": "c1",
        "account": "main",
        "instrument": "NFO:A",
        "product": Product.MIS,
        "strategy": "s",
        "run": "r",
        "cause": "c",
        "purpose": Purpose.ENTRY,
        "side": Side.BUY,
        "quantity": 50,
        "order_type": OrderType.MARKET,
        "state": S.ACCEPTED,
        "created_ns": 0,
        "updated_ns": 0,
    }
    return order_of(**{**base, **fields})  # type: ignore[arg-type]
