"""The watchdog watches all others, and these watch the watchdog: the gateway, and behind it the feed.

Used by both. A watchdog and a gateway that hang together would be noticed by nobody; the feed gives the gateway time
to act first, and a watchdog that starts anew finds the gateway by its lock. The one rule: they watch nobody else.
"""

from __future__ import annotations

from pathlib import Path

from mytrading.messages.control import Heartbeat
from mytrading.messages.enums import DaemonState, Severity
from mytrading.runtime.alerts import Alerts
from mytrading.runtime.clock import SECOND, machine_now
from mytrading.runtime.hung import SILENCE_NS, Hung

NAME = "watchdog"
CODE = "DAEMON_HUNG"
FIRST_NS = SILENCE_NS
BEHIND_NS = 9 * SECOND
"""The gateway would have killed it after five seconds, and its successor be heard after two or three."""


class WatchdogGuard:
    """Kills a watchdog that was heard and is silent for `silence_ns` of machine time, with an alert."""

    def __init__(self, lock_dir: Path, alerts: Alerts, silence_ns: int) -> None:
        self._hung = Hung(lock_dir / f"{NAME}.lock", machine_now(), silence_ns)
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
            text = f"watchdog (pid {pid}) sent no heartbeat for {seconds} s: killed, starts anew"
            self._alerts.raise_(CODE, Severity.CRITICAL, NAME, text)
