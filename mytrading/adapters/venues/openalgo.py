"""The venue that is an OpenAlgo-compatible server: an order in, the outcome of its call out.

One request per call, never repeated here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mytrading.adapters.openalgo.rest.client import Deadline, HttpReply, OpenAlgoClient, Started, TransportFailed
from mytrading.adapters.openalgo.rest.order_outcomes import CallVerdict, judge, judge_failure
from mytrading.core.instruments.symbology import split_id
from mytrading.messages.enums import Call, OrderType
from mytrading.messages.orders import CallOutcome, Order
from mytrading.messages.run_config import ServerMode

STRATEGY_LENGTH = 100


def place_payload(order: Order) -> dict[str, Any]:
    """For `placeorder`; JSON writes the words of our enums as they are."""
    exchange, symbol = split_id(order.instrument)
    return {
        "strategy": order.client_order_id[:STRATEGY_LENGTH],
        "symbol": symbol,
        "exchange": exchange,
        "action": order.side,
        "product": order.product,
        "pricetype": order.order_type,
        "quantity": order.quantity,
        "price": _price(order),
        "trigger_price": _trigger(order),
        "disclosed_quantity": 0,
    }


def modify_payload(order: Order) -> dict[str, Any]:
    """For `modifyorder`: a full replacement by what `order` now says, so every field is required."""
    return place_payload(order) | {"orderid": order.broker_order_id}


def cancel_payload(order: Order) -> dict[str, Any]:
    return {"strategy": order.client_order_id[:STRATEGY_LENGTH], "orderid": order.broker_order_id}


def _price(order: Order) -> float:
    """A limit, or 0: a price sent with SL-M is refused by the sandbox."""
    return _rupees(order.price) if order.order_type in (OrderType.LIMIT, OrderType.SL) else 0


def _trigger(order: Order) -> float:
    return _rupees(order.trigger_price) if order.order_type in (OrderType.SL, OrderType.SL_M) else 0


def _rupees(price: float) -> float:
    """Without the digits that float arithmetic adds: the finest tick has four decimals."""
    return round(price, 4)


_ENDPOINTS = {Call.PLACE: "placeorder", Call.CANCEL: "cancelorder", Call.MODIFY: "modifyorder"}
_PAYLOADS = {Call.PLACE: place_payload, Call.CANCEL: cancel_payload, Call.MODIFY: modify_payload}


class OpenAlgoVenue:
    """Order calls at one server. Not thread-safe. A call lasts up to the client's order deadline."""

    def __init__(self, client: OpenAlgoClient, expected: ServerMode) -> None:
        self._client = client
        self._expected = expected

    def place(self, order: Order) -> CallOutcome:
        return self.finish(Call.PLACE, order, None)

    def cancel(self, order: Order) -> CallOutcome:
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
        self._client.close()

    def _judged(self, call: Call, order: Order, answer_of: Callable[[], HttpReply]) -> CallOutcome:
        try:
            answer = answer_of()
        except TransportFailed as failure:
            return _outcome(call, order, judge_failure(failure), failure.began_ns, failure.ended_ns)
        return _outcome(call, order, judge(call, answer, self._expected), answer.began_ns, answer.ended_ns)


def _outcome(call: Call, order: Order, verdict: CallVerdict, began_ns: int, ended_ns: int) -> CallOutcome:
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
