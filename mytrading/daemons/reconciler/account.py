"""Account listener: one account's order stream, its books on schedule and on request, and its health.

Accounts share nothing, so that a server that hangs or refuses delays the reads of no other.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from mytrading.adapters.openalgo.rest.book_reader import BookReader, Visit
from mytrading.adapters.openalgo.rest.client import SECONDS, Deadline, OpenAlgoClient
from mytrading.adapters.openalgo.rest.retry import LOUD_NS
from mytrading.adapters.openalgo.ws.order_updates import OrderUpdates
from mytrading.core.active_alerts import ActiveAlert, Subject
from mytrading.core.reconciler.account_view import AccountView
from mytrading.core.reconciler.active_alerts import AccountProblems, active_alerts
from mytrading.core.reconciler.read_plan import (
    HealthTracker,
    HiddenOrders,
    OrderLevels,
    ReadJob,
    ReadPlan,
    ReadRules,
    broker_held,
)
from mytrading.core.time import SECOND
from mytrading.messages.brokers import PLAIN, UNLISTED, BrokerRules
from mytrading.messages.orders import Order
from mytrading.messages.reports import AccountHealth, BooksRead, Funds, ReadRequest
from mytrading.messages.run_config import AccountRun, Windows
from mytrading.runtime.daemon.workers import WorkerPool
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.observability.alerts import OF_DATA, Alerts, Edge
from mytrading.runtime.observability.metrics import PerformanceMonitor

Send = Callable[[Any], None]
_FUNDS = "funds: "
"""Prefix of a problem that kept the funds from being read."""


class AccountListener:
    """One account at its server, which must be in `expected_mode`; `report` sends to the router, `publish` to all."""

    def __init__(
        self,
        account: AccountRun,
        expected_mode: str,
        windows: Windows,
        report: Send,
        publish: Send,
        alerts: Alerts,
        monitor: PerformanceMonitor,
        wake: Callable[[], None],
        market_now: Callable[[], int],
        broker_rules: Callable[[], BrokerRules | None] = lambda: PLAIN,
    ) -> None:
        """`broker_rules` gives the row that holds for the server's broker; None: not yet known, no book is read."""
        self.name = account.id
        self.visits = self.updates = 0
        self._run, self._expected = account, expected_mode
        self._report, self._publish = report, publish
        self._monitor, self._market_now = monitor, market_now
        self._deadlines = {**SECONDS, Deadline.BOOK: windows.book_call}
        self.plan = ReadPlan(account.id, read_rules(windows))
        self._health = HealthTracker(account.id, read_rules(windows))
        self._levels = OrderLevels()
        self._hidden = HiddenOrders()
        self._view = AccountView()
        self._broker_rules = broker_rules
        self._problems = AccountProblems()
        self._edge = Edge(f"account {account.id}", "the books are read instead", alerts)
        self._malformed = self._missed = 0
        self._funds: Funds | None = None
        self._streaming = False
        self._workers: WorkerPool[ReadJob, BookReader, Visit] = WorkerPool(
            f"reconciler.{account.id}", 2, self._reader, BookReader.read_books, self._failed, wake
        )
        self.stream = OrderUpdates(
            account.ws_url, account.api_key, account.id, expected_mode, machine_now, wake, self._rules
        )
        self.stream.start()

    def _reader(self) -> BookReader:
        run = self._run
        client, *others = (OpenAlgoClient(run.rest_url, run.api_key, machine_now, self._deadlines) for _ in range(3))
        return BookReader(client, others[0], self.name, self._expected, machine_now, self._rules, others[1])

    def _rules(self) -> BrokerRules:
        """The row that holds now; the cautious one while the broker is not known."""
        return self._broker_rules() or UNLISTED

    def _failed(self, job: ReadJob, error: Exception) -> Visit:
        now = machine_now()
        books = BooksRead(account=self.name, id=job.id, began_machine_ns=now, ended_machine_ns=now)
        return Visit(job, books, None, None, False, (f"{type(error).__name__}: {error}",))

    def request_read(self, request: ReadRequest) -> None:
        """Queue a daemon's request to read the account's books (orders, trades, positions) as soon as possible."""
        self.plan.add_request(request)
        self.start_if_due(machine_now())

    def read_all_now(self) -> None:
        """Make reads of all books due and start one; called after an operator's resume."""
        self.plan.make_all_due()
        self.start_if_due(machine_now())

    def on_router_order(self, order: Order) -> None:
        """Compare a router's order with the order stream; an update that it lacks is sent to the router again."""
        self._view.on_router_order(order)
        self._hidden.on_router_order(order)
        if (level := self._levels.on_router_order(order)) is not None:
            self._report(level)

    def start_if_due(self, machine_ns: int) -> None:
        """Start the next read of the books if one is due, and it is known how to read them."""
        if self._broker_rules() is None:
            return
        if (job := self.plan.take_next_job(machine_ns)) is not None:
            self._workers.submit(job)

    def handle_results(self) -> None:
        """Send the router the received order updates, then the finished reads of the books."""
        for report in self.stream.drain():
            self.updates += 1
            try:
                if (level := self._levels.on_update(report)) is not None:
                    self._report(level)
            except OF_DATA as error:
                self._edge.record_drop(error, repr(report).encode())
        self._take_stream()
        for visit in self._workers.take_results():
            try:
                self._take_visit(visit)
            except OF_DATA as error:
                self._edge.record_drop(error)
                self._take_visit(self._failed(visit.job, error))
        self.start_if_due(machine_now())

    def _take_stream(self) -> None:
        """Follow the state of the stream; updates sent while it was down never arrive, so read when it is back."""
        up = self.stream.connected
        self._health.set_stream_up(up)
        self.plan.set_stream_up(self.stream.brings_updates)
        if up and not self._streaming:
            self.plan.make_all_due()
        self._streaming = up
        self._problems.stream = "" if up else self.stream.problem or self._problems.stream

    def _take_visit(self, visit: Visit) -> None:
        self.visits += 1
        whole = visit.reached and (visit.books.orders is not None or not visit.job.orders)
        self.plan.on_read_ended(visit.job, machine_now(), whole, random.random(), visit.patience_ns, visit.refused)
        self._monitor.record("reconciler", "visit", visit.books.ended_machine_ns - visit.books.began_machine_ns, whole)
        if visit.mode is not None:
            self._report(visit.mode)
        if visit.reached:
            self._report(self.plan.void_if_outdated(visit.books))
            right, why = visit.mode.expected if visit.mode else None, "; ".join(visit.problems[:1])
            self._health.on_read(visit.job, visit.books, right, self.stream.broker, why)
            self._levels.drop_shown_by(visit.books)
            self._view.on_books(visit.books)
            self._hidden.on_books(visit.books)
            if (found := broker_held(visit.books, self._market_now(), self._hidden.rows)) is not None:
                self._publish(found)
        if visit.funds is not None and (why := self._view.why_zeros(visit.funds, self._rules())):
            visit = visit._replace(funds=None, problems=(*visit.problems, why))
        if visit.funds is not None:
            self._funds = visit.funds
            self._publish(visit.funds)
        self._take_funds(visit)
        self._take_problems(visit)
        if visit.refused or visit.reached:
            self._health.set_session_lost(visit.refused, "; ".join(visit.problems[:1]))
        self._publish(self._health.health_at(machine_now()))

    def _take_funds(self, visit: Visit) -> None:
        ended = visit.books.ended_machine_ns
        if visit.funds is not None:
            self._health.on_funds_read(ended)
            self._problems.funds = ""
        elif visit.job.funds and visit.reached and not visit.refused:
            problem = next((one for one in visit.problems if one.startswith(_FUNDS)), "funds: no answer")
            self._health.on_funds_read(ended, problem)
            self._problems.funds, self._problems.funds_late = problem, bool(self._health.health_at(ended).funds_unread)

    def _take_problems(self, visit: Visit) -> None:
        found = self._problems
        found.busy_s = visit.patience_ns / SECOND if visit.patience_ns > LOUD_NS else 0.0
        problems = [p for p in visit.problems if visit.funds is not None or not p.startswith(_FUNDS)]
        problem = "; ".join(problems[:3])
        if not visit.reached:
            self._health.on_failed_read(problem)
        job, books = visit.job, visit.books
        asked = ((job.orders, books.orders), (job.trades, books.trades), (job.positions, books.positions))
        read = visit.reached and all(book is not None for wanted, book in asked if wanted)
        void = visit.mode is not None and not visit.mode.expected  # books of another mode are not taken
        found.unread = "" if read or void else problem
        if found.unread:
            return
        words = self._view.words_to_tell(visit.odd_words)
        found.odd = "; ".join((*problems, *words)[:3])
        found.unread_rows = len(books.unread_rows)
        found.odd_rows = any(self._view.concerns(row) for row in books.unread_rows)
        if visit.mode is not None:
            found.mode = "" if visit.mode.expected else visit.mode.message

    def active_alerts(self) -> dict[Subject, ActiveAlert]:
        """Return the account's active alerts by (code, subject)."""
        return active_alerts(self.name, self._problems)

    def each_second(self, machine_ns: int) -> None:
        """Publish health, the last read funds, and again the order updates that no order of the router reflects yet."""
        self._look_at_stream(machine_ns)
        for report in self._levels.updates_to_repeat(machine_ns):
            self._report(report)
        if self._funds is not None:
            self._publish(self._funds)
        self._publish(self.health(machine_ns))

    def _look_at_stream(self, machine_ns: int) -> None:
        """Read the books after unreadable updates, which may have been fills, once a second at most."""
        self.stream.drop_if_stalled(machine_ns)
        if self.stream.malformed != self._malformed:
            count, self._malformed = self.stream.malformed - self._malformed, self.stream.malformed
            self._edge.record_drop(f"an order update: {self.stream.problem_of_last}", count=count)
        if self._edge.count != self._missed:
            self._missed = self._edge.count
            self.plan.on_unreadable_update()
        self._edge.clear_if_quiet(machine_ns)

    def health(self, machine_ns: int) -> AccountHealth:
        """Return the account's health at this machine time."""
        return self._health.health_at(machine_ns)

    @property
    def malformed_messages(self) -> int:
        """Count of server messages that could not be read or handled."""
        return self._edge.count + self.stream.malformed - self._malformed

    @property
    def waiting_for(self) -> str:
        """The work of this account that lock-step must wait for, as text; "" if nothing."""
        if not self._streaming:
            return "the order stream"
        if len(self._levels):
            return "the router to show an order update"
        return "a read of the books" if self.plan.is_busy else ""

    def stop(self) -> None:
        """Stop the order stream and the worker."""
        self.stream.stop()
        self._workers.stop()


def read_rules(windows: Windows) -> ReadRules:
    """Return the intervals (ns) at which books are read and count as stale, from a run's windows in seconds."""
    return ReadRules(
        orders_every=round(windows.orders_every * SECOND),
        positions_every=round(windows.positions_every * SECOND),
        funds_every=round(windows.funds_every * SECOND),
        retry_most=round(windows.retry_most * SECOND),
        stale=round(windows.stale * SECOND),
        funds_stale=round(windows.funds_stale * SECOND),
    )
