"""A limit that fills at once: through the other side of the book, and no further than it must.

A worst price stands on the order, unlike on a MARKET one, which may rest unfilled where an exchange protects it.
"""

from __future__ import annotations

import math

from mytrading.messages.enums import Side
from mytrading.messages.market import Quote

REACH = 0.01
"""Distance beyond the best price of the other side, as a share of it."""
REACH_TICKS = 10
"""And in ticks, for what is cheap."""


def marketable_price(quote: Quote, side: Side, tick: float) -> float:
    """Rupees on the tick at which an order of this side would trade at once; 0.0 if the quote holds no price."""
    best = quote.ask if side is Side.BUY else quote.bid
    base = best if best is not None and best > 0 else quote.ltp
    if not (base > 0 and math.isfinite(base)):
        return 0.0
    reach = max(base * REACH, REACH_TICKS * tick)
    ticks = math.ceil((base + reach) / tick - 1e-6) if side is Side.BUY else math.floor((base - reach) / tick + 1e-6)
    return round(max(ticks, 1) * tick, 4)
