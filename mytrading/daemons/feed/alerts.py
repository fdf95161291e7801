"""Alerts, notes, log lines and audit records about the feed's connections and the age of its data.

Every alert raised here is also cleared here, and its text says what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mytrading.adapters.openalgo.ws.connection import Disconnected, SocketRefused
from mytrading.core.feed.source_failover import Switch, SwitchReason
from mytrading.core.time import SECOND
from mytrading.daemons.feed.sources import SourceConnection, SourceConnections
from mytrading.daemons.feed.staleness import FeedHealth
from mytrading.messages.enums import Severity
from mytrading.runtime.observability import audit
from mytrading.runtime.observability.alerts import Alerts
from mytrading.runtime.observability.logging import get_logger

_CONNECTION = ("FEED_DOWN", "FEED_GIVEN_UP", "FEED_REFUSED", "FEED_ERROR")


class FeedAlerts:
    """Alerts and notes of one feed; changes of source go into the audit log of `state`."""

    def __init__(self, alerts: Alerts, notes: dict[str, str], connections: SourceConnections, state: Path) -> None:
        self._state = state
        self._alerts = alerts
        self._notes = notes
        self._log = get_logger("feed")
        self._connections = connections
        self._held: set[str] = set()
        self._deaf: set[str] = set()

    def connected(self, connection: SourceConnection, number: int, broker: str) -> None:
        """Report a connection that is established and admitted."""
        self._log.info("feed.connected", source=connection.source.name, number=number, broker=broker)
        for code in _CONNECTION:
            self._alerts.clear(code, connection.subject)
        if connection is self._connections.active:
            self._notes.pop("socket", None)

    def lost(self, connection: SourceConnection, event: Disconnected | SocketRefused) -> None:
        """Report a lost connection; one dropped on purpose is only logged."""
        if isinstance(event, Disconnected) and not event.failures:
            self._log.info("feed.dropped", source=connection.source.name, reason=event.reason)
            return
        url = connection.source.ws_url
        if isinstance(event, SocketRefused):
            code, reason = "FEED_REFUSED", f"{event.code}: {event.message}"
            text = f"{reason}; check the API key of {connection.source.name}, and that its server is logged in"
            text = f"{text} (OPENALGO_API_KEY)" if connection.rank == 0 else text
        else:
            code, reason = "FEED_DOWN", event.reason
            next_step = f"next attempt in {event.retry_s:.1f} s; is the server running at {url}?"
            text = f"no market data of {connection.source.name}: {reason}; {next_step}"
            if event.gave_up:
                tried = (
                    f"{event.failures} attempts in a row failed, it is tried every {event.retry_s:.0f} s from now on"
                )
                self._raise(
                    "FEED_GIVEN_UP", connection, f"no market data of {connection.source.name}: {tried}; start {url}"
                )
        self._raise(code, connection, text)
        if connection is self._connections.active:
            if "socket" not in self._notes:
                self._log.warning("feed.lost", source=connection.source.name, reason=reason)
            self._notes["socket"] = reason

    def failed(self, connection: SourceConnection, text: str) -> None:
        """Report an error frame of the server."""
        self._alerts.raise_("FEED_ERROR", Severity.WARNING, connection.subject, text)

    def accepted(self, connection: SourceConnection) -> None:
        """Clear errors: the server accepted a subscription."""
        self._alerts.clear("FEED_ERROR", connection.subject)

    def mute(self, connection: SourceConnection, age_ns: int) -> str:
        """Report a connection without new quotes; returns the reason for its reconnect."""
        text = f"no new quote of any instrument for {age_ns / SECOND:.0f} s while the market is open"
        self._log.warning("feed.mute", source=connection.source.name, age_s=round(age_ns / SECOND, 1))
        self._raise(
            "FEED_MUTE",
            connection,
            f"{connection.source.name}: {text}; it gets a new connection: is the broker logged in?",
        )
        if connection is self._connections.active:
            self._notes["mute"] = text
        return text

    def well(self, connection: SourceConnection) -> None:
        """Clear the mute alert: the connection delivers quotes."""
        self._alerts.clear("FEED_MUTE", connection.subject)
        if connection is self._connections.active:
            self._notes.pop("mute", None)

    def switched(self, switch: Switch, machine_ns: int) -> None:
        """Report a failover."""
        left, taken = map(list(self._connections).__getitem__, (switch.previous, switch.to))
        previous, to = left.source.name, taken.source.name
        self._log.warning("feed.source_changed", previous=previous, to=to, reason=switch.reason.value)
        self._audit(switch.reason, previous, to)
        for key in ("socket", "mute"):
            self._notes.pop(key, None)
        if switch.to == 0:
            self._notes.pop("source", None)
            self._alerts.clear("FEED_ON_BACKUP", "feed")
            return
        ailing = "answers no ping" if left.is_down(machine_ns) else "is mute or down"
        why = f"{previous} {ailing}" if switch.reason is SwitchReason.TAKEOVER else f"{previous} gave it back"
        self._notes["source"] = f"market data come from {to}, {why}"
        text = f"market data come from {to}: {why}; the primary takes over after minutes of health, look at its server"
        self._alerts.raise_("FEED_ON_BACKUP", Severity.CRITICAL, "feed", text)

    def _audit(self, reason: SwitchReason, previous: str, to: str) -> None:
        """Write the audit record; a full disk must not end the feed during a failover."""
        try:
            audit.record(self._state, f"feed.{reason.value}", to, "done", user="feed", previous=previous)
        except OSError as error:
            self._log.error("feed.audit_lost", previous=previous, to=to, problem=str(error))

    def update_staleness(self, health: FeedHealth) -> None:
        """Raise and clear alerts of coverage, stale held instruments and dropped frames by the present health."""
        coverage = health.coverage
        if health.is_low:
            shown = ", ".join(coverage.stale[:5])
            text = f"{coverage.fresh} of {coverage.total} instruments are well; not: {shown}"
            self._notes["coverage"] = text
            self._alerts.raise_("COVERAGE_LOW", Severity.CRITICAL, "feed", f"{text}; is the broker's feed up?")
        elif self._notes.pop("coverage", None):
            self._alerts.clear("COVERAGE_LOW", "feed")
        for name in health.stale_held:
            text = f"{name} is held and has no fresh price, neither streamed nor over REST; watch it at the broker"
            self._alerts.raise_("QUOTES_STALE", Severity.CRITICAL, name, text)
        for name in self._held.difference(health.stale_held):
            self._alerts.clear("QUOTES_STALE", name)
        self._held = set(health.stale_held)
        self._update_deaf(health.deaf)

    def _update_deaf(self, deaf: dict[str, int]) -> None:
        for name, frames in deaf.items():
            text = f"{frames} frames of {name} came since its last price and none was taken: it is not traded"
            text = f"{text}; restart the stack, and compare the tape with what other clients of the server hold"
            self._alerts.raise_("QUOTES_DROPPED", Severity.WARNING, name, text)
        for name in self._deaf.difference(deaf):
            self._alerts.clear("QUOTES_DROPPED", name)
        self._deaf = set(deaf)

    def update_rest_quotes(self, requested: Iterable[str], problem: str) -> None:
        """Report a failed REST request, or clear it."""
        if problem:
            names = ", ".join(requested)
            text = f"no quotes of {names}, which are held, over REST: {problem}; they are requested again"
            self._alerts.raise_("QUOTES_NOT_READ", Severity.WARNING, "feed", text)
        else:
            self._alerts.clear("QUOTES_NOT_READ", "feed")

    def _raise(self, code: str, connection: SourceConnection, text: str) -> None:
        severity = Severity.CRITICAL if connection is self._connections.active else Severity.WARNING
        self._alerts.raise_(code, severity, connection.subject, text)
