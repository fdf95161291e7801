"""One process that watches another: has it fallen silent, and if so, an end of it, so that supervisor starts it anew.

Used by the gateway and the feed for the watchdog, which watches all others. The one rule: nothing is judged after a
stall of who looks, when everybody would look late.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from mytrading.runtime.lock import holder

SILENCE_NS = 5_000_000_000
STALL_NS = 1_500_000_000


class Hung:
    """Watches the process that holds the lock file `lock`. `heard` and `look` take machine time."""

    def __init__(self, lock: Path, machine_ns: int, silence_ns: int = SILENCE_NS) -> None:
        self._lock = lock
        self._silence_ns = silence_ns
        self._pid = 0
        self._heard = self._looked = machine_ns

    def heard(self, pid: int, machine_ns: int) -> None:
        """It sent a heartbeat, or said that it stops (pid 0)."""
        self._pid, self._heard = pid, machine_ns

    def look(self, machine_ns: int) -> int:
        """To be called at least once a second: the pid that was killed for its silence, else 0."""
        if machine_ns - self._looked > STALL_NS:
            self._heard = machine_ns
        self._looked = machine_ns
        pid = self._pid
        if not pid or machine_ns - self._heard <= self._silence_ns:
            return 0
        self._pid = 0
        if holder(self._lock) != str(pid):
            return 0
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return pid
