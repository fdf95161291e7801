"""Alerts and notes of the feed that follow from the state of its sources and parts, and from the age of its data."""

from __future__ import annotations

from mytrading.core.active_alerts import ActiveAlert, ActiveAlerts
from mytrading.core.feed.staleness import FeedHealth
from mytrading.daemons.feed.sources import CONNECTION_ALERTS, SourceConnections
from mytrading.messages.enums import Severity
from mytrading.runtime.observability.alerts import Alerts

STATE_ALERTS = frozenset({
    *CONNECTION_ALERTS, "FEED_MUTE", "FEED_ON_BACKUP", "COVERAGE_LOW", "QUOTES_STALE", "QUOTES_DROPPED",
    "QUOTES_NOT_READ", "WATCH_REFUSED", "SUBSCRIPTION_REFUSED", "SUBSCRIPTIONS_FULL", "HISTORY_MISSING",
    "HISTORY_HOLE", "HISTORY_NONE",
    "HISTORY_INCOMPLETE", "BARS_NOT_STORED", "INSTRUMENTS_MISSING", "INSTRUMENTS_REFUSED", "INSTRUMENTS_CHANGED",
    "PRICES_APART", "TOKEN_SHARED", "INDEX_SAMPLED",
})  # fmt: skip
"""Codes of the alerts that last exactly as long as they are among the active ones."""
NOTES = ("socket", "mute", "source", "coverage")


def active_alerts(
    connections: SourceConnections, health: FeedHealth, problems: ActiveAlerts, rest_problem: str
) -> ActiveAlerts:
    """Return all feed alerts that the present state gives rise to. `problems`: those that subscriptions, bars and
    instruments have now; `rest_problem`: why REST quotes fail, or ""."""
    found = dict(problems)
    for connection in connections.all:
        of_connection = Severity.CRITICAL if connection is connections.active else Severity.WARNING
        for code, text in connection.problems.items():
            severity = Severity.WARNING if code == "FEED_ERROR" else of_connection
            found[code, connection.subject] = ActiveAlert(severity, text)
    if reason := connections.backup_reason:
        text = f"{reason}; the primary takes over after minutes of health, look at its server"
        found["FEED_ON_BACKUP", "feed"] = ActiveAlert(Severity.CRITICAL, text)
    if health.is_low:
        found["COVERAGE_LOW", "feed"] = ActiveAlert(Severity.CRITICAL, f"{_coverage(health)}; is the broker's feed up?")
    for name in health.stale_held:
        text = f"{name} is held and has no fresh price, neither streamed nor over REST; watch it at the broker"
        found["QUOTES_STALE", name] = ActiveAlert(Severity.CRITICAL, text)
    for name, frames in health.deaf.items():
        text = (
            f"{frames} frames of {name} came since its last price and none had one that is believed: it is not traded"
        )
        text = f"{text}; compare the tape with what other clients of the server hold"
        found["QUOTES_DROPPED", name] = ActiveAlert(Severity.WARNING, text)
    if rest_problem:
        found["QUOTES_NOT_READ", "feed"] = ActiveAlert(Severity.WARNING, rest_problem)
    return found


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
        self.problems: ActiveAlerts = {}
        """Problems of subscriptions, bars and instruments as alerts; each part keeps those of its own codes."""
        self.rest_problem = ""
        """Reason that prices of held instruments could not be read over REST; empty if they were."""

    def update(self) -> None:
        """Raise new alerts and clear ended ones, and say in the notes of the heartbeat why the feed is degraded."""
        connections, health, active = self._connections, self._health, self._connections.active
        self._alerts.set_active(active_alerts(connections, health, self.problems, self.rest_problem), STATE_ALERTS)
        low = _coverage(health) if health.is_low else ""
        for key, text in zip(NOTES, (active.lost_by, active.mute_note, connections.backup_reason, low), strict=True):
            self._notes.pop(key, None)
            self._notes |= {key: text} if text else {}
