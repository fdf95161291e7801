"""The gateway: answers requests (`ops`), and writes `control`, the stream of operators' commands.

journals of router, engine, risk ─► StackView (orders, positions, signals, for screens) ─► OpsServer ─► ops replies
status, account, market ──────────► StackView, Totals, StaleAlerts
ops requests ─► OpsServer ─► ControlMachine (levels, switches, alerts, executed commands) ─► journal, control
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import zmq

from mytrading.adapters.storage.instrument_store import AcceptedFile
from mytrading.core.gateway.control_machine import ControlMachine
from mytrading.core.gateway.read_model import StackView
from mytrading.daemons.gateway.ops_server import OpsServer
from mytrading.daemons.gateway.request_context import RequestContext, Totals
from mytrading.messages.codec import MAX_FRAME, Frame, encode_body
from mytrading.messages.control import (
    Alert,
    CallBudget,
    FeedReport,
    FeedReportAsked,
    Heartbeat,
    OrderTrialResult,
    RiskPicture,
    WantInstruments,
)
from mytrading.messages.enums import DaemonState, Severity
from mytrading.messages.journal_rows import ControlOpened, RiskOpened
from mytrading.messages.market import Quote
from mytrading.messages.ops import OpsReply
from mytrading.messages.run_config import RunConfig
from mytrading.messages.signals import StrategyStarted
from mytrading.messages.streams import ALL, FEED_REPORT_TOPIC, OPTIONAL, TRIAL_TOPIC, screen_topic
from mytrading.runtime.daemon.alert_command import AlertCommand
from mytrading.runtime.daemon.journal_follower import STILL_HERE_ROWS
from mytrading.runtime.daemon.live_files import CODE as EDIT_REFUSED
from mytrading.runtime.daemon.live_files import EditedFiles
from mytrading.runtime.daemon.machine_daemon import MachineDaemon
from mytrading.runtime.daemon.webhook_files import POLL_S, WebhookFolder
from mytrading.runtime.host.clock import machine_now, run_started_machine_ns
from mytrading.runtime.journal.journal import Row
from mytrading.runtime.journal.reader import JournalTail
from mytrading.runtime.streams.endpoints import endpoint_of
from mytrading.runtime.supervision import control
from mytrading.runtime.supervision.hang_check import BEHIND_NS, FIRST_NS, SupervisorGuard, WatchdogGuard

SHOWN = (("router", "orders"), ("engine", "signals"), ("webhooks", "signals"), ("risk", "commands"))
"""Writers and streams that the read model is made of."""
SHOW_S = 0.25
STALE_S = 5.0
WATCH_S = 0.5
STATUS_S = 0.1
NEWS_S = 60.0
"""A restart of supervisor stays an alert for so long."""
SUPERVISOR_LOST = "SUPERVISOR_LOST"
LEASES_S = 1.0
EDITS_S = 1.0
REQUEST_FAILED = "REQUEST_FAILED"
JUDGED = frozenset({"feed", "risk", "router", "reconciler", "console"})
"""Daemons that raise an alert again while its cause lasts. Faults of the engine end when their strategy starts, alerts
of the watchdog with time; every process reads an edited file again as it starts."""
STAYS = frozenset({"ENTRY_LEFT"})
"""Raised by a process as it ends."""
STALE_AFTER_NS = 35_000_000_000
"""Three repeats and a little."""
ALIVE_NS = 5_000_000_000
MOST_UNMANAGED = 50
"""Instruments that nobody here trades and that screens show a price of: a source has only so many subscriptions."""


class Gateway(MachineDaemon):
    """The gateway process."""

    def __init__(self, config: RunConfig) -> None:
        self.control = ControlMachine()
        self._command: AlertCommand | None = None
        super().__init__("gateway", config, self.control)
        self.view = StackView(run_started_machine_ns(config))
        self._watched: set[str] = set()
        self._wanted: tuple[str, ...] = ()
        self._shown = 0
        self.totals = Totals()

    def setup(self) -> None:
        """Rebuild the read model from the journals, then listen for requests."""
        if self.config.alert_command:
            self._command = AlertCommand(self.config.alert_command, self.wake)
            self.on_wake(self._command.log_failures)
        super().setup()
        self._accepted = AcceptedFile(self.config.state)
        self._write_accepted()
        self._tails = [
            JournalTail(self.config.journal_dir(writer), stream, self._show, carried=writer == "router")
            for writer, stream in SHOWN
        ]
        for tail in self._tails:
            tail.start(self.view.since_machine_ns)
        self._stale = StaleAlerts(machine_now())
        self.every(SHOW_S, lambda _: self._poll_tails())
        self.every(STALE_S, self._end_stale)
        self._watchdog = WatchdogGuard(self.config.lock_dir, self.alerts, FIRST_NS)
        self.every(WATCH_S, self._watchdog.check)
        self.every(WATCH_S, SupervisorGuard(self.config, BEHIND_NS).check)
        topics = (*ALL, *OPTIONAL, TRIAL_TOPIC, FEED_REPORT_TOPIC)
        self.subscribe("status", self._on_status, topics=topics, every_s=STATUS_S)
        self.subscribe("account", lambda frame: self.view.apply(frame.message), every_s=SHOW_S)
        self._market = self.subscribe("market", self._on_market, topics=(), every_s=STATUS_S)
        self._webhooks = WebhookFolder(self.config, self.log)
        self._webhooks.poll()
        self.every(POLL_S, lambda _: self._take_webhooks())
        context = RequestContext(self.config, self.view, self.control, self.clock, self.totals, webhooks=self._webhooks)
        self.server = OpsServer(context, self.record_command, self._report_defect)
        edits = EditedFiles(self.alerts, self.log)
        context.tables.follow_calendar(edits)
        self.every(EDITS_S, lambda _: edits.poll())
        self.every(LEASES_S, self._send_wants)
        self._ops = self.context.socket(zmq.ROUTER)
        self._ops.set(zmq.MAXMSGSIZE, MAX_FRAME)
        self._ops.set(zmq.LINGER, 200)
        self._ops.bind(endpoint_of(self.config, "ops"))
        self.poll_socket(self._ops, self._serve)
        if control.was_revived(self.config, NEWS_S):  # the gateway before may have died with supervisor
            text = "supervisor died and was started again, and every daemon with it"
            self.alerts.raise_(SUPERVISOR_LOST, Severity.CRITICAL, "supervisor", text)
        self.every(NEWS_S, lambda _: self.alerts.clear(SUPERVISOR_LOST, "supervisor"))

    def on_supervisor_lost(self) -> None:
        """Raise the alert SUPERVISOR_LOST: no other process may be left to report that supervisor died."""
        text = "supervisor died: every daemon ends, and a new supervisor starts them all again"
        self.alerts.raise_(SUPERVISOR_LOST, Severity.CRITICAL, "supervisor", text)

    def _take_webhooks(self) -> None:
        self._webhooks.poll()

    def _send_wants(self, machine_ns: int) -> None:
        wanted = tuple(sorted(self._unmanaged().union(self.server.context.leases.wanted(machine_ns))))
        if wanted or self._wanted:
            self.status.send(self.name, WantInstruments(daemon=self.name, instruments=wanted))
        self._wanted = wanted

    def _show(self, row: Row, message: object) -> None:
        self.view.advance_to(row.market_ns)
        self.view.apply(message, row.machine_ns)
        self._shown += 1
        if self._shown % STILL_HERE_ROWS == 0:
            self.beat_if_due()
        if isinstance(message, StrategyStarted):
            # End the fault of an earlier run: the new engine does not know of it.
            known = self.control.alerts.get(("engine", "STRATEGY_FAULTED", message.strategy))
            if known is not None and not known.cleared and known.last_ns <= message.at_ns:
                self.on_alert(msgspec.structs.replace(known, cleared=True, last_ns=message.at_ns))

    def _poll_tails(self) -> None:
        for tail in self._tails:
            tail.poll()
        self.view.advance_to(self.clock.now())
        shown = {position.instrument for position in self.view.open_positions()}.union(self.config.shown_instruments)
        # the feed repeats held and shown instruments alone on the topics of screens
        wanted = {*map(screen_topic, shown), *(self._unmanaged() - shown)}
        for topic in wanted - self._watched:
            self._market.subscribe(topic)
        for topic in self._watched - wanted:
            self._market.unsubscribe(topic)
        self._watched = wanted

    def _on_market(self, frame: Frame) -> None:
        if isinstance(frame.message, Quote):
            self.view.apply(frame.message)

    def _unmanaged(self) -> set[str]:
        """Instruments of units that no strategy owns, of which screens show a price: not more than `MOST_UNMANAGED`."""
        return set(sorted(self.view.unmanaged_instruments())[:MOST_UNMANAGED])

    def _on_status(self, frame: Frame) -> None:
        message = frame.message
        if isinstance(message, Heartbeat):
            self.on_beat(message)
            if message.daemon == "watchdog":
                self._watchdog.on_heartbeat(message)
        elif isinstance(message, Alert):
            self._stale.record_alert(message, machine_now())
            self.on_alert(message)
        elif isinstance(message, CallBudget | RiskPicture):
            self.view.apply(message)
        elif isinstance(message, OrderTrialResult):
            self.server.context.trials.receive(message)
        elif isinstance(message, FeedReport):
            self.server.context.feed.newest = message

    def _end_stale(self, machine_ns: int) -> None:
        for alert in self._stale.abandoned_alerts(list(self.control.alerts.values()), self.view.beats, machine_ns):
            self.on_alert(msgspec.structs.replace(alert, cleared=True, last_ns=self.clock.now()))

    def on_alert(self, alert: Alert) -> None:
        """Journal an alert of any daemon if it is new or changed, and run the operator's command if it changed."""
        if not self.control.is_worth_journaling(alert):
            self.control.record_repetition(alert)
            return
        changed = self.control.is_worth_telling(alert)
        self.step("status", alert, source=alert.daemon, keep=True)
        self.log.info("alert.kept", source=alert.daemon, code=alert.code, cleared=alert.cleared)
        if self._command is not None and changed:
            self._command.hand_over(alert)

    def record_command(self, rows: tuple[msgspec.Struct, ...]) -> None:
        """Journal, publish and log the rows of an operator's command."""
        self.record(rows)
        self._write_accepted()
        names = ("verb", "request_id", "strategy", "account", "name", "keys", "reason", "by")
        for row in rows:
            shown = {name: value for name in names if (value := getattr(row, name, ""))}
            self.log.info("operator.ordered", what=type(row).__name__, **shown)

    def _write_accepted(self) -> None:
        """Tell the feed what was accepted of the server's contracts."""
        self._accepted.write({row.name: row.keys for row in self.control.contracts.values()})

    def _report_defect(self, verb: str, error: Exception | None) -> None:
        if error is None:
            self.alerts.clear(REQUEST_FAILED, verb)
            return
        self.log.error("request.failed", verb=verb, exc_info=error)
        text = f"a request ({verb}) could not be answered, nothing was done: {type(error).__name__}: {error}"
        self.alerts.raise_(REQUEST_FAILED, Severity.WARNING, verb, f"{text}; see `mytrading logs gateway`")

    def on_beat(self, beat: Heartbeat) -> None:
        """Add a daemon's heartbeat to the totals, and show it in answers to status requests."""
        self.totals.add(beat)
        self.view.apply(beat)

    def _serve(self) -> None:
        while True:
            try:
                parts = self._ops.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._ops.send_multipart([*parts[:-1], encode_body(self.reply(parts[-1]))], zmq.NOBLOCK)

    def reply(self, data: bytes) -> OpsReply:
        """Return the reply to an encoded request, after reading the newest rows of the journals.

        What the request asks of others is published on `status`: an order's trial of risk, a report of the feed."""
        self._poll_tails()
        reply = self.server.reply(data)
        for trial in self.server.context.trials.take_unsent():
            self.status.send(TRIAL_TOPIC, trial)
        if (feed := self.server.context.feed).asked:
            feed.asked = False
            self.status.send(FEED_REPORT_TOPIC, FeedReportAsked(asked_machine_ns=machine_now()))
        return reply

    def figures(self) -> dict[str, float]:
        """Return how many alerts went to ALERT_COMMAND, and how many of its runs failed; nothing without one."""
        return dict(self._command.counts) if self._command is not None else {}

    def ready(self) -> bool:
        """True unless a journal that the gateway reads is quarantined (unreadable, or rows were lost)."""
        return not self.quarantine.writers

    def opening_rows_of_rebuild(self, records: Sequence[Any]) -> tuple[Any, ...]:
        """Hook: return the first row for a lost journal, the levels and switches that risk's row of today holds."""
        found = [row for row in records if isinstance(row, RiskOpened)]
        return tuple(ControlOpened(day=row.day, trading=row.trading, switches=row.switches) for row in found[:1])

    def snapshot(self, day: str) -> tuple[msgspec.Struct, ...]:
        """Return the first row of the control journal of `day` (ISO date): levels, switches, active alerts."""
        return (self.control.snapshot(day),)

    def teardown(self) -> None:
        """Close the request socket, the journals and the thread of the operator's command."""
        self._ops.close(100)
        if self._command is not None:
            self._command.stop()
        for tail in self._tails:
            tail.close()
        super().teardown()


class StaleAlerts:
    """Alerts whose daemon was killed while they were active, and whose successor does not repeat them.

    Each daemon repeats its active alerts every ten seconds. Silence ends an alert only where its daemon is alive,
    checks the matter by itself, and has sent a heartbeat meanwhile. Times are machine ns.
    """

    def __init__(self, began_ns: int) -> None:
        self._began_ns = began_ns
        self._received: dict[tuple[str, str, str], int] = {}

    def record_alert(self, alert: Alert, machine_ns: int) -> None:
        """Record the machine time at which an alert was last raised or repeated."""
        self._received[alert.daemon, alert.code, alert.subject] = machine_ns

    def abandoned_alerts(self, alerts: Iterable[Alert], beats: Mapping[str, Heartbeat], machine_ns: int) -> list[Alert]:
        """Return active alerts that their daemon, running for long enough by its `beats`, no longer repeats."""
        return [alert for alert in alerts if self._is_stale(alert, beats.get(alert.daemon), machine_ns)]

    def _is_stale(self, alert: Alert, beat: Heartbeat | None, machine_ns: int) -> bool:
        judged = alert.daemon in JUDGED or alert.code == EDIT_REFUSED
        if alert.cleared or beat is None or not judged or alert.code in STAYS:
            return False
        running = beat.state in (DaemonState.RUNNING, DaemonState.DEGRADED)
        if not running or machine_ns - beat.machine_ns > ALIVE_NS:
            return False
        last = self._received.get((alert.daemon, alert.code, alert.subject), self._began_ns)
        return machine_ns - max(last, beat.started_machine_ns) > STALE_AFTER_NS
