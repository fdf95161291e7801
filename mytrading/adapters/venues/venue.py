"""The venue that records and sends nothing.

Used by the router when the stack runs dry. Every place is answered RECORDED with "would send ...": the order ends
RECORDED with that text in journal and trade log, no position ever appears and nothing rests, so that strategies go on
wishing and every wish shows as the order it would have become. The one rule: it holds no connection at all.
"""

from __future__ import annotations

from collections.abc import Callable

from mytrading.messages.enums import Call, OrderType, Outcome
from mytrading.messages.orders import CallOutcome, Order


class DryRunVenue:
    """Answers at once. `record` is given each order that would have been sent."""

    def __init__(self, machine_now: Callable[[], int], record: Callable[[Order], None] | None = None) -> None:
        self._now = machine_now
        self._record = record

    def place(self, order: Order) -> CallOutcome:
        """Record the order."""
        if self._record is not None:
            self._record(order)
        return self._answer(Call.PLACE, order, f"dry run: would send {_words(order)}")

    def cancel(self, order: Order) -> CallOutcome:
        """Nothing rests here: said, not done."""
        return self._answer(Call.CANCEL, order, "dry run: would cancel")

    def modify(self, order: Order) -> CallOutcome:
        """Nothing rests here: said, not done."""
        return self._answer(Call.MODIFY, order, f"dry run: would modify to {_words(order)}")

    def write(self, call: Call, order: Order) -> None:
        """There is no request."""

    def idle(self) -> bool:
        """There is no connection."""
        return False

    def begin(self, request: None) -> None:
        """Nothing is sent."""

    def finish(self, call: Call, order: Order, begun: object) -> CallOutcome:  # noqa: ARG002
        """The answer to any call."""
        return {Call.PLACE: self.place, Call.CANCEL: self.cancel, Call.MODIFY: self.modify}[call](order)

    def close(self) -> None:
        """There is nothing to close."""

    def _answer(self, call: Call, order: Order, message: str) -> CallOutcome:
        now = self._now()
        return CallOutcome(
            client_order_id=order.client_order_id,
            account=order.account,
            call=call,
            outcome=Outcome.RECORDED,
            began_machine_ns=now,
            ended_machine_ns=now,
            message=message,
        )


def _words(order: Order) -> str:
    text = f"{order.side} {order.quantity} {order.instrument} {order.product} {order.order_type}"
    if order.order_type in (OrderType.LIMIT, OrderType.SL):
        text += f" at {order.price:g}"
    if order.order_type in (OrderType.SL, OrderType.SL_M):
        text += f" trigger {order.trigger_price:g}"
    return text
