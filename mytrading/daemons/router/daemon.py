"""The order router: sends orders to the broker, owns orders and positions; books come from the reconciler.

Wiring only: `core/oms` decides, this hands its decisions to worker threads that hold the connections, and hands the
outcomes back. A call is made only for a row that is committed, and once for each row.
"""

from __future__ import annotations

import os
import select
from collections.abc import Sequence
from typing import Any

from msgspec import to_builtins

from mytrading.core.calendar import Calendar
from mytrading.core.oms.active_alerts import BY_OPERATOR, STATE_ALERTS, Unguarded
from mytrading.core.oms.placing.entry_guard import WATCHED, EntryGuard
from mytrading.core.oms.reconcile import journal_rebuild
from mytrading.core.orders.live_gate import live_run_problem
from mytrading.core.orders.state_machine import SENT, with_wanted_terms
from mytrading.core.time import SECOND
from mytrading.daemons.router.account_pools import AccountPools, Job
from mytrading.daemons.router.exit_quotes import ExitQuotes
from mytrading.daemons.router.reporting import Budgets, order_fields, position_fields
from mytrading.daemons.router.setup import OrderRows, build_order_machine
from mytrading.daemons.router.watches import BooksWatch, KillWatch, LotWatch
from mytrading.messages.account_events import RecoveryChanged
from mytrading.messages.codec import Frame
from mytrading.messages.control import DayTraded, Heartbeat, WithdrawRequested
from mytrading.messages.enums import Call, Outcome, Purpose, Severity
from mytrading.messages.orders import Order, OrderChanged, PositionChanged, TimerFired
from mytrading.messages.run_config import RunConfig, RunConfigError, VenueKind
from mytrading.runtime.daemon.live_files import EditedFiles, accepted_folder
from mytrading.runtime.daemon.lockstep import Progress, pipe_place
from mytrading.runtime.daemon.machine_daemon import MachineDaemon
from mytrading.runtime.daemon.market_tables import MarketTables
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.journal.journal import Row
from mytrading.runtime.observability.logging import trade_logger

TICK_S = 0.1
GUARD_S = 0.5
BOOKS_MISSED = 3
"""Polls of the order book without a whole one after which an account counts as unread."""
LEAVE_NS = 3_500_000_000
"""Machine time for the cancels of a router that is to stop: it must be gone within five seconds."""

_CALLS = {"submitted": Call.PLACE, "cancel_requested": Call.CANCEL, "modify_requested": Call.MODIFY}
_RANKS = {Call.CANCEL: 0, Call.MODIFY: 1, Call.PLACE: 2}
"""Of the calls that entries need; a stop or an exit may wait for such a cancel."""


class TradeManager(MachineDaemon):
    """The router process: commands and reports in, orders and positions out, a pool of workers for each account."""

    def __init__(self, config: RunConfig) -> None:
        if problem := live_run_problem(config):
            raise RunConfigError(problem)
        self._tables = MarketTables(config)
        self.orders = build_order_machine(config, self._tables)
        super().__init__("router", config, self.orders)
        self._replayed = OrderRows()
        self._trades = trade_logger()
        self._exit_quotes = ExitQuotes(config, self.wake)
        self._counts: dict[str, int] = {}
        self._budgets = Budgets(self.orders, (account.id for account in config.order_accounts))
        self._prepared: tuple[Sequence[Any], list[tuple[Job, int]]] = ((), [])
        self._reported = 0
        self._unguarded = Unguarded()
        self._kill = KillWatch(config)
        self._lots = LotWatch(config)
        has_books = config.venue.kind is VenueKind.OPENALGO
        self._compared = tuple(account.id for account in config.order_accounts) if has_books else ()
        """The accounts whose books are compared at a start; a dry run has none."""
        read = () if self.lock_step else self._compared
        self._books = BooksWatch(read, round(BOOKS_MISSED * config.windows.orders_every * SECOND))

    def setup(self) -> None:
        """Lock the accounts, recover, and request the broker's books before anything new is sent."""
        self._accounts = AccountPools(self.config)
        super().setup()
        for name, text in self._tables.texts.items():
            self.note_file(name, text)
        self._accounts.start_workers(self.wake)
        self.on_wake(self._take_outcomes)
        self.on_wake(self._take_quotes)
        self._update_alerts()
        begun = self._accounts.begun.never_began
        in_run = [account.id for account in self.config.order_accounts]
        self.record(self.orders.recover_rows(machine_now(), self.clock.now(), self._compared, begun, in_run))
        self._books.report_changes(self, machine_now())
        self.follow("control")
        self.follow("commands")
        self.pull("reports", self._on_report, urgent=True)  # fills that wait for their stops, while entries come in
        others = (name for name in self._compared if name != self.config.venue.account)
        self._entry_guard = EntryGuard(machine_now(), others)
        self.subscribe("status", self._on_status, topics=WATCHED, writers=WATCHED, every_s=GUARD_S)
        self.every(GUARD_S, self._guard)
        self.every(TICK_S, self._on_tick)
        self.every(1.0, self._publish_budgets)
        self.every(1.0, lambda _: self._lots.check_file(self))
        self.edits = EditedFiles(self.alerts, self.log, accepted_folder(self.config.state), self.note_file)
        self._tables.follow_calendar(self.edits, Calendar.from_dict)
        self.every(1.0, lambda _: self.edits.poll())

    def decode(self, row: Row) -> Any:
        """Decode a journal row's message; of a reconciler's report only what a replay needs."""
        return self._replayed.decode(row)

    def _on_tick(self, machine_ns: int) -> None:
        self._kill.check_file(self, machine_ns)
        self.step_timer("router", machine_ns)
        self._budgets.orders_waiting(machine_ns)

    def _publish_budgets(self, machine_ns: int) -> None:
        for level in self._budgets.call_budgets(machine_ns):
            self.status.send(self.name, level)

    def _on_status(self, frame: Frame) -> None:
        message = frame.message
        if isinstance(message, Heartbeat):
            self._entry_guard.on_heartbeat(message, machine_now())
        elif isinstance(message, DayTraded) and self.orders.state.learns_trading(message):
            self.step("status", message, source=message.daemon, keep=True)

    def _guard(self, machine_ns: int) -> None:
        """Entries do not rest at the broker without their guardians; stops and exits do.

        In lock-step the market stands while a guardian is away, and nothing can fill.
        """
        self._books.report_changes(self, machine_ns)
        short = self.journal.is_short_of_disk
        if short != ("disk_low" in self.orders.state.flags):
            flag = TimerFired(name="disk_low" if short else "disk_ok", machine_ns=machine_ns)
            self.step("internal", flag, keep=True)
        complaints = {name: why for name in self._compared if (why := self._complaint(name, machine_ns))}
        exposed = [name for name in complaints if self.orders.resting_entries(name)]
        risk = "" if self.lock_step else self._entry_guard.daemon_problem("risk", machine_ns)
        stops = self._entry_guard.stops_held_by_risk(self.orders.positions()) if risk else []
        unproven = self.orders.unproven_days(self.clock.now())
        self._unguarded = Unguarded(complaints, exposed, risk, stops, unproven)
        self._update_alerts()
        for account in exposed:
            self._withdraw_entries(complaints[account], account)

    def _complaint(self, account: str, machine_ns: int) -> str:
        """Return why entries of an account may not rest at the broker; empty if they may."""
        if self.journal.is_short_of_disk:
            return "the disk is full"
        if not self.orders.state.books_lost(account):
            self._entry_guard.on_books_read(account, machine_ns)
        return "" if self.lock_step else self._entry_guard.guard_problem(machine_ns, account)

    def _withdraw_entries(self, reason: str, account: str = "") -> None:
        name = f"router-{machine_now()}{account}"
        wanted = WithdrawRequested(id=name, reason=reason, at_ns=self.clock.now(), account=account)
        self.step("control", wanted, source=self.name)

    def _on_report(self, frame: Frame) -> None:
        self.step("reports", frame.message, source=frame.topic)
        self._books.on_report(self, frame.message, machine_now())  # after what the read shows is learnt: it frees exits
        self._reported = pipe_place(frame.header)

    def _take_outcomes(self) -> None:
        for outcome in self._accounts.take_outcomes():
            self.monitor.record("router", outcome.call.value, outcome.ended_machine_ns - outcome.began_machine_ns,
                                outcome.outcome in (Outcome.ACCEPTED, Outcome.RECORDED))  # fmt: skip
            self._budgets.on_outcome(outcome)
            self.step("internal", outcome)

    def _take_quotes(self) -> None:
        for answer in self._exit_quotes.take_answers():
            self.step("internal", answer)

    def must_be_durable(self, rows: Sequence[Any]) -> bool:
        """True if `rows` submit an order: they must be on disk before its call is made, to survive a power cut."""
        for row in rows:
            if type(row) is OrderChanged and row.event == "submitted":
                return True
        return False

    def prepare_calls(self, rows: Sequence[Any]) -> None:
        """Encode the broker calls that these rows cause, for `begin_calls` to send, and poll their connections."""
        jobs = self._jobs(rows)
        self._prepared = (rows, jobs)
        for job, _ in jobs:
            self._accounts.warm_connection(job)

    def _jobs(self, rows: Sequence[Any]) -> list[tuple[Job, int]]:
        found = []
        for row in rows:
            if type(row) is OrderChanged and (call := _CALLS.get(row.event)) is not None:
                order = with_wanted_terms(row.order) if call is Call.MODIFY else row.order
                found.append((self._accounts.prepare_job(call, order), 0 if order.purpose.reduces else _RANKS[call]))
        return found

    def begin_calls(self, rows: Sequence[Any]) -> bool:
        """Make the broker calls that the committed rows cause; True if there were any."""
        of, prepared = self._prepared
        jobs = prepared if of is rows else self._jobs(rows)
        for job, rank in jobs:
            self._accounts.submit(job, rank)
            os.sched_yield()  # what the kernel woke for the call goes first
        self._exit_quotes.request(rows)
        return bool(jobs)

    def on_rows_sent(self, rows: Sequence[Any]) -> None:
        """Count and log the order events in `rows`, and update alerts; called after the rows were sent."""
        for row in rows:
            if isinstance(row, OrderChanged):
                self._counts[row.event] = self._counts.get(row.event, 0) + 1
                self._budgets.count_rate_limited(row)
                if row.event == "submitted" and row.order.call.trace_ns:
                    self.monitor.record("router", "quote_to_order", machine_now() - row.order.call.trace_ns)
                self._trades.info(f"order.{row.event}", **order_fields(row.order))
            elif isinstance(row, PositionChanged):
                self._trades.info("position.changed", **position_fields(row))
            elif isinstance(row, RecoveryChanged) and row.done:
                self.log.info("recovery.done", **{k: v for k, v in to_builtins(row).items() if v not in ((), [], 0)})
        self._update_alerts()

    def _update_alerts(self) -> None:
        raised = ((alert.code, alert.subject) for alert in self.alerts.active)
        active = self.orders.active_alerts(raised, self._unguarded, self._budgets.busy)
        self.alerts.set_active(active, STATE_ALERTS, BY_OPERATOR)

    def lock_step_progress(self) -> Progress:
        """Return lock-step progress; it waits for the answer of a call, or an order whose fate is not known."""
        waits = "the answer of a call" if self._accounts.open_calls else self.orders.describe_unsettled()
        done = super().lock_step_progress()
        return Progress(0, waits, done.sent, {**done.seen, "reconciler/reports": self._reported})

    def ready(self) -> bool:
        """True once the books of the traded account agree with the journal, unless a journal is quarantined or full."""
        account = self.config.venue.account
        if self.orders.has_recovered(account):
            self.notes.pop("recovery", None)
        elif wrong := self.orders.wrong_mode_message(account):
            text = f"{account} waits for `mytrading resume`, its server was in the wrong mode: {wrong}"
            self.notes["recovery"] = text
        else:
            self.notes["recovery"] = f"the books of {account} are being compared with the journal"
        return not (self.quarantine.writers or self.journal.is_short_of_disk or "recovery" in self.notes)

    def opening_rows_of_rebuild(self, records: Sequence[Any]) -> tuple[Any, ...]:
        """Hook: return first rows for a lost journal, the state that risk and gateway carried into the day."""
        return journal_rebuild.opening_rows(records)

    def rows_after_rebuild(self, missed: Sequence[Any]) -> tuple[Any, ...]:
        """Return rows for a rebuilt journal: entries perhaps at the broker become unknown, states are sent again."""
        return self.orders.rebuild_rows(missed, machine_now(), self.clock.now())

    def queue_depth(self) -> int:
        """Number of broker calls that wait for a worker."""
        return self._accounts.calls_queued

    def figures(self) -> dict[str, float]:
        """Return counts of order events since the start, by name, and of orders that are `live` now."""
        return {
            **{name: float(count) for name, count in self._counts.items()},
            "live": float(sum(order.state in SENT for order in self.orders.orders())),
        }

    def snapshot(self, day: str) -> tuple[Any, ...]:
        """Return the first row of `day`'s journal; first end unsent and unknown orders in the old day's journal."""
        self.record(self.orders.expire_day(self.clock.now(), day))
        return (self.orders.snapshot(day),)

    def teardown(self) -> None:
        """Stop the workers after half a second at most; the fate of calls still out is read from the books later."""
        self._take_entries_along()
        self._accounts.stop_workers(wait_s=0.5)
        self._exit_quotes.stop()
        self._take_outcomes()
        super().teardown()
        self._accounts.release_locks()

    def _take_entries_along(self) -> None:
        """Cancel resting entries, which no process would watch; wait a little, and report those that may still rest."""
        if self.orders.resting_entries():
            self._withdraw_entries("the router stops")
        until = machine_now() + LEAVE_NS
        while (left := self._leaving()) and machine_now() < until:
            select.select([self.wake_pipe.fileno()], [], [], TICK_S)
            self.wake_pipe.reset()
            self._take_outcomes()
            self.step_timer("router", machine_now())
        for order in left:
            text = f"{order.side} {order.quantity} {order.instrument} may still rest at the broker; cancel it there"
            self.alerts.raise_("ENTRY_LEFT", Severity.CRITICAL, order.client_order_id, text)

    def _leaving(self) -> list[Order]:
        sent = (order for order in self.orders.orders() if order.purpose is Purpose.ENTRY and order.state in SENT)
        cancels = ((order, order.evidence.cancel) for order in sent)
        return [order for order, cancel in cancels if cancel.wanted and (cancel.out or not cancel.calls)]
