"""Orders as OpenAlgo's requests, and the venue that sends them.

Used by the router's workers, one venue and one connection per thread. The one rule: a call is sent once; what became
of it is a `CallOutcome`, never an exception.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mytrading.adapters.openalgo.client import Deadline, OpenAlgoClient
from mytrading.adapters.openalgo.errors import TransportFailed
from mytrading.adapters.openalgo.outcomes import judge, judge_failure
from mytrading.messages.enums import Call, OrderType
from mytrading.messages.orders import CallOutcome, Order

RETRY_AFTER_NS = 1_000_000_000
"""The server names no time with its 429: its windows are one second."""


def place_payload(order: Order) -> dict[str, Any]:
    """The body of /placeorder. `strategy` carries our id, which the sandbox gives back and live brokers ignore."""
    exchange, symbol = order.instrument.split(":", 1)
    priced = order.order_type in (OrderType.LIMIT, OrderType.SL)
    triggered = order.order_type in (OrderType.SL, OrderType.SL_M)
    return {
        "strategy": order.client_order_id,
        "symbol": symbol,
        "exchange": exchange,
        "action": order.side.value,
        "quantity": str(order.quantity),
        "pricetype": order.order_type.value,
        "product": order.product.value,
        "price": _price(order.price if priced else 0.0),
        "trigger_price": _price(order.trigger_price if triggered else 0.0),
        "disclosed_quantity": "0",
    }


def modify_payload(order: Order) -> dict[str, Any]:
    """The body of /modifyorder: a full replacement."""
    return {**place_payload(order), "orderid": order.broker_order_id}


def cancel_payload(order: Order) -> dict[str, Any]:
    """The body of /cancelorder."""
    return {"strategy": order.client_order_id, "orderid": order.broker_order_id}


class OpenAlgoVenue:
    """Places, modifies and cancels at one server, which must answer in `expected_mode` (analyze or live)."""

    def __init__(self, client: OpenAlgoClient, expected_mode: str, machine_now: Callable[[], int]) -> None:
        self._client = client
        self._mode = expected_mode
        self._now = machine_now

    def place(self, order: Order) -> CallOutcome:
        """Send the order, once."""
        return self._call(Call.PLACE, "placeorder", order, place_payload(order))

    def cancel(self, order: Order) -> CallOutcome:
        """Ask for its cancellation; may be repeated."""
        return self._call(Call.CANCEL, "cancelorder", order, cancel_payload(order))

    def modify(self, order: Order) -> CallOutcome:
        """Replace price, trigger and quantity by those of `order`."""
        return self._call(Call.MODIFY, "modifyorder", order, modify_payload(order))

    def _call(self, call: Call, endpoint: str, order: Order, payload: dict[str, Any]) -> CallOutcome:
        try:
            answer = self._client.call(endpoint, payload, Deadline.ORDER)
        except TransportFailed as error:
            verdict, began, ended = judge_failure(error), error.began_ns, error.ended_ns
        else:
            verdict = judge(call, answer.status, answer.body, self._mode)
            began, ended = answer.began_ns, answer.ended_ns
        return CallOutcome(
            client_order_id=order.client_order_id,
            account=order.account,
            call=call,
            outcome=verdict.outcome,
            began_machine_ns=began,
            ended_machine_ns=ended,
            broker_order_id=verdict.broker_order_id,
            message=verdict.message,
            retry_after_ns=RETRY_AFTER_NS,
        )


def _price(value: float) -> str:
    """At most four decimals, without an exponent: what every exchange's ticks need."""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return text or "0"
