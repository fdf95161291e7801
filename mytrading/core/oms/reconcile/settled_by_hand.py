"""Books what an owner holds of a key as gone, by an operator's word: used where the broker's books prove nothing.

Nothing is sent: a stop that is left at the broker is withdrawn by its protection, which has nothing to guard any more.
"""

from __future__ import annotations

from mytrading.core.oms.reconcile import gone_units
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.state_machine import ABSENT, LIVE, is_untriggered_stop, with_cancel
from mytrading.messages.enums import OrderState
from mytrading.messages.orders import Order, Position

CAUSE = "settled"


def orders_of(oms: OrderDecision, position: Position) -> list[Order]:
    """The owner's orders of the position's key that have not ended, or of whose fills something is unconfirmed."""
    mine = (order for order in oms.open_orders(position.net) if order.strategy == position.strategy)
    return [order for order in mine if order.state not in ABSENT]


def is_over(oms: OrderDecision, order: Order) -> bool:
    """True of an order that was never sent, or of an earlier day: all are DAY orders, and ended with theirs."""
    return order.state is OrderState.INITIALIZED or order.state not in LIVE or oms.is_of_earlier_day(order)


def order_of_today(oms: OrderDecision, position: Position) -> Order | None:
    """The first order of the owner that was sent today and may fill unseen; a stop that waits for its trigger may not
    before it is taken away by hand, of which the plan reminds."""
    found = (order for order in orders_of(oms, position) if not is_over(oms, order))
    return next((order for order in found if not is_untriggered_stop(order) or order.filled_seen), None)


def end_orders(oms: OrderDecision, position: Position, why: str) -> None:
    """End the owner's orders that are over, though no book says so: what was sighted of them once is gone too."""
    for order in orders_of(oms, position):
        if not is_over(oms, order):
            continue
        if order.state is OrderState.INITIALIZED:
            oms.end_unsent(order, OrderState.CANCELLED, "withdrawn", f"withdrawn: {why}")
            continue
        state = OrderState.EXPIRED if order.state in LIVE else order.state
        evidence = with_cancel(order.evidence, wanted=False)
        ended = oms.change(
            order, "settled", state=state, message=f"withdrawn: {why}", filled_seen=order.filled, evidence=evidence
        )
        oms.record_quantity_seen(ended)


def book_as_gone(oms: OrderDecision, position: Position, price: float, why: str) -> None:
    """Book all confirmed units of a position as gone at `price` rupees (0: not known, the last one that risk judged
    counts as a guess), and end its exits; `why` goes into them and into the row."""
    gone_units.take_off(oms, position, -position.quantity, gone_units.Explained(price), CAUSE, reason=why)
    for goal in oms.state.unfinished_goals():
        if goal.owner == position.owner:
            oms.change_goal(goal, state="done", message=why)
