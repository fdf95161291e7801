"""The webhooks daemon: alerts over HTTP in, signals out.

server thread ─► bounded queue ─► loop: token, guards, body ─► WebhookMachine ─► journal (synced) ─► signals, answer
orders of the router's journal ─► StrategyPositions ─► what is a no-op, and the status pages
denials of risk's journal ─► the status pages

It decides no order: risk sizes, denies and exits, as for every strategy.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from contextlib import suppress
from traceback import walk_tb
from typing import Any

from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.core.calendar.expiries import session_ends
from mytrading.core.request_counter import RequestCounter
from mytrading.core.time import SECOND
from mytrading.core.webhooks import answers
from mytrading.core.webhooks.active_alerts import STATE_ALERTS, active_alerts
from mytrading.core.webhooks.authentication import (
    AlertRequest,
    TokenBook,
    check_request,
    check_secret,
    signature_digest,
)
from mytrading.core.webhooks.bodies import redact_body, too_large
from mytrading.core.webhooks.definition import WebhookDefinition, WebhookGuards, is_by_rule, read_senders
from mytrading.core.webhooks.machine import REMEMBERED_NS, WebhookEnvironment, WebhookMachine
from mytrading.core.webhooks.refusals import AlertRefused, refusal
from mytrading.core.webhooks.senders import ParsedAlert, decode_fields, read_alert, read_secret
from mytrading.daemons.webhooks.http_server import HttpServer, StatusRequest, WaitingAlert
from mytrading.daemons.webhooks.positions import StrategyPositions
from mytrading.messages.codec import Frame
from mytrading.messages.market import Quote
from mytrading.messages.run_config import RunConfig, RunConfigError, VenueKind
from mytrading.messages.signals import Signal
from mytrading.messages.webhooks import AlertJudged, AlertReceived, AlertRefusal, AlertVerdict
from mytrading.runtime.daemon.live_files import EditedFiles
from mytrading.runtime.daemon.machine_daemon import MachineDaemon
from mytrading.runtime.daemon.market_tables import SENDERS, MarketTables
from mytrading.runtime.daemon.webhook_files import POLL_S, WebhookFolder
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.host.http_thread import PortTaken
from mytrading.runtime.journal.journal import Row
from mytrading.runtime.journal.reader import JournalTail
from mytrading.runtime.observability.logging import trade_logger
from mytrading.runtime.streams.endpoints import webhook_endpoint_file

GUARDLESS = WebhookGuards()
NEW_NS = 30 * SECOND
"""Machine time that the feed has to load what a new webhook names; alerts are answered 503 as long as it misses."""
MOST_QUESTIONS = 300
"""Status pages that one address may read in a minute."""
TAIL_S = 0.1
SILENCE_S = 30.0
_MOST_A_TURN = 32
"""Requests handled before the loop looks at its sockets and timers again."""


class WebhookReceiver(MachineDaemon):
    """The process that receives the alerts of all webhooks of a stack."""

    def __init__(self, config: RunConfig) -> None:
        self._tables = MarketTables(config)
        self._calendar = self._tables.calendar
        recorded = config.venue.kind is VenueKind.DRY_RUN
        accounts = [account.id for account in config.order_accounts if account.api_key or recorded]
        environment = WebhookEnvironment(self._calendar, config.mode, accounts, config.risk.signal_validity_seconds)
        self.hooks = WebhookMachine(environment)
        super().__init__("webhooks", config, self.hooks)
        self._instruments = InstrumentFile(config.state, session_ends(self._calendar))
        self._folder = WebhookFolder(config, self.log, self.alerts)
        self._tokens = TokenBook(())
        self._presets = self._tables.read(SENDERS, read_senders).made
        self._priced: set[str] = set()
        self._new_until: dict[str, int] = {}
        """Machine time until which the feed may still load what a webhook names."""
        self._unknown = RequestCounter()
        self._logged = RequestCounter(1)
        self._status_calls = RequestCounter(MOST_QUESTIONS)
        self._counts = {"alerts": 0, "accepted": 0, "refused": 0, "duplicates": 0, "unknown": 0, "limited": 0}
        self._trades = trade_logger()
        self._server: HttpServer | None = None

    def setup(self) -> None:
        """Recover from the journal, learn positions and switches, then open the port."""
        super().setup()
        self._holdings = StrategyPositions()
        self.hooks.environment.holdings = self._holdings
        self._tail = JournalTail(self.config.journal_dir("router"), "orders", self._on_order, carried=True)
        self._tail.start(machine_now() - REMEMBERED_NS)
        self._denials = JournalTail(self.config.journal_dir("risk"), "commands", self._on_order)
        self._denials.start(machine_now() - REMEMBERED_NS)
        self.follow("control")
        self._market = self.subscribe("market", self._on_market, topics=())
        self._take_webhooks()
        self._take_contracts()
        self.every(TAIL_S, lambda _: self._poll())
        self.every(POLL_S, lambda _: self._take_webhooks())
        edits = EditedFiles(self.alerts, self.log)
        self._tables.follow_calendar(edits)
        self.every(1.0, lambda _: edits.poll())
        self.every(SILENCE_S, lambda _: self._update_alerts())
        self.on_wake(self._take_requests)
        self._listen()

    def _listen(self) -> None:
        rules = self.config.webhooks
        try:
            self._server = HttpServer(rules.port, rules.proxies, self.wake, next_free=self.config.simulator.embedded)
        except PortTaken as error:
            raise RunConfigError(str(error)) from error
        self._server.start()
        self._server.ready = True
        place = {"port": self._server.port, "url": f"http://127.0.0.1:{self._server.port}", "public": rules.public_url}
        webhook_endpoint_file(self.config).write_text(json.dumps(place), encoding="utf-8")
        self.log.info("webhooks.listening", port=self._server.port, webhooks=len(self._folder.webhooks))

    def ready(self) -> bool:
        """True once the port is open and the day's contracts are known."""
        return self._server is not None and self._server.is_alive and bool(self.hooks.environment.instruments)

    def queue_depth(self) -> int:
        """Return how many requests wait for the loop."""
        return self._server.depth if self._server is not None else 0

    def figures(self) -> dict[str, float]:
        """Return the port, the number of webhooks, and counts of requests by outcome since the start."""
        server = self._server
        return {
            "port": server.port if server is not None else 0,
            "webhooks": len(self._folder.webhooks),
            "turned_away": server.turned_away if server is not None else 0,
            **self._counts,
        }

    def must_be_durable(self, rows: Sequence[Any]) -> bool:
        """Every verdict is on the disk before its signal goes out and before its sender is answered."""
        return any(type(row) is AlertJudged for row in rows)

    def snapshot(self, day: str) -> tuple[Any, ...]:
        """Return the first row of the journal of `day` (ISO date): the alerts that can still be asked for."""
        return (self.hooks.snapshot(day),)

    def teardown(self) -> None:
        """Close the port, the tails and the journal."""
        if self._server is not None:
            self._server.stop()
        with suppress(OSError):
            webhook_endpoint_file(self.config).unlink(missing_ok=True)
        self._tail.close()
        self._denials.close()
        super().teardown()

    # what decisions need

    def _poll(self) -> None:
        self._tail.poll()
        self._denials.poll()
        if self._instruments.has_changed():
            self._take_contracts()
        if self._server is not None and not self._server.is_alive:
            self.log.critical("http.ended", next_step="the process ends, supervisor starts it again")
            self.stop(1)
        self._take_requests()

    def _on_order(self, row: Row, message: Any) -> None:
        self._holdings.apply(message, row.machine_ns)

    def _take_webhooks(self) -> None:
        if self._folder.poll():
            for name, webhook in self._folder.webhooks.items():
                known = self.hooks.environment.webhooks.get(name)
                if known is None or known.instruments != webhook.instruments:
                    self._new_until[name] = machine_now() + NEW_NS
            self.hooks.environment.webhooks = self._folder.webhooks
            self._tokens = TokenBook(self._folder.webhooks.values())
            self._follow_prices()

    def _update_alerts(self) -> None:
        self.alerts.set_active(active_alerts(self.hooks, self.clock.now()), STATE_ALERTS)

    def _follow_prices(self) -> None:
        """Subscribe to the prices by which contracts are chosen, and to no others."""
        webhooks = self._folder.webhooks.values()
        wanted = {row.instrument for one in webhooks for row in one.file.symbols if is_by_rule(row)}
        for instrument in wanted - self._priced:
            self._market.subscribe(instrument)
        for instrument in self._priced - wanted:
            self._market.unsubscribe(instrument)
        self._priced = wanted

    def _on_market(self, frame: Frame) -> None:
        quote = frame.message
        if isinstance(quote, Quote) and frame.topic == quote.instrument:
            self.hooks.environment.prices[quote.instrument] = quote.ltp, quote.received_ns

    def _take_contracts(self) -> None:
        self.hooks.environment.instruments = self._instruments.book()
        self.report_readiness()

    # requests

    def _take_requests(self) -> None:
        """Handle some of the waiting requests; the loop comes back for the others after its sockets and timers."""
        if (server := self._server) is None:
            return
        for _ in range(_MOST_A_TURN):
            if (waiting := server.take()) is None:
                return
            waiting.answer(self._handle(waiting))
        self.wake()

    def _handle(self, waiting: WaitingAlert) -> answers.AlertAnswer:
        request = waiting.request
        return self._status(request) if isinstance(request, StatusRequest) else self._alert(request)

    def _status(self, request: StatusRequest) -> answers.AlertAnswer:
        if wait := self._status_calls.count_if_allowed(request.ip, request.received_ns):
            return answers.refusal_answer(refusal("RATE_LIMITED", "expected fewer questions a minute", None, wait))
        now = self.clock.now()

        def outcome_of(row: AlertJudged) -> str:
            return self._holdings.exits.of(row, self._calendar, now, to_sender=True)

        found = self.hooks.alert(request.name)
        return answers.status_answer(found, self._holdings.orders_of, self._holdings.denials_of, outcome_of)

    def _alert(self, request: AlertRequest) -> answers.AlertAnswer:
        found = self._tokens.find(request.token, request.wall_ns)
        if found is None:
            self._counts["unknown"] += 1
            self._log_rarely("token.unknown", request)
            wait = self._unknown.count_if_allowed(request.ip, request.received_ns)
            limited = refusal("RATE_LIMITED", "expected an address that is a webhook's", None, wait)
            return answers.refusal_answer(limited) if wait else answers.UNKNOWN
        webhook = found.webhook
        if wait := self.hooks.requests.seconds_left((webhook.name, request.ip), request.received_ns):
            self._counts["limited"] += 1
            text = f"expected at most {self.hooks.requests.most} requests a minute from one address"
            limited = refusal("RATE_LIMITED", text, None, wait)
            if (
                self._log_rarely("requests.limited", request, webhook.name, seconds=wait)
                and not self.journal.is_short_of_disk
            ):
                self.step("internal", self._received(webhook, request, limited), keep=True)
            return answers.refusal_answer(limited)
        if self.journal.is_short_of_disk or not self.hooks.environment.instruments:
            why = (
                "the disk of the journal is full"
                if self.journal.is_short_of_disk
                else "today's contracts are not loaded yet"
            )
            return answers.refusal_answer(refusal("NOT_READY", f"nothing was done: {why}; send it again", None, 5))
        try:
            alert = self._read(webhook, request, GUARDLESS if found.trial else webhook.file.guards)
        except Exception as error:  # noqa: BLE001 - a defect in reading one request changed nothing yet
            *_, (frame, line) = walk_tb(error.__traceback__)  # not what it says, nor locals: they may hold a secret
            place = f"{frame.f_code.co_filename}:{line}"
            self.log.error(
                "alert.unreadable", webhook=webhook.name, ip=request.ip, defect=type(error).__name__, at=place
            )
            why = "a defect, which the log of the process shows; its sender's other alerts are taken"
            return answers.refusal_answer(refusal("NOT_READY", f"nothing was done: {why}", None, 60))
        if new := self._not_listed_yet(webhook, alert):
            return answers.refusal_answer(refusal("NOT_READY", f"nothing was done: {new}; send it again", None, 2))
        self._tail.poll()  # what it holds is to be known as of now
        rows = self.step("internal", alert, keep=True)
        judged = [row for row in rows if isinstance(row, AlertJudged)]
        for row in judged:
            self._count(row)
        return answers.answer(alert, judged, self.hooks.status_of_alert)

    def _not_listed_yet(self, webhook: WebhookDefinition, alert: AlertReceived) -> str:
        """Return the data that an alert of a webhook with new mappings still needs from the feed; "" if nothing,
        or if that has taken longer than it may."""
        if alert.refusal is not None or machine_now() > self._new_until.get(webhook.name, 0):
            return ""
        environment = self.hooks.environment
        for intent in alert.intents:
            if (mapping := webhook.mapping(intent.symbol)) is None:
                continue
            if is_by_rule(mapping) and mapping.instrument not in environment.prices:
                return f"no price of {mapping.instrument} has come yet"
            if not is_by_rule(mapping) and environment.instruments.get(mapping.instrument) is None:
                return f"{mapping.instrument} is not loaded yet"
        return ""

    def _log_rarely(self, event: str, request: AlertRequest, webhook: str = "", **fields: object) -> bool:
        """Log a frequent event once a minute for each address and webhook; true if it was logged."""
        if logged := not self._logged.count_if_allowed((event, webhook, request.ip), request.received_ns):
            self.log.warning(event, ip=request.ip, webhook=webhook, **fields)
        return logged

    def _read(self, webhook: WebhookDefinition, request: AlertRequest, guards: WebhookGuards) -> AlertReceived:
        """The request as it is journaled: without its token and without secrets."""
        file, parsed = webhook.file, None
        fields: dict[str, Any] | None = None
        if request.is_cut:
            return self._received(webhook, request, too_large())
        refused: AlertRefusal | None = check_request(guards, request, self._presets)
        signature = signature_digest(guards, request) if refused is None else ""
        if refused is None:
            try:
                fields = decode_fields(file.sender, request.body)
                refused = check_secret(guards, read_secret(fields))
                parsed = read_alert(file.sender, fields, webhook.action) if refused is None else None
            except AlertRefused as error:
                refused = error.refusal
        return self._received(webhook, request, refused, parsed, fields, signature)

    def _received(
        self,
        webhook: WebhookDefinition,
        request: AlertRequest,
        refused: AlertRefusal | None,
        parsed: ParsedAlert | None = None,
        fields: dict[str, Any] | None = None,
        signature: str = "",
    ) -> AlertReceived:
        said = parsed or ParsedAlert(fields={}, intents=())
        return AlertReceived(
            id=secrets.token_hex(8),
            status=secrets.token_urlsafe(16),
            webhook=webhook.name,
            ip=request.ip,
            received_ns=request.received_ns,
            body_hash=hashlib.sha256(request.body).hexdigest(),
            body=redact_body(request.body, fields, is_cut=request.is_cut),
            sender_id=said.sender_id,
            bar_time=said.bar_time,
            intents=said.intents,
            refusal=refused,
            signature=signature,
        )

    def _count(self, row: AlertJudged) -> None:
        self._counts["alerts"] += 1
        if row.verdict is AlertVerdict.REFUSED:
            self._counts["refused"] += 1
        elif row.verdict is AlertVerdict.ACCEPTED:
            self._counts["accepted"] += 1
        elif row.verdict is AlertVerdict.DUPLICATE:
            self._counts["duplicates"] += 1

    def on_rows_sent(self, rows: Sequence[Any]) -> None:
        """Log verdicts and signals just journaled."""
        for row in rows:
            if isinstance(row, AlertJudged):
                self.log.info(
                    "alert.judged",
                    webhook=row.webhook,
                    alert=row.alert,
                    verdict=row.verdict.value,
                    symbol=row.symbol,
                    target=row.target,
                    code=row.refusal.code if row.refusal is not None else "",
                )
            elif isinstance(row, Signal):
                self._trades.info(
                    "signal.sent",
                    signal=row.id,
                    strategy=row.strategy,
                    watch=row.watch,
                    action=row.action.value,
                    legs=[f"{leg.lots:+d} {leg.instrument}" for leg in row.legs],
                    price=0.0,
                    confidence=1.0,
                    reason=row.reason,
                )
