"""The stop of an entry: its trigger, the limit beyond it, or why there can be none.

A level is rounded so that it triggers later, never earlier; one that cannot rest in its price band is held by risk.
"""

from __future__ import annotations

from typing import NamedTuple

from mytrading.core.orders.price_band import PriceBand, on_tick, price_band
from mytrading.core.risk.pretrade.context import PreTradeContext
from mytrading.messages.enums import OrderType, Side
from mytrading.messages.instruments import Instrument
from mytrading.messages.run_config import RiskLimits, StopPlan

OPTION_ROOM = 0.9
"""The share of that reach within which a stop is sent to the broker: the price moves until it is placed."""
LEAST_TICKS = 2
"""The limit lies at least this far beyond its trigger, where the band has room for it."""
_EPSILON = 1e-6
_BUY, _SELL = Side.BUY, Side.SELL
_NONE, _BROKER, _ENGINE = StopPlan.NONE, StopPlan.BROKER, StopPlan.ENGINE
"""Members of enums, looked up once: the plan of a stop is made for every entry that is judged."""


class StopLevels(NamedTuple):
    """A stop-limit order's prices in rupees: `trigger`, and the worst price accepted once it triggered."""

    trigger: float
    limit: float


class ShareStop(NamedTuple):
    """The prices of a stop, and whether the exchange would accept it as an order now."""

    levels: StopLevels
    can_rest: bool


def stop_holder(case: PreTradeContext) -> StopPlan:
    """Return who watches the stop of an entry, broker or risk: as for the position it adds to, else as configured. Risk
    does where the broker keeps no stops, where the exchange would reject the stop order, and for a bought leg that
    covers a sold one, since the exchange would close that cover first."""
    if case.guard is not None:
        return case.guard
    plan = _plan_of(case)
    if plan is _BROKER and not case.broker_keeps_stops:
        return _ENGINE
    if plan is not _BROKER or case.instrument is None or case.price <= 0:
        return plan
    if case.covers:
        return _ENGINE
    return _BROKER if can_stop_rest(case.instrument, case.side, _level_of(case), *_prices(case)) else _ENGINE


def plan_stop(case: PreTradeContext) -> StopLevels | str:
    """Return the stop prices of an entry, or why it can have no stop, or "" if it needs none."""
    if case.instrument is None or case.price <= 0 or not case.units or _plan_of(case) is _NONE:
        return ""
    if problem := _level_problem(case, case.instrument):
        return "" if case.is_hedge else problem
    band = price_band(case.instrument.kind, *_prices(case))
    return stop_prices(case.instrument, case.side, _level_of(case), band, case.limits, case.leg.stop_buffer)


def plan_share_stop(
    instrument: Instrument, entry: Side, level: float, price: float, limits: RiskLimits
) -> ShareStop | None:
    """Return the stop at `level` of a market entry in a share at a last `price` (rupees) alone, without a last close.

    None where only `plan_stop` tells: of other contracts, and of a level within a tick of the price.
    """
    tick = instrument.tick_size
    if instrument.kind.is_derivative or price <= 0 or not (tick < price and _is_beyond(entry, level, price, tick)):
        return None
    band, room = price_band(instrument.kind, price, None), LEAST_TICKS * tick
    if entry is _BUY:
        rests = level >= (band.lower + room if band.lower > 0 else 0.0) - _EPSILON
    else:
        rests = level <= band.upper - room + _EPSILON
    return ShareStop(stop_prices(instrument, entry, level, band, limits), rests)


def stop_problem(case: PreTradeContext) -> str:
    """Return why an entry of this case can have no stop; empty if it can, or needs none."""
    if case.instrument is None or case.price <= 0 or not case.units or _plan_of(case) is _NONE:
        return ""
    if case.guard is _BROKER:  # would the exchange still take an order at the level where the position's stop rests?
        entry = case.side
        if not can_stop_rest(case.instrument, entry, case.guard_level, *_prices(case)):
            furthest, way = (
                furthest_resting_level(case.instrument, entry, *_prices(case)),
                "above" if entry is _BUY else "below",
            )
            return (
                f"the stop of what is held rests at the broker at {case.guard_level:g}, and one for added units would "
                f"have to lie at or {way} {furthest:.2f} at a price of {case.price:g}; close the position first, or "
                "add once it can"
            )
    return "" if case.is_hedge else _level_problem(case, case.instrument)


def _plan_of(case: PreTradeContext) -> StopPlan:
    if case.guard is not None:
        return case.guard
    return case.strategy.stop if case.strategy is not None else _BROKER


def _level_of(case: PreTradeContext) -> float:
    if level := case.guard_level or case.leg.stop_price:
        return level
    option = case.instrument is not None and case.instrument.kind.is_option
    default = case.limits.default_stop_loss_options if option else case.limits.default_stop_loss
    share = (case.strategy.stop_loss_pct if case.strategy is not None else 0.0) or default
    return case.price * (1 - share if case.units > 0 else 1 + share)


def _level_problem(case: PreTradeContext, instrument: Instrument) -> str:
    """Return a text if the level does not lie beyond the price on the side where it ends a loss, else ""."""
    entry, level, tick = _BUY if case.units > 0 else _SELL, _level_of(case), instrument.tick_size
    nearest = _nearest(case, entry)
    if tick < nearest and _is_beyond(entry, level, nearest, tick):
        return ""  # however it is rounded to a tick
    trigger = max(on_tick(level, tick, -1 if entry is _BUY else 1), tick)
    if trigger < nearest if entry is _BUY else trigger > nearest:
        return ""
    side, name = "below" if entry is _BUY else "above", case.leg.instrument
    if not case.leg.stop_price:
        why = f"no stop {side} {nearest:g} ({name}) keeps a tick between them"
        return f"{why}; trade what costs more, or widen the stop"
    return (
        f"the stop of a {entry.value} must lie {side} the price: found {level:g} with {name} at {nearest:g}; "
        f"give create_signal a stop_price {side} it"
    )


def _is_beyond(entry: Side, level: float, price: float, tick: float) -> bool:
    """True of a stop's level that lies a tick and more beyond the price."""
    return level + tick < price if entry is _BUY else level - tick > price


def can_stop_rest(
    instrument: Instrument, entry: Side, level: float, price: float, previous_close: float | None
) -> bool:
    """True if the exchange would accept an entry's stop order, triggered at `level`, now; in rupees: `price` is the
    instrument's present price, `previous_close` None if unknown."""
    furthest = furthest_resting_level(instrument, entry, price, previous_close)
    return level >= furthest - _EPSILON if entry is _BUY else level <= furthest + _EPSILON


def furthest_resting_level(instrument: Instrument, entry: Side, price: float, previous_close: float | None) -> float:
    """The rupee level furthest from the instrument's `price` at which such an entry's stop order is accepted."""
    band, room = price_band(instrument.kind, price, previous_close), LEAST_TICKS * instrument.tick_size
    lower, upper = band.lower + room if band.lower > 0 else 0.0, band.upper - room
    if instrument.kind.is_option:
        reach = (band.upper - price) * OPTION_ROOM
        lower, upper = max(lower, price - reach), min(upper, price + reach)
    return lower if entry is _BUY else upper


def _prices(case: PreTradeContext) -> tuple[float, float | None]:
    """Centres of the band: the price of the entry, and the last close."""
    return case.price, case.quote.previous_close if case.quote is not None else None


def _nearest(case: PreTradeContext, entry: Side) -> float:
    """The price that comes first to a stop: the trigger of a stop-limit entry, its value, or the last price."""
    if case.leg.order_type is OrderType.SL and case.leg.trigger_price > 0:
        return case.leg.trigger_price
    last = case.quote.ltp if case.quote is not None and case.quote.ltp > 0 else case.price
    return min(case.price, last) if entry is _BUY else max(case.price, last)


def stop_prices(
    instrument: Instrument, entry: Side, level: float, band: PriceBand, limits: RiskLimits, buffer: float = 0.0
) -> StopLevels:
    """Return trigger and limit of an entry's stop at `level` (rupees); `buffer`: rupees between, 0: default."""
    tick, away = instrument.tick_size, -1 if entry is _BUY else 1
    trigger = max(on_tick(level, tick, away), tick)
    reach = max(buffer or trigger * limits.stop_limit_buffer, LEAST_TICKS * tick)
    if instrument.kind.is_option and not buffer:
        reach = max(reach, min(limits.stop_limit_buffer_options, trigger / 2))
    limit = on_tick(trigger + away * reach, tick, away)
    if away < 0:
        limit = min(trigger, max(limit, on_tick(band.lower, tick, 1), tick))
    else:
        limit = max(trigger, min(limit, on_tick(band.upper, tick, -1)))
    return StopLevels(trigger, limit)
