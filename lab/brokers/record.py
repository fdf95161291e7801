"""What a case is judged by: the venue's own record, what the story asked for, and the alerts that were up.

The venue is the simulator's event log, which knows every order with the tag that it was placed with, whatever its books
show. Nothing here comes from the stack but its alerts. All times are machine time, ns.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mytrading.core.exchange.model import BookOrder, BookPosition
from mytrading.messages.enums import OrderType, Product
from mytrading.simulator.venue.event_log import ORDER, LoggedEvent, read_events

STRANGER = "stranger"
"""The tag of orders that the harness places as somebody else at the same account."""
STOPS = (OrderType.SL, OrderType.SL_M)
ENTRY, EXIT = "entry", "exit"


class Asked(NamedTuple):
    """What the story asked the stack for: `word` is entry or exit. An exit that could not go at once could go at
    `could_ns` (0: when it was asked for)."""

    at_ns: int
    instrument: str
    word: str
    units: int = 0
    could_ns: int = 0


class AlertSpan(NamedTuple):
    """An alert of the stack, from when it was first seen to when it was last."""

    code: str
    subject: str
    text: str
    first_ns: int
    last_ns: int


class Fill(NamedTuple):
    """Units of an order that filled at a moment."""

    at_ns: int
    order: BookOrder
    units: int


class VenueRecord:
    """The record of a simulator's books file, read on whenever it is asked."""

    def __init__(self, books: Path) -> None:
        self._books = books
        self.events: list[LoggedEvent] = []
        self.orders: dict[str, BookOrder] = {}
        self._positions: dict[tuple[str, Product], int] = {}

    def read_on(self) -> VenueRecord:
        """Take what was recorded since; nothing while the file is not to be read."""
        try:
            new = list(read_events(self._books, skip=len(self.events)))
        except sqlite3.Error:
            return self
        for event in new:
            self._take(event)
        return self

    def _take(self, event: LoggedEvent) -> None:
        self.events.append(event)
        if isinstance(event.body, BookOrder):
            self.orders[event.body.order_id] = event.body
        elif isinstance(event.body, BookPosition):
            self._positions[event.body.key] = event.body.quantity

    def net(self, instrument: str) -> int:
        """Units of an instrument that the account has, over all products."""
        self.read_on()
        return sum(units for (name, _), units in self._positions.items() if name == instrument)

    def live(self, instrument: str) -> list[BookOrder]:
        """Orders of an instrument that can still fill, but for a stranger's."""
        self.read_on()
        ours = (order for order in self.orders.values() if order.request.strategy != STRANGER)
        return [order for order in ours if order.is_live and order.request.instrument == instrument]

    def stops(self, instrument: str) -> list[BookOrder]:
        """Stops of an instrument that rest."""
        return [order for order in self.live(instrument) if order.request.order_type in STOPS]


def orders_of(events: list[LoggedEvent], instrument: str) -> Iterator[tuple[int, BookOrder]]:
    """Yield each new state of the stack's orders in an instrument, with its time."""
    for event in events:
        body = event.body
        if event.kind == ORDER and body.request.instrument == instrument and body.request.strategy != STRANGER:
            yield event.machine_ns, body


def fills_of(events: list[LoggedEvent], instrument: str) -> Iterator[Fill]:
    """Yield what filled of the stack's orders in an instrument."""
    filled: dict[str, int] = {}
    for at_ns, order in orders_of(events, instrument):
        if more := order.filled - filled.get(order.order_id, 0):
            filled[order.order_id] = order.filled
            yield Fill(at_ns, order, more)


def describe(order: BookOrder) -> str:
    """Return an order in words, as findings show it."""
    wanted = order.request
    prices = f"at {wanted.price:g}" + (f", trigger {wanted.trigger_price:g}" if wanted.trigger_price else "")
    state = f"{order.status.value}, {order.filled} of {wanted.quantity} filled"
    return f"{order.order_id} ({wanted.strategy}) {wanted.side} {wanted.order_type} {prices}: {state}"
