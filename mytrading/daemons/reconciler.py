"""The reconciler: listens to the broker. Order updates as they come, books on schedule and on request.

Wiring only: `core/reconcile` plans, `adapters/openalgo/reads` visits the server from a worker thread, the order stream
brings updates. The one rule: it reports what the broker said; what follows from it is the router's to decide.
"""

from __future__ import annotations

import random

from mytrading.adapters.openalgo.client import OpenAlgoClient
from mytrading.adapters.openalgo.order_updates import OrderUpdates
from mytrading.adapters.openalgo.reads import BookReader, Visit
from mytrading.core.reconcile import HealthBook, ReadJob, ReadPlan
from mytrading.messages.codec import Frame
from mytrading.messages.enums import Severity
from mytrading.messages.reports import AccountHealth, BooksRead, OrderReport, ReadRequest
from mytrading.messages.runconfig import RunConfig, VenueKind
from mytrading.runtime.clock import machine_now
from mytrading.runtime.daemon import Daemon, main
from mytrading.runtime.worker import WorkerPool

LOOK_S = 0.05
REPEAT_S = 1.0
KEEP_NS = 60_000_000_000


class Reconciler(Daemon):
    """The reconciler process of one account."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__("reconciler", config)
        self._account = config.venue.account
        self._plan = ReadPlan(self._account)
        self._health = HealthBook(self._account)
        self._levels: dict[str, OrderReport] = {}
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
        self._stream = OrderUpdates(
            self.config.venue.ws_url, self.config.venue.api_key, self._account, machine_now, self.wake
        )
        self.on_wake(self._take)
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
        self._plan.ask(request)
        if not self._dry:
            self._look(machine_now())

    def _look(self, machine_ns: int) -> None:
        job = self._plan.next_job(machine_ns - random.randrange(5_000_000))
        if job is not None:
            self._workers.submit(job)

    def _take(self) -> None:
        for report in self._stream.take():
            self._updates += 1
            self._levels[report.order.broker_order_id] = report
            self._reports.send(self.name, report)
        self._health.stream(self._stream.connected)
        self._show_stream()
        for visit in self._workers.results():
            self._take_visit(visit)
        self._look(machine_now())

    def _show_stream(self) -> None:
        if self._stream.connected:
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
        self._plan.done(visit.job, machine_now(), whole)
        self.monitor.record("reconciler", "visit", visit.books.ended_machine_ns - visit.books.began_machine_ns, whole)
        if visit.mode is not None:
            self._reports.send(self.name, visit.mode)
        if visit.reached:
            self._reports.send(self.name, visit.books)
            self._health.read(visit.books, visit.mode is None or visit.mode.expected, self._stream.broker)
            self._forget(visit.books)
        if visit.funds is not None:
            self._status.send(self._account, visit.funds)
        self._complain(visit)
        self._status.send(self._account, self._health.level(machine_now()))

    def _complain(self, visit: Visit) -> None:
        if visit.problems:
            problem = "; ".join(visit.problems[:3])
            if not visit.reached:
                self._health.failed(problem)
            self.alerts.raise_("BOOKS_UNREAD", Severity.CRITICAL, self._account, f"{problem}; entries wait")
        else:
            self.alerts.clear("BOOKS_UNREAD", self._account)
        if visit.mode is not None and not visit.mode.expected:
            self.alerts.raise_("SERVER_MODE", Severity.CRITICAL, self._account, visit.mode.message)
        elif visit.mode is not None:
            self.alerts.clear("SERVER_MODE", self._account)

    def _forget(self, books: BooksRead) -> None:
        """Levels that a book read begun after them repeats need no repeating of their own."""
        if books.orders is None:
            return
        shown = {order.broker_order_id for order in books.orders}
        for name, report in list(self._levels.items()):
            old = machine_now() - report.received_machine_ns > KEEP_NS
            if old or (name in shown and report.received_machine_ns < books.began_machine_ns):
                del self._levels[name]

    def _each_second(self, machine_ns: int) -> None:
        for report in self._levels.values():
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
        """Visits to the server and order updates since the start."""
        return {"visits": float(self._visits), "order_updates": float(self._updates)}

    def teardown(self) -> None:
        """Leave the stream and the worker."""
        if not self._dry:
            self._stream.stop()
            self._workers.stop()


if __name__ == "__main__":
    raise SystemExit(main(Reconciler, "reconciler"))
