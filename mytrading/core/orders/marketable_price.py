"""A limit that fills at once: through the other side of the book, and no further than it must.

A worst price stands on the order, unlike on a MARKET one, which may rest unfilled where an exchange protects it.
"""

from __future__ import annotations

import math

from mytrading.core.no_price import is_crossed
from mytrading.core.orders.price_band import PriceBand, on_tick
from mytrading.messages.enums import Side
from mytrading.messages.market import Quote

REACH = 0.01
"""Distance beyond the best price of the other side, as a share of it."""
REACH_TICKS = 10
"""And in ticks, for what is cheap."""


def marketable_price(quote: Quote, side: Side, tick: float, band: PriceBand | None = None) -> float:
    """Rupees on the tick, and inside a known price band, at which an order of this side would trade at once; 0.0 if the
    quote holds no price. A book whose sides are crossed is not known."""
    best = None if is_crossed(quote.bid, quote.ask) else quote.ask if side is Side.BUY else quote.bid
    base = best if best is not None and best > 0 else quote.ltp
    if not (base > 0 and math.isfinite(base)):
        return 0.0
    reach = max(base * REACH, REACH_TICKS * tick)
    buys = side is Side.BUY
    price = on_tick(base + reach, tick, 1) if buys else on_tick(base - reach, tick, -1)
    if band is not None and band.lower <= base <= band.upper:  # a price beyond it proves the band wrong
        price = (
            min(price, on_tick(band.upper, tick, -1)) if side is Side.BUY else max(price, on_tick(band.lower, tick, 1))
        )
    return max(price, tick)
