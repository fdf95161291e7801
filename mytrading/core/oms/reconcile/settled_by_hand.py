"""Books what an owner holds of a key as gone, by an operator's word: used where the broker's books prove nothing.

Nothing is sent: a stop that is left at the broker is withdrawn by its protection, which has nothing to guard any more.
"""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.accounting import position_ledger
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.messages.enums import Confidence
from mytrading.messages.orders import Position, PositionAdjusted

CAUSE = "settled"


def book_as_gone(oms: OrderDecision, position: Position, price: float, why: str) -> None:
    """Book all confirmed units of a position as gone at `price` rupees (0: not known, their profit is not counted), and
    end its exits; `why` goes into them and into the row."""
    units = -position.quantity
    if price:
        booked = position_ledger.book_fill(position, units, price, oms.now)
        if booked.trade is not None:
            oms.emit(booked.trade)
        level = booked.position
    else:
        level = position_ledger.correct_quantity(position, 0, oms.now)
    level = replace(level, quantity_seen=0, confidence=Confidence.CONFIRMED, updated_ns=oms.now)
    oms.emit(PositionAdjusted(position=level, cause=CAUSE, quantity=units, price=price, at_ns=oms.now, reason=why))
    for goal in oms.state.unfinished_goals():
        if goal.owner == position.owner:
            oms.change_goal(goal, state="done", message=why)
