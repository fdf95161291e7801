"""Prices of stops that operators give: refused where the exchange would refuse them, or the position be closed at once.

Judged by what is known of the price. The broker judges what passes, and a change that it refuses changes nothing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from mytrading.core.feed.staleness import OPTION_PATIENCE
from mytrading.core.instruments.symbology import parse_symbol, split_id
from mytrading.core.risk.pretrade.stop_plan import can_stop_rest, furthest_resting_level, price_band
from mytrading.core.risk.state.state import is_stale
from mytrading.core.time import SECOND
from mytrading.messages.enums import Product, Side
from mytrading.messages.instruments import Instrument
from mytrading.messages.market import Quote

STOP_LEVEL = "STOP_LEVEL: "
"""Prefix of the refusal of a stop's price, as of the denial of an entry with such a stop."""


class KnownPrice(NamedTuple):
    """What is known of an instrument's price at `now` (market ns) and `machine_ns`: its last `quote`, and the average
    `cost` of the units (rupees, 0: unknown). A quote counts for twelve times `stale_seconds`, as the feed takes an
    option's."""

    quote: Quote | None
    now: int
    machine_ns: int
    stale_seconds: float
    cost: float = 0.0

    @property
    def last(self) -> float | None:
        """The last price in rupees; None without one, or if it is too old to judge by."""
        quote, patience = self.quote, self.stale_seconds * OPTION_PATIENCE
        if quote is None or not _is_price(quote.ltp) or is_stale(quote, self.now, self.machine_ns, patience):
            return None
        return quote.ltp

    @property
    def age_s(self) -> float:
        """Seconds of market time since the last price; 0 without one."""
        return max(0.0, (self.now - self.quote.market_ns) / SECOND) if self.quote is not None else 0.0


def why_stop_is_refused(side: Side, trigger: float, instrument: Instrument, known: KnownPrice) -> str:
    """Return why a stop order of this `side` cannot have this `trigger`, and what to do; empty if it can.

    It lies below the last price if it sells, else above. Without a price of the last minute it lies inside the price
    band about the last one, else about what the units cost; of an option, and without either, any is taken.
    """
    sells, last, shown = side is Side.SELL, known.last, f"{trigger:g}"
    way, held = ("below", "bought") if sells else ("above", "sold")
    if last is not None:
        if trigger < last if sells else trigger > last:
            return ""
        found = f"must lie {way} the last price {last:g} ({known.age_s:.0f} s old), found {shown}"
        return (
            f"{STOP_LEVEL}the stop of units that were {held} {found}: it would be refused, or close them at once; "
            f"give a trigger {way} {last:g}, or close them: `mytrading positions close`"
        )
    if (about := _band_centre(instrument, known)) is None:
        return ""
    band = price_band(instrument, about, known.quote.previous_close if known.quote is not None else None)
    if trigger < band.upper if sells else trigger > band.lower:
        return ""
    limit, reach = (band.upper, "up to") if sells else (band.lower, "down to")
    source = "the last known one" if about != known.cost else "what they cost"
    return (
        f"{STOP_LEVEL}the stop of units that were {held} must lie {way} the price, of which none of the last minute is "
        f"known; by {source}, {about:g}, the exchange takes orders {reach} {limit:.2f} today, found {shown}; "
        f"give a trigger {way} the price that the broker's terminal shows"
    )


def why_stop_would_not_rest(side: Side, trigger: float, instrument: Instrument, known: KnownPrice) -> str:
    """Return why the exchange would refuse a new stop order at `trigger`, so that units without one would be closed;
    empty if it would not, or by what is known cannot be told."""
    last, entry = known.last, Side.BUY if side is Side.SELL else Side.SELL
    if last is None or known.quote is None:
        return ""
    if can_stop_rest(instrument, entry, trigger, last, known.quote.previous_close):
        return ""
    furthest = furthest_resting_level(instrument, entry, last, known.quote.previous_close)
    way = "at or above" if entry is Side.BUY else "at or below"
    return (
        f"{STOP_LEVEL}the exchange takes no stop so far from the last price {last:g} ({known.age_s:.0f} s old): found "
        f"{trigger:g}, and units whose stop is refused are closed; give a trigger {way} {furthest:.2f}, or no stop"
    )


def _band_centre(instrument: Instrument, known: KnownPrice) -> float | None:
    """The price about which the band of today lies, by what is known; None if that cannot be told."""
    if instrument.kind.is_option:  # whose band moves along with the price
        return None
    if known.quote is not None and _is_price(known.quote.ltp):
        return known.quote.ltp
    return known.cost if _is_price(known.cost) else None


def _is_price(price: float) -> bool:
    return math.isfinite(price) and price > 0


def cost_of_today(product: Product, average_price: float) -> float:
    """Return the average price of units (rupees) if they were traded today, else 0: what was carried may have cost
    another price long ago. Shares of CNC leave the position book for the holdings."""
    return 0.0 if product is Product.NRML else average_price


def instrument_by_name(name: str) -> Instrument:
    """Return what the id of an instrument says about it, for one that is not among those of today."""
    exchange, symbol = split_id(name)
    parsed = parse_symbol(symbol, exchange)
    return Instrument(id=name, exchange=exchange, symbol=symbol, kind=parsed.kind, underlying=parsed.underlying)
