"""The venue that is an OpenAlgo-compatible server: an order in, the outcome of its call out.

Used by the router's workers, one per thread. The one rule: one request per call, never repeated here.
"""

from __future__ import annotations

from collections.abc import Callable

from mytrading.adapters.openalgo.client import Answer, Deadline, OpenAlgoClient, Started
from mytrading.adapters.openalgo.errors import TransportFailed
from mytrading.adapters.openalgo.orders import cancel_payload, modify_payload, place_payload
from mytrading.adapters.openalgo.outcomes import Verdict, judge, judge_failure
from mytrading.messages.enums import Call
from mytrading.messages.orders import CallOutcome, Order
from mytrading.messages.runconfig import ServerMode

_ENDPOINTS = {Call.PLACE: "placeorder", Call.CANCEL: "cancelorder", Call.MODIFY: "modifyorder"}
_PAYLOADS = {Call.PLACE: place_payload, Call.CANCEL: cancel_payload, Call.MODIFY: modify_payload}


class OpenAlgoVenue:
    """Order calls at one server. Not thread-safe. A call lasts up to the client's order deadline."""

    def __init__(self, client: OpenAlgoClient, expected: ServerMode) -> None:
        self._client = client
        self._expected = expected

    def place(self, order: Order) -> CallOutcome:
        """Place a new order."""
        return self.finish(Call.PLACE, order, None)

    def cancel(self, order: Order) -> CallOutcome:
        """Cancel the order at the broker."""
        return self.finish(Call.CANCEL, order, None)

    def modify(self, order: Order) -> CallOutcome:
        """Replace quantity, type and prices of the order at the broker by those of `order`."""
        return self.finish(Call.MODIFY, order, None)

    def write(self, call: Call, order: Order) -> bytes:
        """The request of a call, for `begin` of any venue of the same account. Sends nothing."""
        return self._client.write(_ENDPOINTS[call], _PAYLOADS[call](order))

    def idle(self) -> bool:
        """True if a connection is open and nothing waits there."""
        return self._client.idle()

    def begin(self, request: bytes) -> Started | None:
        """Send a request if a connection is open; `finish` waits for its answer. Never blocks."""
        return self._client.start(request, Deadline.ORDER)

    def finish(self, call: Call, order: Order, begun: Started | None) -> CallOutcome:
        """How a call ended that was begun, or all of it if it was not."""
        if begun is None:
            payload = _PAYLOADS[call](order)
            return self._judged(call, order, lambda: self._client.call(_ENDPOINTS[call], payload, Deadline.ORDER))
        return self._judged(call, order, lambda: self._client.finish(begun))

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _judged(self, call: Call, order: Order, answer_of: Callable[[], Answer]) -> CallOutcome:
        try:
            answer = answer_of()
        except TransportFailed as failure:
            return _outcome(call, order, judge_failure(failure), failure.began_ns, failure.ended_ns)
        return _outcome(call, order, judge(call, answer, self._expected), answer.began_ns, answer.ended_ns)


def _outcome(call: Call, order: Order, verdict: Verdict, began_ns: int, ended_ns: int) -> CallOutcome:
    return CallOutcome(
        client_order_id=order.client_order_id,
        account=order.account,
        call=call,
        outcome=verdict.outcome,
        began_machine_ns=began_ns,
        ended_machine_ns=ended_ns,
        broker_order_id=verdict.broker_order_id,
        message=verdict.message,
        retry_after_ns=verdict.retry_after_ns,
    )
