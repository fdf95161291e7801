"""What the order machine still works on whatever the market does: in lock-step the next step waits for it.

What rests at the broker until prices move is settled here; what waits for a call, an answer or a read is not. Nothing
that only a step of the market can end is ever waited for.
"""

from __future__ import annotations

from mytrading.core.oms.state.state import State
from mytrading.core.orders.state_machine import RESTING, live
from mytrading.messages.enums import OrderState
from mytrading.messages.order_evidence import Ambiguous
from mytrading.messages.orders import Order


def unsettled(state: State) -> str:
    """What is under way, in words; empty if only the market, or an operator, can bring anything about."""
    for name, _ in state.restless.sorted_items():
        order = state.orders.get(name)
        if order is not None and (what := _of_order(order)):
            return f"{order.purpose} {order.side} {order.quantity} {order.instrument} {what}"
    for name, _ in state.waiting.sorted_items():
        order = state.orders.get(name)
        if order is not None:
            return f"{order.purpose} {order.side} {order.quantity} {order.instrument} waits for its call"
    for name, _ in state.open_goals.sorted_items():
        goal = state.goals.get(name)
        if goal is not None and not _rests(state.orders.get(goal.order)):
            return f"an exit of {goal.strategy} in {goal.instrument} is not done"
    for key, _ in state.mismatches.sorted_items():
        return f"the books differ in {key.instrument}"
    return ""


def _of_order(order: Order) -> str:
    if order.state is OrderState.SUBMITTED:
        return "has no answer"
    if order.state is OrderState.UNKNOWN and not isinstance(order.evidence.match, Ambiguous):
        return "is of unknown fate"
    if order.filled_seen > order.filled:
        return "was sighted to fill"
    if (order.evidence.cancel.wanted and live(order)) or order.evidence.end:
        return "is being cancelled"
    return ""


def _rests(order: Order | None) -> bool:
    """True for an exit that waits at the broker for a price."""
    return order is not None and order.state in RESTING and not order.evidence.cancel.wanted
