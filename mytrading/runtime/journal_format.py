"""The layout of a journal's file: rows, their chain and the tables.

Used by `runtime/journal`, which everybody else imports from. The one rule: a row's hash covers the row before it.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

import msgspec

from mytrading.adapters.shared_database import Writer, open_to_write
from mytrading.messages.codec import NO_HASH

INPUT, OUTPUT, RECORD = 0, 1, 2
RESERVE_BYTES = 8 << 20
LAYOUT = 1
"""The tables of a file, as SQLite's user_version; files of before it was written have 0 and the same tables."""

# No index: each would cost every commit on the way of an order two more writes; readers remember their place instead.
SCHEMA = """
DROP INDEX IF EXISTS rows_out;
CREATE TABLE IF NOT EXISTS rows (
    seq INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, kind INTEGER NOT NULL, stream TEXT NOT NULL,
    stream_seq INTEGER NOT NULL, source TEXT NOT NULL, source_epoch INTEGER NOT NULL, source_seq INTEGER NOT NULL,
    source_hash BLOB NOT NULL, market_ns INTEGER NOT NULL, machine_ns INTEGER NOT NULL, body BLOB NOT NULL,
    hash BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
COLUMNS = (
    "seq, epoch, kind, stream, stream_seq, source, source_epoch, source_seq, source_hash, "
    "market_ns, machine_ns, body, hash"
)
INSERT = f"INSERT INTO rows ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"


_UNAVAILABLE = {
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH,
}  # fmt: skip


class Row(NamedTuple):
    """One row. `stream_seq` counts a written stream; `source…` places an input in its writer's stream."""

    seq: int
    epoch: int
    kind: int
    stream: str
    stream_seq: int
    source: str
    source_epoch: int
    source_seq: int
    source_hash: bytes
    market_ns: int
    machine_ns: int
    body: bytes
    hash: bytes


class Entry(msgspec.Struct, frozen=True, gc=False):
    """What is to be appended; the journal adds sequence, epoch and hash. Inputs name where they came from.

    Without times of its own an entry gets those of its transaction.
    """

    kind: int
    stream: str
    body: bytes
    source: str = ""
    source_epoch: int = 0
    source_seq: int = 0
    source_hash: bytes = NO_HASH
    market_ns: int = 0
    machine_ns: int = 0


class Cursor(NamedTuple):
    """How far a reader has come in one stream of one writer."""

    epoch: int = 0
    seq: int = 0
    hash: bytes = NO_HASH


class Known(NamedTuple):
    """A place in a day file whose rows need not be read again: the last one's number and hash, and how far each stream
    was `written` with it."""

    seq: int
    hash: bytes
    written: dict[str, int]


class JournalDamaged(Exception):
    """A row that does not decode, apply or match its hash: the message names file and row. A person must look."""


class JournalUnavailable(JournalDamaged):
    """A file that cannot be read or written now, for want of disk, rights or a lock; it may be whole."""


class JournalOfAnotherVersion(Exception):
    """A journal that this version cannot apply; the message names both versions and what to do."""


class JournalFull(Exception):
    """The disk took no more rows, even after the reserve was released. Nothing was written; nothing may be sent."""


def chain(previous: bytes, row_seq: int, stream: str, body: bytes) -> bytes:
    """The hash of a row: it covers the row before it, so a change or a loss anywhere shows."""
    return hashlib.blake2b(previous + row_seq.to_bytes(8, "little") + stream.encode() + body, digest_size=8).digest()


def front_of(path: Path) -> Path:
    """Where rows of a day file stand that were not moved into it yet; see `runtime/journal_front`."""
    return path.with_name(f"{path.name}-front")


def segments(folder: Path) -> list[Path]:
    """The day files of a journal, oldest first."""
    return sorted(path for path in folder.glob("*.sqlite") if not path.name.startswith("."))


def problem_of(path: Path, error: sqlite3.DatabaseError) -> JournalDamaged:
    """What a failure of SQLite says of a file: not to be had now, or damaged."""
    code = getattr(error, "sqlite_errorcode", 0)
    if code & 0xFF in _UNAVAILABLE and code != sqlite3.SQLITE_IOERR_SHORT_READ:
        return JournalUnavailable(f"{path}: {error}; see that the disk has room and the file may be written")
    return JournalDamaged(f"{path}: {error}; the writer's next start will move the file aside")


def connect(path: Path) -> Writer:
    """A writing connection to a day file, made if it is not there; raises `JournalDamaged`."""
    try:
        db = open_to_write(path)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("PRAGMA busy_timeout=5000")
        db.execute("PRAGMA wal_autocheckpoint=0")
        layout = db.execute("PRAGMA user_version").fetchone()[0]
        if layout > LAYOUT:
            raise JournalOfAnotherVersion(
                f"{path}: expected layout {LAYOUT} or older, found {layout}: a newer version of MyTrading wrote it; "
                "start that version, or `mytrading state backup` and `mytrading state reset`"
            )
        db.executescript(SCHEMA)
        if layout < LAYOUT:
            db.execute(f"PRAGMA user_version={LAYOUT}")
    except sqlite3.DatabaseError as error:
        raise problem_of(path, error) from error
    return db


def write_meta(
    db: sqlite3.Connection,
    seq: int,
    epoch: int,
    row_hash: bytes,
    written: dict[str, int],
    cursors: dict[tuple[str, str], Cursor],
    above: dict[str, int],
) -> None:
    """Write what a file must know of what came before it; `seq` and `hash` only while it has no rows.

    `written` is the last sequence of each stream, `above` the one its next row must lie above.
    """
    values = {"epoch": str(epoch)}
    if db.execute("SELECT count(*) FROM rows").fetchone()[0] == 0:
        values |= {"seq": str(seq), "hash": row_hash.hex()}
    values |= {f"written:{stream}": str(count) for stream, count in written.items()}
    values |= {f"above:{stream}": str(count) for stream, count in above.items()}
    values |= {
        f"cursor:{writer}:{stream}": f"{cursor.epoch}:{cursor.seq}:{cursor.hash.hex()}"
        for (writer, stream), cursor in cursors.items()
    }
    db.execute("BEGIN IMMEDIATE")
    db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())
    db.execute("COMMIT")


def sync_folder(folder: Path) -> None:
    """Make sure that the names in a folder outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
