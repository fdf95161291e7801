"""The daily price band of an instrument, as far as its kind and what is known of its price tell it.

Entries, stops and the limits of exits are kept inside it. The exchange's own band may be narrower: no server tells it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from mytrading.messages.enums import Side
from mytrading.messages.instruments import InstrumentKind

SHARE_BAND = 0.20
"""Largest distance of an order for a share from its last close: the widest circuit of NSE and BSE."""
FUTURE_BAND = 0.10
OPTION_BAND, OPTION_REACH, OPTION_SMALL = 0.40, 20.0, 50.0
"""Limit price protection of NSE: 40 % about the price, and ₹20 about one of at most ₹50."""
INSIDE = 0.01
"""Distance of an edge from where it would be about the previous close, as a share of it, where that is not known."""
_EPSILON = 1e-6
_FUT = InstrumentKind.FUT


class PriceBand(NamedTuple):
    """The lowest and the highest price, in rupees, that the exchange is taken to accept."""

    lower: float
    upper: float

    def inside(self, share: float) -> PriceBand:
        """Return the band with each edge moved inwards by a share of itself."""
        return PriceBand(self.lower * (1 + share), self.upper * (1 - share))


def price_band(kind: InstrumentKind, price: float, previous_close: float | None) -> PriceBand:
    """The daily price band: about the previous close of a share or future, about `price` of an option. Without a
    previous close it is guessed about `price`, and each edge is kept `INSIDE`."""
    if kind.is_option:
        reach = OPTION_REACH if price <= OPTION_SMALL else price * OPTION_BAND
        return PriceBand(max(price - reach, 0.0), price + reach)
    known = previous_close is not None and previous_close > 0
    base = previous_close if previous_close is not None and known else price
    share = FUTURE_BAND if kind is _FUT else SHARE_BAND
    band = PriceBand(base * (1 - share), base * (1 + share))
    return band if known else band.inside(INSIDE)


def exit_edge(kind: InstrumentKind, side: Side, price: float, previous_close: float | None, tick: float) -> float:
    """The price on the tick at the edge of the band that an exit of this side trades up to, rupees; at least a tick.

    Not about a fresh price: an option's edge, too, is kept `INSIDE`."""
    band = price_band(kind, price, previous_close)
    if kind.is_option:
        band = band.inside(INSIDE)
    edge = on_tick(band.upper, tick, -1) if side is Side.BUY else on_tick(band.lower, tick, 1)
    return max(edge, tick)


def on_tick(price: float, tick: float, way: int) -> float:
    """The next price on the tick, upwards (+1) or downwards (−1)."""
    ticks = price / tick
    whole = math.ceil(ticks - _EPSILON) if way > 0 else math.floor(ticks + _EPSILON)
    return round(whole * tick, 4)
