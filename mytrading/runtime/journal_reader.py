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

from mytrading.runtime.journal_format import COLUMNS, Cursor, JournalDamaged, Row, problem_of, segments


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

    def newest_of(self, known: Mapping[int, bytes]) -> Cursor:
        """The newest row of the stream that is in `known`, hashes by sequence; the beginning if none is."""
        sql = "SELECT epoch, stream_seq, hash FROM rows WHERE kind = 1 AND stream = ? ORDER BY seq DESC"
        for path in reversed(segments(self.folder)):
            for row in self._ask(path, sql, (self.stream,)):
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
            self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
            self._path, self._inode = path, inode
        return self._db


def written_rows(path: Path, stream: str) -> Iterator[Row]:
    """What a day file's writer wrote to a stream, oldest first, no chain checked; raises `JournalDamaged`."""
    sql = f"SELECT {COLUMNS} FROM rows WHERE kind = 1 AND stream = ? ORDER BY seq"
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)) as db:
            for row in db.execute(sql, (stream,)):
                yield Row._make(row)
    except sqlite3.DatabaseError as error:
        raise problem_of(path, error) from error


def begun_ns(path: Path) -> int:
    """When the first row of a day file was written, machine ns; 0 if it has none, or cannot be read."""
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        row = db.execute("SELECT machine_ns FROM rows ORDER BY seq LIMIT 1").fetchone()
        return int(row[0]) if row else 0
    return 0


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
        except sqlite3.DatabaseError:
            continue
        if len(found) >= limit:
            break
    return found
