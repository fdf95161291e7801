"""The reconciler: listens to the broker. Order updates as they come, books on schedule and on request.

Wiring only: `core/reconcile` plans, `adapters/openalgo/reads` visits the server from a worker thread, the order stream
brings updates. The one rule: it reports what the broker said; what follows from it is the router's to decide.
"""

from __future__ import annotations

import random

from mytrading.adapters.openalgo.client import OpenAlgoClient
from mytrading.adapters.openalgo.order_updates import OrderUpdates
from mytrading.adapters.openalgo.reads import BookReader, Visit
from mytrading.core.reconcile import HealthBook, OrderLevels, ReadJob, ReadPlan
from mytrading.messages.codec import Frame
from mytrading.messages.control import ModeCleared, TradingState
from mytrading.messages.enums import Severity
from mytrading.messages.orders import OrderChanged
from mytrading.messages.reports import AccountHealth, BooksRead, ReadRequest
from mytrading.messages.runconfig import RunConfig, VenueKind
from mytrading.runtime.clock import machine_now
from mytrading.runtime.daemon import Daemon, main
from mytrading.runtime.worker import WorkerPool

LOOK_S = 0.05
REPEAT_S = 1.0


class Reconciler(Daemon):
    """The reconciler process of one account."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__("reconciler", config)
        self._account = config.venue.account
        self._plan = ReadPlan(self._account)
        self._health = HealthBook(self._account)
        self._levels = OrderLevels()
        self._streaming = False
        self._visits = 0
        self._updates = 0

    def setup(self) -> None:
        """Connect the order stream and begin to read; a dry run has nothing to listen to."""
        self._reports = self.push("reports")
        self._status = self.publish("account")
        self.pull("reads", self._on_request)
        self.every(REPEAT_S, self._each_second, "health")
        self._dry = self.config.venue.kind is VenueKind.DRY_RUN
        if self._dry:
            return
        self._workers: WorkerPool[ReadJob, BookReader, Visit] = WorkerPool(
            "reconciler.worker", 1, self._reader, BookReader.visit, self._failed, self.wake
        )
        venue = self.config.venue
        self._stream = OrderUpdates(
            venue.ws_url, venue.api_key, self._account, venue.expected_mode.value, machine_now, self.wake
        )
        self.on_wake(self._take)
        self.subscribe("orders", self._on_order)
        self.subscribe("control", self._on_control)
        self._stream.start()
        self.every(LOOK_S, self._look, "reads")
        self._look(machine_now())

    def _reader(self) -> BookReader:
        venue = self.config.venue
        client = OpenAlgoClient(venue.rest_url, venue.api_key, machine_now)
        return BookReader(client, self._account, venue.expected_mode.value, machine_now)

    def _failed(self, job: ReadJob, error: Exception) -> Visit:
        now = machine_now()
        books = BooksRead(account=self._account, id=job.id, began_machine_ns=now, ended_machine_ns=now)
        return Visit(job, books, None, None, False, (f"{type(error).__name__}: {error}",))

    # in

    def _on_request(self, frame: Frame) -> None:
        request: ReadRequest = frame.message
        if not self._dry and request.account == self._account:
            self._plan.ask(request)
            self._look(machine_now())

    def _on_order(self, frame: Frame) -> None:
        if isinstance(frame.message, OrderChanged):
            self._levels.shown(frame.message.order)

    def _on_control(self, frame: Frame) -> None:
        """A person says that all is well again: look at once."""
        if isinstance(frame.message, ModeCleared | TradingState):
            self._plan.hurry()
            self._look(machine_now())

    def _look(self, machine_ns: int) -> None:
        job = self._plan.next_job(machine_ns)
        if job is not None:
            self._workers.submit(job)

    def _take(self) -> None:
        for report in self._stream.take():
            self._updates += 1
            level = self._levels.fold(report)
            if level is not None:
                self._reports.send(self.name, level)
        self._take_stream()
        for visit in self._workers.results():
            self._take_visit(visit)
        self._look(machine_now())

    def _take_stream(self) -> None:
        """What was updated while the stream was down never comes: read when it is back."""
        up = self._stream.connected
        self._health.stream(up)
        if up and not self._streaming:
            self._plan.hurry()
        self._streaming = up
        if up:
            self.alerts.clear("ORDER_STREAM_DOWN", self._account)
        elif self._stream.problem:
            self.alerts.raise_(
                "ORDER_STREAM_DOWN",
                Severity.WARNING,
                self._account,
                f"{self._stream.problem}; the books are read instead; it is tried again",
            )

    def _take_visit(self, visit: Visit) -> None:
        self._visits += 1
        whole = visit.reached and (visit.books.orders is not None or not visit.job.orders)
        self._plan.done(visit.job, machine_now(), whole, random.random(), visit.patience_ns)
        self.monitor.record("reconciler", "visit", visit.books.ended_machine_ns - visit.books.began_machine_ns, whole)
        if visit.mode is not None:
            self._reports.send(self.name, visit.mode)
        if visit.reached:
            self._reports.send(self.name, visit.books)
            self._health.read(visit.job, visit.books, visit.mode.expected if visit.mode else None, self._stream.broker)
            self._levels.read(visit.books)
        if visit.funds is not None:
            self._status.send(self._account, visit.funds)
        self._complain(visit)
        self._status.send(self._account, self._health.level(machine_now()))

    def _complain(self, visit: Visit) -> None:
        problem = "; ".join(visit.problems[:3])
        if not visit.reached:
            self._health.failed(problem)
        if problem and not _complete(visit):
            self.alerts.raise_("BOOKS_UNREAD", Severity.CRITICAL, self._account, f"{problem}; entries wait")
            return
        self.alerts.clear("BOOKS_UNREAD", self._account)
        if problem:
            self.alerts.raise_("BOOKS_ODD", Severity.WARNING, self._account, problem)
        else:
            self.alerts.clear("BOOKS_ODD", self._account)
        if visit.mode is not None and not visit.mode.expected:
            self.alerts.raise_("SERVER_MODE", Severity.CRITICAL, self._account, visit.mode.message)
        elif visit.mode is not None:
            self.alerts.clear("SERVER_MODE", self._account)

    def _each_second(self, machine_ns: int) -> None:
        for report in self._levels.standing(machine_ns):
            self._reports.send(self.name, report)
        self._status.send(self._account, self.health(machine_ns))

    # told

    def health(self, machine_ns: int) -> AccountHealth:
        """The account's health; a dry run has no books that could disagree."""
        if self._dry:
            return AccountHealth(
                account=self._account, connected=True, right_mode=True, stream_up=True, books_agree=True
            )
        return self._health.level(machine_ns)

    def ready(self) -> bool:
        """True once the books have been read and make sense."""
        return self.health(machine_now()).healthy

    def queue_depth(self) -> int:
        """Requests not answered yet."""
        return self._plan.waiting

    def figures(self) -> dict[str, float]:
        """Visits to the server and order updates since the start, and whether the stream of those is up."""
        return {
            "visits": float(self._visits),
            "order_updates": float(self._updates),
            "malformed": 0.0 if self._dry else float(self._stream.malformed),
            "stream_up": 1.0 if self._dry else float(self._stream.connected),
        }

    def teardown(self) -> None:
        """Leave the stream and the worker."""
        if not self._dry:
            self._stream.stop()
            self._workers.stop()


def _complete(visit: Visit) -> bool:
    """True if every book that was asked for was read, or is void for its mode alone."""
    job, books = visit.job, visit.books
    if visit.mode is not None and not visit.mode.expected:
        return True
    asked = ((job.orders, books.orders), (job.trades, books.trades), (job.positions, books.positions))
    return visit.reached and all(book is not None for wanted, book in asked if wanted)


if __name__ == "__main__":
    raise SystemExit(main(Reconciler, "reconciler"))
