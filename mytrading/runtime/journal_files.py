"""How a day file of a journal comes about: whole, under a name that nobody reads, before it gets its own.

Used by `runtime/journal`. The one rule: whenever the process dies, what has a day's name can be read.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

from mytrading.runtime.journal_format import INSERT, Cursor, JournalFull, JournalUnavailable, Row, connect, write_meta


class Head(NamedTuple):
    """The last row before a file begins, and the epoch."""

    seq: int
    hash: bytes
    epoch: int


def first_file(folder: Path, day: str) -> Path:
    """The first day file, which has its tables when it comes to have its name."""
    path = folder / f"{day}.sqlite"
    made = path.with_name(f".{path.name}")
    made.unlink(missing_ok=True)
    connect(made).close()
    return made.replace(path)


def next_file(
    path: Path,
    head: Head,
    written: dict[str, int],
    cursors: dict[tuple[str, str], Cursor],
    above: dict[str, int],
    begun: list[Row],
) -> Path:
    """Make the file that is to be `path` and begins with the rows `begun`; returns where it lies until then.

    The others as in `write_meta`. Raises `JournalFull` when the disk takes no new file.
    """
    made = path.with_name(f".{path.name}")
    try:
        for left in (made, made.with_name(f"{made.name}-wal"), made.with_name(f"{made.name}-shm")):
            left.unlink(missing_ok=True)
        db = connect(made)
        try:
            write_meta(db, head.seq, head.epoch, head.hash, written, cursors, above)
            db.execute("PRAGMA synchronous=FULL")
            db.execute("BEGIN IMMEDIATE")
            db.executemany(INSERT, begun)
            db.execute("COMMIT")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            db.close()
    except (sqlite3.OperationalError, JournalUnavailable, OSError) as error:
        raise JournalFull(f"{made}: {error}; free disk space") from error
    return made
