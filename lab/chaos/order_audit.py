"""The fate of every order and command: doubled, lost, or as it should be.

Our orders carry their client order id to the simulator as its tag, which the simulator keeps whatever it shows. An
order of ours that one side believes in and the other does not is a finding.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Set

from lab.chaos.records import Ours
from mytrading.core.exchange.model import BookOrder
from mytrading.core.orders.state_machine import RESTING
from mytrading.messages.commands import CloseGoal, PlaceEntry
from mytrading.messages.enums import BrokerStatus, OrderState
from mytrading.messages.orders import Order

BY_HAND = "by-hand"
"""The tag of orders that the breaker places as somebody else."""
_NOT_OURS = frozenset({"", "AUTO_SQUARE_OFF", BY_HAND})
_UNDECIDED = frozenset({OrderState.INITIALIZED, OrderState.SUBMITTED, OrderState.UNKNOWN})
_ENDS = {
    OrderState.CANCELLED: BrokerStatus.CANCELLED,
    OrderState.EXPIRED: BrokerStatus.EXPIRED,
    OrderState.REJECTED: BrokerStatus.REJECTED,
}


def duplicated(placed: Iterable[BookOrder], ours: Ours) -> list[str]:
    """A line for each broker order beyond one for each journaled intent to place.

    An id is journaled again only when its call certainly did not arrive, so one broker order an id is all there may be.
    """
    by_tag: dict[str, list[str]] = defaultdict(list)
    for order in placed:
        if order.request.strategy not in _NOT_OURS:
            by_tag[order.request.strategy].append(order.order_id)
    found = []
    for tag, names in sorted(by_tag.items()):
        allowed = 1 if ours.submitted[tag] else 0
        found += [
            f"order {tag} is at the broker as {', '.join(names)}, journaled {ours.submitted[tag]} times"
            for _ in names[allowed:]
        ]
    return found


def lost(placed: Iterable[BookOrder], ours: Ours) -> list[str]:
    """A line for each command or order whose fate is not known, or not what it is at the broker."""
    taken_up = {*ours.orders, *(order.links.parent for order in ours.orders.values())}
    found = [line for command in ours.commands if (line := _untaken(command, ours, taken_up))]
    found += [
        f"exit {goal.id} of {goal.strategy} in {goal.instrument} is {goal.state} after {goal.attempts} attempts"
        for goal in ours.goals.values()
        if goal.state != "done"
    ]
    found += [line for asked in ours.asked if (line := _unflattened(asked.id, ours))]
    return [*found, *disagreements(placed, ours)]


def disagreements(placed: Iterable[BookOrder], ours: Ours) -> list[str]:
    """A line for each order that one side believes in and the other does not, or filled differently."""
    by_tag = {order.request.strategy: order for order in placed}
    return [line for order in ours.orders.values() if (line := _astray(order, by_tag.get(order.client_order_id)))]


def _untaken(command: object, ours: Ours, taken_up: Set[str]) -> str:
    if isinstance(command, PlaceEntry) and command.id not in taken_up:
        return f"entry {command.id} was commanded and the router has no record of it"
    if isinstance(command, CloseGoal) and command.id not in ours.goals:
        return f"exit {command.id} was commanded and the router has no record of it"
    return ""


def _unflattened(name: str, ours: Ours) -> str:
    row = ours.flattens.get(name)
    if row is None:
        return f"flatten {name} was asked for and the router has no record of it"
    return "" if row.state == "done" else f"flatten {name} is {row.state}"


def _astray(order: Order, there: BookOrder | None) -> str:
    what = f"{order.purpose} {order.client_order_id} ({order.side} {order.quantity} {order.instrument})"
    if order.state in _UNDECIDED:
        return f"{what} is still {order.state}: {order.message}"
    if there is None:
        known = order.state in RESTING or order.filled or order.broker_order_id
        return f"{what} is {order.state} here and not at the broker" if known else ""
    if order.filled != there.filled:
        return f"{what} is filled {order.filled} here, {there.filled} at the broker"
    if order.state in RESTING and not there.is_live:
        return f"{what} is {order.state} here, {there.status} at the broker"
    if order.state not in RESTING and there.is_live:
        return f"{what} is {order.state} here, {there.status} at the broker"
    return ""
