"""Exits that cannot fill now wait as a person would: for the open, for a better price, and within an hour's calls.

`exit_goals` asks here before it sends, changes or cancels an exit. An exit that rests keeps its place in the queue: it
is moved only for a better price, and replaced at growing intervals where nobody knows one.
"""

from __future__ import annotations

from typing import Any

from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.time import MINUTE
from mytrading.messages.orders import Goal, Order

HOUR = 60 * MINUTE
_MOST_DOUBLINGS = 10


def wait_for_open(oms: OrderDecision, goal: Goal) -> Goal:
    """Note once that a goal waits for its exchange: nothing is placed, changed or replaced for it meanwhile."""
    return goal if goal.awaits_open else oms.change_goal(goal, awaits_open=True)


def begin_session(oms: OrderDecision, goal: Goal) -> Goal:
    """The goal as its exchange trades again: its deadline, attempts and calls begin anew, and so does the search for a
    price that was not its own: that of yesterday says nothing."""
    if not goal.awaits_open:
        return goal
    fields: dict[str, Any] = {"awaits_open": False, "opened_machine_ns": oms.machine, "state": "open", "obstacle": ""}
    fields |= {"attempts_before": goal.attempts, "kept": 0, "looked_machine_ns": 0, "unpriced_machine_ns": 0}
    if goal.limit_only or not goal.price_step:
        fields |= {"price": 0.0, "unpriced_machine_ns": oms.machine if goal.limit_only else 0, "edge": 0.0}
    return oms.change_goal(goal, **fields)


def rested_ns(oms: OrderDecision, goal: Goal, order: Order) -> int:
    """Machine time for which an exit has rested since it was placed or changed, or since its place was kept."""
    since = max(order.call.ended_machine_ns, order.evidence.modify.answered_machine_ns)
    if order.links.goal == goal.id:
        since = max(since, goal.looked_machine_ns)
    return oms.machine - since


def patience_ns(oms: OrderDecision, goal: Goal) -> int:
    """Time for which an exit of a goal may rest before a better price is looked for: doubled each time none was."""
    return min(oms.limits.exit_patience << min(goal.kept, _MOST_DOUBLINGS), oms.limits.exit_patience_most)


def keep_place(oms: OrderDecision, goal: Goal, order: Order) -> Goal:
    """Leave a resting exit where it is: no better price is known."""
    fields = {"price": order.price, "unpriced_machine_ns": 0, "looked_machine_ns": oms.machine, "kept": goal.kept + 1}
    return oms.change_goal(goal, **fields)


def is_better(order: Order, price: float) -> bool:
    """True if a limit of `price` would trade before that of a resting exit."""
    return (price - order.price) * order.side.sign > 0


def has_calls(oms: OrderDecision, goal: Goal) -> bool:
    """True unless a goal has used up the calls that it may make in an hour."""
    return oms.machine - goal.hour_machine_ns >= HOUR or goal.hour_calls < oms.limits.exit_calls_hour


def counted(oms: OrderDecision, goal: Goal) -> dict[str, int]:
    """Fields of the goal that count one more call: a placing with all its slices, a change, or a replacement."""
    if not goal.hour_calls or oms.machine - goal.hour_machine_ns >= HOUR:
        return {"hour_machine_ns": oms.machine, "hour_calls": 1}
    return {"hour_calls": goal.hour_calls + 1}
