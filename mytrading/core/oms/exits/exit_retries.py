"""How often an exit or a stop of unknown fate may be given up and sent again: once for each that would send the next.

An exit goal sends the next exit; a protection sends the next stop, unless a goal has taken over. What was given up once
and is in doubt again is never sent again until an operator, or its own appearance, ends the doubt.
"""

from __future__ import annotations

from mytrading.core.oms.exits import exit_goals
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.messages.enums import Purpose, Severity
from mytrading.messages.orders import Goal, Order, Protection


def retry_used(oms: OrderDecision, order: Order) -> bool:
    """True if this order took the place of one that was given up.

    Stops that are in doubt together, and those that an exit goal finds, were all sent before anything was given up.
    """
    senders = _goals(oms, order)
    if order.purpose is not Purpose.STOP:
        return any(goal.ghosts for goal in senders)
    level = _protection(oms, order)
    again = level is not None and level.ghosts > 0 and order.call.began_machine_ns >= level.ghost_machine_ns
    return again and not senders


def use_retry(oms: OrderDecision, order: Order) -> None:
    """Count that this one was given up: the one order that follows is the last."""
    senders = _goals(oms, order)
    level = _protection(oms, order)
    for goal in senders:
        if not goal.ghosts:
            oms.goal(goal, ghosts=1)
    if not senders and level is not None:
        oms.protection(level, ghosts=level.ghosts + 1, ghost_machine_ns=level.ghost_machine_ns or oms.machine)


def ask_operator(oms: OrderDecision, order: Order) -> None:
    """Alarm that only an operator can end the doubt now, and what it means until then."""
    for goal in _goals(oms, order):
        exit_goals.stuck(
            oms, goal, f"the fate of {order.purpose} {order.client_order_id} stays unknown; a person must look"
        )
    if order.purpose is Purpose.STOP:
        what = f"{order.strategy} in {order.instrument}: no book shows its stop {order.side} {order.quantity}, and it"
        what = (
            f"{what} is not placed again; look at the broker, then `mytrading orders resolve {order.client_order_id}`"
        )
        oms.alert("STOP_IN_DOUBT", Severity.CRITICAL, order.client_order_id, f"{what}; risk closes at its level")


def _goals(oms: OrderDecision, order: Order) -> list[Goal]:
    """The goals that send the next: of an exit its own, of a stop all that its owner has open."""
    if order.purpose is not Purpose.STOP:
        own = oms.state.goals.get(order.links.goal)
        return [own] if own is not None else []
    found = [oms.state.goals.get(name) for name, _ in oms.state.open_goals.sorted_items()]
    key = order.net
    return [goal for goal in found if goal and goal.net == key and goal.strategy == order.strategy]


def _protection(oms: OrderDecision, order: Order) -> Protection | None:
    """The protection that sends the next stop."""
    if order.purpose is not Purpose.STOP:
        return None
    return oms.state.protections.get(order.owner)
