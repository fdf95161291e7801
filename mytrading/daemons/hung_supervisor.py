"""Who watches supervisor, the parent of all: the watchdog, and behind it the gateway.

A supervisor that is stopped or blocked starts nobody again, and nothing else shows it. It sends no heartbeat, but its
loop waits ten times a second, and the kernel counts that. One that began no wait for five seconds, in which waiting for
a core does not count, is killed: every daemon ends, and those with the run's key start another. The one rule: a stack
that is being stopped on purpose is left alone.
"""

from __future__ import annotations

from mytrading.messages.runconfig import RunConfig
from mytrading.runtime import supervision
from mytrading.runtime.clock import SECOND, machine_now
from mytrading.runtime.hung import Hung, waits_begun
from mytrading.runtime.logging import get_logger


class SupervisorGuard:
    """Kills a supervisor whose loop stands for `silence_ns` of machine time."""

    def __init__(self, config: RunConfig, silence_ns: int) -> None:
        self._config = config
        self._hung = Hung(supervision.lock_path(config), machine_now(), silence_ns)
        self._silence_ns = silence_ns
        self._seen = (0, 0)
        self._log = get_logger("watchdog")

    def look(self, machine_ns: int) -> None:
        """To be called at least once a second. `SUPERVISOR_LOST` is raised by the gateway, as after any end of it."""
        pid = 0 if supervision.is_stopping(self._config.state) else supervision.supervisor_pid(self._config)
        seen = (pid, waits_begun(pid) if pid else 0)
        if seen != self._seen:
            self._seen = seen
            self._hung.heard(pid if seen[1] else 0, machine_ns)
        if killed := self._hung.look(machine_ns):
            self._log.critical(
                "supervisor.hung", pid=killed, silent_s=self._silence_ns // SECOND, next_step="killed, a new one starts"
            )
