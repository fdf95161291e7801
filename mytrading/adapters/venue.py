"""Where orders go. The router asks for a venue per worker thread and knows nothing of what is behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mytrading.adapters.dry_run import DryRunVenue
from mytrading.adapters.openalgo.client import SECONDS, Deadline, OpenAlgoClient
from mytrading.adapters.openalgo.orders import OpenAlgoVenue
from mytrading.messages.orders import CallOutcome, Order
from mytrading.messages.runconfig import RunConfig, VenueKind


class Venue(Protocol):
    """Each call is made once and its end told as a value."""

    def place(self, order: Order) -> CallOutcome:
        """Send the order."""

    def cancel(self, order: Order) -> CallOutcome:
        """Ask for its cancellation."""

    def modify(self, order: Order) -> CallOutcome:
        """Replace its price, trigger and quantity."""


def make_venue(config: RunConfig, machine_now: Callable[[], int]) -> Venue:
    """The configured venue, with a connection of its own."""
    venue = config.venue
    if venue.kind is VenueKind.DRY_RUN:
        return DryRunVenue(machine_now)
    deadlines = {**SECONDS, Deadline.ORDER: max(venue.timeout, SECONDS[Deadline.ORDER])}
    client = OpenAlgoClient(venue.rest_url, venue.api_key, machine_now, deadlines)
    return OpenAlgoVenue(client, venue.expected_mode.value, machine_now)
