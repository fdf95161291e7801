"""Where orders go: the interface of a venue, and the one a run is configured for.

A venue answers with an outcome whatever happens; it never raises for the broker's or the network's doing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from mytrading.adapters.openalgo.rest.client import SECONDS, Deadline, OpenAlgoClient
from mytrading.adapters.venues.openalgo import OpenAlgoVenue
from mytrading.messages.enums import Call, OrderType, Outcome
from mytrading.messages.orders import CallOutcome, Order
from mytrading.messages.run_config import AccountRun, RunConfig, VenueKind


class DryRunVenue:
    """Answers at once. `record` is given each order that would have been sent."""

    def __init__(self, machine_now: Callable[[], int], record: Callable[[Order], None] | None = None) -> None:
        self._now = machine_now
        self._record = record

    def place(self, order: Order) -> CallOutcome:
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
        return False

    def begin(self, request: None) -> None:
        """Nothing is sent."""

    def finish(self, call: Call, order: Order, begun: object) -> CallOutcome:  # noqa: ARG002
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


class Venue(Protocol):
    """Takes orders."""

    def place(self, order: Order) -> CallOutcome:
        """Place a new order."""

    def cancel(self, order: Order) -> CallOutcome:
        """Cancel a resting order, named by its `broker_order_id`."""

    def modify(self, order: Order) -> CallOutcome:
        """Make a resting order what `order` says."""

    def write(self, call: Call, order: Order) -> Any:
        """The request of a call, for `begin` of any venue of the same account. Sends nothing."""

    def idle(self) -> bool:
        """True if `begin` would send at once."""

    def begin(self, request: Any) -> Any:
        """Send a request if that needs no waiting; None if it does, and nothing was sent."""

    def finish(self, call: Call, order: Order, begun: Any) -> CallOutcome:
        """How the call ended: waits for the answer to what was begun, or makes the whole call if nothing was."""

    def close(self) -> None:
        """Let go of connections."""


def make_venue(config: RunConfig, account: AccountRun, machine_now: Callable[[], int]) -> Venue:
    """A new venue for orders of an account, for one thread, of the kind the run is configured for."""
    if config.venue.kind is VenueKind.DRY_RUN:
        return DryRunVenue(machine_now)
    return OpenAlgoVenue(make_client(config, account, machine_now), config.venue.expected_mode)


def make_client(config: RunConfig, account: AccountRun, machine_now: Callable[[], int]) -> OpenAlgoClient:
    """A new client of the account's server, for one thread; order calls may last the configured time-out."""
    deadlines = {**SECONDS, Deadline.ORDER: config.venue.timeout}
    return OpenAlgoClient(account.rest_url, account.api_key, machine_now, deadlines)
