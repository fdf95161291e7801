"""Handing alerts to the operator's own command (`ALERT_COMMAND`); a command that fails is logged."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable

import msgspec

from mytrading.messages.control import Alert
from mytrading.messages.text import shortened
from mytrading.runtime.daemon.workers import WorkerPool
from mytrading.runtime.observability.logging import get_logger

TIMEOUT_S = 10.0
MOST_WAITING = 100
_TEXTS = ("code", "subject", "message", "daemon")


class AlertCommand:
    """Runs the command once for an alert that rises and once when it clears, one after the other, on a thread.

    The command gets the alert as JSON on its standard input and as ALERT_CODE, ALERT_SEVERITY, ALERT_SUBJECT,
    ALERT_MESSAGE, ALERT_DAEMON and ALERT_STATE (raised or cleared) in its environment. No shell reads it. Texts come
    without control characters and of at most 4 kB, whatever a server sent.
    """

    def __init__(self, command: str, wake: Callable[[], None], timeout_s: float = TIMEOUT_S) -> None:
        self._words = shlex.split(command)
        self._timeout_s = timeout_s
        self._log = get_logger("alert_command")
        self.counts = {"alerts_handed_over": 0.0, "alert_command_failed": 0.0}
        """Alerts handed over since the start, and runs that failed or were skipped, as figures of a heartbeat."""
        self._pool: WorkerPool[Alert, list[str], str] = WorkerPool(
            "alert_command", 1, lambda: self._words, self._run, lambda _, error: str(error), wake
        )

    def hand_over(self, alert: Alert) -> None:
        """Queue a run of the operator's command for this alert, skipped if too many wait; returns at once."""
        self.counts["alerts_handed_over"] += 1
        if self._pool.waiting >= MOST_WAITING:
            self.counts["alert_command_failed"] += 1
            self._log.error("alert_command.skipped", code=alert.code, subject=alert.subject, waiting=MOST_WAITING)
            return
        self._pool.submit(alert)

    def log_failures(self) -> None:
        """Log each run of the command that failed since the last call."""
        for problem in self._pool.take_results():
            if problem:
                self.counts["alert_command_failed"] += 1
                self._log.error("alert_command.failed", problem=problem, next_step="mend ALERT_COMMAND")

    def stop(self) -> None:
        """End the thread after the command that runs now, waiting at most a second."""
        self._pool.stop(1.0)

    def _run(self, words: list[str], alert: Alert) -> str:
        alert = msgspec.structs.replace(alert, **{name: shortened(getattr(alert, name)) for name in _TEXTS})
        facts = {
            "ALERT_CODE": alert.code,
            "ALERT_SEVERITY": alert.severity.value,
            "ALERT_SUBJECT": alert.subject,
            "ALERT_MESSAGE": alert.message,
            "ALERT_DAEMON": alert.daemon,
            "ALERT_STATE": "cleared" if alert.cleared else "raised",
        }
        try:
            done = subprocess.run(
                words, input=msgspec.json.encode(alert), env={**os.environ, **facts}, capture_output=True,
                timeout=self._timeout_s, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"{words[0]} did not end within {self._timeout_s:g} s and was killed"
        except OSError as error:
            return f"{words[0]}: {error.strerror}"
        if done.returncode:
            return f"{words[0]} ended with {done.returncode}: {done.stderr.decode(errors='replace').strip()[-200:]}"
        return ""
