"""Alerts of one daemon: one per (code, subject) until it clears, with a count of repeats.

Published on `status` when it rises or clears, every ten seconds while it stands, and for a minute after it cleared, so
that a gateway that was away learns of both. What comes back within the cool-down after it ended flaps: it is told once
more, and then ends when it has been well for the whole cool-down. An alert says what an operator should do, and stands
whenever what it is about does.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mytrading.core.time import SECOND
from mytrading.messages.control import Alert
from mytrading.messages.enums import Severity
from mytrading.messages.text import short
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.observability.logging import get_logger

ENDS_TOLD = 6
"""How many times the end of an alert is told again: a gateway that restarts is back long before."""

COOLDOWN_S = 60.0

Subject = tuple[str, str]
"""An alert's code and subject."""


class Alerts:
    """Raise, clear and repeat. `send` publishes an alert; `now` gives market time, `machine_ns` machine time.

    `cooldown_s` is in seconds of machine time; `look` is to be called each second.
    """

    def __init__(
        self,
        daemon: str,
        now: Callable[[], int],
        send: Callable[[Alert], None],
        cooldown_s: float = COOLDOWN_S,
        machine_ns: Callable[[], int] = machine_now,
    ) -> None:
        self._daemon = daemon
        self._now = now
        self._send = send
        self._machine_ns = machine_ns
        self._cooldown_ns = round(cooldown_s * SECOND)
        self._standing: dict[Subject, Alert] = {}
        self._ended: dict[Subject, tuple[Alert, int]] = {}
        self._ended_at: dict[Subject, int] = {}
        self._flapping: set[Subject] = set()
        self._well_since: dict[Subject, int] = {}
        self._log = get_logger("alerts")

    def raise_(self, code: str, severity: Severity, subject: str, message: str) -> None:
        """Something is wrong, still or again; only a rise, also from a warning to worse, is logged and sent at once."""
        now = self._now()
        message = short(message)
        known = self._standing.get((code, subject))
        if known is not None:
            self._well_since.pop((code, subject), None)
            worse = severity is Severity.CRITICAL and known.severity is not severity
            known = msgspec.structs.replace(
                known,
                last_ns=now,
                count=known.count + 1,
                message=message,
                severity=severity if worse else known.severity,
            )
            self._standing[code, subject] = known
            if worse:
                self._log.error("alert.raised", code=code, subject=subject, problem=message)
                self._send(known)
            return
        alert = Alert(
            code=code,
            severity=severity,
            subject=subject,
            message=message,
            daemon=self._daemon,
            first_ns=now,
            last_ns=now,
        )
        self._standing[code, subject] = alert
        self._ended.pop((code, subject), None)
        if self._ended_at.pop((code, subject), -self._cooldown_ns) + self._cooldown_ns > self._machine_ns():
            self._flapping.add((code, subject))
        level = "error" if severity is Severity.CRITICAL else "warning"
        getattr(self._log, level)("alert.raised", code=code, subject=subject, problem=message)
        self._send(alert)

    def restore(self, alert: Alert) -> None:
        """An alert of the journal stands again after a restart; it was said before."""
        self._standing[alert.code, alert.subject] = alert

    def clear(self, code: str, subject: str, by_person: bool = False) -> None:
        """It is well again; nothing happens if it was. What an operator has ended is waited for no longer."""
        if (code, subject) not in self._standing:
            return
        if (code, subject) in self._flapping and not by_person:
            self._well_since.setdefault((code, subject), self._machine_ns())
        else:
            self._end((code, subject), by_person)

    def _end(self, key: Subject, by_person: bool = False) -> None:
        known = self._standing.pop(key)
        self._flapping.discard(key)
        self._well_since.pop(key, None)
        if not by_person:
            self._ended_at[key] = self._machine_ns()
        self._log.info("alert.cleared", code=known.code, subject=known.subject, count=known.count)
        ended = msgspec.structs.replace(known, cleared=True, last_ns=self._now())
        self._ended[key] = ended, ENDS_TOLD
        self._send(ended)

    def look(self, machine_ns: int) -> None:
        """End what flapped and has been well for the cool-down."""
        before = machine_ns - self._cooldown_ns
        for key in [key for key, since in self._well_since.items() if since <= before]:
            self._end(key)
        if any(at <= before for at in self._ended_at.values()):
            self._ended_at = {key: at for key, at in self._ended_at.items() if at > before}

    def repeat(self, _machine_ns: int = 0) -> None:
        """Send every standing alert again, and every one that ended lately."""
        for alert in [*self._standing.values(), *(alert for alert, _ in self._ended.values())]:
            self._send(alert)
        self._ended = {key: (alert, left - 1) for key, (alert, left) in self._ended.items() if left > 1}

    @property
    def standing(self) -> tuple[Alert, ...]:
        """Alerts of what is not well; one that flaps and is well for the moment is none."""
        return tuple(alert for key, alert in self._standing.items() if key not in self._well_since)
