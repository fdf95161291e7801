"""Alerts of one daemon: one per (code, subject) until it clears, with a count of repeats.

Published on `status` when it rises or clears, every ten seconds while it stands, and for a minute after it cleared, so
that a gateway that was away learns of both. An alert that returns within the cool-down after its end flaps: it is sent
once more, and ends when its cause has been absent for the whole cool-down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

import msgspec

from mytrading.core.active_alerts import ActiveAlert, Subject
from mytrading.core.time import MINUTE, SECOND
from mytrading.messages.control import Alert
from mytrading.messages.enums import Severity
from mytrading.messages.text import shortened
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.observability.logging import get_logger

END_REPEATS = 6
"""Repeats of the end of an alert: a gateway that restarts is back long before."""

COOLDOWN_S = 60.0


class Alerts:
    """Raise, clear and repeat. `send` publishes an alert; `now` gives market time, `machine_ns` machine time.

    `cooldown_s` is in seconds of machine time; `end_flapping` is to be called each second.
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
        self._raised: dict[Subject, Alert] = {}
        self._ended: dict[Subject, tuple[Alert, int]] = {}
        self._ended_at: dict[Subject, int] = {}
        self._flapping: set[Subject] = set()
        self._well_since: dict[Subject, int] = {}
        self._log = get_logger("alerts")

    def raise_(self, code: str, severity: Severity, subject: str, message: str) -> None:
        """Raise the alert of this code and subject, or count a repeat of the active one; only a new one, or one that
        turns critical, is logged and sent."""
        now = self._now()
        message = shortened(message)
        if (known := self._raised.get((code, subject))) is not None:
            self._well_since.pop((code, subject), None)
            worse = severity is Severity.CRITICAL and known.severity is not severity
            known = self._raised[code, subject] = msgspec.structs.replace(
                known, last_ns=now, count=known.count + 1, message=message,
                severity=severity if worse else known.severity,
            )  # fmt: skip
            if worse:
                self._log.error("alert.raised", code=code, subject=subject, problem=message)
                self._send(known)
            return
        alert = self._raised[code, subject] = Alert(
            code=code, severity=severity, subject=subject, message=message, daemon=self._daemon, first_ns=now,
            last_ns=now,
        )  # fmt: skip
        self._ended.pop((code, subject), None)
        if self._ended_at.pop((code, subject), -self._cooldown_ns) + self._cooldown_ns > self._machine_ns():
            self._flapping.add((code, subject))
        level = "error" if severity is Severity.CRITICAL else "warning"
        getattr(self._log, level)("alert.raised", code=code, subject=subject, problem=message)
        self._send(alert)

    def restore(self, alert: Alert) -> None:
        """Make an alert of the journal active again after a restart, without sending it."""
        self._raised[alert.code, alert.subject] = alert

    def clear(self, code: str, subject: str, by_operator: bool = False) -> None:
        """Clear the active alert of this code and subject, if any; one that flaps (raised again and again) ends only
        after its cool-down, unless `by_operator`."""
        if (code, subject) not in self._raised:
            return
        if (code, subject) in self._flapping and not by_operator:
            self._well_since.setdefault((code, subject), self._machine_ns())
        else:
            self._end((code, subject), by_operator)

    def set_active(
        self, active: Mapping[Subject, ActiveAlert], codes: Set[str], by_operator: Set[str] = frozenset()
    ) -> None:
        """Make the alerts of `codes` those in `active`: raise new or changed ones, clear the others; to be called at
        each change. `by_operator`: codes that only an operator ends, so that clearing waits for no cool-down."""
        for key, alert in active.items():
            known = self._raised.get(key) if key not in self._well_since else None
            worse = known is not None and alert.severity is Severity.CRITICAL is not known.severity
            changed = known is None or worse or known.message != shortened(alert.text)
            if alert.text and changed and not (alert.once and known is not None):
                self.raise_(key[0], alert.severity, key[1], alert.text)
        for code, subject in [key for key in self._raised if key[0] in codes and key not in active]:
            self.clear(code, subject, by_operator=code in by_operator)

    def _end(self, key: Subject, by_operator: bool = False) -> None:
        known = self._raised.pop(key)
        self._flapping.discard(key)
        self._well_since.pop(key, None)
        if not by_operator:
            self._ended_at[key] = self._machine_ns()
        self._log.info("alert.cleared", code=known.code, subject=known.subject, count=known.count)
        ended = msgspec.structs.replace(known, cleared=True, last_ns=self._now())
        self._ended[key] = ended, END_REPEATS
        self._send(ended)

    def end_flapping(self, machine_ns: int) -> None:
        """End flapping alerts whose cause is absent for the cool-down at `machine_ns` (now); call it each second."""
        before = machine_ns - self._cooldown_ns
        for key in [key for key, since in self._well_since.items() if since <= before]:
            self._end(key)
        if any(at <= before for at in self._ended_at.values()):
            self._ended_at = {key: at for key, at in self._ended_at.items() if at > before}

    def repeat(self, _machine_ns: int = 0) -> None:
        """Send every active alert again, and each recently ended one a few times more; a timer's callback."""
        for alert in [*self._raised.values(), *(alert for alert, _ in self._ended.values())]:
            self._send(alert)
        self._ended = {key: (alert, left - 1) for key, (alert, left) in self._ended.items() if left > 1}

    @property
    def active(self) -> tuple[Alert, ...]:
        """The active alerts, without flapping ones whose cause is absent at the moment."""
        return tuple(alert for key, alert in self._raised.items() if key not in self._well_since)


MESSAGE_DROPPED = "MESSAGE_DROPPED"
OF_DATA = (
    msgspec.MsgspecError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RecursionError,
)  # fmt: skip
"""Errors of unexpected data; those of the machine or its disk are not among them."""


class Edge:
    """The edge of a daemon to a server: a message that cannot be handled is counted, dropped and alerted.

    `name` is that of the input; `hint` says what replaces dropped messages.
    """

    def __init__(self, name: str, hint: str, alerts: Alerts) -> None:
        self._name, self._hint, self._alerts = name, hint, alerts
        self._log = get_logger("edge")
        self._last_ns = 0
        self.count = 0

    def record_drop(self, problem: Exception | str, data: bytes = b"", count: int = 1) -> None:
        """Count `count` dropped messages and raise the alert; the first in a minute is logged, with a sample of `data`.
        `problem` says why they were dropped."""
        self.count += count
        now = machine_now()
        text = problem if isinstance(problem, str) else f"{type(problem).__name__}: {problem}"
        if not self._last_ns or now - self._last_ns > MINUTE:
            trace = None if isinstance(problem, str) else problem
            self._log.error("message.dropped", edge=self._name, problem=text, sample=data[:64].hex(), exc_info=trace)
        self._last_ns = now
        said = f"{self.count} messages were dropped, the last one for this: {text[:300]}; {self._hint}"
        self._alerts.raise_(MESSAGE_DROPPED, Severity.WARNING, self._name, said)

    def clear_if_quiet(self, machine_ns: int) -> None:
        """Clear the alert if no message was dropped for a minute up to `machine_ns` (now); called each second."""
        if self._last_ns and machine_ns - self._last_ns > MINUTE:
            self._last_ns = 0
            self._alerts.clear(MESSAGE_DROPPED, self._name)
