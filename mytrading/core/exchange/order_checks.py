"""What the exchange refuses at the door: price grid, lots, freeze, products, sessions. Each check is a pure function.

A check answers the reason for a refusal, or an empty string. A reason says what was expected, what was found and what
would pass.
"""

from __future__ import annotations

from mytrading.core.exchange.model import Mark, OrderRequest
from mytrading.messages.enums import OrderType, Product
from mytrading.messages.instruments import Instrument, InstrumentKind

_NEEDS_PRICE = (OrderType.LIMIT, OrderType.SL)
_NEEDS_TRIGGER = (OrderType.SL, OrderType.SL_M)
_TICK_TOLERANCE = 1e-6


def order_problem(request: OrderRequest, instrument: Instrument, strict: bool = True) -> str:
    """The first thing wrong with an order on its own, or an empty string.

    `strict` is what exchanges insist on and OpenAlgo's analyzer does not: ticks, freeze quantity, nothing on indices.
    """
    return (
        (_index_problem(instrument) if strict else "")
        or _product_problem(request, instrument)
        or _quantity_problem(request.quantity, instrument, strict)
        or price_problem(request, instrument, strict)
    )


def _index_problem(instrument: Instrument) -> str:
    if instrument.kind is not InstrumentKind.INDEX:
        return ""
    return f"{instrument.symbol} on {instrument.exchange} is an index and cannot be traded; use its future or options"


def _product_problem(request: OrderRequest, instrument: Instrument) -> str:
    if instrument.kind.is_derivative and request.product is Product.CNC:
        return (
            f"CNC product not allowed for {instrument.exchange} derivatives segment. "
            "Use NRML for carryforward or MIS for intraday."
        )
    if not instrument.kind.is_derivative and request.product is Product.NRML:
        return (
            f"NRML product not allowed for {instrument.exchange} equity segment. "
            "Use CNC for delivery or MIS for intraday."
        )
    return ""


def _quantity_problem(quantity: int, instrument: Instrument, strict: bool) -> str:
    if quantity <= 0:
        return "Quantity must be a positive number."
    if instrument.lot_size > 1 and quantity % instrument.lot_size:
        return f"Quantity must be in multiples of lot size {instrument.lot_size}"
    if strict and 1 < instrument.freeze_qty < quantity:
        return (
            f"Quantity {quantity} is above the freeze quantity {instrument.freeze_qty} of {instrument.symbol}; "
            f"send slices of at most {instrument.freeze_qty // instrument.lot_size * instrument.lot_size}"
        )
    return ""


def price_problem(request: OrderRequest, instrument: Instrument, strict: bool = True) -> str:
    """What is wrong with an order's price or trigger, or an empty string."""
    kind = request.order_type
    if kind in _NEEDS_TRIGGER and request.trigger_price <= 0:
        return f"{kind} orders require trigger_price"
    if kind in _NEEDS_PRICE and request.price <= 0:
        return f"{kind} orders require price"
    if not strict:
        return ""
    checked = []
    if kind in _NEEDS_PRICE:
        checked.append(("price", request.price))
    if kind in _NEEDS_TRIGGER:
        checked.append(("trigger_price", request.trigger_price))
    return next((problem for name, value in checked if (problem := _tick_problem(name, value, instrument))), "")


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
    """What of an order's price or trigger lies outside the day's price band, or an empty string."""
    asked = []
    if request.order_type in _NEEDS_PRICE:
        asked.append(("price", request.price))
    if request.order_type in _NEEDS_TRIGGER:
        asked.append(("trigger_price", request.trigger_price))
    return next((_outside(name, value, request, mark) for name, value in asked if not _inside(value, mark)), "")


def _inside(value: float, mark: Mark) -> bool:
    return value >= mark.lower and (not mark.upper or value <= mark.upper)


def _outside(name: str, value: float, request: OrderRequest, mark: Mark) -> str:
    return (
        f"{name} must be inside the price band {mark.lower:.2f} to {mark.upper:.2f}: {value:g} is not "
        f"({request.instrument.partition(':')[2]}); use a price between them"
    )
