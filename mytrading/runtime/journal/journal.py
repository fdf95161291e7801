"""The journal: one append-only file per deciding daemon and trading day, written before anything is sent.

A row is an input, a message on one of the daemon's streams, or a record of its own; rows are hash-chained. Readers of a
stream follow it here, the ZeroMQ frame is only the fast path. The input and the rows of one decision are one frame of
the file, and nothing is sent before the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from mytrading.messages.codec import NO_HASH
from mytrading.runtime.journal.format import (
    BEGIN,
    HEAD,
    INPUT,
    OUTPUT,
    RECORD,
    RESERVE_BYTES,
    ROWS,
    SEAL,
    Cursor,
    Entry,
    JournalDamaged,
    JournalFull,
    JournalOfAnotherVersion,
    JournalUnavailable,
    Row,
    Seal,
    SegmentHead,
    chain_hash,
    segment_path,
    segments,
    sync_path,
)
from mytrading.runtime.journal.reader import (
    JournalReader,
    frames_with_rows,
    head_of,
    last_inputs,
    open_day_file,
    read_segment,
)
from mytrading.runtime.journal.segment import SegmentWriter, unavailable_error, write_new_segment

__all__ = [
    "INPUT", "OUTPUT", "RECORD", "RESERVE_BYTES", "Cursor", "Entry", "Journal", "JournalDamaged", "JournalFull",
    "JournalOfAnotherVersion", "JournalReader", "JournalUnavailable", "Row", "chain_hash", "last_inputs",
    "read_segment", "segment_path", "segments",
]  # fmt: skip

EPOCH_GAP = 1_000_000
"""So far above the last sequence known a new epoch begins: a reader may have had rows that no file names."""
_new = tuple.__new__


class Journal:
    """The writer's side. One thread. Budget of `append`: 30 µs, or one disk sync when durable."""

    def __init__(self, folder: Path, writer: str, day: str, reserve_bytes: int = RESERVE_BYTES) -> None:
        """Open the newest day file, or make the first one, named by `day` (ISO date).

        `reserve_bytes` of disk are kept aside for exits. Raises `JournalDamaged` for a file that is no journal, and
        `JournalOfAnotherVersion` for one of another layout.
        """
        self.folder = folder
        self.writer = writer
        self.epoch = 1
        self._seq = self._begun = 0
        self._hash = NO_HASH
        self._stream_seqs: dict[str, int] = {}
        self._floors: dict[str, int] = {}
        self.carried_cursors: dict[tuple[str, str], Cursor] = {}
        """The cursors, by (writer, stream), with which the present day file began."""
        self._sealed: tuple[int, str] = (-1, "")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            files = segments(folder)
            self.path = files[-1] if files else _first_file(folder, day)
            end = self._load()
        except OSError as error:
            raise unavailable_error(folder, error) from error
        self._file = SegmentWriter(self.path, end, reserve_bytes)

    @property
    def day(self) -> str:
        """The trading day (ISO date) of the file that is being written."""
        return self.path.stem

    @property
    def size(self) -> int:
        """Sequence number of the last row; 0 if there is none."""
        return self._seq

    @property
    def row_count(self) -> int:
        """Number of rows in the present day file, all of which the daemon reads when it starts."""
        return self._seq - self._begun

    @property
    def sealed_for(self) -> str:
        """The next day (ISO date), if the file ends with its seal because a roll to it was cut short; else empty."""
        seq, day = self._sealed
        return day if seq == self._seq else ""

    @property
    def is_short_of_disk(self) -> bool:
        """True while the disk is full, or nearly so: the space that is left is for exits."""
        return self._file.spent or self._file.tight

    def written(self, stream: str) -> int:
        """Sequence number of the last message written to a stream; 0 if none was."""
        return self._stream_seqs.get(stream, 0)

    def append(
        self,
        entries: Sequence[Entry],
        market_ns: int,
        machine_ns: int,
        durable: bool = False,
        meanwhile: Callable[[], None] | None = None,
    ) -> list[Row]:
        """Commit `entries` as one frame and return their rows; `durable` waits for the disk.

        `meanwhile` may be called during the sync of a durable commit, which may still fail; it must not raise.
        Raises `JournalFull` when nothing could be written, the reserve being used up.
        """
        rows = self._rows(entries, market_ns, machine_ns)
        self._file.append(ROWS, rows, durable, meanwhile)
        self._advance(rows)
        return rows

    def _rows(self, entries: Sequence[Entry], market_ns: int, machine_ns: int) -> list[Row]:
        """Hot path of each order: no Python function per row or hash."""
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

    def _advance(self, rows: Sequence[Row]) -> None:
        self._seq, self._hash = rows[-1].seq, rows[-1].hash
        for row in rows:
            if row.kind == OUTPUT:
                self._stream_seqs[row.stream] = row.stream_seq

    def rows(self) -> Iterator[Row]:
        """Read the rows of the present day file, oldest first, chain checked. Raises `JournalDamaged`."""
        return read_segment(self.path)

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
        path = segment_path(self.folder, day)
        if path.exists():
            raise JournalDamaged(f"{path}: the day {day} was begun before; move the file aside")
        rows = self._rows([*([seal] if seal else []), *opening], market_ns, machine_ns)
        sealing, begun = (rows[:1], rows[1:]) if seal else ([], rows)
        written = self._stream_seqs | {row.stream: row.stream_seq for row in sealing if row.kind == OUTPUT}
        at, row_hash = (sealing[-1].seq, sealing[-1].hash) if sealing else (self._seq, self._hash)
        carried = tuple((*place, cursor) for place, cursor in cursors.items())
        head = SegmentHead(at, row_hash, self.epoch, written, self._floors, carried)
        made, end = write_new_segment(path, head, [begun] if begun else [])
        if sealing:
            self._seal(sealing, day)
        self._file.mark_synced()
        made.replace(path)
        sync_path(self.folder)
        before, self.path, self.carried_cursors = self._file, path, dict(cursors)
        self._begun = at
        self._file = SegmentWriter(path, end, before.reserve_bytes)
        before.close(cut=True)
        if begun:
            self._advance(begun)
        return begun

    def seal(self, seal: Entry, next_day: str, market_ns: int, machine_ns: int) -> None:
        """End the present day file while its daemon is stopped: the next start opens `next_day`."""
        self._seal(self._rows([seal], market_ns, machine_ns), next_day)

    def _seal(self, rows: list[Row], next_day: str) -> None:
        self._file.append(SEAL, Seal(next_day, rows), durable=True)
        self._advance(rows)
        self._sealed = (self._seq, next_day)

    def begin_epoch(self, at_least: dict[str, int]) -> int:
        """Start a new epoch after the journal's tail was lost, above every sequence that a reader may have; return it.

        `at_least` has the last known sequence of each stream. Readers may have had later rows in their sockets: a
        sequence they have seen would be taken for a repetition.
        """
        written, floors = dict(self._stream_seqs), dict(self._floors)
        for stream, seq in at_least.items():
            written[stream] = max(seq, written.get(stream, 0))
            floors[stream] = max(written[stream], floors.get(stream, 0)) + EPOCH_GAP
        carried = tuple((*place, cursor) for place, cursor in self.carried_cursors.items())
        head = SegmentHead(self._seq, self._hash, self.epoch + 1, written, floors, carried)
        self._file.append(HEAD, head, durable=True)
        self.epoch, self._stream_seqs, self._floors = head.epoch, written, floors
        return self.epoch

    def sync_if_due(self) -> None:
        """Sync rows that a power cut might lose, if they are many; to be called about once a second.

        Raises `JournalDamaged` when the file is no longer where it was made.
        """
        self._file.sync_if_due()

    def watch_disk(self) -> bool:
        """Measure the free disk and allocate the reserve again once there is room; True unless disk is still short."""
        self._file.measure_disk()
        return not self.is_short_of_disk

    def close(self) -> None:
        """Sync and close. What is allocated behind the end stays for the next start, which needs no room then."""
        self._file.close()

    def _load(self) -> int:
        """Learn the state of the newest file; returns where its last whole frame ends."""
        self._take_head(head_of(self.path))
        self._begun, end = self._seq, BEGIN
        with open_day_file(self.path) as file:
            for frame, rows in frames_with_rows(self.path, file):
                end = frame.end
                if rows:
                    self._advance(rows)
                if frame.kind == SEAL:
                    self._sealed = (self._seq, frame.seal().next_day)
                elif frame.kind == HEAD:
                    self._take_head(frame.head())
        return end

    def _take_head(self, head: SegmentHead) -> None:
        if head.seq >= self._seq:
            self._seq, self._hash = head.seq, head.hash
        self.epoch, self._floors = head.epoch, dict(head.floors)
        self.carried_cursors = {(writer, stream): cursor for writer, stream, cursor in head.cursors}
        for stream, seq in head.written.items():
            self._stream_seqs[stream] = max(seq, self._stream_seqs.get(stream, 0))


def _first_file(folder: Path, day: str) -> Path:
    """The first day file, which has its head when it comes to have its name."""
    path = segment_path(folder, day)
    try:
        made, _ = write_new_segment(path, SegmentHead())
    except JournalFull as error:
        raise JournalUnavailable(str(error)) from error
    made.replace(path)
    with suppress(OSError):
        sync_path(folder)
    return path
