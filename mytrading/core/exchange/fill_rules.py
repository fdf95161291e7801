"""When an order executes and at what price: as exchanges do it, and as OpenAlgo's analyzer does.

Pure functions of an order, a mark and whether the order meets the market for the first time (`fresh`: placed, modified
or triggered just now).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mytrading.core.exchange.model import Mark, OrderRequest
from mytrading.messages.enums import OrderType, Side


def triggered(request: OrderRequest, ltp: float) -> bool:
    """True if a stop's trigger has been reached."""
    if request.side is Side.BUY:
        return ltp >= request.trigger_price
    return ltp <= request.trigger_price


def exchange_price(request: OrderRequest, mark: Mark, fresh: bool) -> float | None:
    """Bid and ask decide: a marketable limit gets the better price, a resting one its own; None if it does not fill."""
    price = mark.opposite(request.side)
    if request.order_type not in (OrderType.LIMIT, OrderType.SL):
        return price
    if not _within(request, price):
        return None
    return price if fresh else request.price


def analyzer_price(request: OrderRequest, mark: Mark, fresh: bool) -> float | None:
    """LTP decides, but for MARKET: limits fill at LTP when placed and at their own price later, stops at LTP.

    A stop-limit fills only while trigger and limit both hold, also after it was triggered (seen in 2.0.2).
    """
    kind = request.order_type
    if kind is OrderType.MARKET:
        return mark.opposite(request.side)
    if kind in (OrderType.LIMIT, OrderType.SL) and not _within(request, mark.ltp):
        return None
    if kind is OrderType.SL and not triggered(request, mark.ltp):
        return None
    return request.price if kind is OrderType.LIMIT and not fresh else mark.ltp


def _within(request: OrderRequest, price: float) -> bool:
    """True if the order's limit allows a price."""
    return price <= request.price if request.side is Side.BUY else price >= request.price


@dataclass(frozen=True)
class FillRules:
    """`strict` is what exchanges insist on: ticks, freeze quantities, no orders on indices, fills in hours only.

    Where it is not strict a modified order counts as resting.
    """

    price: Callable[[OrderRequest, Mark, bool], float | None]
    strict: bool


EXCHANGE = FillRules(exchange_price, strict=True)
ANALYZER = FillRules(analyzer_price, strict=False)
