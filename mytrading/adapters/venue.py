"""Where orders go: the interface of a venue, and the one a run is configured for.

Used by the router. The one rule: a venue answers with an outcome whatever happens; it never raises for the broker's
or the network's doing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from mytrading.adapters.dry_run import DryRunVenue
from mytrading.adapters.openalgo.client import SECONDS, Deadline, OpenAlgoClient
from mytrading.adapters.openalgo.venue import OpenAlgoVenue
from mytrading.messages.enums import Call
from mytrading.messages.orders import CallOutcome, Order
from mytrading.messages.runconfig import AccountRun, RunConfig, VenueKind


class Venue(Protocol):
    """Takes orders. Used by one thread; a call may last as long as the venue's order deadline."""

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
