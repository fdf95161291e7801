"""Receivers of orders: an OpenAlgo-compatible server, or a dry run that sends nothing.

A venue answers with an outcome whatever happens and never raises for the broker's or the network's doing. One request
per call, never repeated here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from mytrading.adapters.openalgo.rest.client import SECONDS, Deadline, OpenAlgoClient, Started, TransportFailed
from mytrading.adapters.openalgo.rest.order_outcomes import CallVerdict, classify_answer, classify_failure
from mytrading.core.instruments.symbology import split_id
from mytrading.messages.enums import Call, OrderType, Outcome
from mytrading.messages.orders import CallOutcome, Order
from mytrading.messages.run_config import AccountRun, RunConfig, ServerMode, VenueKind

STRATEGY_LENGTH = 100
_ENDPOINTS = {Call.PLACE: "placeorder", Call.CANCEL: "cancelorder", Call.MODIFY: "modifyorder"}
_WITH_LIMIT = (OrderType.LIMIT, OrderType.SL)
"""A price sent with SL-M is refused by the sandbox."""
_WITH_TRIGGER = (OrderType.SL, OrderType.SL_M)


class Venue(Protocol):
    """Takes orders."""

    def encode(self, call: Call, order: Order) -> Any:
        """Return an order call in the form that `begin` sends, here or at another connection of the same account."""

    def can_send_at_once(self) -> bool:
        """True if `begin` would send at once."""

    def begin(self, request: Any) -> Any:
        """Send what `encode` returned, without waiting; the result is for `finish`: None, with nothing sent, if sending
        would block."""

    def finish(self, call: Call, order: Order, begun: Any) -> CallOutcome:
        """Return the call's outcome: waits for the answer to `begun`, or makes the whole call if that is None."""

    def close(self) -> None:
        """Close the connection."""


def order_request_fields(call: Call, order: Order) -> dict[str, Any]:
    """Return the request fields of an order call; a modification restates every field of `order`."""
    strategy = order.client_order_id[:STRATEGY_LENGTH]
    if call is Call.CANCEL:
        return {"strategy": strategy, "orderid": order.broker_order_id}
    exchange, symbol = split_id(order.instrument)
    fields = {
        "strategy": strategy,
        "symbol": symbol,
        "exchange": exchange,
        "action": order.side,
        "product": order.product,
        "pricetype": order.order_type,
        "quantity": order.quantity,
        # The finest tick has four decimals; float arithmetic adds digits.
        "price": round(order.price, 4) if order.order_type in _WITH_LIMIT else 0,
        "trigger_price": round(order.trigger_price, 4) if order.order_type in _WITH_TRIGGER else 0,
        "disclosed_quantity": 0,
    }
    return fields if call is Call.PLACE else fields | {"orderid": order.broker_order_id}


class OpenAlgoVenue:
    """Order calls at one server. Not thread-safe. A call lasts up to the client's order deadline."""

    def __init__(self, client: OpenAlgoClient, expected: ServerMode) -> None:
        self._client = client
        self._expected = expected
        self.can_send_at_once = client.is_reusable
        """True if a connection is open and nothing waits there."""
        self.close = client.close

    def encode(self, call: Call, order: Order) -> bytes:
        """Return an order call in the form that `begin` sends, here or at another connection of the same account."""
        return self._client.encode_request(_ENDPOINTS[call], order_request_fields(call, order))

    def begin(self, request: bytes) -> Started | None:
        """Send an encoded call without blocking; the result is for `finish`: None, with nothing sent, if no
        connection is open and idle."""
        return self._client.start(request, Deadline.ORDER)

    def send(self, call: Call, order: Order) -> CallOutcome:
        """Make a whole order call, waiting for its answer, and return its outcome."""
        return self.finish(call, order, None)

    def finish(self, call: Call, order: Order, begun: Started | None) -> CallOutcome:
        """Return the call's outcome: waits for the answer to `begun`, or makes the whole call if that is None."""
        client = self._client
        try:
            if begun is None:
                answer = client.call(_ENDPOINTS[call], order_request_fields(call, order), Deadline.ORDER)
            else:
                answer = client.finish(begun)
        except TransportFailed as failure:
            return _outcome(call, order, classify_failure(failure), failure.began_ns, failure.ended_ns)
        return _outcome(call, order, classify_answer(call, answer, self._expected), answer.began_ns, answer.ended_ns)


class DryRunVenue:
    """Answers at once with what it would have sent; nothing rests here."""

    def __init__(self, machine_now: Callable[[], int]) -> None:
        self._now = machine_now

    def encode(self, call: Call, order: Order) -> None:
        """Return None: a dry run encodes no request."""

    def can_send_at_once(self) -> bool:
        """Return False: there is no connection to send on."""
        return False

    def begin(self, request: None) -> None:
        """Return None: a dry run sends nothing."""

    def finish(self, call: Call, order: Order, begun: object) -> CallOutcome:  # noqa: ARG002
        """Return the outcome RECORDED, whose message tells what would have been sent."""
        would = {Call.PLACE: f"send {_terms(order)}", Call.CANCEL: "cancel", Call.MODIFY: f"modify to {_terms(order)}"}
        now, verdict = self._now(), CallVerdict(Outcome.RECORDED, message=f"dry run: would {would[call]}")
        return _outcome(call, order, verdict, now, now)

    def close(self) -> None:
        """Do nothing: a dry run holds no connection."""


def _terms(order: Order) -> str:
    text = f"{order.side} {order.quantity} {order.instrument} {order.product} {order.order_type}"
    text += f" at {order.price:g}" if order.order_type in _WITH_LIMIT else ""
    return f"{text} trigger {order.trigger_price:g}" if order.order_type in _WITH_TRIGGER else text


def _outcome(call: Call, order: Order, verdict: CallVerdict, began_ns: int, ended_ns: int) -> CallOutcome:
    return CallOutcome(
        client_order_id=order.client_order_id, account=order.account, call=call, outcome=verdict.outcome,
        began_machine_ns=began_ns, ended_machine_ns=ended_ns, broker_order_id=verdict.broker_order_id,
        message=verdict.message, retry_after_ns=verdict.retry_after_ns,
    )  # fmt: skip


def make_venue(config: RunConfig, account: AccountRun, machine_now: Callable[[], int]) -> Venue:
    """Build an account's order venue of the configured kind, for use by one thread."""
    if config.venue.kind is VenueKind.DRY_RUN:
        return DryRunVenue(machine_now)
    deadlines = {**SECONDS, Deadline.ORDER: config.venue.timeout}
    client = OpenAlgoClient(account.rest_url, account.api_key, machine_now, deadlines)
    return OpenAlgoVenue(client, config.venue.expected_mode)
