"""Alerts whose daemon says them no more: it was killed while they stood, and its successor knows nothing of them.

Used by the gateway, which keeps what stands. Each daemon repeats what stands every ten seconds. The one rule: silence
ends an alert only where its daemon is alive, looks at what the alert is about by itself, and was heard meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mytrading.messages.control import Alert, Heartbeat
from mytrading.messages.enums import DaemonState
from mytrading.runtime.edited import CODE as EDIT_REFUSED

JUDGED = frozenset({"feed", "risk", "router", "reconciler"})
"""Who raises again what still is so. The engine's faults end when their strategy starts, the watchdog's with time; an
edited file is read again by everybody who starts."""
STAYS = frozenset({"ENTRY_LEFT"})
"""Said by a process with its last breath."""
SILENT_NS = 35_000_000_000
"""Three repeats and a little."""
ALIVE_NS = 5_000_000_000

Key = tuple[str, str, str]


class Silences:
    """When each alert was last heard, in machine ns, since the gateway began."""

    def __init__(self, began_ns: int) -> None:
        self._began_ns = began_ns
        self._heard: dict[Key, int] = {}

    def heard(self, alert: Alert, machine_ns: int) -> None:
        """It was said, first or again."""
        self._heard[alert.daemon, alert.code, alert.subject] = machine_ns

    def over(self, alerts: Iterable[Alert], beats: Mapping[str, Heartbeat], machine_ns: int) -> list[Alert]:
        """Standing alerts that their daemon, running for long enough, does not say any more."""
        return [alert for alert in alerts if self._over(alert, beats.get(alert.daemon), machine_ns)]

    def _over(self, alert: Alert, beat: Heartbeat | None, machine_ns: int) -> bool:
        judged = alert.daemon in JUDGED or alert.code == EDIT_REFUSED
        if alert.cleared or beat is None or not judged or alert.code in STAYS:
            return False
        running = beat.state in (DaemonState.RUNNING, DaemonState.DEGRADED)
        if not running or machine_ns - beat.machine_ns > ALIVE_NS:
            return False
        last = self._heard.get((alert.daemon, alert.code, alert.subject), self._began_ns)
        return machine_ns - max(last, beat.started_machine_ns) > SILENT_NS
