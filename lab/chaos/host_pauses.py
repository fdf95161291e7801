"""Notices when the machine itself stands still: a thread that wakes ten times a second and did not for seconds.

Whoever else uses the machine may stop all that runs here, simulator and judge included; what takes long then says
nothing of the stack. A pause is noted with its length, named in the report, and excuses no more than a machine that is
starved on purpose.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from mytrading.runtime.host.clock import machine_now

PAUSE = "pause"
_EVERY_S = 0.1
LONGEST_NS = 2_000_000_000
"""Longer than a thread that only sleeps waits for a core, with every process of a burst starting at once."""


class Running:
    """Seconds since it was made, without pauses of the machine: what falls due in one is not to be done in a heap."""

    def __init__(self, now: Callable[[], int] = machine_now) -> None:
        self._now = now
        self._last = now()
        self._ran = 0

    def seconds(self) -> float:
        """To be asked at least once a second."""
        now = self._now()
        if now - self._last <= LONGEST_NS:
            self._ran += now - self._last
        self._last = now
        return self._ran / 1e9


class Pauses:
    """Calls `note(began_ns, seconds)` for each pause of the whole machine, until it is stopped."""

    def __init__(self, note: Callable[[int, float], None], now: Callable[[], int] = machine_now) -> None:
        self._note = note
        self._now = now
        self._last = now()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pauses", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._last = self._now()
        self._thread.start()

    def stop(self) -> None:
        """Watch no more; nothing to be done for one that never began."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def look(self) -> None:
        """Note how long it was since the last look, if that was too long."""
        now = self._now()
        if now - self._last > LONGEST_NS:
            self._note(self._last, (now - self._last) / 1e9)
        self._last = now

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY_S):
            self.look()
