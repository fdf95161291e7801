"""Prices of stops that operators give: refused where the exchange would refuse them, or the position be closed at once.

Judged by what is known of the price. The broker judges what passes, and a change that it refuses changes nothing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from mytrading.core.feed.staleness import OPTION_PATIENCE
from mytrading.core.instruments.symbology import parse_symbol, split_id
from mytrading.core.orders.price_band import PriceBand, price_band
from mytrading.core.risk.pretrade.stop_plan import can_stop_rest, furthest_resting_level
from mytrading.core.risk.state.state import is_stale
from mytrading.core.time import SECOND
from mytrading.messages.enums import Product, Side
from mytrading.messages.instruments import Instrument
from mytrading.messages.market import Quote
from mytrading.messages.order_evidence import OrderTerms
from mytrading.messages.orders import Order

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


def why_stop_is_refused(stop: Order, terms: OrderTerms, instrument: Instrument, known: KnownPrice) -> str:
    """Return why a stop order cannot have these terms, and what to do; empty if it can.

    A new trigger lies below the last price if the order sells, else above, and both prices lie inside the price band of
    a share or future. Without a price of the last minute the trigger lies inside the band about the last one, else
    about what the units cost; of an option, and without either, any is taken.
    """
    side, trigger, limit, last = stop.side, terms.trigger_price, terms.price or terms.trigger_price, known.last
    moves = trigger != stop.trigger_price
    if last is not None:
        if moves and (why := _why_beyond(side, trigger, last, known)):
            return why
        # The band of an option is a guess: its broker judges, and what it refuses changes nothing.
        return "" if instrument.kind.is_option else _why_outside_band(trigger, limit, last, instrument, known)
    if not moves:
        return ""
    sells, shown = side is Side.SELL, f"{trigger:g}"
    way, held = ("below", "bought") if sells else ("above", "sold")
    if (about := _band_centre(instrument, known)) is None:
        return ""
    band = _band(instrument, about, known)
    if trigger < band.upper if sells else trigger > band.lower:
        return ""
    edge, reach = (band.upper, "up to") if sells else (band.lower, "down to")
    source = "the last known one" if about != known.cost else "what they cost"
    return (
        f"{STOP_LEVEL}the stop of units that were {held} must lie {way} the price, of which none of the last minute is "
        f"known; by {source}, {about:g}, the exchange takes orders {reach} {edge:.2f} today, found {shown}; "
        f"give a trigger {way} the price that the broker's terminal shows"
    )


def why_claimed_stop_is_refused(
    side: Side, trigger: float, limit: float, instrument: Instrument, known: KnownPrice
) -> str:
    """Return why units without a stop cannot be claimed with one at this `trigger` and `limit`; empty if they can.

    Judged by the last price however old, and refused without any: a claim whose stop is refused is taken back, and
    units whose stop triggers at once are closed. `limit` 0: one inside the band is chosen.
    """
    if known.quote is None or not _is_price(last := known.quote.ltp):
        return (
            f"{STOP_LEVEL}no price of {instrument.symbol} is known, and units whose stop is beyond the price may be "
            "closed at once; the feed has been asked for one: claim again in a few seconds, or without a stop"
        )
    if why := _why_beyond(side, trigger, last, known):
        return why
    entry = Side.BUY if side is Side.SELL else Side.SELL
    if can_stop_rest(instrument, entry, trigger, last, known.quote.previous_close):
        return _why_outside_band(trigger, limit or trigger, last, instrument, known)
    furthest = furthest_resting_level(instrument, entry, last, known.quote.previous_close)
    way = "at or above" if entry is Side.BUY else "at or below"
    return (
        f"{STOP_LEVEL}the exchange takes no stop so far from the last price {last:g} ({known.age_s:.0f} s old): found "
        f"{trigger:g}, and the claim would be taken back; give a trigger {way} {furthest:.2f}, or no stop"
    )


def limit_inside_band(limit: float, instrument: Instrument, known: KnownPrice) -> float:
    """The price on the tick and inside the price band that is nearest to `limit` (rupees)."""
    tick = instrument.tick_size
    if known.quote is not None and _is_price(last := known.quote.ltp):
        band = _band(instrument, last, known)
        limit = min(max(limit, math.ceil(band.lower / tick) * tick), math.floor(band.upper / tick) * tick)
    return round(max(round(limit / tick), 1) * tick, 4)


def _why_beyond(side: Side, trigger: float, last: float, known: KnownPrice) -> str:
    """Return why a stop at `trigger` would end units at once, with the `last` price where it is; empty if not."""
    way, held = ("below", "bought") if side is Side.SELL else ("above", "sold")
    if 0 < trigger < last if side is Side.SELL else trigger > last:
        return ""
    found = f"must lie {way} the last price {last:g} ({known.age_s:.0f} s old), found {trigger:g}"
    return (
        f"{STOP_LEVEL}the stop of units that were {held} {found}: it would be refused, or close them at once; "
        f"give a trigger {way} {last:g}, or close them: `mytrading positions close`"
    )


def _why_outside_band(trigger: float, limit: float, last: float, instrument: Instrument, known: KnownPrice) -> str:
    """Return which of a stop's prices the exchange refuses for its price band; empty if it refuses none."""
    band = _band(instrument, last, known)
    for name, price in (("trigger", trigger), ("limit", limit)):
        if not band.lower <= price <= band.upper:
            return (
                f"{STOP_LEVEL}the exchange takes orders from {band.lower:.2f} to {band.upper:.2f} with the last price "
                f"{last:g} ({known.age_s:.0f} s old), found the {name} {price:g}; give a {name} between them"
            )
    return ""


def _band(instrument: Instrument, about: float, known: KnownPrice) -> PriceBand:
    """Without a quote the band lies about the cost, and is no narrower for that: the exchange has the last word."""
    return price_band(instrument.kind, about, known.quote.previous_close if known.quote is not None else about)


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
    return Instrument(
        id=name, exchange=exchange, symbol=symbol, kind=parsed.kind, underlying=parsed.underlying, strike=parsed.strike,
        expiry=parsed.expiry.isoformat() if parsed.expiry is not None else "",
    )  # fmt: skip
