"""Has the day's instruments kept in the warehouse, by a child process, since no daemon loads DuckDB.

Part of the feed. The one rule: it is begun when the rush after a fetch is over, and nothing here ever waits for it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mytrading.runtime.clock import SECOND
from mytrading.runtime.logging import get_logger

AFTER_NS = 10 * SECOND
AGAIN_NS, AGAIN_MOST_NS = 60 * SECOND, 3600 * SECOND
MOST_NS = 120 * SECOND
"""Machine time from a fetch to the child, from one that failed to the next, and before one that hangs is ended."""

_MODULE = "mytrading.adapters.instrument_keeper"


class InstrumentKeeper:
    """Call `due` when a list was fetched, `tend` each second, and `stop` at the end."""

    def __init__(self, state: Path, after_ns: int = AFTER_NS) -> None:
        self._state = state
        self._after = after_ns
        self._log = get_logger("feed")
        self._child: subprocess.Popen[bytes] | None = None
        self._due = self._begun = self._failures = 0

    @property
    def busy(self) -> bool:
        """True while a child runs."""
        return self._child is not None

    def due(self, machine_ns: int) -> None:
        """The list of a day was written."""
        self._due = machine_ns + self._after

    def tend(self, machine_ns: int) -> None:
        """Begin what is due, and see whether the last child ended."""
        if self._child is not None:
            self._look(self._child, machine_ns)
        elif 0 < self._due <= machine_ns:
            self._due, self._begun = 0, machine_ns
            self._begin(machine_ns)

    def _begin(self, machine_ns: int) -> None:
        command = [sys.executable, "-m", _MODULE, str(self._state)]
        try:
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
        except OSError as error:
            self._failed(str(error), machine_ns)

    def _look(self, child: subprocess.Popen[bytes], machine_ns: int) -> None:
        if child.poll() is None:
            if machine_ns - self._begun > MOST_NS:
                child.kill()
            return
        _, said = child.communicate()
        self._child = None
        if child.returncode:
            self._failed(said.decode(errors="replace").strip()[-300:] or f"exit code {child.returncode}", machine_ns)
        else:
            self._failures = 0
            self._log.info("instruments.kept")

    def _failed(self, problem: str, machine_ns: int) -> None:
        self._due = machine_ns + min(AGAIN_NS << min(self._failures, 8), AGAIN_MOST_NS)
        self._failures += 1
        self._log.warning(
            "instruments.not_kept", problem=problem, next_step="tried again; `mytrading instruments save`"
        )

    def stop(self) -> None:
        """End a child that still runs; the next start of the feed begins another."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None
