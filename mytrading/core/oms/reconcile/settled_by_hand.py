"""Books what an owner holds of a key as gone, by an operator's word: used where the broker's books prove nothing.

Nothing is sent: a stop that is left at the broker is withdrawn by its protection, which has nothing to guard any more.
"""

from __future__ import annotations

from mytrading.core.oms.reconcile import gone_units
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.messages.orders import Position

CAUSE = "settled"


def book_as_gone(oms: OrderDecision, position: Position, price: float, why: str) -> None:
    """Book all confirmed units of a position as gone at `price` rupees (0: not known, the last one that risk judged
    counts as a guess), and end its exits; `why` goes into them and into the row."""
    gone_units.take_off(oms, position, -position.quantity, gone_units.Explained(price), CAUSE, reason=why)
    for goal in oms.state.unfinished_goals():
        if goal.owner == position.owner:
            oms.change_goal(goal, state="done", message=why)
