"""Frames of writers that nobody asked for: counted, and told at most once a minute for each of them.

Used by `runtime/following`. The one rule: what comes often is counted, never logged each time.
"""

from __future__ import annotations

from collections.abc import Callable

TELL_NS = 60_000_000_000


class Strangers:
    """`tell(stream, writer, count)` is called with how many frames came since it was told last."""

    def __init__(self, tell: Callable[[str, str, int], None]) -> None:
        self._tell = tell
        self._untold: dict[tuple[str, str], int] = {}
        self._next_ns: dict[tuple[str, str], int] = {}

    def add(self, stream: str, writer: str, machine_ns: int) -> None:
        """Count one frame."""
        key = (stream, writer)
        self._untold[key] = self._untold.get(key, 0) + 1
        if machine_ns >= self._next_ns.get(key, 0):
            self._next_ns[key] = machine_ns + TELL_NS
            self._tell(stream, writer, self._untold.pop(key))
