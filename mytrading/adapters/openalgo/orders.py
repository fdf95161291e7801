"""Orders as OpenAlgo's order routes want them.

Used by the order venue. The server refuses fields it does not know, so each payload holds exactly the schema's. The
one rule: `strategy` carries our client order id, which the sandbox shows in its books and live servers do not.
"""

from __future__ import annotations

from typing import Any

from mytrading.core.symbology import split_id
from mytrading.messages.enums import OrderType
from mytrading.messages.orders import Order

STRATEGY_LENGTH = 100


def place_payload(order: Order) -> dict[str, Any]:
    """For `placeorder`; JSON writes the words of our enums as they are."""
    exchange, symbol = split_id(order.instrument)
    return {
        "strategy": order.client_order_id[:STRATEGY_LENGTH],
        "symbol": symbol,
        "exchange": exchange,
        "action": order.side,
        "product": order.product,
        "pricetype": order.order_type,
        "quantity": order.quantity,
        "price": _price(order),
        "trigger_price": _trigger(order),
        "disclosed_quantity": 0,
    }


def modify_payload(order: Order) -> dict[str, Any]:
    """For `modifyorder`: a full replacement by what `order` now says, so every field is required."""
    return place_payload(order) | {"orderid": order.broker_order_id}


def cancel_payload(order: Order) -> dict[str, Any]:
    """For `cancelorder`."""
    return {"strategy": order.client_order_id[:STRATEGY_LENGTH], "orderid": order.broker_order_id}


def _price(order: Order) -> float:
    """A limit, or 0: a price sent with SL-M is refused by the sandbox."""
    return _rupees(order.price) if order.order_type in (OrderType.LIMIT, OrderType.SL) else 0


def _trigger(order: Order) -> float:
    return _rupees(order.trigger_price) if order.order_type in (OrderType.SL, OrderType.SL_M) else 0


def _rupees(price: float) -> float:
    """Without the digits that float arithmetic adds: the finest tick has four decimals."""
    return round(price, 4)
