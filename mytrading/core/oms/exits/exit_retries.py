"""How often an exit or a stop of unknown fate may be given up and sent again: once for each that would send the next.

An exit goal sends the next exit; a protection sends the next stop, unless a goal has taken over. What was given up once
and is in doubt again is never sent again until an operator, or its own appearance, ends the doubt.
"""

from __future__ import annotations

from mytrading.core.oms.exits import exit_goals
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.oms.state.state import Owned, key_of
from mytrading.messages.enums import Purpose, Severity
from mytrading.messages.orders import Goal, Order, Protection


def retry_used(draft: OrderDecision, order: Order) -> bool:
    """True if this order took the place of one that was given up.

    Stops that are in doubt together, and those that an exit goal finds, were all sent before anything was given up.
    """
    senders = _goals(draft, order)
    if order.purpose is not Purpose.STOP:
        return any(goal.ghosts for goal in senders)
    level = _protection(draft, order)
    again = level is not None and level.ghosts > 0 and order.call.began_machine_ns >= level.ghost_machine_ns
    return again and not senders


def use_retry(draft: OrderDecision, order: Order) -> None:
    """Count that this one was given up: the one order that follows is the last."""
    senders = _goals(draft, order)
    level = _protection(draft, order)
    for goal in senders:
        if not goal.ghosts:
            draft.goal(goal, ghosts=1)
    if not senders and level is not None:
        draft.protection(level, ghosts=level.ghosts + 1, ghost_machine_ns=level.ghost_machine_ns or draft.machine)


def ask_operator(draft: OrderDecision, order: Order) -> None:
    """Alarm that only an operator can end the doubt now, and what it means until then."""
    for goal in _goals(draft, order):
        exit_goals.stuck(
            draft, goal, f"the fate of {order.purpose} {order.client_order_id} stays unknown; a person must look"
        )
    if order.purpose is Purpose.STOP:
        what = f"{order.strategy} in {order.instrument}: no book shows its stop {order.side} {order.quantity}, and it"
        what = (
            f"{what} is not placed again; look at the broker, then `mytrading orders resolve {order.client_order_id}`"
        )
        draft.alert("STOP_IN_DOUBT", Severity.CRITICAL, order.client_order_id, f"{what}; risk closes at its level")


def _goals(draft: OrderDecision, order: Order) -> list[Goal]:
    """The goals that send the next: of an exit its own, of a stop all that its owner has open."""
    if order.purpose is not Purpose.STOP:
        own = draft.state.goals.get(order.links.goal)
        return [own] if own is not None else []
    found = [draft.state.goals.get(name) for name, _ in draft.state.open_goals.sorted_items()]
    key = key_of(order)
    return [goal for goal in found if goal and key_of(goal) == key and goal.strategy == order.strategy]


def _protection(draft: OrderDecision, order: Order) -> Protection | None:
    """The protection that sends the next stop."""
    if order.purpose is not Purpose.STOP:
        return None
    return draft.state.protections.get(Owned(*key_of(order), order.strategy))
