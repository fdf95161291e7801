"""The watchdog watches all others, and these watch the watchdog: the gateway, and behind it the feed.

Used by both. A watchdog and a gateway that hang together would be noticed by nobody; the feed gives the gateway time
to act first, and a watchdog that starts again finds the gateway by its lock. The one rule: they watch nobody else.
"""

from __future__ import annotations

from pathlib import Path

from mytrading.messages.control import Heartbeat
from mytrading.messages.enums import DaemonState, Severity
from mytrading.runtime.alerts import Alerts
from mytrading.runtime.clock import SECOND, machine_now
from mytrading.runtime.hung import SILENCE_NS, Hung
from mytrading.runtime.lock import holder
from mytrading.runtime.run_info import is_supervised
from mytrading.runtime.supervision import is_stopping

NAME = "watchdog"
CODE = "DAEMON_HUNG"
STOPPED = "DAEMON_STOPPED"
ABSENT = 4
"""A start of it takes less than so many times the silence for which it is killed."""
FIRST_NS = SILENCE_NS
BEHIND_NS = 9 * SECOND
"""The gateway would have killed it after five seconds, and its successor would send a heartbeat after two or three."""


class WatchdogGuard:
    """Kills a watchdog that sent a heartbeat and is silent for `silence_ns` of machine time, with an alert."""

    def __init__(self, lock_dir: Path, alerts: Alerts, silence_ns: int) -> None:
        self._lock = lock_dir / f"{NAME}.lock"
        self._state = lock_dir.parent
        self._hung = Hung(self._lock, machine_now(), silence_ns)
        self._there = machine_now()
        self._alerts = alerts
        self._silence_ns = silence_ns

    def heard(self, beat: Heartbeat) -> None:
        """The watchdog sent a heartbeat."""
        self._hung.heard(0 if beat.state is DaemonState.STOPPING else beat.pid, machine_now())
        self._alerts.clear(CODE, NAME)

    def look(self, machine_ns: int) -> None:
        """To be called at least once a second."""
        if pid := self._hung.look(machine_ns):
            seconds = self._silence_ns // SECOND
            text = f"watchdog (pid {pid}) sent no heartbeat for {seconds} s: killed, starts again"
            self._alerts.raise_(CODE, Severity.CRITICAL, NAME, text)
        self._look_for(machine_ns)

    def _look_for(self, machine_ns: int) -> None:
        """One that is not started again leaves everybody unwatched."""
        if not is_supervised() or holder(self._lock) is not None or is_stopping(self._state):
            self._there = machine_ns
            self._alerts.clear(STOPPED, NAME)
        elif machine_ns - self._there > ABSENT * self._silence_ns:
            text = "watchdog does not run, so no hung daemon is ended; see `mytrading logs watchdog`, then start again"
            self._alerts.raise_(STOPPED, Severity.CRITICAL, NAME, text)
