"""Hang checks: a process without a heartbeat for too long is killed, waits for a core left out.

Nothing is judged after a stall of the watching process itself, when all heartbeats look late.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from mytrading.core.time import SECOND
from mytrading.messages.control import Heartbeat
from mytrading.messages.enums import DaemonState, Severity
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.host.run_info import is_supervised
from mytrading.runtime.observability.alerts import Alerts
from mytrading.runtime.observability.logging import get_logger
from mytrading.runtime.supervision import control
from mytrading.runtime.supervision.instance_lock import holder

SILENCE_NS = 5_000_000_000
STALL_NS = 1_500_000_000
SUSPECT_NS = 1_500_000_000
"""A longer silence is looked into: how much of it was a wait for a core."""
MOST_NS = 120_000_000_000
"""The longest silence, whatever the process waited for."""


def core_wait_ns(pid: int) -> int:
    """Nanoseconds for which the threads of a process were ready to run and had no core; 0 where Linux does not say."""
    total = 0
    for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError, ValueError, IndexError):
            total += int(file.read_text(encoding="ascii").split()[1])
    return total


def count_waits(pid: int) -> int:
    """Return how often the first thread of a process has begun to wait; 0 where Linux does not say."""
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                return int(line.split()[1])
    return 0


class Silence:
    """Timer of a process's silence, without the time that it waited for a core."""

    def __init__(self) -> None:
        self._since: tuple[int, int] = (0, 0)
        self._waited = 0

    def silent_ns(self, pid: int, heartbeat_ns: int, machine_ns: int) -> int:
        """Return ns since the last heartbeat, less waits for a core; `machine_ns` is now. Call each second."""
        silent = machine_ns - heartbeat_ns
        if silent <= SUSPECT_NS:
            return silent
        if self._since != (pid, heartbeat_ns):
            self._since, self._waited = (pid, heartbeat_ns), core_wait_ns(pid)
        return silent if silent > MOST_NS else silent - max(core_wait_ns(pid) - self._waited, 0)


class HangKiller:
    """Watches the process that holds the lock file `lock`. `on_heartbeat` and `check` take machine time."""

    def __init__(self, lock: Path, machine_ns: int, silence_ns: int = SILENCE_NS) -> None:
        self._lock = lock
        self._silence_ns = silence_ns
        self._pid = 0
        self._silence = Silence()
        self._heartbeat_ns = self._checked_ns = machine_ns

    def on_heartbeat(self, pid: int, machine_ns: int) -> None:
        """Record a heartbeat of process `pid` at a machine time; pid 0 says that it is stopping, and is not killed."""
        self._pid, self._heartbeat_ns = pid, machine_ns

    def check(self, machine_ns: int) -> int:
        """Kill the process if silent for too long at `machine_ns` (now); return its pid, else 0. Call each second."""
        if machine_ns - self._checked_ns > STALL_NS:
            self._heartbeat_ns = machine_ns
        self._checked_ns = machine_ns
        pid = self._pid
        if not pid or self._silence.silent_ns(pid, self._heartbeat_ns, machine_ns) <= self._silence_ns:
            return 0
        self._pid = 0
        if holder(self._lock) != str(pid):
            return 0
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return pid


class SupervisorGuard:
    """Kills a supervisor whose loop stands for `silence_ns` of machine time."""

    def __init__(self, config: RunConfig, silence_ns: int) -> None:
        self._config = config
        self._hung = HangKiller(control.lock_path(config), machine_now(), silence_ns)
        self._silence_ns = silence_ns
        self._seen = (0, 0)
        self._log = get_logger("watchdog")

    def check(self, machine_ns: int) -> None:
        """Kill supervisor if its loop hangs at `machine_ns` (now); call each second. The gateway alerts its end."""
        pid = 0 if control.is_stopping(self._config.state) else control.supervisor_pid(self._config.state)
        seen = (pid, count_waits(pid) if pid else 0)
        if seen != self._seen:
            self._seen = seen
            self._hung.on_heartbeat(pid if seen[1] else 0, machine_ns)
        if killed := self._hung.check(machine_ns):
            self._log.critical(
                "supervisor.hung", pid=killed, silent_s=self._silence_ns // SECOND, next_step="killed, a new one starts"
            )


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
        self._hung = HangKiller(self._lock, machine_now(), silence_ns)
        self._there = machine_now()
        self._alerts = alerts
        self._silence_ns = silence_ns

    def on_heartbeat(self, beat: Heartbeat) -> None:
        """Record a heartbeat of the watchdog, and clear the alert of its hanging."""
        self._hung.on_heartbeat(0 if beat.state is DaemonState.STOPPING else beat.pid, machine_now())
        self._alerts.clear(CODE, NAME)

    def check(self, machine_ns: int) -> None:
        """Kill a hanging watchdog and raise an alert; alert one that does not run. Call at least once a second."""
        if pid := self._hung.check(machine_ns):
            text = f"watchdog (pid {pid}) sent no heartbeat for {self._silence_ns // SECOND} s: killed, starts again"
            self._alerts.raise_(CODE, Severity.CRITICAL, NAME, text)
        if not is_supervised() or holder(self._lock) is not None or control.is_stopping(self._state):
            self._there = machine_ns
            self._alerts.clear(STOPPED, NAME)
        elif machine_ns - self._there > ABSENT * self._silence_ns:
            text = "watchdog does not run, so no hung daemon is ended; see `mytrading logs watchdog`, then start again"
            self._alerts.raise_(STOPPED, Severity.CRITICAL, NAME, text)
