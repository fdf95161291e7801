"""SQLite files of several processes that stay usable while the disk has no room, over a close and a start.

SQLite removes the log of a database (`-wal`) when the last connection is closed, and cuts its index (`-shm`) down when
the first one is opened; on a full disk whoever writes first has these blocks. Here the log is left where it is while
the disk is low, and the index is kept at its size. A start needs no byte that the run before it had.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import sqlite3
import struct
import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from weakref import WeakSet

from mytrading.adapters.storage.disk_reserve import free_bytes

ROOM = 1 << 30
"""With less than this free a log is left behind: a close and the next start are seconds apart."""
INDEX_BYTES = 32 << 10
"""One page of the log's index."""
_FIRST_BYTE = 128
"""SQLite's processes share a lock on this byte of the index; who finds it free takes the index for a dead one's."""
_Kind = TypeVar("_Kind", bound="Reader")
_guard = threading.RLock()  # a connection that is dropped may be collected anywhere
_held: dict[tuple[int, int], _Held] = {}
"""By device and inode of an index."""
_open: WeakSet[Writer] = WeakSet()


@dataclass(slots=True)
class _Held:
    """The descriptor that holds an index, and for how many connections of this process."""

    descriptor: int
    connections: int = 0


class Reader(sqlite3.Connection):
    """A connection; as long as it lasts, no other one cuts the index down."""

    index: tuple[int, int] | None = None

    def close(self) -> None:
        """Close; the last writable connection makes SQLite fold the write-ahead log into the file."""
        super().close()
        if self.index is not None:
            _let_go(self.index)
            self.index = None


class Writer(Reader):
    """A connection that writes. One that is dropped without a close is left as `close_keeping_log` does."""

    path: Path | None = None
    """None once it is closed."""

    def close(self) -> None:
        super().close()
        self.path = None

    def close_keeping_log(self) -> None:
        """Close, but keep the write-ahead log while the disk is low, by closing a read-only connection last."""
        if self.path is None or not is_disk_low(self.path):
            self.close()
            return
        with closing(open_to_read(self.path)) as last:
            with suppress(sqlite3.Error):
                last.execute("SELECT count(*) FROM sqlite_master").fetchone()
            self.close()

    def __del__(self) -> None:
        with suppress(OSError, sqlite3.Error):
            self.close_keeping_log()


def open_to_read(path: Path) -> Reader:
    """Open an SQLite file for reading, in autocommit mode. Raises `sqlite3.Error`."""
    return _connected(f"file:{path}?mode=ro", _hold(path), Reader)


def open_to_write(path: Path) -> Writer:
    """Open an SQLite file for writing, and create it if need be. Raises `sqlite3.Error`."""
    db = _connected(str(path), _hold(path, make=True), Writer)
    db.path = path
    _open.add(db)
    return db


def is_disk_low(path: Path) -> bool:
    """True if the disk of an SQLite file has under `ROOM` bytes free, too few to fold its write-ahead log in."""
    return free_bytes(path.parent) < ROOM


def _connected(address: str, index: tuple[int, int] | None, kind: type[_Kind]) -> _Kind:
    try:
        db = sqlite3.connect(address, uri=True, isolation_level=None, factory=kind)
    except sqlite3.Error:
        if index is not None:
            _let_go(index)
        raise
    db.index = index
    return db


def _hold(path: Path, make: bool = False) -> tuple[int, int] | None:
    """Have a lock of our own on the index while connections last, so that SQLite does not find it free.

    Closing any descriptor of a file ends all of SQLite's locks on it, so there is one for all, which goes last. None
    where there is no index, or it may not be written: then SQLite does what it can.
    """
    name = Path(f"{path}-shm")
    with _guard, suppress(OSError):
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        key = _key(name.stat()) if name.exists() else None
        if key not in _held:
            flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if make else 0)
            descriptor = os.open(name, flags, mode)
            key = _key(os.fstat(descriptor))
            _held[key] = _Held(descriptor)
            _lock(descriptor)
        _held[key].connections += 1
        return key
    return None


def _key(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _lock(descriptor: int) -> None:
    """Share the lock with others; who is the first writes zeros over what a dead process left, in place."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _byte(fcntl.F_WRLCK))
        os.pwrite(descriptor, bytes(os.fstat(descriptor).st_size), 0)
        with suppress(OSError):
            os.posix_fallocate(descriptor, 0, INDEX_BYTES)
    except OSError:
        pass
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLKW, _byte(fcntl.F_RDLCK))


def _byte(kind: int) -> bytes:
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, _FIRST_BYTE, 1, 0)


def _let_go(key: tuple[int, int]) -> None:
    with _guard:
        held = _held[key]
        held.connections -= 1
        if not held.connections:
            os.close(held.descriptor)
            del _held[key]


@atexit.register
def _leave_all() -> None:
    for db in list(_open):
        with suppress(OSError, sqlite3.Error):
            db.close_keeping_log()
