"""Disk that a journal owns before it needs it, so that exits can still be journaled when the disk is full.

The write-ahead log is made longer than it needs to be: SQLite takes the zeros behind its frames for no frames and
writes over them, in blocks that nobody else can have. A reserve that is given back to the file system would be gone to
whichever program writes first. Only where the log cannot hold it (a file system that writes each block to a new place,
or a reserve above one page of the log's index) is the rest a file, which is removed for a row that must be written.
Used by `runtime/journal`, and for the feed's bars and the simulator's books. The one rule: what is aside stays ours.
"""

from __future__ import annotations

import os
from pathlib import Path

from mytrading.runtime.journal_front import IN_PLACE, file_system_of

LOG_BYTES = 4 << 20
"""The log's own length: a commit that need not lengthen its file is a fifth quicker."""
LOG_SHARE = 64
"""Unless that would take more than this part of the disk's free space."""
MOST_LOG_BYTES = 16 << 20
"""Above 4,062 frames of 4,120 bytes SQLite lengthens the log's index, a file of its own that a full disk may refuse."""


class Reserve:
    """`size` bytes for the day file `path`. `spent`: they are not aside; `tight`: little else was left at last look."""

    def __init__(self, path: Path, size: int) -> None:
        self._log = path.with_name(f"{path.name}-wal")
        self._file = path.with_name(".reserve")
        self.size = size
        in_place = file_system_of(path) in IN_PLACE
        self._in_log = min(size, MOST_LOG_BYTES - LOG_BYTES)
        self._in_file = size - self._in_log if in_place else size
        self.tight = False
        self.spent = not self._set_aside()

    def release(self) -> bool:
        """Give up what the log does not hold; false if there was nothing."""
        if not self._file.exists():
            return False
        self._file.unlink()
        self.spent = True
        return True

    def look(self) -> None:
        """See how much disk is left, and set a spent reserve aside again once there is room."""
        free = _free(self._log.parent)
        if self.spent and free > 2 * self.size:
            self.spent = not self._set_aside()
        self.tight = free < self.size // 4

    def _set_aside(self) -> bool:
        own = LOG_BYTES if _free(self._log.parent) // LOG_SHARE > LOG_BYTES else 0
        if not self._in_file:
            self._file.unlink(missing_ok=True)
        held = _lengthen(self._log, own + self._in_log, written=own)
        return held and (not self._in_file or _lengthen(self._file, self._in_file))


def _lengthen(path: Path, size: int, written: int = 0) -> bool:
    """Let a file have `size` bytes of the disk, the first `written` of them as zeros that need no more metadata.

    False, with the file as it was, where the disk has no such room.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    before = os.fstat(descriptor).st_size
    try:
        if before < size:
            os.posix_fallocate(descriptor, before, size - before)
            if before < written:
                os.pwrite(descriptor, bytes(written - before), before)
            os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, before)
        return False
    finally:
        os.close(descriptor)
    return True


def _free(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize
