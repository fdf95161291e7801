"""The front of a journal: a short file beside the database, in which rows stand until they are moved into it.

A commit of SQLite costs the way of an order half a millisecond, most of it locks, pages and their index; what has to
happen before anything is sent is one write, and one sync where the disk must have it. The write is a copy into the
mapped file where the file system lets a file be mapped safely: what a killed process copied there stays, as with a
call, and nothing of the kernel has to be fetched into cold caches. Used by `runtime/journal`, and by readers for rows
that a killed writer left here. The one rule: a row is overwritten only once the database holds it on the disk.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from mytrading.runtime.journal_format import Row, chain, front_of

FRONT_BYTES = 1 << 20
"""Written with zeros at once: a sync has no size or place of the file to write besides."""
IN_PLACE = frozenset({"ext4", "xfs", "tmpfs"})
"""File systems that write a page of a file where it stood. One that looks for another place may find the disk full only
after the copy into a mapped file, and ends the process for it; there a call writes, and says what is wrong."""
AHEAD_BYTES = 2048
"""Behind the last record this much is made ready for the next one."""
_RECORD = struct.Struct("<II")
"""Before each record: its length and its CRC-32."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Row]).decode


class Front:
    """The writer's side: records of one or more rows, one behind the other, from the beginning again after `reset`."""

    def __init__(self, path: Path, size: int = FRONT_BYTES) -> None:
        """Write zeros over the file, made if it is not there; what stood in it must be in the database.

        Its blocks stay ours, in case the disk is full. Raises `OSError`.
        """
        self._path = path
        self._size = size
        self._at = 0
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._map: mmap.mmap | None = None
        try:
            if os.pwrite(self._file, bytes(size), 0) != size:
                raise OSError(errno.ENOSPC, f"expected room for {size} bytes", str(path))
            os.fsync(self._file)
            if file_system_of(path) in IN_PLACE:
                self._map = mmap.mmap(self._file, size)
        except OSError:
            self.remove()
            raise
        self.make_ready()

    @property
    def half_full(self) -> bool:
        """True if it is time to begin again."""
        return self._at > self._size // 2

    def append(self, rows: Sequence[Row], durable: bool, meanwhile: Callable[[], None] | None = None) -> bool:
        """Write one record; `durable` waits until the disk has it and all before it. False: there is no room for it.

        `meanwhile` is called while the disk takes a durable one, if there is room. Raises `OSError`: then the record is
        taken out again, so that nobody takes in what was never acted on, and the disk may have lost what stands before
        it.
        """
        body = _encode(rows)
        record = _RECORD.pack(len(body), zlib.crc32(body)) + body
        if self._at + len(record) > self._size:
            return False
        if durable:
            self._unmap()
        try:
            if self._map is not None:
                self._map[self._at : self._at + len(record)] = record
            else:
                self._write(record)
            if durable:
                os.posix_fadvise(self._file, self._at, len(record), os.POSIX_FADV_DONTNEED)  # the disk begins now
                if meanwhile is not None:
                    meanwhile()
                os.fdatasync(self._file)
        except OSError:
            self._take_out()
            raise
        self._at += len(record)
        return True

    def _write(self, record: bytes) -> None:
        if self._map is not None:
            self._map[self._at : self._at + len(record)] = record
        elif os.pwrite(self._file, record, self._at) != len(record):
            raise OSError(f"{self._path}: a record was cut short")

    def _unmap(self) -> None:
        """From the first record that is waited for: a disk takes a page that is not mapped 0.5 ms sooner."""
        if self._map is not None:
            self._map.close()
            self._map = None

    def make_ready(self) -> None:
        """Have the next record's pages at hand: the first copy into one that the disk has taken is a fault."""
        if self._map is not None:
            for at in (self._at, self._at + AHEAD_BYTES):
                if at < self._size:
                    self._map[at] = self._map[at]

    def _take_out(self) -> None:
        """End the file before the next record. Where even that fails, the record counts: an order of unknown fate."""
        try:
            self._write(bytes(_RECORD.size))
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self._at)

    def reset(self) -> None:
        """Write over what is there from now on: the database has it on the disk."""
        self._at = 0

    def close(self) -> None:
        """Leave the file as it is: its rows are not all in the database."""
        self._unmap()
        os.close(self._file)

    def remove(self) -> None:
        """End it: the database has everything."""
        self.close()
        self._path.unlink(missing_ok=True)


def file_system_of(path: Path) -> str:
    """The kind of file system that a file is on, as Linux names it; empty where nobody says so."""
    device = path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    with suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            words = line.split()
            if words[2] == number:
                return words[words.index("-") + 1]
    return ""


def unmoved(path: Path, seq: int, previous: bytes) -> list[Row]:
    """Rows that the front of a day file holds behind row `seq`, whose hash is `previous`; none if it has no front.

    What stands there of earlier rounds, of another past of the journal, or half written, is left out: a row counts only
    if number and hash go on from the row before it.
    """
    found: list[Row] = []
    for row in _records(front_of(path)):
        if row.seq <= seq:
            continue
        if row.seq != seq + 1 or row.hash != chain(previous, row.seq, row.stream, row.body):
            break
        found.append(row)
        seq, previous = row.seq, row.hash
    return found


def _records(front: Path) -> Iterator[Row]:
    """Every row from the first record to the first that is not whole."""
    data = b""
    with suppress(FileNotFoundError):
        data = front.read_bytes()
    at = 0
    while at + _RECORD.size < len(data):
        length, check = _RECORD.unpack_from(data, at)
        body = data[at + _RECORD.size : at + _RECORD.size + length]
        if not length or zlib.crc32(body) != check:
            return
        try:
            yield from _decode(body)
        except msgspec.DecodeError:
            return
        at += _RECORD.size + length
