"""The day file that is being written: frames are added behind its end, in space allocated in advance.

A frame is one write, and one sync of the data where it is durable. The space behind the end is allocated, so that exits
can be journaled while the disk is full, and its next megabyte written with zeros, so that a sync writes no metadata.
Where a file system writes each block to a new place (btrfs, ZFS) a spare file is deleted for a frame instead.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from mytrading.adapters.storage.disk_reserve import SpareFile, free_bytes, write_cure, writes_in_place
from mytrading.runtime.journal import format as fmt

AHEAD_BYTES = 1 << 20
"""So much behind the end is written with zeros."""
SYNC_EVERY = 400
"""Frames that a power cut may take, of a writer that waits for the disk with none of them."""
_ZEROS = bytes(64 << 10)


def data_behind(file: int, end: int) -> bytes:
    """Return what an open file has behind byte `end`, without the zeros at its end: room for later frames."""
    stop = os.fstat(file).st_size
    while stop > end:
        start = max(stop - len(_ZEROS), end)
        block = os.pread(file, stop - start, start)
        if block != _ZEROS[: len(block)]:  # compared as a whole: megabytes of room are passed over in a millisecond
            return os.pread(file, start - end, end) + block.rstrip(b"\0")
        stop = start
    return b""


class SegmentWriter:
    """One file, one thread. `spent`: less than the reserve is allocated; `tight`: the disk had little left at last."""

    def __init__(self, path: Path, end: int, reserve_bytes: int) -> None:
        """Open a file whose last whole frame ends at byte `end`: what stands behind it is written over with zeros.

        Raises `JournalUnavailable`.
        """
        self.path = path
        self.end = end
        self.reserve_bytes = reserve_bytes
        self.tight = False
        self._in_place = writes_in_place(path)
        self._spare = SpareFile(path.with_name(".reserve"), reserve_bytes)
        self._allocated = self._zeroed = self._synced = end
        self._unsynced = 0
        self._rests = False
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                status = os.fstat(self._file)
                if status.st_blocks * 512 >= status.st_size:  # else it was copied by a program that leaves holes
                    self._allocated = status.st_size
                # of a frame that a killed process wrote half, or behind a gap of a power cut
                if left := data_behind(self._file, end):
                    os.pwrite(self._file, bytes(len(left)), end)
                self.spent = not self._extend()
                os.fdatasync(self._file)
            except OSError:
                os.close(self._file)
                raise
        except OSError as error:
            raise unavailable_error(path, error) from error

    def append(
        self,
        kind: bytes,
        content: fmt.SegmentHead | fmt.Seal | Sequence[fmt.Row] | None,
        durable: bool = False,
        meanwhile: Callable[[], None] | None = None,
    ) -> None:
        """Append one frame of type `kind` with its head, seal or rows; `durable` waits until the disk has the file up
        to it, and calls `meanwhile` during the wait. Raises `JournalFull`; then the frame is taken out again, so that
        nobody reads it."""
        record = fmt.encode_frame(kind, content, self._synced)
        end = self.end + len(record)
        try:
            if end > self._allocated or os.pwrite(self._file, record, self.end) != len(record):
                self._write_where_room_is_short(record)
            if durable:
                os.posix_fadvise(self._file, self.end, len(record), os.POSIX_FADV_DONTNEED)  # the disk begins now
                if meanwhile is not None:
                    meanwhile()
                self._sync(end)
        except OSError as error:
            self._take_out()
            raise fmt.JournalFull(f"{self.path}: {error}; {write_cure(self.path, error)}") from error
        self.end = end
        self._unsynced = 0 if durable else self._unsynced + 1
        self._rests = kind == fmt.REST

    def sync_if_due(self) -> None:
        """Sync the file if many frames are not on the disk yet; call it about once a second. Raises `JournalDamaged` if
        the file was removed or moved."""
        if not self.path.exists():
            raise fmt.JournalDamaged(f"{self.path}: the file was removed while it was being written")
        if self._unsynced >= SYNC_EVERY:
            with suppress(OSError):
                self._sync(self.end)
                self._unsynced = 0

    def measure_disk(self) -> None:
        """Measure the free disk space and set `tight`; allocate the reserve again where it can be, and set `spent`."""
        free = free_bytes(self.path.parent)
        if not self.spent or free > 2 * self.reserve_bytes:
            self.spent = not self._extend()
        self.tight = free < self.reserve_bytes // 4

    def mark_synced(self) -> None:
        """Sync everything and append a marker frame: bytes before it that change later count as damage."""
        if not self._rests:
            with suppress(OSError, fmt.JournalFull):
                self._sync(self.end)
                self._unsynced = 0
                self.append(fmt.REST, None)

    def close(self, *, cut: bool = False) -> None:
        """Close the file; `cut` drops the space allocated behind its end, which else stays for the next start."""
        self.mark_synced()
        if cut:
            with suppress(OSError):
                os.ftruncate(self._file, self.end)
        os.close(self._file)

    def _write_where_room_is_short(self, record: bytes) -> None:
        """Write behind what is allocated, or beside a spare file, which is released for it; raises `OSError`."""
        if self._in_place:
            os.posix_fallocate(self._file, self.end, len(record))
            self._allocated = self.end + len(record)
            written = os.pwrite(self._file, record, self.end)
        else:
            try:
                written = os.pwrite(self._file, record, self.end)
            except OSError:
                written = 0
            if written != len(record) and self._spare.delete():
                self.spent = True
                written = os.pwrite(self._file, record, self.end)
        if written != len(record):
            raise OSError(errno.ENOSPC, "a frame was cut short")

    def _sync(self, end: int) -> None:
        """Sync everything up to byte `end`, writing it once more if that fails: the kernel takes pages for clean that
        it could not write."""
        try:
            os.fdatasync(self._file)
        except OSError:
            data = os.pread(self._file, end - self._synced, self._synced)
            if not _is_whole(data):
                raise
            os.pwrite(self._file, data, self._synced)
            os.fdatasync(self._file)
        self._synced = end

    def _take_out(self) -> None:
        """End the file before the next frame. Where even that fails the frame counts: an order of unknown fate."""
        try:
            os.pwrite(self._file, bytes(fmt.FRAME_BYTES), self.end)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self.end)
                self._allocated = self._zeroed = self.end

    def _extend(self) -> bool:
        """Own the disk space of the reserve; false where there is no such room."""
        if not self._in_place:
            return self._spare.create()
        want = self.end + AHEAD_BYTES + self.reserve_bytes
        try:
            if self._allocated < want - AHEAD_BYTES // 2:
                os.posix_fallocate(self._file, self.end, want - self.end)
                self._allocated = want
            if self._zeroed < self.end + AHEAD_BYTES // 2 <= self._allocated:
                at = max(self._zeroed, self.end)
                os.pwrite(self._file, bytes(AHEAD_BYTES), at)
                os.posix_fadvise(self._file, at, AHEAD_BYTES, os.POSIX_FADV_DONTNEED)
                self._zeroed = at + AHEAD_BYTES
        except OSError:
            pass
        return self._allocated >= self.end + self.reserve_bytes


def write_new_segment(
    path: Path, head: fmt.SegmentHead, commits: Iterable[Sequence[fmt.Row] | fmt.Seal] = ()
) -> tuple[Path, int]:
    """Write a new day file (its head, then a frame per entry of `commits`) under a temporary name; returns that path
    and the byte at which the file ends. Raises `JournalFull` when the disk takes no new file."""
    made = path.with_name(f".{path.name}")
    try:
        made.unlink(missing_ok=True)
        with open(made, "xb", opener=lambda name, flags: os.open(name, flags | os.O_CLOEXEC, 0o600)) as file:
            file.write(fmt.first_bytes(head))
            for commit in commits:
                file.write(fmt.encode_frame(fmt.SEAL if isinstance(commit, fmt.Seal) else fmt.ROWS, commit, 0))
            file.flush()
            os.fsync(file.fileno())
            file.write(fmt.encode_frame(fmt.REST, None, file.tell()))
            end = file.tell()
    except OSError as error:
        raise fmt.JournalFull(f"{made}: {error}; {write_cure(made, error)}") from error
    return made, end


def unavailable_error(path: Path, error: OSError) -> fmt.JournalUnavailable:
    """Return (not raise) the error for a day file that the system cannot read or write now, though it may be whole."""
    return fmt.JournalUnavailable(f"{path}: {error.strerror}; see that the disk has room and the file may be written")


def _is_whole(data: bytes) -> bool:
    """True if these bytes are frames to their very end."""
    at = 0
    while at < len(data):
        frame = fmt.decode_frame(data, at, at)
        if not isinstance(frame, fmt.JournalFrame):
            return False
        at = frame.end
    return True
