"""One process that watches another: has it fallen silent, and if so, an end of it, so that supervisor starts it again.

Used by the watchdog for all others, and by the gateway and the feed for the watchdog. Time in which a process was ready
to run and had no core is not silence: on a machine with too much to do, an end of it would only add a start. The one
rule: nothing is judged after a stall of who looks, when everybody would look late.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from mytrading.runtime.lock import holder

SILENCE_NS = 5_000_000_000
STALL_NS = 1_500_000_000
SUSPECT_NS = 1_500_000_000
"""From so long a silence on it is asked how much of it was waiting for a core."""
MOST_NS = 120_000_000_000
"""Whatever it waited for: a process that comes to nothing for so long is of no use."""


def waited_for_core(pid: int) -> int:
    """Nanoseconds for which the threads of a process were ready to run and had no core; 0 where Linux does not say."""
    total = 0
    for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError, ValueError, IndexError):
            total += int(file.read_text(encoding="ascii").split()[1])
    return total


def waits_begun(pid: int) -> int:
    """How often the first thread of a process has begun to wait for something; 0 where Linux does not say."""
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                return int(line.split()[1])
    return 0


class Silence:
    """How long a process of one name has not said what it could have said."""

    def __init__(self) -> None:
        self._since: tuple[int, int] = (0, 0)
        self._waited = 0

    def of(self, pid: int, heard_ns: int, machine_ns: int) -> int:
        """Nanoseconds since its last heartbeat, less the wait for a core; to be asked at least once a second."""
        silent = machine_ns - heard_ns
        if silent <= SUSPECT_NS:
            return silent
        if self._since != (pid, heard_ns):
            self._since, self._waited = (pid, heard_ns), waited_for_core(pid)
        return silent if silent > MOST_NS else silent - max(waited_for_core(pid) - self._waited, 0)


class Hung:
    """Watches the process that holds the lock file `lock`. `heard` and `look` take machine time."""

    def __init__(self, lock: Path, machine_ns: int, silence_ns: int = SILENCE_NS) -> None:
        self._lock = lock
        self._silence_ns = silence_ns
        self._pid = 0
        self._silence = Silence()
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
        if not pid or self._silence.of(pid, self._heard, machine_ns) <= self._silence_ns:
            return 0
        self._pid = 0
        if holder(self._lock) != str(pid):
            return 0
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return pid
