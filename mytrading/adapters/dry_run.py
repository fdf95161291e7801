"""The dry-run venue: records what would be sent, and sends nothing.

An order ends as refused with the words "would send", so no position appears and every strategy goes on wishing as it
would on a day on which the broker refuses everything. The one rule: this module opens no connection.
"""

from __future__ import annotations

from collections.abc import Callable

from mytrading.adapters.openalgo.orders import place_payload
from mytrading.messages.enums import Call, Outcome
from mytrading.messages.orders import CallOutcome, Order

WOULD_SEND = "dry run: would send"


class DryRunVenue:
    """Answers every call at once, with what would have been sent as its message."""

    def __init__(self, machine_now: Callable[[], int]) -> None:
        self._now = machine_now

    def place(self, order: Order) -> CallOutcome:
        """Record the order."""
        sent = {key: value for key, value in place_payload(order).items() if value not in ("0", "")}
        return self._record(Call.PLACE, order, " ".join(f"{key}={value}" for key, value in sent.items()))

    def cancel(self, order: Order) -> CallOutcome:
        """Record the cancellation."""
        return self._record(Call.CANCEL, order, f"cancel {order.client_order_id}")

    def modify(self, order: Order) -> CallOutcome:
        """Record the change."""
        return self._record(Call.MODIFY, order, f"modify {order.client_order_id}")

    def _record(self, call: Call, order: Order, what: str) -> CallOutcome:
        now = self._now()
        return CallOutcome(
            client_order_id=order.client_order_id,
            account=order.account,
            call=call,
            outcome=Outcome.REFUSED,
            began_machine_ns=now,
            ended_machine_ns=now,
            message=f"{WOULD_SEND} {what}",
        )
