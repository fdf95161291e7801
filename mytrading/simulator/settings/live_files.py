"""A file that is looked at again while the simulator serves, and read when someone has edited it.

A file that cannot be used changes nothing, and says why.
"""

from __future__ import annotations

import asyncio
import sys
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mytrading.core.calendar import Calendar

LOOK_S = 0.5


class EditedFile(ABC):
    """Calls `read` when the file has changed; `stays` says in words what holds on where it cannot be read."""

    def __init__(self, path: Path, stays: str) -> None:
        self._path = path
        self._stays = stays
        self._stamp = self._stamp_now()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Follow the file if it changed."""
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.read()
        except (OSError, ValueError) as error:
            sys.stderr.write(f"{error}; {self._stays}\n")

    @abstractmethod
    def read(self) -> None:
        """Take all of the file, or raise `OSError` or `ValueError` and change nothing."""

    def _stamp_now(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0)
        return (found.st_mtime_ns, found.st_size)


class CalendarFile(EditedFile):
    """`calendar.toml`, as the daemons of the stack follow it. A market that was made for today keeps today's ticks."""

    def __init__(self, path: Path, calendar: Calendar, made: Callable[[dict[str, Any]], Calendar]) -> None:
        super().__init__(path, f"what {path} said before holds")
        self._calendar = calendar
        self._made = made

    def read(self) -> None:
        """Have all who hold the calendar see what the file says now."""
        self._calendar.take(self._made(tomllib.loads(self._path.read_text(encoding="utf-8"))))
