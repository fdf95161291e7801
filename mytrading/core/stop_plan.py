"""Where the stop of an entry lies: its trigger, the limit beyond it, or why there can be none.

Used by risk, for every entry it judges. The one rule: a level is rounded so that it triggers later, never earlier,
and no price leaves the band in which the exchange takes orders.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from mytrading.core.risk.case import Case
from mytrading.messages.enums import OrderType, Side
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.runconfig import RiskLimits, StopPlan

SHARE_BAND = 0.20
"""How far from the last close a share may be ordered: the widest circuit of NSE and BSE."""
FUTURE_BAND = 0.10
OPTION_BAND, OPTION_REACH, OPTION_SMALL = 0.40, 20.0, 50.0
"""Limit price protection of NSE: 40 % about the price, and ₹20 about one of at most ₹50."""
LEAST_TICKS = 2
"""The limit lies at least this far beyond its trigger, where the band has room for it."""
_EPSILON = 1e-6
_BUY, _SELL, _FUT = Side.BUY, Side.SELL, InstrumentKind.FUT
_NONE, _BROKER = StopPlan.NONE, StopPlan.BROKER
"""Members of enums, looked up once: the plan of a stop is made for every entry that is judged."""


class Levels(NamedTuple):
    """A stop-limit order's prices in rupees: `trigger`, and the worst price accepted once it triggered."""

    trigger: float
    limit: float


class Band(NamedTuple):
    """The lowest and the highest price, in rupees, that the exchange is taken to accept."""

    lower: float
    upper: float


def who_holds(case: Case) -> StopPlan:
    """Who holds the stop of this entry; an owner without a configuration is guarded at the broker.

    A hedge has none, wherever the strategy wants its stops: closing it would leave what it covers bare.
    """
    legs = case.signal.legs
    if len(legs) > 1 and case.leg.lots > 0 and any(leg.lots < 0 for leg in legs):
        return _NONE
    return case.strategy.stop if case.strategy is not None else _BROKER


def stop_of(case: Case) -> Levels | str:
    """The stop that an entry of this case needs, or the reason why there can be none; empty if nothing is asked for.

    The level is that of the signal's leg, else the strategy's `stop_loss`, else the default of the risk limits.
    """
    if case.instrument is None or case.price <= 0 or not case.units or who_holds(case) is _NONE:
        return ""
    if problem := stop_problem(case):
        return problem
    entry = _BUY if case.units > 0 else _SELL
    level = case.leg.stop_price or _default_level(case, entry)
    band = _band(case, case.instrument)
    return place(case.instrument, entry, level, band, case.limits, case.leg.stop_buffer)


def stop_problem(case: Case) -> str:
    """Why an entry of this case can have no stop; empty if it can, or needs none. Budget: 3 µs."""
    if case.instrument is None or case.price <= 0 or not case.units:
        return ""
    holder = who_holds(case)
    if holder is _NONE:
        return ""
    entry = _BUY if case.units > 0 else _SELL
    level = case.leg.stop_price or _default_level(case, entry)
    tick, nearest = case.instrument.tick_size, _nearest(case, entry)
    trigger = _on_tick(level, tick, -1 if entry is _BUY else 1)
    if tick > trigger:
        trigger = tick
    if trigger >= nearest if entry is _BUY else trigger <= nearest:
        return _wrong_side(case, level, nearest, entry)
    if holder is not _BROKER:
        return ""
    band = _band(case, case.instrument)
    return "" if band.lower <= level <= band.upper else _outside(case, level, band)


def _band(case: Case, instrument: Instrument) -> Band:
    return band_of(instrument, case.price, case.quote.previous_close if case.quote is not None else None)


def _nearest(case: Case, entry: Side) -> float:
    """The price that comes first to a stop: what the entry is valued at, or the last price, which triggers it.

    A stop-limit entry is not filled before the price has come to its own trigger.
    """
    if case.leg.order_type is OrderType.SL and case.leg.trigger_price > 0:
        return case.leg.trigger_price
    last = case.quote.ltp if case.quote is not None and case.quote.ltp > 0 else case.price
    return min(case.price, last) if entry is _BUY else max(case.price, last)


def _default_level(case: Case, entry: Side) -> float:
    option = case.instrument is not None and case.instrument.kind.is_option
    default = case.limits.default_stop_loss_options if option else case.limits.default_stop_loss
    own = case.strategy.stop_loss if case.strategy is not None else 0.0
    share = own or default
    return case.price * (1 - share if entry is _BUY else 1 + share)


def place(
    instrument: Instrument, entry: Side, level: float, band: Band, limits: RiskLimits, buffer: float = 0.0
) -> Levels:
    """The prices of the stop at `level` (rupees) of an entry of this side; its limit lies `buffer` beyond if given."""
    tick, away = instrument.tick_size, -1 if entry is _BUY else 1
    trigger = max(_on_tick(level, tick, away), tick)
    reach = max(buffer or trigger * limits.stop_limit_buffer, LEAST_TICKS * tick)
    if instrument.kind.is_option and not buffer:
        reach = max(reach, min(limits.stop_limit_buffer_options, trigger / 2))
    limit = _on_tick(trigger + away * reach, tick, away)
    if away < 0:
        limit = min(trigger, max(limit, _on_tick(band.lower, tick, 1), tick))
    else:
        limit = max(trigger, min(limit, _on_tick(band.upper, tick, -1)))
    return Levels(trigger, limit)


def band_of(instrument: Instrument, price: float, previous_close: float | None) -> Band:
    """The band about the last close of a share or future, about the present price of an option."""
    if instrument.kind.is_option:
        reach = OPTION_REACH if price <= OPTION_SMALL else price * OPTION_BAND
        return Band(max(price - reach, 0.0), price + reach)
    base = previous_close if previous_close is not None and previous_close > 0 else price
    share = FUTURE_BAND if instrument.kind is _FUT else SHARE_BAND
    return Band(base * (1 - share), base * (1 + share))


def _on_tick(price: float, tick: float, way: int) -> float:
    """The next price on the tick, upwards (+1) or downwards (−1)."""
    ticks = price / tick
    whole = math.ceil(ticks - _EPSILON) if way > 0 else math.floor(ticks + _EPSILON)
    return round(whole * tick, 4)


def _wrong_side(case: Case, level: float, price: float, entry: Side) -> str:
    side = "below" if entry is _BUY else "above"
    name = case.leg.instrument
    if not case.leg.stop_price:
        return f"no stop {side} {price:g} ({name}) keeps a tick between them; trade what costs more, or widen the stop"
    return (
        f"the stop of a {entry.value} must lie {side} the price: found {level:g} with {name} at {price:g}; "
        f"give create_signal a stop_price {side} it"
    )


def _outside(case: Case, level: float, band: Band) -> str:
    """That the exchange would refuse a stop at this level, in words."""
    return (
        f"the stop at {level:,.2f} lies outside the price band {band.lower:,.2f} to {band.upper:,.2f} of "
        f'{case.leg.instrument}, so the exchange would refuse it; bring it nearer, or set stop = "engine"'
    )
