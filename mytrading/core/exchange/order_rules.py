"""Rules of the exchange: which orders it refuses, when an order executes, and at what price. Pure functions.

A check answers the reason for a refusal, or an empty string. A reason says what was expected, what was found and what
would pass. `fresh` is an order that meets the market for the first time: placed, modified or triggered just now.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mytrading.core.exchange.model import Mark, OrderRequest
from mytrading.messages.enums import OrderType, Product, Side
from mytrading.messages.instruments import Instrument, InstrumentKind

_NEEDS_PRICE = (OrderType.LIMIT, OrderType.SL)
_NEEDS_TRIGGER = (OrderType.SL, OrderType.SL_M)
_TICK_TOLERANCE = 1e-6


def order_problem(request: OrderRequest, instrument: Instrument, strict: bool = True) -> str:
    """Return the first violated rule of an order by itself (tick, lot, freeze …), or an empty string.

    `strict` is what exchanges insist on and OpenAlgo's analyzer does not: ticks, freeze quantity, nothing on indices.
    """
    symbol, exchange, derivative = instrument.symbol, instrument.exchange, instrument.kind.is_derivative
    if strict and instrument.kind is InstrumentKind.INDEX:
        return f"{symbol} on {exchange} is an index and cannot be traded; use its future or options"
    if derivative and request.product is Product.CNC:
        return (
            f"CNC product not allowed for {exchange} derivatives segment. "
            "Use NRML for carryforward or MIS for intraday."
        )
    if not derivative and request.product is Product.NRML:
        return f"NRML product not allowed for {exchange} equity segment. Use CNC for delivery or MIS for intraday."
    quantity, lot, freeze = request.quantity, instrument.lot_size, instrument.freeze_qty
    if quantity <= 0:
        return "Quantity must be a positive number."
    if lot > 1 and quantity % lot:
        return f"Quantity must be in multiples of lot size {lot}"
    if strict and 1 < freeze < quantity:
        return (
            f"Quantity {quantity} is above the freeze quantity {freeze} of {symbol}; "
            f"send slices of at most {freeze // lot * lot}"
        )
    kind = request.order_type
    if kind in _NEEDS_TRIGGER and request.trigger_price <= 0:
        return f"{kind} orders require trigger_price"
    if kind in _NEEDS_PRICE and request.price <= 0:
        return f"{kind} orders require price"
    if not strict:
        return ""
    return next((wrong for name, value in _prices(request) if (wrong := _tick_problem(name, value, instrument))), "")


def _prices(request: OrderRequest) -> list[tuple[str, float]]:
    """The prices that count for an order of its type, by name."""
    price = [("price", request.price)] if request.order_type in _NEEDS_PRICE else []
    return price + ([("trigger_price", request.trigger_price)] if request.order_type in _NEEDS_TRIGGER else [])


def _tick_problem(name: str, value: float, instrument: Instrument) -> str:
    ticks = value / instrument.tick_size
    if abs(ticks - round(ticks)) < _TICK_TOLERANCE * max(1.0, ticks):
        return ""
    below = int(ticks) * instrument.tick_size
    return (
        f"{name} must be a multiple of tick size {instrument.tick_size:g}: {value:g} is not ({instrument.symbol}); "
        f"use {below:.2f} or {below + instrument.tick_size:.2f}"
    )


def band_problem(request: OrderRequest, mark: Mark) -> str:
    """Return which price of an order lies outside the day's price band, or an empty string."""
    for name, value in _prices(request):
        if value < mark.lower or (mark.upper and value > mark.upper):
            return (
                f"{name} must be inside the price band {mark.lower:.2f} to {mark.upper:.2f}: {value:g} is not "
                f"({request.instrument.partition(':')[2]}); use a price between them"
            )
    return ""


def is_triggered(request: OrderRequest, ltp: float) -> bool:
    """True if the last price has reached the trigger of a stop order."""
    return ltp >= request.trigger_price if request.side is Side.BUY else ltp <= request.trigger_price


def exchange_fill_price(request: OrderRequest, mark: Mark, fresh: bool) -> float | None:
    """Fill price by bid and ask; None: no fill. A limit gets that price if `fresh` (just placed), else its own."""
    price = mark.execution_price(request.side)
    if request.order_type not in _NEEDS_PRICE:
        return price
    if not _within_limit(request, price):
        return None
    return price if fresh else request.price


def analyzer_fill_price(request: OrderRequest, mark: Mark, fresh: bool) -> float | None:
    """Fill price by LTP, or None: limits at LTP when placed (`fresh`), else at their price; stops at LTP; MARKET at the
    opposite side.

    A stop-limit fills only while trigger and limit both hold, also after it was triggered (seen in 2.0.2).
    """
    kind = request.order_type
    if kind is OrderType.MARKET:
        return mark.execution_price(request.side)
    if kind in _NEEDS_PRICE and not _within_limit(request, mark.ltp):
        return None
    if kind is OrderType.SL and not is_triggered(request, mark.ltp):
        return None
    return request.price if kind is OrderType.LIMIT and not fresh else mark.ltp


def _within_limit(request: OrderRequest, price: float) -> bool:
    return price <= request.price if request.side is Side.BUY else price >= request.price


@dataclass(frozen=True)
class FillRules:
    """`strict` is what exchanges insist on: ticks, freeze quantities, no orders on indices, fills in hours only.

    Where it is not strict a modified order counts as resting.
    """

    price: Callable[[OrderRequest, Mark, bool], float | None]
    strict: bool


EXCHANGE = FillRules(exchange_fill_price, strict=True)
ANALYZER = FillRules(analyzer_fill_price, strict=False)
