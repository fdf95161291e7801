"""A trial's calls to the server and its reads of the books, by the adapters of the stack.

A read that fails gives None and is asked for again by its caller; an order call is made once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from mytrading.adapters.openalgo.rest import book_parsers
from mytrading.adapters.openalgo.rest.client import Deadline, OpenAlgoClient, TransportFailed
from mytrading.adapters.openalgo.rest.errors import ReadFailed
from mytrading.adapters.venues import OpenAlgoVenue
from mytrading.messages.brokers import BrokerRules
from mytrading.messages.codec import UNREADABLE
from mytrading.messages.enums import BrokerStatus, Call, OrderState, Product, Purpose
from mytrading.messages.orders import CallOutcome, Order
from mytrading.messages.reports import BrokerOrder
from mytrading.messages.run_config import AccountRun, ServerMode
from mytrading.operations.broker_trial.sent_orders import TrialOrder


class SeenOrder(NamedTuple):
    """An order of the order book: what it means, and the row as the server gave it."""

    order: BrokerOrder
    row: dict[str, Any]


class TrialServer:
    """One account's server. `client` is public: quotes and contracts are asked for through it."""

    def __init__(self, account: AccountRun, rules: BrokerRules, machine_now: Callable[[], int]) -> None:
        self.account, self.rules, self.machine_now = account, rules, machine_now
        self.reconnect()

    def reconnect(self) -> None:
        """Use a new connection: after an interrupt the answer to the last request may still be on the old one."""
        self.client = OpenAlgoClient(self.account.rest_url, self.account.api_key, self.machine_now)
        self._venue = OpenAlgoVenue(self.client, ServerMode.LIVE)

    def orders(self) -> list[SeenOrder] | None:
        """Return the orders of the order book, without rows that make no sense; None if it cannot be read."""
        rows = self._rows("orderbook")
        return None if rows is None else [found for row in rows if (found := self._seen(row)) is not None]

    def _seen(self, row: Any) -> SeenOrder | None:
        try:
            return SeenOrder(book_parsers.parse_order(row, self.rules), row)
        except (ValueError, AttributeError, *UNREADABLE):
            return None

    def units(self, instrument: str) -> int | None:
        """Return the net units of an instrument, of all products, in the position book; None if they are unknown."""
        try:
            book = book_parsers.parse_positions(self.client.call("positionbook", {}, Deadline.BOOK), self.rules)
        except (ReadFailed, TransportFailed):
            return None
        if book.rows is None or instrument in book.unread:
            return None
        return sum(row.quantity for row in book.rows if row.instrument == instrument)

    def trades(self, ids: Collection[str]) -> list[dict[str, Any]] | None:
        """Return the rows of the trade book that bear one of these order ids; None if it cannot be read."""
        rows = self._rows("tradebook")
        return (
            None if rows is None else [row for row in rows if isinstance(row, dict) and str(row.get("orderid")) in ids]
        )

    def _rows(self, endpoint: str) -> list[Any] | None:
        try:
            data = book_parsers.decode_envelope(self.client.call(endpoint, {}, Deadline.BOOK)).data
        except (ReadFailed, TransportFailed):
            return None
        rows = data.get("orders") if isinstance(data, dict) else data
        return rows if isinstance(rows, list) else None

    def send(self, call: Call, sent: TrialOrder, instrument: str, price: float, trigger: float) -> CallOutcome:
        """Make one order call of an order of the trial, with these prices (rupees)."""
        begun, now = sent.call, self.machine_now()
        order = Order(
            client_order_id=begun.tag, account=self.account.id, instrument=instrument, product=Product.MIS,
            strategy="check", run=begun.tag, cause=begun.tag, purpose=Purpose.ENTRY, side=begun.side,
            quantity=begun.quantity, order_type=begun.order_type, price=price, trigger_price=trigger,
            state=OrderState.INITIALIZED, created_ns=now, updated_ns=now, broker_order_id=sent.broker_order_id,
        )  # fmt: skip
        return self._venue.send(call, order)

    def may_live(self, seen: SeenOrder) -> bool:
        """True if the order of a row may still trade: by its status, or since this broker shows live orders so."""
        return not seen.order.status.is_final or seen.order.status in self.rules.live_ends


def filled_units(seen: SeenOrder) -> int:
    """Return the units that a row of an ended order says were traded: all of a complete one, else what it names."""
    if seen.order.status is BrokerStatus.COMPLETE:
        return seen.order.quantity
    return seen.order.filled or 0
