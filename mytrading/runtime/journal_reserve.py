"""Disk that a journal keeps aside, so that exits can still be journaled when it is full.

Used by `runtime/journal`. The one rule: a reserve that was given up is set aside again only with room to spare.
"""

from __future__ import annotations

import os
from pathlib import Path

from mytrading.runtime.journal_format import make_reserve


class Reserve:
    """`size` bytes in a folder. `spent`: they are not aside; `tight`: little else was left at the last look."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self._size = size
        self.spent = not make_reserve(folder, size)
        self.tight = False

    def release(self) -> bool:
        """Give it up; false if there was none."""
        reserve = self._folder / ".reserve"
        if not reserve.exists():
            return False
        reserve.unlink()
        self.spent = True
        return True

    def look(self) -> None:
        """See how much disk is left, and set a spent reserve aside again once there is room."""
        status = os.statvfs(self._folder)
        free = status.f_bavail * status.f_frsize
        if self.spent and free > 2 * self._size:
            self.spent = not make_reserve(self._folder, self._size)
        self.tight = free < self._size // 4
