"""Pinging the accounts that only stand by, so that a takeover does not find out first that they are down.

Used by the reconciler. The one rule: nothing but `ping` and `analyzer` is asked of a backup account's server.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from mytrading.adapters.openalgo.client import OpenAlgoClient
from mytrading.adapters.openalgo.endpoints import account as endpoint
from mytrading.adapters.openalgo.errors import TransportFailed
from mytrading.adapters.openalgo.refusals import OpenAlgoError
from mytrading.core.pings import PingBook
from mytrading.messages.enums import Severity
from mytrading.messages.runconfig import AccountRun, Venue
from mytrading.runtime.alerts import Alerts
from mytrading.runtime.clock import machine_now
from mytrading.runtime.worker import WorkerPool

SECOND = 1_000_000_000


class _Pong(NamedTuple):
    problem: str
    broker: str = ""
    right_mode: bool = False


class StandbyAccount:
    """One backup account; `tell` publishes its health."""

    def __init__(
        self,
        account: AccountRun,
        venue: Venue,
        tell: Callable[[Any], None],
        alerts: Alerts,
        wake: Callable[[], None],
    ) -> None:
        self.name = account.id
        self._run = account
        self._expected = venue.expected_mode.value
        self._tell, self._alerts = tell, alerts
        self._pings = PingBook(account.id, int(venue.ping_seconds * SECOND), venue.ping_failures)
        self._workers: WorkerPool[str, OpenAlgoClient, _Pong] = WorkerPool(
            f"reconciler.{account.id}", 1, self._client, self._ping, _failed, wake
        )

    def _client(self) -> OpenAlgoClient:
        return OpenAlgoClient(self._run.rest_url, self._run.api_key, machine_now)

    def _ping(self, client: OpenAlgoClient, _job: str) -> _Pong:
        try:
            pong = endpoint.ping(client)
            return _Pong("", pong.broker or "unnamed", endpoint.analyzer(client).mode == self._expected)
        except (TransportFailed, OpenAlgoError) as error:
            return _Pong(str(error))

    def look(self, machine_ns: int) -> None:
        """Ping if it is time."""
        if self._pings.due(machine_ns):
            self._workers.submit("ping")

    def take(self) -> None:
        """Fold what came back, and alert when the account went down or came back."""
        for pong in self._workers.results():
            if pong.problem:
                self._pings.failed(pong.problem)
            else:
                self._pings.answered(pong.broker, pong.right_mode)
                self._alerts.clear("STANDBY_DOWN", self.name)
            if self._pings.is_down:
                text = f"backup account {self.name} could not take over: {pong.problem}"
                self._alerts.raise_("STANDBY_DOWN", Severity.WARNING, self.name, text)
            self.each_second(machine_now())

    def each_second(self, machine_ns: int) -> None:  # noqa: ARG002
        """Publish the account's health."""
        self._tell(self._pings.health)

    def stop(self) -> None:
        """Leave the worker."""
        self._workers.stop()


def _failed(_job: str, error: Exception) -> _Pong:
    return _Pong(f"{type(error).__name__}: {error}")
