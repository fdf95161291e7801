"""Levels of a leg that are written as a distance: its limit, stop and target, counted from a price.

Risk counts them when it judges an entry, from the quote that it holds fresh for that; `mytrading legs show` counts them
to show them. Nothing else may: a price that is at hand may be that of an hour ago.
"""

from __future__ import annotations

import math

from msgspec.structs import replace

from mytrading.messages.enums import OrderType
from mytrading.messages.leg_plan import LegStop, StopKind
from mytrading.messages.signals import NO_DISTANCE, Leg

COMMON_TICK = 0.05
"""Rupees: the tick of a contract whose list names none."""
_EPSILON = 1e-6


def price_level(at: LegStop, direction: int, price: float) -> float:
    """Price level of a stop, target or limit rule: absolute, or `price` plus (`direction` > 0) or minus its distance; 0
    without a rule, and never below 0."""
    if not at.value:
        return 0.0
    if at.kind is StopKind.PRICE:
        return at.value
    away = price * at.value / 100 if at.kind is StopKind.PERCENT else at.value
    return round(max(price + away if direction > 0 else price - away, 0.0), 4)


def limit_on_tick(level: float, lots: int, tick: float) -> float:
    """The limit of an entry of `lots` (signed) on the tick, rounded in its favour; 0 if that is below one tick."""
    tick = tick or COMMON_TICK
    ticks = level / tick
    whole = math.floor(ticks + _EPSILON) if lots > 0 else math.ceil(ticks - _EPSILON)
    return round(max(whole, 0) * tick, 4)


def priced_leg(leg: Leg, price: float, tick: float) -> Leg:
    """Return a leg with the levels that its distances mean at a last `price` (rupees): the limit first, stop and target
    from that limit. The leg as it is where it has no distances, or where there is no price."""
    if leg.stop is leg.target is leg.limit is NO_DISTANCE or price <= 0:
        return leg
    limit, stop, target = leg.limit_price, leg.stop_price, leg.target_price
    if leg.limit.value and leg.order_type is OrderType.LIMIT:
        limit = limit_on_tick(price_level(leg.limit, -leg.lots, price), leg.lots, tick)
    base = limit or price
    return replace(
        leg,
        limit_price=limit,
        stop_price=price_level(leg.stop, -leg.lots, base) or stop,
        target_price=price_level(leg.target, leg.lots, base) or target,
        stop=NO_DISTANCE,
        target=NO_DISTANCE,
        limit=leg.limit if leg.limit.value and not limit else NO_DISTANCE,
    )
