"""Sold legs that an owner's close of another leg would leave without cover, by what the gateway knows."""

from __future__ import annotations

from collections.abc import Mapping

from mytrading.core.gateway.read_model import StackView
from mytrading.core.orders.state_machine import FREED
from mytrading.core.risk.protection.hedges import legs_left_bare
from mytrading.messages.enums import OrderState, Purpose, Side
from mytrading.messages.instruments import Instrument
from mytrading.messages.orders import Position

POSITION_BARES = "POSITION_BARES"
"""Code of the refusal of a close that would leave a sold leg without cover."""


def owner_units(view: StackView, account: str, strategy: str) -> dict[str, int]:
    """Signed units by instrument that an owner holds in an account. A bought leg that is being closed does not count,
    a sold one counts until it is flat, and a sold entry that may fill counts as sold."""
    closing, units = {goal.owner for goal in view.goals.values()}, dict[str, int]()
    for held in view.open_positions():
        if (held.account, held.strategy) == (account, strategy):
            size = min(held.quantity, held.quantity_seen, 0) or held.quantity or held.quantity_seen
            if size < 0 or held.owner not in closing:
                units[held.instrument] = units.get(held.instrument, 0) + size
    for order in view.orders.values():
        place = (order.account, order.strategy, order.purpose, order.side)
        if place == (account, strategy, Purpose.ENTRY, Side.SELL):
            done = order.state in FREED or order.state is OrderState.LOST
            left = 0 if done else max(order.quantity - max(order.filled, order.filled_seen), 0)
            units[order.instrument] = units.get(order.instrument, 0) - left
    return units


def legs_bared_by_close(view: StackView, closed: Position, contracts: Mapping[str, Instrument]) -> dict[str, int]:
    """Return the sold legs of a position's owner, with the units of each that nothing would cover any more, if the
    position were closed; {} where it covers none. `contracts`: of what the owner holds, by id."""
    if max(closed.quantity, closed.quantity_seen) <= 0:
        return {}
    units = owner_units(view, closed.account, closed.strategy)
    held = max(closed.quantity, closed.quantity_seen)
    return legs_left_bare(units, {**units, closed.instrument: units.get(closed.instrument, held) - held}, contracts)


def why_close_bares(view: StackView, closed: Position, bare: Mapping[str, int]) -> str:
    """Return why the close of a position that covers sold legs is refused, and what to do instead; "" if `bare` is
    empty."""
    if not bare:
        return ""
    closing = {goal.owner.instrument for goal in view.goals.values() if goal.owner.strategy == closed.strategy}
    legs = ", ".join(
        f"{name} ({size} units{' being closed' if name in closing else ''})" for name, size in bare.items()
    )
    run = f"`mytrading positions close --run {closed.run}`" if closed.run else "`mytrading flatten --strategy`"
    waits = "wait until what is being closed is flat, " if closing & bare.keys() else ""
    return (
        f"{POSITION_BARES}: {closed.strategy} sold {legs} and would hold that without the cover of "
        f"{closed.instrument}; {waits}close the run ({run}) or the strategy, which buys back what is sold first, or "
        "close it with --force and a reason"
    )
