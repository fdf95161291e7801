"""Rules on the order: what may be traded, as which product, how much, on which quote, at which price; with numbers."""

from __future__ import annotations

import math
from collections.abc import Collection

from mytrading.core.orders.price_band import price_band
from mytrading.core.orders.slicing import UNKNOWN_FREEZE, Sizes, Unsliceable, slice_quantities
from mytrading.core.risk.pretrade.context import PreTradeContext, Rule
from mytrading.core.risk.pretrade.stop_plan import stop_problem
from mytrading.core.risk.state.environment import COLLAR_TICKS
from mytrading.core.risk.state.state import is_stale
from mytrading.core.time import SECOND
from mytrading.messages.enums import OrderType, Product
from mytrading.messages.instruments import InstrumentKind

_MIS, _MARKET, _INDEX = Product.MIS, OrderType.MARKET, InstrumentKind.INDEX
"""Members of enums, looked up once: that costs as much as a rule."""
_EPSILON = 1e-6


def product_refusal(name: str, product: Product, derivative: bool, *, sold: bool) -> str:
    """Return why `product` does not suit entering `name` (`derivative` or share, `sold` or not); empty if it does."""
    if product is _MIS:
        return ""
    if derivative and product is Product.CNC:
        return f"product CNC is for shares, {name} is a derivative; use MIS or NRML"
    if not derivative and product is Product.NRML:
        return f"product NRML is for derivatives, {name} is not one; use MIS or CNC"
    if product is Product.CNC and sold:
        return f"shares cannot be sold short with product CNC ({name}); use MIS"
    return ""


def short_lived_hedge(hedge: str, sold: str, product: Product) -> str:
    """Return the text that `hedge`, bought as MIS, cannot cover `sold`, sold as `product`, which outlives it."""
    return (
        f"{hedge} is bought as MIS, which ends today, and would leave {sold}, sold as {product.value}, bare; "
        f"buy it as {product.value}, or sell the other as MIS"
    )


def _not_enabled(what: str, value: str, setting: str, allowed: Collection[str]) -> str:
    """Return a text if a setting does not allow a value, else ""; a setting without values allows all."""
    if not allowed or value in allowed:
        return ""
    return f"{what} {value} is not one of {setting} {','.join(allowed)}; add it to trade it"


def _product(case: PreTradeContext) -> str:
    if case.instrument is None:
        return ""
    if case.product is not _MIS:
        derivative = case.instrument.kind.is_derivative
        return product_refusal(case.instrument.id, case.product, derivative, sold=case.units < 0)
    signal = case.signal
    if len(signal.legs) < 2 or not case.covers:
        return ""
    # a hedge that the venue squares off today must not cover what is held longer
    bare = next((leg for leg in signal.legs if leg.lots < 0 and signal.product_of(leg) is not _MIS), None)
    return short_lived_hedge(case.leg.instrument, bare.instrument, signal.product_of(bare)) if bare is not None else ""


def _order_type(case: PreTradeContext) -> str:
    kind = case.leg.order_type
    if kind is _MARKET:
        return ""
    if kind is OrderType.SL_M:
        return "entries are MARKET, LIMIT or SL orders, found SL-M; use SL, whose limit_price bounds what is paid"
    return _off_tick(case) or (_trigger(case) if kind is OrderType.SL else "")


def _off_tick(case: PreTradeContext) -> str:
    """A price of the entry that the exchange would refuse for its form."""
    tick = case.instrument.tick_size if case.instrument is not None else 0.0
    wanted = {"limit_price": case.leg.limit_price}
    if case.leg.order_type is OrderType.SL:
        wanted["trigger_price"] = case.leg.trigger_price
    if case.leg.limit.value:  # a distance which leaves no tick of a price
        last = case.quote.ltp if case.quote is not None else 0.0
        return f"its limit would be less than one tick while {case.leg.instrument} trades at {last:g}; ask for less"
    for name, price in wanted.items():
        if not price > 0 or not math.isfinite(price):
            return f"a {case.leg.order_type.value} entry needs a {name} above 0, found {price:g}"
        if tick > 0 and abs(price / tick - round(price / tick)) > _EPSILON:
            return f"{name} must lie on the tick of {tick:g} ({case.leg.instrument}): found {price:g}"
    if not 0 <= case.leg.valid_seconds < math.inf:
        return f"valid_seconds must be 0 (the day) or more, found {case.leg.valid_seconds:g}"
    return ""


def _trigger(case: PreTradeContext) -> str:
    """A stop-limit entry buys above, or sells below, the present price; its limit is no better than its trigger."""
    sign, leg = (1 if case.units > 0 else -1), case.leg
    where, word = ("above", "BUY") if sign > 0 else ("below", "SELL")
    if (leg.limit_price - leg.trigger_price) * sign < 0:
        return (
            f"the limit of a stop-limit {word} must not be {'below' if sign > 0 else 'above'} its trigger: found "
            f"trigger {leg.trigger_price:g}, limit {leg.limit_price:g}"
        )
    last = case.quote.ltp if case.quote is not None else 0.0
    if last > 0 and (leg.trigger_price - last) * sign <= 0:
        return f"the trigger of a stop-limit {word} must lie {where} the price: found {leg.trigger_price:g} at {last:g}"
    return ""


def _whole_lots(case: PreTradeContext) -> str:
    if case.instrument is None or case.units % case.instrument.lot_size == 0:
        return ""
    lot, size = case.instrument.lot_size, abs(case.units)
    below = size // lot * lot
    use = f"{below} or {below + lot}" if below else str(lot)
    return (
        f"quantity must be whole lots: {size} is not a multiple of lot size {lot} ({case.instrument.symbol}); use {use}"
    )


def _freeze(case: PreTradeContext) -> str:
    if case.instrument is None or not case.units:
        return ""
    freeze = case.instrument.freeze_qty
    if freeze <= UNKNOWN_FREEZE or abs(case.units) <= freeze:
        return ""
    try:
        slice_quantities(abs(case.units), Sizes(case.instrument.lot_size, freeze))
    except Unsliceable as error:
        return f"{case.instrument.id}: {error}"
    return ""


def _stale_quote(case: PreTradeContext) -> str:
    limit = case.limits.stale_quote_seconds
    if case.quote is None or not is_stale(case.quote, case.now, case.machine_ns, limit):
        return ""
    age = (case.now - case.quote.market_ns) / SECOND
    return f"the last quote of {case.leg.instrument} is {age:.1f} s old, at most {limit:g} s; see the feed"


def _timeframe(case: PreTradeContext) -> str:
    allowed = case.limits.enabled_timeframes
    if not allowed or case.strategy is None:
        return ""
    wrong = [frame for frame in case.strategy.timeframes if frame not in allowed]
    if not wrong:
        return ""
    return (
        f"{case.signal.strategy} works on timeframe {','.join(wrong)}, which is not one of ENABLED_TIMEFRAMES "
        f"{','.join(allowed)}; add it to trade it"
    )


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
    band = price_band(case.instrument.kind, case.price, case.quote.previous_close)
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


ORDER: tuple[Rule, ...] = (
    Rule("PRODUCT_DISABLED", "The product is not among the enabled ones.", "ENABLED_PRODUCTS",
         lambda case: _not_enabled("product", case.product, "ENABLED_PRODUCTS", case.limits.enabled_products)),
    Rule("TIMEFRAME_DISABLED", "The strategy works on a timeframe that is not enabled.", "ENABLED_TIMEFRAMES",
         _timeframe),
    Rule("DATA_COVERAGE", "For 5 s too few of the instruments that should have data had any.", "MIN_DATA_COVERAGE",
         lambda case: "" if case.coverage >= case.limits.min_data_coverage else
         f"{case.coverage:.0%} of the instruments have data, MIN_DATA_COVERAGE is {case.limits.min_data_coverage:.0%}; "
         "see the feed in `mytrading status`", "coverage"),
    Rule("UNKNOWN_INSTRUMENT", "The instrument is not listed.", "",
         lambda case: "" if case.instrument is not None else
         f"{case.leg.instrument} is not a listed instrument; expected EXCHANGE:SYMBOL from today's contracts"),
    Rule("INSTRUMENTS_REFUSED", "Today's contracts are not here, or those of the underlying are not in order.", "",
         lambda case: case.refused and f"{case.refused}; see `mytrading instruments`, positions are still closed",
         "refused"),
    Rule("INDEX_NOT_TRADABLE", "An index was to be bought or sold.", "",
         lambda case: "" if case.instrument is None or case.instrument.kind is not _INDEX else
         f"{case.instrument.id} is an index and cannot be bought; trade its future or an option (`trade`)"),
    Rule("EXCHANGE_DISABLED", "The exchange is not among the enabled ones.", "ENABLED_EXCHANGES",
         lambda case: "" if case.instrument is None else
         _not_enabled("exchange", case.instrument.exchange, "ENABLED_EXCHANGES", case.limits.enabled_exchanges)),
    Rule("TYPE_DISABLED", "The type of instrument is not enabled.", "ENABLED_INSTRUMENT_TYPES",
         lambda case: "" if case.instrument is None else
         _not_enabled("type", case.instrument.kind, "ENABLED_INSTRUMENT_TYPES", case.limits.enabled_kinds)),
    Rule("PRODUCT_NOT_ALLOWED",
         "CNC for derivatives or short shares, NRML for shares, or cover as MIS of what is held longer.", "",
         _product),
    Rule("ORDER_TYPE", "An SL-M entry, or a LIMIT or SL one with prices that no exchange takes.", "", _order_type),
    Rule("WHOLE_LOTS", "The quantity is not a multiple of the lot size.", "", _whole_lots),
    Rule("PARTIAL_REDUCTION", "A smaller position of the same side was wanted; only whole closes are made.", "",
         lambda case:
         f"{case.leg.instrument} would shrink by {abs(case.units)} units but stay open; go flat first"
         if case.reduces else "", "reduces"),
    Rule("FREEZE", "The quantity is above the exchange's freeze quantity, and slices cannot make it up.", "", _freeze),
    Rule("NO_QUOTE", "No quote, or none with a price, came before the signal expired.", "",
         lambda case: f"the last price of {case.leg.instrument} cannot be one beside its bid and ask, or what it is a "
         "call on, and is not believed; wait for the next" if case.no_price else
         f"there is no quote of {case.leg.instrument}; see the feed in `mytrading status`"
         if case.quote is None else
         "" if case.price > 0 else f"the quote of {case.leg.instrument} holds no positive price; wait for the next"),
    Rule("STALE_QUOTE", "The last quote is too old.", "STALE_QUOTE_SECONDS", _stale_quote),
    Rule("STOP_LEVEL", "The protective stop would lie on the wrong side of the price, or that of the position which "
         "the units add to is one that the exchange would not take now.",
         "DEFAULT_STOP_LOSS, DEFAULT_STOP_LOSS_OPTIONS, STRATEGY_<NAME>_STOP_LOSS_PERCENT", stop_problem),
    Rule("IMPLAUSIBLE_QUOTE", "The last price is no number, or the bid lies above the ask.", "", _implausible),
    Rule("PRICE_COLLAR", "The entry would trade too far from the last price, or from its trigger (ten ticks are near).",
         "PRICE_COLLAR, PRICE_COLLAR_OPTIONS", _collar),
    Rule("PRICE_BAND", "The entry's price lies outside the band in which the exchange takes orders.", "", _band),
    Rule("TICK", "A price of the signal is not a multiple of the tick.", "", _tick),
)  # fmt: skip
