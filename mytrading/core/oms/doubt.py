"""How often an exit or a stop of unknown fate may be given up and sent again: once for each that would send the next.

Used by `unknown`. An exit goal sends the next exit; a protection sends the next stop, unless a goal has taken over. The
one rule: what was given up once and is in doubt again is never sent again until a person, or its own appearance, ends
the doubt.
"""

from __future__ import annotations

from mytrading.core.oms import goals
from mytrading.core.oms.draft import Draft
from mytrading.core.oms.state import Owned, key_of
from mytrading.messages.enums import Purpose, Severity
from mytrading.messages.orders import Goal, Order, Protection


def spent(draft: Draft, order: Order) -> bool:
    """True if whoever would send the next one has given one up before."""
    senders = _goals(draft, order)
    if senders:
        return any(goal.ghosts for goal in senders)
    level = _protection(draft, order)
    return level is not None and level.ghosts > 0


def spend(draft: Draft, order: Order) -> None:
    """Count that this one was given up."""
    senders = _goals(draft, order)
    level = _protection(draft, order)
    for goal in senders:
        draft.goal(goal, ghosts=goal.ghosts + 1)
    if not senders and level is not None:
        draft.protection(level, ghosts=level.ghosts + 1)


def ask_a_person(draft: Draft, order: Order) -> None:
    """Alarm that only a person can end the doubt now, and what it means until then."""
    for goal in _goals(draft, order):
        goals.stuck(
            draft, goal, f"the fate of {order.purpose} {order.client_order_id} stays unknown; a person must look"
        )
    if order.purpose is Purpose.STOP:
        what = f"{order.strategy} in {order.instrument}: no book shows its stop {order.side} {order.quantity}, and it"
        what = (
            f"{what} is not placed again; look at the broker, then `mytrading orders resolve {order.client_order_id}`"
        )
        draft.alert("STOP_IN_DOUBT", Severity.CRITICAL, order.client_order_id, f"{what}; risk closes at its level")


def _goals(draft: Draft, order: Order) -> list[Goal]:
    """The goals that send the next: of an exit its own, of a stop all that its owner has open."""
    if order.purpose is not Purpose.STOP:
        own = draft.state.goals.get(order.goal)
        return [own] if own is not None else []
    found = [draft.state.goals.get(name) for name, _ in draft.state.open_goals.sorted_items()]
    key = key_of(order)
    return [goal for goal in found if goal and key_of(goal) == key and goal.strategy == order.strategy]


def _protection(draft: Draft, order: Order) -> Protection | None:
    """The protection that sends the next stop."""
    if order.purpose is not Purpose.STOP:
        return None
    return draft.state.protections.get(Owned(*key_of(order), order.strategy))
