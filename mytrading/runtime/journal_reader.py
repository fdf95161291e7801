"""Reading somebody else's journal: following one of its streams, and what it had read of another's.

Used by whoever follows a stream, through `runtime/journal`. The one rule: a reader changes nothing, and a file that is
not there yet is no error.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from mytrading.adapters.shared_database import open_to_read
from mytrading.messages.codec import NO_HASH
from mytrading.runtime.journal_format import (
    COLUMNS,
    INPUT,
    OUTPUT,
    RECORD,
    Cursor,
    JournalDamaged,
    Known,
    Row,
    chain,
    problem_of,
    segments,
)
from mytrading.runtime.journal_front import unmoved

_OPENING = 4
"""Records among which a day file has what was carried into it, if anything was: it is the second."""


class _Mark(NamedTuple):
    """A place in a day file: rows of the stream above sequence `after` stand behind row `seq`, whose hash is `hash`."""

    inode: int
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
        self._inode = 0
        self._mark: _Mark | None = None

    def read(self, after: int, limit: int = 1000) -> list[Row]:
        """Rows of the stream with a sequence above `after`, oldest first, at most `limit`; raises `JournalDamaged`."""
        for path in self._files_from(after):
            if rows := self._read_file(path, after, limit):
                return rows
        return []

    def row(self, seq: int) -> Row | None:
        """The row of one stream sequence, if the journal (still) has it."""
        if found := self._newest("stream_seq = ?", (seq,)):
            return found
        left = [row for path in segments(self.folder)[-1:] for row in self._unmoved(path) if row.stream_seq == seq]
        return left[0] if left else self._newest("stream_seq = ?", (seq,))  # it may have been moved while we looked

    def last(self) -> int:
        """Sequence of the newest row of the stream, 0 if there is none."""
        left = [row for path in segments(self.folder)[-1:] for row in self._unmoved(path)]
        newest = left[-1] if left else self._newest("1", ())
        return newest.stream_seq if newest else 0

    def matches(self, cursor: Cursor) -> bool:
        """True if the journal holds exactly the row the cursor stands on."""
        if cursor.seq == 0:
            return True
        row = self.row(cursor.seq)
        if row is None or row.hash != cursor.hash:
            return False
        self._mark = _Mark(self._inode, row.stream_seq, row.seq, row.hash)  # what follows stands behind it
        return True

    def newest_of(self, known: Mapping[int, bytes]) -> Cursor:
        """The newest row of the stream that is in `known`, hashes by sequence; the beginning if none is."""
        sql = "SELECT epoch, stream_seq, hash FROM rows WHERE kind = 1 AND stream = ? ORDER BY seq DESC"
        for path in reversed(segments(self.folder)):
            left = [(row.epoch, row.stream_seq, row.hash) for row in reversed(self._unmoved(path))]
            for row in [*left, *self._ask(path, sql, (self.stream,))]:
                if known.get(row[1]) == row[2]:
                    return Cursor(*row)
        return Cursor()

    def close(self) -> None:
        """Release the file."""
        if self._db is not None:
            self._db.close()
            self._db = self._path = None

    def _files_from(self, after: int) -> list[Path]:
        """The day files that may hold rows above `after`: a file knows how far its stream had come when it began."""
        files = segments(self.folder)
        for index in range(len(files) - 1, 0, -1):
            begun = self._ask(files[index], "SELECT value FROM meta WHERE key = ?", (f"written:{self.stream}",))
            if begun and int(begun[0][0]) <= after:
                return files[index:]
        return files

    def _read_file(self, path: Path, after: int, limit: int) -> list[Row]:
        end = self._ask(path, "SELECT seq, hash FROM rows ORDER BY seq DESC LIMIT 1", ())
        begin = self._place(path, after) if end else 0
        if not end or begin == end[0][0]:
            return []
        rows = self._query(path, "seq > ? AND stream_seq > ? ORDER BY seq LIMIT ?", (begin, after, limit))
        reached = (rows[-1].stream_seq, rows[-1].seq, rows[-1].hash) if rows else (after, *end[0])
        self._mark = _Mark(self._inode, *reached)
        return rows

    def _place(self, path: Path, after: int) -> int:
        """The row behind which to look: the mark, unless it is of another file, of later rows, or was rewritten."""
        mark = self._mark
        if mark is None or mark.inode != self._inode or mark.after > after:
            return 0
        there = self._ask(path, "SELECT hash FROM rows WHERE seq = ?", (mark.seq,))
        return mark.seq if there and there[0][0] == mark.hash else 0

    def _newest(self, where: str, parameters: tuple[int, ...]) -> Row | None:
        for path in reversed(segments(self.folder)):
            if rows := self._query(path, f"{where} ORDER BY seq DESC LIMIT 1", parameters):
                return rows[0]
        return None

    def _unmoved(self, path: Path) -> list[Row]:
        """Rows of the stream that a file's writer moves into it soon, or at its next start, if it died."""
        try:
            left = unmoved(path, *end_of(self._open(path)))
        except (sqlite3.DatabaseError, FileNotFoundError):
            self.close()
            return []
        return [row for row in left if (row.kind, row.stream) == (OUTPUT, self.stream)]

    def _query(self, path: Path, where: str, parameters: tuple[int, ...]) -> list[Row]:
        sql = f"SELECT {COLUMNS} FROM rows WHERE kind = 1 AND stream = ? AND {where}"
        return [Row._make(row) for row in self._ask(path, sql, (self.stream, *parameters))]

    def _ask(self, path: Path, sql: str, parameters: tuple[str | int, ...]) -> list[tuple[Any, ...]]:
        """Rows of a query; none while the file is not there or not to be read, `JournalDamaged` if it is broken."""
        try:
            return self._open(path).execute(sql, parameters).fetchall()
        except (sqlite3.OperationalError, FileNotFoundError):
            self.close()
            return []
        except sqlite3.DatabaseError as error:
            self.close()
            raise JournalDamaged(f"{path}: {error}") from error

    def _open(self, path: Path) -> sqlite3.Connection:
        """The connection to a file; a new one if another file has come to have its name."""
        inode = path.stat().st_ino
        if self._db is None or path != self._path or inode != self._inode:
            self.close()
            self._db = open_to_read(path)
            self._path, self._inode = path, inode
        return self._db


def read_segment(path: Path, known: Known | None = None) -> Iterator[Row]:
    """All rows of one day file, oldest first, chain checked row by row; raises `JournalDamaged` naming the row.

    The last ones may still stand in the file's front. With `known`, whose row must be in the file, those behind it.
    """
    db = open_to_read(path)
    try:
        known = known or beginning_of(db)
        yield from _checked(path, known, _moved_and_not(db, path, known.seq, known.hash))
    except sqlite3.DatabaseError as error:
        raise problem_of(path, error) from error
    finally:
        db.close()


def read_on(path: Path, known: Known | None, limit: int) -> list[Row]:
    """The next rows, at most `limit`, that the file itself holds behind `known` (None: its beginning), chain checked.

    No transaction is open afterwards: who reads slowly keeps no writer from shortening its log. Raises
    `JournalDamaged`, also if the file does not hold the row of `known`.
    """
    try:
        with closing(open_to_read(path)) as db:
            if known is not None and not holds(db, known):
                raise JournalDamaged(f"{path}: expected row {known.seq} as it was read, found another or none")
            known = known or beginning_of(db)
            sql = f"SELECT {COLUMNS} FROM rows WHERE seq > ? ORDER BY seq LIMIT ?"
            rows = [Row._make(raw) for raw in db.execute(sql, (known.seq, limit))]
    except sqlite3.DatabaseError as error:
        raise problem_of(path, error) from error
    return list(_checked(path, known, iter(rows)))


def beginning_of(db: sqlite3.Connection) -> Known:
    """The place before a day file's first row."""
    meta = dict(db.execute("SELECT key, value FROM meta WHERE key IN ('seq', 'hash')").fetchall())
    return Known(int(meta.get("seq", 0)), bytes.fromhex(meta["hash"]) if "hash" in meta else NO_HASH, {})


def holds(db: sqlite3.Connection, known: Known) -> bool:
    """True if a day file holds the very row of a place, and with it all rows before it."""
    found = db.execute("SELECT hash FROM rows WHERE seq = ?", (known.seq,)).fetchone()
    return found is not None and bytes(found[0]) == known.hash


def _checked(path: Path, known: Known, rows: Iterator[Row]) -> Iterator[Row]:
    expected, previous, written = known.seq, known.hash, dict(known.written)
    for row in rows:
        expected += 1
        if row.seq != expected:
            raise JournalDamaged(f"{path}: expected row {expected}, found row {row.seq}: rows were removed")
        if row.kind == OUTPUT:
            if row.stream_seq <= written.get(row.stream, 0):
                raise JournalDamaged(f"{path}: row {row.seq} ({row.stream}) repeats sequence {row.stream_seq}")
            written[row.stream] = row.stream_seq
        previous = chain(previous, row.seq, row.stream, row.body)
        if row.hash != previous:
            raise JournalDamaged(f"{path}: row {row.seq} ({row.stream}) does not match its hash: it was changed")
        yield row


def _moved_and_not(db: sqlite3.Connection, path: Path, seq: int, row_hash: bytes) -> Iterator[Row]:
    for raw in db.execute(f"SELECT {COLUMNS} FROM rows WHERE seq > ? ORDER BY seq", (seq,)):
        row = Row._make(raw)
        seq, row_hash = row.seq, row.hash
        yield row
    yield from unmoved(path, seq, row_hash)


def end_of(db: sqlite3.Connection) -> tuple[int, bytes]:
    """Sequence and hash of the last row that a day file holds, or of the one before its first."""
    last = db.execute("SELECT seq, hash FROM rows ORDER BY seq DESC LIMIT 1").fetchone()
    if last:
        return int(last[0]), bytes(last[1])
    meta = dict(db.execute("SELECT key, value FROM meta WHERE key IN ('seq', 'hash')").fetchall())
    return int(meta.get("seq", 0)), bytes.fromhex(meta["hash"]) if "hash" in meta else NO_HASH


def written_rows(path: Path, stream: str) -> Iterator[Row]:
    """What a day file's writer wrote to a stream, oldest first, no chain checked; raises `JournalDamaged`."""
    sql = f"SELECT {COLUMNS} FROM rows WHERE kind = 1 AND stream = ? ORDER BY seq"
    try:
        with closing(open_to_read(path)) as db:
            for row in db.execute(sql, (stream,)):
                yield Row._make(row)
            yield from (row for row in unmoved(path, *end_of(db)) if (row.kind, row.stream) == (OUTPUT, stream))
    except sqlite3.DatabaseError as error:
        raise problem_of(path, error) from error


def opening_rows(path: Path) -> list[Row]:
    """The records that a day file begins with: what its writer carried into the day is among them."""
    sql = f"SELECT {COLUMNS} FROM rows WHERE kind = ? ORDER BY seq LIMIT {_OPENING}"
    try:
        with closing(open_to_read(path)) as db:
            found = [Row._make(row) for row in db.execute(sql, (RECORD,))]
            return found or [row for row in unmoved(path, *end_of(db)) if row.kind == RECORD][:_OPENING]
    except sqlite3.DatabaseError as error:
        raise problem_of(path, error) from error


def begun_ns(path: Path) -> int:
    """When the first row of a day file was written, machine ns; 0 if it has none, or cannot be read."""
    with suppress(sqlite3.DatabaseError), closing(open_to_read(path)) as db:
        row = db.execute("SELECT machine_ns FROM rows ORDER BY seq LIMIT 1").fetchone()
        return int(row[0]) if row else 0
    return 0


def last_inputs(folder: Path, writer: str, stream: str, limit: int) -> list[tuple[int, bytes]]:
    """(sequence, hash) of the newest rows that the journal in `folder` read from a writer's stream, newest first."""
    found: list[tuple[int, bytes]] = []
    for path in reversed(segments(folder)):
        try:
            with closing(open_to_read(path)) as db:
                left = [
                    (row.source_seq, row.source_hash)
                    for row in reversed(unmoved(path, *end_of(db)))
                    if (row.kind, row.source, row.stream) == (INPUT, writer, stream)
                ]
                found += left[: limit - len(found)]
                found += db.execute(
                    "SELECT source_seq, source_hash FROM rows WHERE kind = 0 AND source = ? AND stream = ? "
                    "ORDER BY seq DESC LIMIT ?",
                    (writer, stream, limit - len(found)),
                ).fetchall()
        except sqlite3.DatabaseError:
            continue
        if len(found) >= limit:
            break
    return found
