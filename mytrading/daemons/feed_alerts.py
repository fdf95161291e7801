"""What the feed says about its lines and ages: log lines, notes in the heartbeat, alerts that rise and clear, audit.

Part of the feed. The one rule: every alert raised here is cleared here, and its text says what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mytrading.adapters.openalgo.socket import Disconnected, Refused
from mytrading.core.feed.sources import SECOND, Reason, Switch
from mytrading.daemons.feed_health import FeedHealth
from mytrading.daemons.feed_lines import Line, Lines
from mytrading.messages.enums import Severity
from mytrading.runtime import audit
from mytrading.runtime.alerts import Alerts
from mytrading.runtime.logging import get_logger

_CONNECTION = ("FEED_DOWN", "FEED_GIVEN_UP", "FEED_REFUSED", "FEED_ERROR")


class FeedAlerts:
    """Keeps alerts and notes of one feed, and writes its log; changes of source go into the audit log of `state`."""

    def __init__(self, alerts: Alerts, notes: dict[str, str], lines: Lines, state: Path) -> None:
        self._state = state
        self._alerts = alerts
        self._notes = notes
        self._log = get_logger("feed")
        self._lines = lines
        self._held: set[str] = set()
        self._deaf: set[str] = set()

    def connected(self, line: Line, number: int, broker: str) -> None:
        """A line is connected and admitted."""
        self._log.info("feed.connected", source=line.source.name, number=number, broker=broker)
        for code in _CONNECTION:
            self._alerts.clear(code, line.subject)
        if line is self._lines.active:
            self._notes.pop("socket", None)

    def lost(self, line: Line, event: Disconnected | Refused) -> None:
        """A line has no connection. No reason for an alert: it was dropped on purpose, or the server starts with us."""
        if isinstance(event, Disconnected) and not event.failures:
            self._log.info("feed.dropped", source=line.source.name, reason=event.reason)
            return
        url = line.source.ws_url
        if isinstance(event, Refused):
            code, reason = "FEED_REFUSED", f"{event.code}: {event.message}"
            text = f"{reason}; check the API key of {line.source.name}, and that its server is logged in to the broker"
            text = f"{text} (OPENALGO_API_KEY)" if line.rank == 0 else text
        else:
            code, reason = "FEED_DOWN", event.reason
            next_step = f"next attempt in {event.retry_s:.1f} s; is the server running at {url}?"
            text = f"no market data of {line.source.name}: {reason}; {next_step}"
            if event.gave_up:
                tried = (
                    f"{event.failures} attempts in a row failed, it is tried every {event.retry_s:.0f} s from now on"
                )
                self._raise("FEED_GIVEN_UP", line, f"no market data of {line.source.name}: {tried}; start {url}")
        self._raise(code, line, text)
        if line is self._lines.active:
            if "socket" not in self._notes:
                self._log.warning("feed.lost", source=line.source.name, reason=reason)
            self._notes["socket"] = reason

    def failed(self, line: Line, text: str) -> None:
        """The server sent an error frame."""
        self._alerts.raise_("FEED_ERROR", Severity.WARNING, line.subject, text)

    def accepted(self, line: Line) -> None:
        """The server accepted a subscription."""
        self._alerts.clear("FEED_ERROR", line.subject)

    def mute(self, line: Line, age_ns: int) -> str:
        """A line is connected and gives nothing new; returns the reason for the fresh connection it gets."""
        text = f"no new quote of any instrument for {age_ns / SECOND:.0f} s while the market is open"
        self._log.warning("feed.mute", source=line.source.name, age_s=round(age_ns / SECOND, 1))
        self._raise(
            "FEED_MUTE", line, f"{line.source.name}: {text}; it gets a new connection: is the broker logged in?"
        )
        if line is self._lines.active:
            self._notes["mute"] = text
        return text

    def well(self, line: Line) -> None:
        """A line gives quotes."""
        self._alerts.clear("FEED_MUTE", line.subject)
        if line is self._lines.active:
            self._notes.pop("mute", None)

    def switched(self, switch: Switch, machine_ns: int) -> None:
        """Another line serves."""
        left, taken = map(list(self._lines).__getitem__, (switch.previous, switch.to))
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
        why = f"{previous} {ailing}" if switch.reason is Reason.TAKEOVER else f"{previous} gave it back"
        self._notes["source"] = f"market data come from {to}, {why}"
        text = f"market data come from {to}: {why}; the primary takes over after minutes of health, look at its server"
        self._alerts.raise_("FEED_ON_BACKUP", Severity.CRITICAL, "feed", text)

    def _audit(self, reason: Reason, previous: str, to: str) -> None:
        """A full disk must not end the feed at the moment when it takes over."""
        try:
            audit.record(self._state, f"feed.{reason.value}", to, "done", user="feed", previous=previous)
        except OSError as error:
            self._log.error("feed.audit_lost", previous=previous, to=to, problem=str(error))

    def ages(self, health: FeedHealth) -> None:
        """Coverage and the age of what is held were judged anew."""
        coverage = health.coverage
        if health.is_low:
            shown = ", ".join(coverage.stale[:5])
            text = f"{coverage.fresh} of {coverage.total} instruments are well; not: {shown}"
            self._notes["coverage"] = text
            self._alerts.raise_("COVERAGE_LOW", Severity.CRITICAL, "feed", f"{text}; is the broker's feed up?")
        elif self._notes.pop("coverage", None):
            self._alerts.clear("COVERAGE_LOW", "feed")
        for name in health.stale_held:
            text = f"{name} is held and has no fresh price, neither streamed nor asked for; watch it at the broker"
            self._alerts.raise_("QUOTES_STALE", Severity.CRITICAL, name, text)
        for name in self._held.difference(health.stale_held):
            self._alerts.clear("QUOTES_STALE", name)
        self._held = set(health.stale_held)
        self._tell_deaf(health.deaf)

    def _tell_deaf(self, deaf: dict[str, int]) -> None:
        for name, frames in deaf.items():
            text = f"{frames} frames of {name} came since its last price and none was taken: it is not traded"
            text = f"{text}; restart the stack, and compare the tape with what other clients of the server hold"
            self._alerts.raise_("QUOTES_DROPPED", Severity.WARNING, name, text)
        for name in self._deaf.difference(deaf):
            self._alerts.clear("QUOTES_DROPPED", name)
        self._deaf = set(deaf)

    def fallback(self, asked: Iterable[str], problem: str) -> None:
        """What was asked for over REST came, or did not."""
        if problem:
            names = ", ".join(asked)
            text = f"no quotes of {names}, which are held, over REST: {problem}; they are asked for again"
            self._alerts.raise_("QUOTES_NOT_READ", Severity.WARNING, "feed", text)
        else:
            self._alerts.clear("QUOTES_NOT_READ", "feed")

    def _raise(self, code: str, line: Line, text: str) -> None:
        severity = Severity.CRITICAL if line is self._lines.active else Severity.WARNING
        self._alerts.raise_(code, severity, line.subject, text)
