"""Pings of accounts: of those that only stand by, and of those that orders go to.

The feed leaves a primary whose server answers no ping although it still sends quotes. At the own simulator on another
server's quotes that server is pinged too, and its mode, which concerns orders, does not count. A ping waits for no read
of the books, so that a server that hangs is noticed in time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from mytrading.adapters.openalgo import endpoints
from mytrading.adapters.openalgo.rest.client import OpenAlgoClient, TransportFailed
from mytrading.adapters.openalgo.rest.errors import OpenAlgoError
from mytrading.core.active_alerts import ActiveAlert, Subject
from mytrading.core.feed.ping_monitor import PingBook
from mytrading.core.time import SECOND
from mytrading.messages.brokers import UNNAMED
from mytrading.messages.enums import Severity
from mytrading.messages.reports import AccountHealth
from mytrading.messages.run_config import AccountRole, AccountRun, RunConfig
from mytrading.runtime.daemon.workers import WorkerPool
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.observability import audit
from mytrading.runtime.observability.logging import get_logger


class _Pong(NamedTuple):
    problem: str
    broker: str = ""
    right_mode: bool = False


class AccountPings:
    """The pings of one account: lines of the audit log when it goes down and when it is back."""

    def __init__(
        self, account: AccountRun, config: RunConfig, wake: Callable[[], None],
        publish: Callable[[Any], None] | None = None,
    ) -> None:  # fmt: skip
        """`publish` takes the health of an account of which pings are all that is known."""
        venue = config.venue
        self.name = account.id
        self._run, self._publish = account, publish
        self._stands_by = account.role is AccountRole.BACKUP
        self._mode_counts = self._stands_by and config.source is None
        self._expected, self._every_s = venue.expected_mode.value, venue.ping_seconds
        self._state = Path(config.state_dir)
        self._pings = PingBook(account.id, int(venue.ping_seconds * SECOND), venue.ping_failures)
        self._workers: WorkerPool[str, OpenAlgoClient, _Pong] = WorkerPool(
            f"reconciler.{account.id}.ping", 1,
            lambda: OpenAlgoClient(account.rest_url, account.api_key, machine_now), self._ping,
            lambda _job, error: _Pong(f"{type(error).__name__}: {error}"), wake,
        )  # fmt: skip

    def _ping(self, client: OpenAlgoClient, _job: str) -> _Pong:
        try:
            pong = endpoints.ping(client)
            right = not self._mode_counts or endpoints.analyzer(client).mode == self._expected
            return _Pong("", pong.broker.strip().lower() or UNNAMED, right)
        except (TransportFailed, OpenAlgoError) as error:
            return _Pong(str(error))

    def start_if_due(self, machine_ns: int) -> None:
        """Start a ping if one is due."""
        if self._pings.begin_if_due(machine_ns):
            self._workers.submit("ping")

    def handle_results(self) -> None:
        """Record finished pings, audit when the account went down or came back, and publish its health."""
        for pong in self._workers.take_results():
            was_down = self._pings.is_down
            if pong.problem:
                self._pings.record_failure(pong.problem)
            else:
                self._pings.record_answer(pong.broker, pong.right_mode)
            if self._pings.is_down is not was_down:
                self._audit(pong.problem)
            self.each_second(machine_now())

    def active_alerts(self) -> dict[Subject, ActiveAlert]:
        """Return the active alert of an account that is down; empty while it is up."""
        if not self._pings.is_down:
            return {}
        problem = self._pings.health.message
        if self._stands_by:
            text = f"backup account {self.name} could not take over: {problem}"
            return {("STANDBY_DOWN", self.name): ActiveAlert(Severity.WARNING, text)}
        text = (
            f"{self._pings.failures} pings in a row failed, {self._every_s:g} s apart: {problem}; a backup, if there "
            f"is one, gives the quotes; start the server at {self._run.rest_url}, log it in to the broker"
        )
        return {("ACCOUNT_DOWN", self.name): ActiveAlert(Severity.CRITICAL, text)}

    def _audit(self, problem: str) -> None:
        action = "account.failed" if self._pings.is_down else "account.connected"
        try:
            audit.record(self._state, action, self.name, "seen", user="reconciler", problem=problem)
        except OSError as error:  # a full disk must not end the reconciler
            get_logger("reconciler").error("reconciler.audit_lost", account=self.name, problem=str(error))

    @property
    def broker(self) -> str:
        """OpenAlgo's name of the broker by the last answered ping; empty before the first."""
        return self._pings.health.broker

    @property
    def has_ended(self) -> bool:
        """True once a ping was answered or has failed."""
        return bool(self._pings.health.broker) or self._pings.health.failures > 0

    def with_ping_state(self, health: AccountHealth) -> AccountHealth:
        """Return `health` (by the account's books) with the broker that pings named, and with `ping_down` set and a
        message if they fail."""
        if self.broker != health.broker:
            health = msgspec.structs.replace(health, broker=self.broker)
        if not self._pings.is_down:
            return health
        return msgspec.structs.replace(health, ping_down=True, message=health.message or self._pings.health.message)

    def each_second(self, machine_ns: int) -> None:  # noqa: ARG002
        """Publish the health by pings alone, for an account whose books nobody reads; else do nothing."""
        if self._publish is not None:
            self._publish(self._pings.health)

    def stop(self) -> None:
        """Stop the ping worker."""
        self._workers.stop()
