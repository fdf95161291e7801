"""The journal: one SQLite file per deciding daemon and trading day, written before anything is sent.

A row is an input that led to something, a message on one of the daemon's streams, or a record of its own. Rows are
hash-chained. Whoever reads a stream follows it here: the ZeroMQ frame is only the fast path. The one rule: what one
decision read and what it decided are appended in one transaction, and nothing leaves before the commit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from mytrading.adapters.shared_database import is_low
from mytrading.messages.codec import NO_HASH
from mytrading.runtime.journal_database import JournalDatabase
from mytrading.runtime.journal_files import Head, first_file, next_file
from mytrading.runtime.journal_format import (
    INPUT,
    OUTPUT,
    RECORD,
    RESERVE_BYTES,
    Cursor,
    Entry,
    JournalDamaged,
    JournalFull,
    JournalOfAnotherVersion,
    JournalUnavailable,
    Known,
    Row,
    chain,
    front_of,
    problem_of,
    segments,
    sync_folder,
    write_meta,
)
from mytrading.runtime.journal_front import Front, unmoved
from mytrading.runtime.journal_reader import JournalReader, holds, last_inputs, read_segment
from mytrading.runtime.journal_reserve import Reserve

__all__ = [
    "INPUT", "OUTPUT", "RECORD", "RESERVE_BYTES", "Cursor", "Entry", "Journal", "JournalDamaged", "JournalFull",
    "JournalOfAnotherVersion", "JournalReader", "JournalUnavailable", "Known", "Row", "chain", "last_inputs",
    "read_segment", "segments",
]  # fmt: skip

EPOCH_GAP = 1_000_000
"""So far above the last sequence known a new epoch begins: a reader may have had rows that no file names."""
_new = tuple.__new__


class Journal:
    """The writer's side. One thread, one connection. Budget of `note`: 30 µs, or one disk sync when durable."""

    def __init__(
        self,
        folder: Path,
        writer: str,
        day: str,
        reserve_bytes: int = RESERVE_BYTES,
        *,
        fronted: bool = False,
        known: Known | None = None,
    ) -> None:
        """Open the newest day file, or make the first one, named by `day` (ISO date).

        `reserve_bytes` of disk are kept aside for exits. With `fronted` there is a quicker way than `append`: `note`,
        and `move` soon after. A place that is `known` spares reading what stands before it, if the file holds its row.
        Raises `JournalDamaged` for a file that is no journal.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.writer = writer
        files = segments(folder)
        self.path = files[-1] if files else first_file(folder, day)
        self._db = JournalDatabase(self.path)
        self.epoch = 1
        self._seq = self._begun = 0
        self._hash = NO_HASH
        self._stream_seqs: dict[str, int] = {}
        self._floors: dict[str, int] = {}
        self._carried: dict[tuple[str, str], Cursor] = {}
        self._sealed: tuple[int, str] = (-1, "")
        self._front: Front | None = None
        self._unmoved: list[Row] = []
        self.known = known
        """The place that rows are read from, None if the file does not hold the one that was asked for."""
        try:
            self._load()
            self._take_in()
        except sqlite3.DatabaseError as error:
            raise problem_of(self.path, error) from error
        self._reserve = Reserve(self.path, reserve_bytes)
        self._fronted = fronted
        self._make_front()

    @property
    def day(self) -> str:
        """The trading day (ISO date) of the file that is being written."""
        return self.path.stem

    @property
    def size(self) -> int:
        """Sequence of the last row."""
        return self._seq

    @property
    def unread(self) -> int:
        """How many rows a start has to read."""
        return self._seq - (self.known.seq if self.known else self._begun)

    @property
    def empty(self) -> bool:
        """True before the first row of all."""
        return self._seq == 0

    @property
    def sealed_for(self) -> str:
        """The day that was to follow, if the file ends with its seal: the roll was cut short. Else empty."""
        seq, day = self._sealed
        return day if seq == self._seq else ""

    def written(self, stream: str) -> int:
        """Sequence of the last message written to a stream."""
        return self._stream_seqs.get(stream, 0)

    def append(self, entries: Sequence[Entry], market_ns: int, machine_ns: int, durable: bool = False) -> list[Row]:
        """Commit `entries` in one transaction and return their rows; `durable` waits for the disk.

        Raises `JournalFull` when nothing could be written, the reserve being used up.
        """
        self.move()
        rows = self._rows(entries, market_ns, machine_ns)
        self._save(rows, durable or self._front is not None)  # what the front gets next must follow on what is kept
        self._advance(rows)
        return rows

    def note(
        self,
        entries: Sequence[Entry],
        market_ns: int,
        machine_ns: int,
        durable: bool = False,
        meanwhile: Callable[[], None] | None = None,
    ) -> list[Row]:
        """As `append`, with one write to the front: `move` has to follow soon, for others read the database.

        `meanwhile` may be called while the disk takes what is durable; nothing counts yet, and it must not raise.
        """
        if self._front is None:
            return self.append(entries, market_ns, machine_ns, durable)
        rows = self._rows(entries, market_ns, machine_ns)
        try:
            noted = self._front.append(rows, durable, meanwhile)
        except OSError:
            noted = False
        if not noted:
            rows = self.append(entries, market_ns, machine_ns, durable)
            self._front.reset()  # a sync that failed may have left holes in it, and what stands behind one is not found
            return rows
        self._unmoved += rows
        self._advance(rows)
        return rows

    def move(self) -> None:
        """Bring what was noted into the database; to be called when nothing waits.

        Raises `JournalFull` when it takes no rows: they stay where they are, and count.
        """
        if not self._unmoved:
            return
        again = self._front is not None and self._front.half_full
        self._save(self._unmoved, durable=again)
        self._unmoved = []
        if self._front is not None:
            if again:
                self._front.reset()
            self._front.make_ready()

    def _save(self, rows: list[Row], durable: bool) -> None:
        try:
            self._db.commit(rows, durable)
        except sqlite3.OperationalError as error:
            if not self._reserve.release():
                raise JournalFull(f"{self.path}: {error}; free disk space") from error
            try:
                self._db.commit(rows, durable)
            except sqlite3.OperationalError as again:
                raise JournalFull(f"{self.path}: {again}; free disk space") from again
        except sqlite3.DatabaseError as error:
            raise problem_of(self.path, error) from error

    def _take_in(self) -> None:
        """What a killed process noted and did not move."""
        front = front_of(self.path)
        if not front.exists():
            return
        if rows := unmoved(self.path, self._seq, self._hash):
            self._save(rows, durable=True)
            self._advance(rows)
        self._db.settle(self._seq)

    def _make_front(self) -> None:
        """A disk that has no room for one takes each commit directly."""
        if not self._fronted:
            front_of(self.path).unlink(missing_ok=True)
            return
        with suppress(OSError):
            self._front = Front(front_of(self.path))

    def _end_front(self) -> None:
        """The database has all that was noted."""
        if self._front is not None:
            self._db.settle(self._seq)
            self._front.remove()
            self._front = None

    def _rows(self, entries: Sequence[Entry], market_ns: int, machine_ns: int) -> list[Row]:
        """On the way of each order: neither a row nor its hash is worth a Python function here."""
        rows = []
        seq, previous = self._seq, self._hash
        counts: dict[str, int] = {}
        for entry in entries:
            seq += 1
            stream, body = entry.stream, entry.body
            stream_seq = 0
            if entry.kind == OUTPUT:
                last = counts.get(stream) or self._stream_seqs.get(stream, 0)
                stream_seq = counts[stream] = max(last, self._floors.get(stream, 0)) + 1
            previous = blake2b(previous + seq.to_bytes(8, "little") + stream.encode() + body, digest_size=8).digest()
            rows.append(
                _new(Row, (
                    seq, self.epoch, entry.kind, stream, stream_seq,
                    entry.source, entry.source_epoch, entry.source_seq, entry.source_hash,
                    entry.market_ns or market_ns, entry.machine_ns or machine_ns, body, previous,
                ))
            )  # fmt: skip
        return rows

    def _last(self, stream: str) -> int:
        """The sequence behind which the next row of a stream stands."""
        return max(self._stream_seqs.get(stream, 0), self._floors.get(stream, 0))

    def _advance(self, rows: list[Row]) -> None:
        self._seq, self._hash = rows[-1].seq, rows[-1].hash
        for row in rows:
            if row.kind == OUTPUT:
                self._stream_seqs[row.stream] = row.stream_seq

    def rows(self) -> Iterator[Row]:
        """Rows of the present day file, oldest first, chain checked: all, or those behind the place that is known.

        Raises `JournalDamaged`.
        """
        self.move()
        return read_segment(self.path, self.known)

    def carried_cursors(self) -> dict[tuple[str, str], Cursor]:
        """The cursors, by (writer, stream), with which the present day file began."""
        return dict(self._carried)

    def roll(
        self,
        day: str,
        cursors: dict[tuple[str, str], Cursor],
        seal: Entry | None = None,
        opening: Sequence[Entry] = (),
        market_ns: int = 0,
        machine_ns: int = 0,
    ) -> list[Row]:
        """End the present file with `seal` and begin that of `day` with `opening`; returns the rows of the opening.

        Sequences, epoch, chain and cursors go on. The new file is whole before the seal is written and counts only
        once it has its name, after the seal: whenever the process dies, one file is open, and what is sealed without a
        successor says so (`sealed_for`). Raises `JournalFull` with nothing changed when the disk takes no new file.
        """
        self.move()
        path = self.folder / f"{day}.sqlite"
        if path.exists():
            raise JournalDamaged(f"{path}: the day {day} was begun before; move the file aside")
        rows = self._rows([*([seal] if seal else []), *opening], market_ns, machine_ns)
        sealing, begun = (rows[:1], rows[1:]) if seal else ([], rows)
        written = self._stream_seqs | {row.stream: row.stream_seq for row in sealing if row.kind == OUTPUT}
        head = Head(*((sealing[-1].seq, sealing[-1].hash) if sealing else (self._seq, self._hash)), self.epoch)
        made = next_file(path, head, written, cursors, self._floors, begun)
        if sealing:
            self._db.commit(sealing, durable=True, sealed_for=day)
            self._advance(sealing)
            self._sealed = (self._seq, day)
        self.checkpoint()
        self._end_front()
        self._db.close()
        made.replace(path)
        sync_folder(self.folder)
        self._db, self.path, self._carried = JournalDatabase(path), path, dict(cursors)
        self.known = None
        self._reserve = Reserve(path, self._reserve.size)
        self._make_front()
        if begun:
            self._advance(begun)
        return begun

    def seal(self, seal: Entry, next_day: str, market_ns: int, machine_ns: int) -> None:
        """End the present file from outside, its daemon being stopped: the next start opens `next_day`."""
        self.move()
        rows = self._rows([seal], market_ns, machine_ns)
        self._db.commit(rows, durable=True, sealed_for=next_day)
        self._advance(rows)
        self._sealed = (self._seq, next_day)

    def begin_epoch(self, at_least: dict[str, int]) -> int:
        """Our tail was lost: go on in a new epoch, above every sequence that any reader may have had.

        `at_least` says how far each stream is known to have come. A reader had more where rows still lay in its socket
        or were not in its own journal yet: a number that it had seen would be taken for a repetition.
        """
        self.move()
        self.epoch += 1
        for stream, seq in at_least.items():
            self._stream_seqs[stream] = max(seq, self._stream_seqs.get(stream, 0))
            self._floors[stream] = self._last(stream) + EPOCH_GAP
        db = self._db.connection
        write_meta(db, self._seq, self.epoch, self._hash, self._stream_seqs, self._carried, self._floors)
        return self.epoch

    def tend(self) -> None:
        """Keep the write-ahead log short; to be called about once a second.

        Raises `JournalDamaged` when the file is no longer where it was made.
        """
        self._db.tend(self._seq)

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file; to be called when nothing is waiting."""
        self._db.checkpoint()

    def close(self) -> None:
        """Move what was noted, checkpoint and close.

        While the disk is low, log and front stay for the next start: whatever else writes would have their room.
        """
        with suppress(JournalDamaged, JournalFull, sqlite3.Error):
            self.move()
            self.checkpoint()
            if not is_low(self.path):
                self._end_front()
        if self._front is not None:
            self._front.close()
            self._front = None
        self._db.leave()

    def watch_disk(self) -> bool:
        """Look how much disk is left, and set a spent reserve aside again once there is room; true if all is well.

        `short` says the same until the next look: then what is left is for exits.
        """
        self._reserve.look()
        return not self.short

    @property
    def short(self) -> bool:
        """True while the disk is full, or all but full."""
        return self._reserve.spent or self._reserve.tight

    def _load(self) -> None:
        db = self._db.connection
        meta = dict(db.execute("SELECT key, value FROM meta").fetchall())
        self._seq = self._begun = int(meta.get("seq", 0))
        self.epoch = int(meta.get("epoch", 1))
        self._hash = bytes.fromhex(meta["hash"]) if "hash" in meta else NO_HASH
        for key, value in meta.items():
            if key.startswith("written:"):
                self._stream_seqs[key[8:]] = int(value)
            elif key.startswith("above:"):
                self._floors[key[6:]] = int(value)
            elif key == "sealed":
                at, _, following = value.partition(":")
                self._sealed = (int(at), following)
            elif key.startswith("cursor:"):
                _, writer, stream = key.split(":")
                epoch, seq, row_hash = value.split(":")
                self._carried[writer, stream] = Cursor(int(epoch), int(seq), bytes.fromhex(row_hash))
        last = db.execute("SELECT seq, hash FROM rows ORDER BY seq DESC LIMIT 1").fetchone()
        if last:
            self._seq, self._hash = last
        if self.known is not None and not holds(db, self.known):
            self.known = None
        at, written = (self.known.seq, self.known.written) if self.known else (0, {})
        sql = "SELECT stream, max(stream_seq) FROM rows WHERE kind = 1 AND seq > ? GROUP BY stream"
        for stream, seq in (*written.items(), *db.execute(sql, (at,))):
            self._stream_seqs[stream] = max(seq, self._stream_seqs.get(stream, 0))
