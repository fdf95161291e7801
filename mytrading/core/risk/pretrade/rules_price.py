"""Rules on prices: may the quote be believed, and would the order trade near it, on the tick and inside the band.

Numbers stand in every reason.
"""

from __future__ import annotations

import math

from mytrading.core.risk.pretrade.context import PreTradeContext, Rule
from mytrading.core.risk.pretrade.stop_plan import band_of
from mytrading.core.risk.state.environment import COLLAR_TICKS

_EPSILON = 1e-6


def _implausible(case: PreTradeContext) -> str:
    quote = case.quote
    if quote is None:
        return ""
    if not math.isfinite(quote.ltp):
        return f"the last price of {case.leg.instrument} is {quote.ltp}, which is no price; wait for the next quote"
    bid, ask = quote.bid, quote.ask
    if bid is None or ask is None or bid <= 0 or ask <= 0 or bid <= ask:
        return ""
    return f"the bid {bid:,.2f} of {case.leg.instrument} lies above the ask {ask:,.2f}; wait for the next quote"


def _collar(case: PreTradeContext) -> str:
    if case.quote is None or case.instrument is None or not 0 < case.quote.ltp < math.inf:
        return ""
    if case.price == case.quote.ltp and not case.leg.limit_price:
        return ""
    option = case.instrument.kind.is_option
    share = case.limits.price_collar_options if option else case.limits.price_collar
    base = case.leg.trigger_price or case.quote.ltp  # a stop-limit entry trades when its trigger is the last price
    reach = max(share * base, COLLAR_TICKS * case.instrument.tick_size)
    price = case.leg.limit_price or case.price
    if price <= 0 or abs(price - base) <= reach + _EPSILON:
        return ""
    name = "PRICE_COLLAR_OPTIONS" if option else "PRICE_COLLAR"
    what = "its trigger" if case.leg.trigger_price else "the last price"
    return (
        f"the entry would trade at {price:,.2f}, {abs(price / base - 1):.1%} from {what} "
        f"{base:,.2f} of {case.leg.instrument}; {name} allows {share:.1%}"
    )


def _band(case: PreTradeContext) -> str:
    if case.instrument is None or case.quote is None or case.price <= 0:
        return ""
    if not case.leg.limit_price and case.instrument.kind.is_option:
        return ""
    price = case.leg.limit_price or case.price
    band = band_of(case.instrument, case.price, case.quote.previous_close)
    if band.lower - _EPSILON <= price <= band.upper + _EPSILON:
        return ""
    return (
        f"{price:,.2f} lies outside the price band {band.lower:,.2f} to {band.upper:,.2f} of {case.leg.instrument}; "
        "the exchange would refuse it"
    )


def _tick(case: PreTradeContext) -> str:
    if case.instrument is None or not (case.leg.limit_price or case.leg.trigger_price):
        return ""
    tick = case.instrument.tick_size
    for price in (case.leg.limit_price, case.leg.trigger_price):
        ticks = price / tick
        if abs(ticks - round(ticks)) > _EPSILON * max(1.0, ticks):
            low = math.floor(ticks) * tick
            return f"{price:g} is not a multiple of the tick {tick:g} ({case.leg.instrument}); use {low:g}"
    return ""


PRICES: tuple[Rule, ...] = (
    Rule("IMPLAUSIBLE_QUOTE", "The last price is no number, or the bid lies above the ask.", "", _implausible),
    Rule("PRICE_COLLAR", "The entry would trade too far from the last price, or from its trigger (ten ticks are near).",
         "PRICE_COLLAR, PRICE_COLLAR_OPTIONS", _collar),
    Rule("PRICE_BAND", "The entry's price lies outside the band in which the exchange takes orders.", "", _band),
    Rule("TICK", "A price of the signal is not a multiple of the tick.", "", _tick),
)  # fmt: skip
