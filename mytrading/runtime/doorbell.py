"""Waking a poll loop from another thread, or from a signal: a pipe that the loop polls beside its sockets.

Used by the daemons' harness. The one rule: a ring never blocks, and many rings may count as one.
"""

from __future__ import annotations

import os


class Doorbell:
    """Wakes the poll loop from another thread. Budget: 2 µs a ring."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def fileno(self) -> int:
        """The descriptor that becomes readable."""
        return self._read

    @property
    def write_fd(self) -> int:
        """Where `signal.set_wakeup_fd` writes."""
        return self._write

    def ring(self) -> None:
        """Make the loop run its wake handlers; safe from any thread and when already rung."""
        try:
            os.write(self._write, b"!")
        except BlockingIOError:
            return  # full of rings that nobody heard yet

    def silence(self) -> None:
        """Take back all rings so far."""
        try:
            os.read(self._read, 4096)  # what is left of more rings only rings again
        except BlockingIOError:
            return
