"""Stale alerts: their daemon was killed while they were active, and its successor does not repeat them.

Each daemon repeats its active alerts every ten seconds. Silence ends an alert only where its daemon is alive, checks
the matter by itself, and has sent a heartbeat meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mytrading.messages.control import Alert, Heartbeat
from mytrading.messages.enums import DaemonState
from mytrading.runtime.daemon.live_files import CODE as EDIT_REFUSED

JUDGED = frozenset({"feed", "risk", "router", "reconciler"})
"""Daemons that raise an alert again while its cause lasts. Faults of the engine end when their strategy starts, alerts
of the watchdog with time; every process reads an edited file again as it starts."""
STAYS = frozenset({"ENTRY_LEFT"})
"""Raised by a process as it ends."""
SILENT_NS = 35_000_000_000
"""Three repeats and a little."""
ALIVE_NS = 5_000_000_000

Key = tuple[str, str, str]


class StaleAlerts:
    """When each alert was last received, in machine ns, since the gateway began."""

    def __init__(self, began_ns: int) -> None:
        self._began_ns = began_ns
        self._received: dict[Key, int] = {}

    def receive(self, alert: Alert, machine_ns: int) -> None:
        """Note an alert that was raised or repeated."""
        self._received[alert.daemon, alert.code, alert.subject] = machine_ns

    def ended(self, alerts: Iterable[Alert], beats: Mapping[str, Heartbeat], machine_ns: int) -> list[Alert]:
        """Active alerts that their daemon, running for long enough, no longer repeats."""
        return [alert for alert in alerts if self._is_stale(alert, beats.get(alert.daemon), machine_ns)]

    def _is_stale(self, alert: Alert, beat: Heartbeat | None, machine_ns: int) -> bool:
        judged = alert.daemon in JUDGED or alert.code == EDIT_REFUSED
        if alert.cleared or beat is None or not judged or alert.code in STAYS:
            return False
        running = beat.state in (DaemonState.RUNNING, DaemonState.DEGRADED)
        if not running or machine_ns - beat.machine_ns > ALIVE_NS:
            return False
        last = self._received.get((alert.daemon, alert.code, alert.subject), self._began_ns)
        return machine_ns - max(last, beat.started_machine_ns) > SILENT_NS
