"""From lots to units, and from a quote to the price an entry is valued at.

Used by risk when a wish becomes an order. The one rule: a size is fixed once, when the wish changes; quotes that move
afterwards never resize it.
"""

from __future__ import annotations

from mytrading.messages.enums import OrderType, Side
from mytrading.messages.instruments import Instrument
from mytrading.messages.market import Quote
from mytrading.messages.signals import Leg


def target_units(lots: int, instrument: Instrument) -> int:
    """Signed units of a target given in signed lots."""
    return lots * instrument.lot_size


def missing_units(target: int, held: int, coming: int) -> int:
    """Signed units still to be ordered to reach `target`, given what is held and what live entries will bring."""
    return target - held - coming


def side_of(units: int) -> Side:
    """Which way an order of these signed units trades."""
    return Side.BUY if units > 0 else Side.SELL


def reference_price(quote: Quote, side: Side) -> float:
    """Rupees a market order of this side should trade at: best ask for a buy, best bid for a sell, else the last price.

    0.0 when the quote holds no positive price.
    """
    best = quote.ask if side is Side.BUY else quote.bid
    price = best if best is not None and best > 0 else quote.ltp
    return price if price > 0 else 0.0


def entry_price(leg: Leg, quote: Quote, side: Side) -> float:
    """Rupees an entry of this leg is valued at: what it should trade at, and for one that rests no more than it may.

    A stop-limit buys at its limit at worst, and sells at its trigger at best.
    """
    market = reference_price(quote, side)
    if leg.order_type is OrderType.LIMIT and leg.limit_price > 0:
        best = min if side is Side.BUY else max
        return best(leg.limit_price, market) if market else leg.limit_price
    if leg.order_type is OrderType.SL and leg.limit_price > 0:
        return leg.limit_price if side is Side.BUY else leg.trigger_price
    return market


def order_value(units: int, price: float) -> float:
    """Rupees of premium (bought options) or of value (shares) of so many units."""
    return abs(units) * price
