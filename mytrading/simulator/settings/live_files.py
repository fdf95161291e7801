"""A file that is read again while the simulator serves, once it was edited. An unusable file changes nothing."""

from __future__ import annotations

import asyncio
import sys
from abc import ABC, abstractmethod
from pathlib import Path

LOOK_S = 0.5


class EditedFile(ABC):
    """Calls `read` when the file has changed; `unchanged` says what goes on to hold where it cannot be used."""

    def __init__(self, path: Path, unchanged: str) -> None:
        self._path = path
        self._unchanged = unchanged
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
            self.read()
        except (OSError, ValueError) as error:
            sys.stderr.write(f"{error}; {self._unchanged}\n")

    @abstractmethod
    def read(self) -> None:
        """Apply the whole file, or raise `OSError` or `ValueError` and change nothing."""

    def _stamp_now(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0)
        return (found.st_mtime_ns, found.st_size)
