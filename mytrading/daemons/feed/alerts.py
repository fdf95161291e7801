"""Alerts and notes of the feed that follow from the state of its sources and the age of its data."""

from __future__ import annotations

from mytrading.core.feed.staleness import FeedHealth
from mytrading.daemons.feed.sources import SourceConnections
from mytrading.messages.enums import Severity
from mytrading.runtime.observability.alerts import Alerts

ActiveAlerts = dict[tuple[str, str], tuple[Severity, str]]
"""Severity and text of alerts, by code and subject."""
NOTES = ("socket", "mute", "source", "coverage")


def active_alerts(connections: SourceConnections, health: FeedHealth, rest_problem: str) -> ActiveAlerts:
    """All alerts that the present state gives rise to; each text says what to do."""
    found: ActiveAlerts = {}
    for connection in connections:
        of_connection = Severity.CRITICAL if connection is connections.active else Severity.WARNING
        for code, text in connection.problems.items():
            found[code, connection.subject] = (Severity.WARNING if code == "FEED_ERROR" else of_connection, text)
    if reason := connections.backup_reason:
        text = f"{reason}; the primary takes over after minutes of health, look at its server"
        found["FEED_ON_BACKUP", "feed"] = Severity.CRITICAL, text
    if health.is_low:
        found["COVERAGE_LOW", "feed"] = Severity.CRITICAL, f"{_coverage(health)}; is the broker's feed up?"
    for name in health.stale_held:
        text = f"{name} is held and has no fresh price, neither streamed nor over REST; watch it at the broker"
        found["QUOTES_STALE", name] = Severity.CRITICAL, text
    for name, frames in health.deaf.items():
        text = f"{frames} frames of {name} came since its last price and none was taken: it is not traded"
        text = f"{text}; restart the stack, and compare the tape with what other clients of the server hold"
        found["QUOTES_DROPPED", name] = Severity.WARNING, text
    if rest_problem:
        found["QUOTES_NOT_READ", "feed"] = Severity.WARNING, rest_problem
    return found


def active_notes(connections: SourceConnections, health: FeedHealth) -> dict[str, str]:
    """Notes of the heartbeat, by key: why the feed is degraded."""
    active = connections.active
    texts = (active.lost_by, active.mute_note, connections.backup_reason, _coverage(health) if health.is_low else "")
    return {key: text for key, text in zip(NOTES, texts, strict=True) if text}


def _coverage(health: FeedHealth) -> str:
    coverage = health.coverage
    return f"{coverage.fresh} of {coverage.total} instruments are well; not: {', '.join(coverage.stale[:5])}"


class FeedAlerts:
    """Raises and clears what has changed since the last `update`."""

    def __init__(
        self, alerts: Alerts, notes: dict[str, str], connections: SourceConnections, health: FeedHealth
    ) -> None:
        self._alerts, self._notes = alerts, notes
        self._connections, self._health = connections, health
        self._active: ActiveAlerts = {}
        self.rest_problem = ""
        """Why prices of held instruments could not be read over REST; empty if they were."""

    def update(self) -> None:
        before = self._active
        self._active = active_alerts(self._connections, self._health, self.rest_problem)
        for key, (severity, text) in self._active.items():
            if before.get(key) != (severity, text):
                self._alerts.raise_(key[0], severity, key[1], text)
        for code, subject in before.keys() - self._active.keys():
            self._alerts.clear(code, subject)
        for name in NOTES:
            self._notes.pop(name, None)
        self._notes.update(active_notes(self._connections, self._health))
