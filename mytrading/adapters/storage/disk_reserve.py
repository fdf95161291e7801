"""Disk space owned before it is needed, so that what must be written on a full disk still can be.

Space that is returned to the file system goes to whichever program writes first, so a reserve is part of the very
file that needs it: SQLite takes zeros behind the frames of its write-ahead log for no frames and writes over them. That
works on file systems that write a block where it stood; on others only a file that is deleted in time of need can help.
Used for the feed's bars, the simulator's books and, with `SpareFile`, for journals.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

IN_PLACE = frozenset({"ext4", "xfs", "tmpfs"})
"""File systems that write a block of a file where it stood, so that allocated space stays usable on a full disk."""
LOG_BYTES = 4 << 20
"""The log's own length: a commit that need not lengthen its file is a fifth quicker."""
LOG_SHARE = 64
"""Unless that would take more than this part of the disk's free space."""
MOST_LOG_BYTES = 16 << 20
"""Above 4,062 frames of 4,120 bytes SQLite lengthens the log's index, a file of its own that a full disk may refuse."""


class LogReserve:
    """`size` bytes behind the write-ahead log of an SQLite file. `spent` while they are not there."""

    def __init__(self, path: Path, size: int) -> None:
        self._log = path.with_name(f"{path.name}-wal")
        self._size = min(size, MOST_LOG_BYTES - LOG_BYTES)
        self.spent = not self._set_aside()

    def refill(self) -> None:
        """Reserve the disk space again, if it was used up (`spent`) and the disk has room."""
        if self.spent and free_bytes(self._log.parent) > 2 * self._size:
            self.spent = not self._set_aside()

    def _set_aside(self) -> bool:
        own = LOG_BYTES if free_bytes(self._log.parent) // LOG_SHARE > LOG_BYTES else 0
        return lengthen(self._log, own + self._size, written=own)


class SpareFile:
    """`size` bytes in a file that is deleted for a row that must be written."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size

    def create(self) -> bool:
        """Create the spare file if it is not there; False if the disk has no room for it."""
        return lengthen(self._path, self._size)

    def delete(self) -> bool:
        """Delete the spare file to free its space; False if there was none."""
        with suppress(OSError):
            self._path.unlink()
            return True
        return False


def lengthen(path: Path, size: int, written: int = 0) -> bool:
    """Allocate disk space for a file up to `size` bytes and write zeros up to `written`; False, file unchanged, if the
    disk is full."""
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


def free_bytes(folder: Path) -> int:
    """Return the free bytes of the disk that holds a folder."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def write_cure(path: Path, error: OSError) -> str:
    """Return what an operator does about a file that the system refused to write: free space, files, or a mount.

    A file system that has space and takes no new file has no inodes left; `df` shows them with `-i` alone.
    """
    folder = path.parent
    if error.errno == errno.EROFS:
        return f"{_mount_of(folder)} is mounted read-only: mount it for writing"
    if error.errno == errno.EDQUOT:
        return f"the quota of its user on {_mount_of(folder)} is used up: free space there"
    with suppress(OSError):
        status = os.statvfs(folder)
        if error.errno == errno.ENOSPC and status.f_files and not status.f_favail and status.f_bavail:
            return f"{_mount_of(folder)} has space but no inodes left (`df -i`): delete files there, say old logs"
    return "free disk space" if error.errno == errno.ENOSPC else "see that the disk works and the file may be written"


def _mount_of(folder: Path) -> str:
    """The folder at which the file system of `folder` is mounted; `folder` itself where the system does not tell."""
    whole, found = folder.resolve(), ""
    with suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            place = line.split()[4].replace("\\040", " ")
            if whole.is_relative_to(place) and len(place) >= len(found):
                found = place
    return found or str(folder)


def writes_in_place(path: Path) -> bool:
    """True if a file's file system overwrites blocks in place (no copy-on-write); False also if unknown."""
    device = path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    with suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            words = line.split()
            if words[2] == number:
                return words[words.index("-") + 1] in IN_PLACE
    return False
