"""A simulator of one personality, the adapters on it, and a feed and a reconciler process beside them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from mytrading.adapters.openalgo.rest.book_reader import BookReader, Visit
from mytrading.adapters.openalgo.rest.client import Deadline, OpenAlgoClient
from mytrading.adapters.openalgo.ws.order_updates import OrderUpdates
from mytrading.adapters.venues import OpenAlgoVenue
from mytrading.core.reconciler.read_plan import ReadJob
from mytrading.messages.enums import Call, OrderState, OrderType, Outcome, Product, Purpose, Side
from mytrading.messages.orders import CallOutcome, Order
from mytrading.messages.reports import BrokerOrder, OrderReport
from mytrading.messages.run_config import ServerMode
from tests.kit.feed_process import RunningFeed, feed_config, runtime_folder, start_feed
from tests.kit.order_samples import order_of
from tests.kit.reconciler_process import Running, reconciler
from tests.kit.simulator_process import RunningSimulator, start_simulator
from tests.kit.waiting import eventually

SBIN = "NSE:SBIN"
NIFTY = "NSE_INDEX:NIFTY"
DEADLINES = {Deadline.ORDER: 1.0, Deadline.BOOK: 5.0, Deadline.DATA: 1.0, Deadline.BULK: 10.0}
ALL_BOOKS = ReadJob("test", orders=True, trades=True, positions=True, funds=True)


@dataclass
class Bench:
    """Client and streams on one simulator. `mode` is the server's; orders get ids of their own."""

    simulator: RunningSimulator
    mode: ServerMode
    client: OpenAlgoClient
    updates: OrderUpdates
    feed: RunningFeed
    reconciler: Running
    reports: list[OrderReport] = field(default_factory=list)
    placed: int = 0

    def fault(self, kind: str, **fields: Any) -> None:
        """Switch a fault on."""
        status, body = self.simulator.call("/sim/fault", kind=kind, **fields)
        assert status == 200, body

    def clear(self) -> None:
        """Switch every fault off."""
        self.fault("clear")

    # order calls

    @property
    def venue(self) -> OpenAlgoVenue:
        """The router's side: order calls and their outcome."""
        return OpenAlgoVenue(self.client, self.mode)

    def order(self, **changes: Any) -> Order:
        """A limit far from the market, so that it rests."""
        self.placed += 1
        fields: dict[str, Any] = {
            "client_order_id": f"order-{self.placed}", "account": "main", "instrument": SBIN, "product": Product.CNC,
            "strategy": "s", "run": "r", "cause": "x", "purpose": Purpose.ENTRY, "side": Side.BUY,
            "quantity": 1000 + self.placed, "order_type": OrderType.LIMIT, "price": 900.0,
            "state": OrderState.INITIALIZED, "created_ns": 1, "updated_ns": 1,
        }  # fmt: skip
        return order_of(**(fields | changes))

    def place(self, order: Order) -> CallOutcome:
        """Place it as soon as the server's own rate limit lets it through."""
        answers: list[CallOutcome] = []

        def tried() -> bool:
            answers.append(self.venue.send(Call.PLACE, order))
            return answers[-1].outcome is not Outcome.RATE_LIMITED

        eventually(tried, 5)
        return answers[-1]

    def rested(self, **changes: Any) -> Order:
        """An accepted order, with its broker's id."""
        order = self.order(**changes)
        done = self.place(order)
        assert done.outcome is Outcome.ACCEPTED, done
        return msgspec.structs.replace(order, broker_order_id=done.broker_order_id)

    # books and updates

    def visit(self) -> Visit:
        """One read of all books by the reconciler's reader."""
        beside = OpenAlgoClient(self.simulator.rest, self.simulator.api_key, time.monotonic_ns, DEADLINES)
        with closing(beside):
            return BookReader(self.client, beside, "main", self.mode.value, time.monotonic_ns).read_books(ALL_BOOKS)

    def rows(self, order: Order) -> list[BrokerOrder]:
        """The book's rows that can be this order: quantities are all different."""
        orders = self.visit().books.orders
        assert orders is not None
        return [row for row in orders if row.quantity == order.quantity]

    def traded(self, order: Order) -> int:
        """Units of an order in the summed trade book."""
        trades = self.visit().books.trades
        assert trades is not None
        return sum(row.quantity for row in trades if row.broker_order_id == order.broker_order_id)

    def reported(self, order: Order) -> list[BrokerOrder]:
        """The order stream's reports about an order so far."""
        self.reports += self.updates.drain()
        return [report.order for report in self.reports if report.order.quantity == order.quantity]

    def wait_reported(self, order: Order, condition: Callable[[list[BrokerOrder]], Any]) -> list[BrokerOrder]:
        """The reports about an order once they fit."""
        eventually(lambda: condition(self.reported(order)), 8)
        return self.reported(order)


@contextmanager
def start_bench(folder: Path, mode: ServerMode, **personality: str) -> Iterator[Bench]:
    """The simulator and everything on it."""
    with ExitStack() as stack:
        simulator = stack.enter_context(start_simulator(folder, speed=10, capital=100_000_000, **personality))
        runtime = stack.enter_context(runtime_folder())
        config = feed_config(folder, runtime, simulator.rest, simulator.ws, (NIFTY, SBIN))
        config = msgspec.structs.replace(config, venue=msgspec.structs.replace(config.venue, expected_mode=mode))
        feed = stack.enter_context(start_feed(config))
        running = stack.enter_context(reconciler(config))
        client = OpenAlgoClient(simulator.rest, simulator.api_key, time.monotonic_ns, DEADLINES)
        key = simulator.api_key
        updates = OrderUpdates(simulator.ws, key, "main", mode.value, time.monotonic_ns, lambda: None)
        stack.callback(client.close)
        updates.start()
        stack.callback(updates.stop)
        eventually(lambda: updates.drain() == [] and updates.connected)
        feed.wait_ready()
        yield Bench(simulator, mode, client, updates, feed, running)
