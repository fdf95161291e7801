"""Books a corporate action in shares: `new` shares for `old` ones, in the ledger and in the levels that guard it.

The price falls on the ex-date while the units may come days later: what the average and the levels become does not
depend on the units, and what comes later is booked at the price that the average became.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from mytrading.core.accounting import position_ledger
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.messages.orders import Position, Protection
from mytrading.messages.settlements import UnitsAwaited

CAUSE = "corporate_action"


class Ratio(NamedTuple):
    """`new` shares for `old` ones; a bonus of 1:1 and a split in two are both 2 for 1."""

    new: int
    old: int

    def units(self, units: int) -> int:
        """Return signed units after the action; a part of a share is paid in cash and lost here."""
        return abs(units) * self.new // self.old * (1 if units > 0 else -1)

    def price(self, price: float, tick: float = 0.0) -> float:
        """Return a price (rupees) after the action, on the `tick` if one is given."""
        there = price * self.old / self.new
        return round(round(there / tick) * tick, 4) if tick else there


def adjusted_position(position: Position, ratio: Ratio, units: int, tick: float, at_ns: int) -> Position:
    """Return a position with its prices after the action, and signed `units`: those that are there by now."""
    price = ratio.price(position.average_price)
    missing = abs(ratio.units(position.quantity)) - abs(units)
    return replace(
        position, quantity=units, quantity_seen=units, average_price=price, updated_ns=at_ns,
        trip_quantity=position.trip_quantity * ratio.new // ratio.old - missing,
        trip_value=position.trip_value - missing * price,
        held_stop=ratio.price(position.held_stop, tick), held_target=ratio.price(position.held_target, tick),
    )  # fmt: skip


def book_action(oms: OrderDecision, position: Position, ratio: Ratio, units: int, tick: float) -> None:
    """Book the action on all units of a position, of which signed `units` are at the broker by now, and move its stop.

    What is still to come is noted (`UnitsAwaited`) at the new average price.
    """
    level = adjusted_position(position, ratio, units, tick, oms.now)
    oms.record_adjustment(level, CAUSE, units - position.quantity)
    guard = oms.state.protections.get(position.owner)
    if guard is not None and guard.state != "done":
        _move_stop(oms, guard, ratio, tick)
    awaited = ratio.units(position.quantity) - units
    oms.emit(
        UnitsAwaited(
            **position.owner._asdict(), new=ratio.new, old=ratio.old, units=awaited, price=level.average_price,
            at_ns=oms.now,
        )
    )  # fmt: skip


def _move_stop(oms: OrderDecision, guard: Protection, ratio: Ratio, tick: float) -> None:
    """Take the adjusted prices as those in force: stops that rest follow, the next ones are placed there."""
    trigger, limit = ratio.price(guard.trigger, tick), ratio.price(guard.limit, tick)
    oms.change_protection(guard, trigger=trigger, limit=limit, moving=None)


def book_arrival(oms: OrderDecision, position: Position, awaited: UnitsAwaited, units: int) -> None:
    """Book signed `units` that have come of those that a corporate action left to come."""
    level = position_ledger.book_fill(position, units, awaited.price, oms.now).position
    oms.record_adjustment(replace(level, quantity_seen=position.quantity_seen + units), CAUSE, units)
    oms.emit(replace(awaited, units=awaited.units - units, at_ns=oms.now))
