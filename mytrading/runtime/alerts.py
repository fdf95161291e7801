"""Alerts of one daemon: one per (code, subject) until it clears, with a count of repeats.

Published on `status` when it rises or clears, every ten seconds while it stands, and a few times more when it has
ended, so that a gateway that was away learns of it. The one rule: an alert says what a person should do.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mytrading.messages.control import Alert
from mytrading.messages.enums import Severity
from mytrading.runtime.logging import get_logger

REPEAT_NS = 10_000_000_000
END_REPEATS = 3
"""Times that an end is said again: what hears it may just be joining, and would keep the alert for good."""


class Alerts:
    """Raise, clear and repeat. `send` publishes an alert; `now` gives market time."""

    def __init__(self, daemon: str, now: Callable[[], int], send: Callable[[Alert], None]) -> None:
        self._daemon = daemon
        self._now = now
        self._send = send
        self._standing: dict[tuple[str, str], Alert] = {}
        self._ended: dict[tuple[str, str], tuple[Alert, int]] = {}
        self._log = get_logger("alerts")

    def raise_(self, code: str, severity: Severity, subject: str, message: str) -> None:
        """Something is wrong, still or anew; only a rise is logged and sent at once."""
        now = self._now()
        known = self._standing.get((code, subject))
        if known is not None:
            known = msgspec.structs.replace(known, last_ns=now, count=known.count + 1, message=message)
            self._standing[code, subject] = known
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
        level = "error" if severity is Severity.CRITICAL else "warning"
        getattr(self._log, level)("alert.raised", code=code, subject=subject, problem=message)
        self._send(alert)

    def restore(self, alert: Alert) -> None:
        """An alert of the journal stands again after a restart; it was said before."""
        self._standing[alert.code, alert.subject] = alert

    def clear(self, code: str, subject: str) -> None:
        """It is well again; nothing happens if it was."""
        known = self._standing.pop((code, subject), None)
        if known is not None:
            self._log.info("alert.cleared", code=code, subject=subject, count=known.count)
            ended = msgspec.structs.replace(known, cleared=True, last_ns=self._now())
            self._ended[code, subject] = (ended, END_REPEATS)
            self._send(ended)

    def repeat(self, _machine_ns: int = 0) -> None:
        """Send every standing alert again, and for a while those that ended."""
        for alert in self._standing.values():
            self._send(alert)
        for key, (alert, left) in list(self._ended.items()):
            self._send(alert)
            self._ended[key] = (alert, left - 1)
            if left <= 1:
                del self._ended[key]

    @property
    def standing(self) -> tuple[Alert, ...]:
        """Alerts that have not cleared."""
        return tuple(self._standing.values())
