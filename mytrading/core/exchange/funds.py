"""What the paper exchange blocks for an order or a position, in rupees.

Bought options block their premium, sold options a share of strike times quantity, futures and shares a share of their
value. No offsets between instruments, so the answer never depends on other positions; risk has a margin model of its
own.
"""

from __future__ import annotations

from mytrading.core.instruments.contract_specs import MarginRates
from mytrading.messages.enums import Product
from mytrading.messages.instruments import Instrument, InstrumentKind


def blocked_for(instrument: Instrument, product: Product, quantity: int, price: float, rates: MarginRates) -> float:
    """Rupees blocked for a signed quantity at a price."""
    units = abs(quantity)
    if instrument.kind is InstrumentKind.FUT:
        return rates.future * units * price
    if instrument.kind.is_option:
        return units * price if quantity > 0 else rates.option_sold * units * instrument.strike
    return units * price * (rates.equity_delivery if product is Product.CNC else rates.equity_intraday)


def shortage(required: float, available: float) -> str:
    """The refusal for want of cash, or an empty string."""
    if required <= available:
        return ""
    return (
        f"Insufficient funds. Required: ₹{round(required, 2)}, Available: ₹{round(available, 2)}, "
        f"Shortage: ₹{round(required - available, 2)}"
    )
