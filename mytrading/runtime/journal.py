"""The journal: one SQLite file per deciding daemon and trading day, written before anything is sent.

A row is an input that led to something, a message on one of the daemon's streams, or a record of its own. Rows are
hash-chained. Whoever reads a stream follows it here: the ZeroMQ frame is only the fast path. The one rule: what one
decision read and what it decided are appended in one transaction, and nothing leaves before the commit.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mytrading.messages.codec import NO_HASH

INPUT, OUTPUT, RECORD = 0, 1, 2
RESERVE_BYTES = 8 << 20
COMMITS_KEPT = 400
"""Commits in the write-ahead log, some 10 KB each, before it is moved into the file."""
LOG_BYTES = 4 << 20
"""The write-ahead log is made this long at once: a commit that need not lengthen its file is a fifth quicker."""

# No index: each would cost every commit on the way of an order two more writes; readers remember their place instead.
_SCHEMA = """
DROP INDEX IF EXISTS rows_out;
CREATE TABLE IF NOT EXISTS rows (
    seq INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, kind INTEGER NOT NULL, stream TEXT NOT NULL,
    stream_seq INTEGER NOT NULL, source TEXT NOT NULL, source_epoch INTEGER NOT NULL, source_seq INTEGER NOT NULL,
    source_hash BLOB NOT NULL, market_ns INTEGER NOT NULL, machine_ns INTEGER NOT NULL, body BLOB NOT NULL,
    hash BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_COLUMNS = (
    "seq, epoch, kind, stream, stream_seq, source, source_epoch, source_seq, source_hash, "
    "market_ns, machine_ns, body, hash"
)
_INSERT = f"INSERT INTO rows ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"


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


class Entry(NamedTuple):
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


class JournalDamaged(Exception):
    """A row that does not decode, apply or match its hash: the message names file and row. A person must look."""


class JournalFull(Exception):
    """The disk took no more rows, even after the reserve was released. Nothing was written; nothing may be sent."""


def chain(previous: bytes, row_seq: int, stream: str, body: bytes) -> bytes:
    """The hash of a row: it covers the row before it, so a change or a loss anywhere shows."""
    digest = hashlib.blake2b(previous, digest_size=8)
    digest.update(row_seq.to_bytes(8, "little"))
    digest.update(stream.encode())
    digest.update(body)
    return digest.digest()


def segments(folder: Path) -> list[Path]:
    """The day files of a journal, oldest first."""
    return sorted(path for path in folder.glob("*.sqlite") if not path.name.startswith("."))


class Journal:
    """The writer's side. One thread, one connection. Budget of `append`: 30 µs, or one disk sync when durable."""

    def __init__(self, folder: Path, writer: str, day: str) -> None:
        """Open the newest day file, or make the first one, named by `day` (ISO date)."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.writer = writer
        known = segments(folder)
        self.path = known[-1] if known else folder / f"{day}.sqlite"
        self._db = _connect(self.path)
        self._durable = False
        self._commits = 0
        self.epoch = 1
        self._seq = 0
        self._hash = NO_HASH
        self._stream_seqs: dict[str, int] = {}
        self._carried: dict[tuple[str, str], Cursor] = {}
        self._load()
        _lengthen_log(self.path)
        _make_reserve(folder)

    @property
    def day(self) -> str:
        """The trading day (ISO date) of the file that is being written."""
        return self.path.stem

    @property
    def size(self) -> int:
        """Sequence of the last row."""
        return self._seq

    @property
    def empty(self) -> bool:
        """True before the first row of all."""
        return self._seq == 0

    def written(self, stream: str) -> int:
        """Sequence of the last message written to a stream."""
        return self._stream_seqs.get(stream, 0)

    def append(self, entries: Sequence[Entry], market_ns: int, machine_ns: int, durable: bool = False) -> list[Row]:
        """Commit `entries` in one transaction and return their rows; `durable` waits for the disk.

        Raises `JournalFull` when nothing could be written even after the reserve was released.
        """
        rows = self._rows(entries, market_ns, machine_ns)
        try:
            self._commit(rows, durable)
        except sqlite3.OperationalError as error:
            if not self._release_reserve():
                raise JournalFull(f"{self.path}: {error}; free disk space") from error
            try:
                self._commit(rows, durable)
            except sqlite3.OperationalError as again:
                raise JournalFull(f"{self.path}: {again}; free disk space") from again
        self._advance(rows)
        return rows

    def _rows(self, entries: Sequence[Entry], market_ns: int, machine_ns: int) -> list[Row]:
        rows = []
        seq, previous = self._seq, self._hash
        counts: dict[str, int] = {}
        for entry in entries:
            seq += 1
            stream_seq = 0
            if entry.kind == OUTPUT:
                stream_seq = counts.get(entry.stream, self._stream_seqs.get(entry.stream, 0)) + 1
                counts[entry.stream] = stream_seq
            previous = chain(previous, seq, entry.stream, entry.body)
            rows.append(
                Row(seq, self.epoch, entry.kind, entry.stream, stream_seq, *entry[3:7],
                    entry.market_ns or market_ns, entry.machine_ns or machine_ns, entry.body, previous)
            )  # fmt: skip
        return rows

    def _commit(self, rows: list[Row], durable: bool) -> None:
        if durable is not self._durable:
            self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(_INSERT, rows)
            self._db.execute("COMMIT")
            self._commits += 1
        except sqlite3.Error:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    def _advance(self, rows: list[Row]) -> None:
        self._seq, self._hash = rows[-1].seq, rows[-1].hash
        for row in rows:
            if row.kind == OUTPUT:
                self._stream_seqs[row.stream] = row.stream_seq

    def rows(self) -> Iterator[Row]:
        """All rows of the present day file, oldest first, their chain checked; raises `JournalDamaged`."""
        return read_segment(self.path)

    def carried_cursors(self) -> dict[tuple[str, str], Cursor]:
        """The cursors, by (writer, stream), with which the present day file began."""
        return dict(self._carried)

    def roll(self, day: str, cursors: dict[tuple[str, str], Cursor]) -> None:
        """Seal the day and begin the file of `day`; sequences, epoch, chain and cursors go on."""
        path = self.folder / f"{day}.sqlite"
        if path.exists():
            raise JournalDamaged(f"{path}: the day {day} was begun before; move the file aside")
        db = _connect(path)
        _write_meta(db, self._seq, self.epoch, self._hash, self._stream_seqs, cursors)
        self.checkpoint()
        self._db.close()
        self._db, self.path, self._carried, self._durable = db, path, dict(cursors), False
        _lengthen_log(path)

    def begin_epoch(self, at_least: dict[str, int]) -> int:
        """A reader is ahead of us: our tail was lost. Go on in a new epoch, above every sequence ever seen."""
        self.epoch += 1
        for stream, seq in at_least.items():
            self._stream_seqs[stream] = max(seq, self._stream_seqs.get(stream, 0))
        _write_meta(self._db, self._seq, self.epoch, self._hash, self._stream_seqs, self._carried)
        return self.epoch

    def tend(self) -> None:
        """Checkpoint if the write-ahead log has become long; to be called about once a second.

        The first commit after a checkpoint syncs the disk (0.3 ms), so one is made here, off the path.
        """
        if self._commits < COMMITS_KEPT:
            return
        self._commits = 0
        self.checkpoint()
        with suppress(sqlite3.OperationalError):
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('moved', ?)", (str(self._seq),))

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file; to be called when nothing is waiting."""
        with suppress(sqlite3.OperationalError):
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Checkpoint and close."""
        self.checkpoint()
        self._db.close()

    def _release_reserve(self) -> bool:
        reserve = self.folder / ".reserve"
        if not reserve.exists():
            return False
        reserve.unlink()
        return True

    def _load(self) -> None:
        meta = dict(self._db.execute("SELECT key, value FROM meta").fetchall())
        self._seq = int(meta.get("seq", 0))
        self.epoch = int(meta.get("epoch", 1))
        self._hash = bytes.fromhex(meta["hash"]) if "hash" in meta else NO_HASH
        for key, value in meta.items():
            if key.startswith("written:"):
                self._stream_seqs[key[8:]] = int(value)
            elif key.startswith("cursor:"):
                _, writer, stream = key.split(":")
                epoch, seq, row_hash = value.split(":")
                self._carried[writer, stream] = Cursor(int(epoch), int(seq), bytes.fromhex(row_hash))
        last = self._db.execute("SELECT seq, hash FROM rows ORDER BY seq DESC LIMIT 1").fetchone()
        if last:
            self._seq, self._hash = last
        for stream, seq in self._db.execute("SELECT stream, max(stream_seq) FROM rows WHERE kind = 1 GROUP BY stream"):
            self._stream_seqs[stream] = max(seq, self._stream_seqs.get(stream, 0))


class _Mark(NamedTuple):
    """A place in a day file: rows of the stream above sequence `after` stand behind row `seq`, whose hash is `hash`."""

    path: Path
    after: int
    seq: int
    hash: bytes


class JournalReader:
    """A reader's side: follows one stream of one writer, read-only, across its day files.

    It remembers how far it looked, so that following costs what is new and not what was written before.
    """

    def __init__(self, folder: Path, stream: str) -> None:
        self.folder = folder
        self.stream = stream
        self._db: sqlite3.Connection | None = None
        self._path: Path | None = None
        self._mark: _Mark | None = None

    def read(self, after: int, limit: int = 1000) -> list[Row]:
        """Rows of the stream with a sequence above `after`, oldest first, at most `limit`."""
        try:
            for path in self._files_from(after):
                if rows := self._read_file(path, after, limit):
                    return rows
        except sqlite3.OperationalError:
            self.close()
        return []

    def row(self, seq: int) -> Row | None:
        """The row of one stream sequence, if the journal (still) has it."""
        return self._newest("stream_seq = ?", (seq,))

    def last(self) -> int:
        """Sequence of the newest row of the stream, 0 if there is none."""
        newest = self._newest("1", ())
        return newest.stream_seq if newest else 0

    def matches(self, cursor: Cursor) -> bool:
        """True if the journal holds exactly the row the cursor stands on."""
        if cursor.seq == 0:
            return True
        row = self.row(cursor.seq)
        return row is not None and row.hash == cursor.hash

    def close(self) -> None:
        """Release the file."""
        if self._db is not None:
            self._db.close()
            self._db = self._path = None

    def _files_from(self, after: int) -> list[Path]:
        """The day files that may hold rows above `after`: a file knows how far its stream had come when it began."""
        files = segments(self.folder)
        for index in range(len(files) - 1, 0, -1):
            begun = self._open(files[index]).execute(
                "SELECT value FROM meta WHERE key = ?", (f"written:{self.stream}",)
            ).fetchone()  # fmt: skip
            if begun and int(begun[0]) <= after:
                return files[index:]
        return files

    def _read_file(self, path: Path, after: int, limit: int) -> list[Row]:
        db = self._open(path)
        end = db.execute("SELECT seq, hash FROM rows ORDER BY seq DESC LIMIT 1").fetchone()
        if end is None:
            return []
        begin = self._place(db, path, after)
        if begin == end[0]:
            return []
        rows = self._query(
            path, "seq > ? AND stream_seq > ? ORDER BY seq LIMIT ?", (begin, after, limit)
        )  # fmt: skip
        if rows:
            self._mark = _Mark(path, rows[-1].stream_seq, rows[-1].seq, rows[-1].hash)
        else:
            self._mark = _Mark(path, after, *end)
        return rows

    def _place(self, db: sqlite3.Connection, path: Path, after: int) -> int:
        """The row behind which to look: the mark, unless it is of another file, of later rows, or was rewritten."""
        mark = self._mark
        if mark is None or mark.path != path or mark.after > after:
            return 0
        there = db.execute("SELECT hash FROM rows WHERE seq = ?", (mark.seq,)).fetchone()
        return mark.seq if there and there[0] == mark.hash else 0

    def _newest(self, where: str, parameters: tuple[int, ...]) -> Row | None:
        try:
            for path in reversed(segments(self.folder)):
                if rows := self._query(path, f"{where} ORDER BY seq DESC LIMIT 1", parameters):
                    return rows[0]
        except sqlite3.OperationalError:
            self.close()
        return None

    def _query(self, path: Path, where: str, parameters: tuple[int, ...]) -> list[Row]:
        sql = f"SELECT {_COLUMNS} FROM rows WHERE kind = 1 AND stream = ? AND {where}"
        return [Row._make(row) for row in self._open(path).execute(sql, (self.stream, *parameters))]

    def _open(self, path: Path) -> sqlite3.Connection:
        if self._db is None or path != self._path:
            self.close()
            self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
            self._path = path
        return self._db


def last_inputs(folder: Path, writer: str, stream: str, limit: int) -> list[tuple[int, bytes]]:
    """(sequence, hash) of the newest rows that the journal in `folder` read from a writer's stream, newest first."""
    found: list[tuple[int, bytes]] = []
    for path in reversed(segments(folder)):
        try:
            db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
            found += db.execute(
                "SELECT source_seq, source_hash FROM rows WHERE kind = 0 AND source = ? AND stream = ? "
                "ORDER BY seq DESC LIMIT ?",
                (writer, stream, limit - len(found)),
            ).fetchall()
            db.close()
        except sqlite3.OperationalError:
            continue
        if len(found) >= limit:
            break
    return found


def read_segment(path: Path) -> Iterator[Row]:
    """All rows of one day file, oldest first, chain checked row by row; raises `JournalDamaged` naming the row."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    try:
        meta = dict(db.execute("SELECT key, value FROM meta").fetchall())
        previous = bytes.fromhex(meta["hash"]) if "hash" in meta else NO_HASH
        expected = int(meta.get("seq", 0))
        written: dict[str, int] = {}
        for raw in db.execute(f"SELECT {_COLUMNS} FROM rows ORDER BY seq"):
            row = Row._make(raw)
            expected += 1
            if row.seq != expected:
                raise JournalDamaged(f"{path}: expected row {expected}, found row {row.seq}: rows were removed")
            if row.kind == OUTPUT and row.stream_seq <= written.get(row.stream, 0):
                raise JournalDamaged(f"{path}: row {row.seq} ({row.stream}) repeats sequence {row.stream_seq}")
            written[row.stream] = max(row.stream_seq, written.get(row.stream, 0))
            previous = chain(previous, row.seq, row.stream, row.body)
            if row.hash != previous:
                raise JournalDamaged(f"{path}: row {row.seq} ({row.stream}) does not match its hash: it was changed")
            yield row
    except sqlite3.DatabaseError as error:
        raise JournalDamaged(f"{path}: {error}; move the file aside to start without it") from error
    finally:
        db.close()


def _connect(path: Path) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("PRAGMA busy_timeout=5000")
        db.execute("PRAGMA wal_autocheckpoint=0")
        db.executescript(_SCHEMA)
    except sqlite3.DatabaseError as error:
        raise JournalDamaged(f"{path}: {error}; move the file aside to start without it") from error
    return db


def _write_meta(
    db: sqlite3.Connection,
    seq: int,
    epoch: int,
    row_hash: bytes,
    written: dict[str, int],
    cursors: dict[tuple[str, str], Cursor],
) -> None:
    """Write what a file must know of what came before it; `seq` and `hash` only while it has no rows."""
    values = {"epoch": str(epoch)}
    if db.execute("SELECT count(*) FROM rows").fetchone()[0] == 0:
        values |= {"seq": str(seq), "hash": row_hash.hex()}
    values |= {f"written:{stream}": str(count) for stream, count in written.items()}
    values |= {
        f"cursor:{writer}:{stream}": f"{cursor.epoch}:{cursor.seq}:{cursor.hash.hex()}"
        for (writer, stream), cursor in cursors.items()
    }
    db.execute("BEGIN IMMEDIATE")
    db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())
    db.execute("COMMIT")


def _lengthen_log(path: Path) -> None:
    """Add zeros behind the write-ahead log's frames: SQLite takes them for no frames and writes over them."""
    log = path.with_name(f"{path.name}-wal")
    with suppress(OSError), log.open("ab") as file:
        missing = LOG_BYTES - file.tell()
        if missing > 0:
            file.write(bytes(missing))
            os.fsync(file.fileno())


def _make_reserve(folder: Path) -> None:
    """Keep some disk aside, so that exits can still be journaled when the disk is full."""
    reserve = folder / ".reserve"
    if reserve.exists():
        return
    with suppress(OSError), reserve.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
