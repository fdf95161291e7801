"""A file that is read again while the simulator serves, once it was edited. An unusable file changes nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

LOOK_S = 0.5


class EditedFile:
    """Calls `read` when the file has changed; `unchanged` says what goes on to hold where it cannot be used.

    `read` applies the whole file, or raises `OSError` or `ValueError` and changes nothing.
    """

    def __init__(self, path: Path, unchanged: str, read: Callable[[], None]) -> None:
        self._path = path
        self._unchanged = unchanged
        self._read = read
        self._stamp = self._stamp_now()

    async def run(self) -> None:
        """Call `look` at intervals until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Read the file if it changed; an unusable one is reported on stderr."""
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._read()
        except (OSError, ValueError) as error:
            sys.stderr.write(f"{error}; {self._unchanged}\n")

    def _stamp_now(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0)
        return (found.st_mtime_ns, found.st_size)
