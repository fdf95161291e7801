"""Reading journals: whole day files, one stream followed across files, and the extent of a file.

Works while the writer writes, from any process, and changes nothing. A file ends at the first frame that is not whole:
one that is being written, or was cut short by a kill or a power cut. It is damage only if a later frame says that the
disk had had it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from mytrading.messages.codec import NO_HASH, FrameError, StreamDecoder
from mytrading.messages.journal_rows import DayOpened
from mytrading.runtime.journal import format as fmt
from mytrading.runtime.journal.format import Cursor, JournalDamaged, JournalFrame, Row
from mytrading.runtime.journal.segment import data_behind, unavailable_error

_FIRST_BYTES, _MOST_BYTES = 16 << 10, 1 << 20
"""Read at once: little where only what is new is looked for."""
_OPENING = 4
"""Records among which a day file has what was carried into it, if anything was: it is the second."""
_NOT_NOW = (FileNotFoundError, fmt.JournalUnavailable)
"""A file that was removed or set aside since it was listed, or that cannot be opened now."""


@contextmanager
def open_day_file(path: Path) -> Iterator[int]:
    """Open a day file for reading, as a context manager that gives its descriptor.

    Raises `FileNotFoundError`, `JournalDamaged` and `JournalOfAnotherVersion`.
    """
    descriptor = _open(path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise unavailable_error(path, error) from error
    try:
        fmt.check_layout(path, os.pread(descriptor, fmt.BEGIN, 0))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def frames_from(file: int, at: int = fmt.BEGIN) -> Iterator[JournalFrame]:
    """Yield the whole frames of an open day file from byte `at` on, up to the first that is not whole."""
    data, base, offset, size = b"", at, 0, _FIRST_BYTES
    while True:
        found = fmt.decode_frame(data, offset, base + offset)
        if isinstance(found, JournalFrame):
            yield found
            offset = found.end - base
        elif not found:
            return
        else:
            base, offset = base + offset, 0
            if base + found > os.fstat(file).st_size:
                return
            data = os.pread(file, max(size, found), base)
            size = min(size * 4, _MOST_BYTES)


def frames_behind(file: int, end: int) -> Iterator[JournalFrame]:
    """Yield the whole frames found after byte `end` of an open file, where no frame begins: behind damage or a gap."""
    rest = data_behind(file, end)
    whole = rest.ljust(os.fstat(file).st_size - end, b"\0")  # a frame may end with zeros
    at = rest.find(fmt.MARK, fmt.MARK_AT)
    while at >= 0:
        found = fmt.decode_frame(whole, at - fmt.MARK_AT, end + at - fmt.MARK_AT)
        if isinstance(found, JournalFrame):
            yield found
        at = rest.find(fmt.MARK, at + 1)


def all_heads(path: Path) -> list[fmt.SegmentHead]:
    """Return all head frames of a day file, also those behind damage, oldest first; raises as `open_day_file`."""
    heads, end = [], fmt.BEGIN
    with open_day_file(path) as file:
        for frame in frames_from(file):
            end = frame.end
            heads += [frame.head()] if frame.kind == fmt.HEAD else []
        heads += [frame.head() for frame in frames_behind(file, end) if frame.kind == fmt.HEAD]
    return heads


def head_of(path: Path) -> fmt.SegmentHead:
    """Return the first head frame of a day file; raises as `open_day_file`, and `JournalDamaged` if there is none."""
    with open_day_file(path) as file:
        return _head(path, file)


def _head(path: Path, file: int) -> fmt.SegmentHead:
    if (first := next(frames_from(file), None)) is None or first.kind != fmt.HEAD:
        raise JournalDamaged(f"{path}: its head cannot be read; the writer's next start will move the file aside")
    try:
        return first.head()
    except msgspec.DecodeError as error:
        raise JournalDamaged(f"{path}: its head cannot be read: {error}") from error


def frames_with_rows(path: Path, file: int) -> Iterator[tuple[JournalFrame, list[Row]]]:
    """Yield each frame of an open file with its rows (may be none), oldest first; hashes are not compared. `path` is
    for messages; raises `JournalDamaged` naming a bad row."""
    seq, end = _head(path, file).seq, fmt.BEGIN
    for frame in frames_from(file):
        end = frame.end
        if rows := _rows(path, frame, seq):
            seq = rows[-1].seq
        yield frame, rows
    _judge_end(path, file, end, seq)


def _rows(path: Path, frame: JournalFrame, seq: int) -> list[Row]:
    try:
        return frame.rows()
    except msgspec.DecodeError as error:
        raise JournalDamaged(f"{path}: row {seq + 1} cannot be read (byte {frame.at} of the file): {error}") from error


def _judge_end(path: Path, file: int, end: int, seq: int) -> None:
    """Raise if the disk had a frame at byte `end`, where there is no whole one: a later frame knew of it."""
    if not any(frame.synced > end for frame in frames_behind(file, end)):
        return
    if next(frames_from(file, end), None) is None:  # else it was being written, and is whole by now
        raise JournalDamaged(f"{path}: row {seq + 1} cannot be read (byte {end} of the file): it was changed or lost")


def read_segment(path: Path) -> Iterator[Row]:
    """Yield all rows of a day file, oldest first, chain checked; raises `JournalDamaged` naming a bad row."""
    try:
        with open_day_file(path) as file:
            head = _head(path, file)
            expected, previous = head.seq, head.hash
            written: dict[str, int] = {}
            for _, rows in frames_with_rows(path, file):
                for row in rows:
                    expected += 1
                    if row.seq != expected:
                        raise JournalDamaged(f"{path}: expected row {expected}, found row {row.seq}: rows were removed")
                    if row.kind == fmt.OUTPUT:
                        if row.stream_seq <= written.get(row.stream, 0):
                            text = f"row {row.seq} ({row.stream}) repeats sequence {row.stream_seq}"
                            raise JournalDamaged(f"{path}: {text}")
                        written[row.stream] = row.stream_seq
                    previous = fmt.chain_hash(previous, row.seq, row.stream, row.body)
                    if row.hash != previous:
                        text = f"row {row.seq} ({row.stream}) does not match its hash: it was changed"
                        raise JournalDamaged(f"{path}: {text}")
                    yield row
    except OSError as error:
        raise unavailable_error(path, error) from error


def newest_first(path: Path) -> Iterator[tuple[JournalFrame, Row]]:
    """Yield (frame, row) of a day file, newest row first, hashes not compared; raises as `frames_with_rows`."""
    with open_day_file(path) as file:
        places = [(frame.at, frame.end) for frame in frames_from(file)]
        judged = False
        for at, end in reversed(places):
            frame = fmt.decode_frame(os.pread(file, end - at, at), 0, at)
            if not isinstance(frame, JournalFrame):  # its writer took it out meanwhile
                continue
            rows = _rows(path, frame, 0)
            if not judged and (rows or frame.kind == fmt.HEAD):
                _judge_end(path, file, places[-1][1], rows[-1].seq if rows else frame.head().seq)
                judged = True
            for row in reversed(rows):
                yield frame, row


def _unchecked(path: Path) -> Iterator[Row]:
    try:
        with open_day_file(path) as file:
            for _, rows in frames_with_rows(path, file):
                yield from rows
    except OSError as error:
        raise unavailable_error(path, error) from error


def last_inputs(folder: Path, writer: str, stream: str, limit: int) -> list[tuple[int, bytes]]:
    """Return (sequence, hash) of a writer's newest rows of a stream that the journal in `folder` read, newest first."""
    found: list[tuple[int, bytes]] = []
    for path in reversed(fmt.segments(folder)):
        with suppress(JournalDamaged, OSError):
            for _, row in newest_first(path):
                if (row.kind, row.source, row.stream) == (fmt.INPUT, writer, stream):
                    found.append((row.source_seq, row.source_hash))
                    if len(found) >= limit:
                        return found
    return found


class _Mark(NamedTuple):
    """A place in a file: of the stream all up to sequence `after` stands before byte `next`, and row `seq` is the last.

    `at` is where the last frame looked at stands, and `start` how it begins.
    """

    inode: int
    at: int
    start: bytes
    next: int
    after: int
    seq: int


class JournalReader:
    """Follows one stream of one writer, read-only, across its day files, from where the last read ended."""

    def __init__(self, folder: Path, stream: str) -> None:
        self.folder = folder
        self.stream = stream
        self._file = -1
        self._path: Path | None = None
        self._inode = 0
        self._mark: _Mark | None = None

    def read(self, after: int, limit: int = 1000) -> list[Row]:
        """Rows of the stream above sequence `after`, at most `limit`, oldest first, [] for none; raises
        `JournalDamaged`."""
        for path in self._files_from(after):
            with suppress(*_NOT_NOW):
                if rows := self._read_file(path, after, limit):
                    return rows
        return []

    def row(self, seq: int) -> Row | None:
        """Return the row with this sequence of the stream, None if the journal does not have it (any more)."""
        for path, frame, row in self._newest_first():
            if row.stream_seq == seq:
                self._remember(path, frame, row)
                return row
            if row.stream_seq < seq:
                break
        return None

    def last(self) -> int:
        """Return the sequence of the newest row of the stream, 0 if there is none."""
        return next((row.stream_seq for _, _, row in self._newest_first()), 0)

    def matches(self, cursor: Cursor) -> bool:
        """Return true if the journal holds the very row (sequence and hash) at which the cursor is."""
        if cursor.seq == 0:
            return True
        row = self.row(cursor.seq)
        return row is not None and row.hash == cursor.hash

    def newest_of(self, known: Mapping[int, bytes]) -> Cursor:
        """Return a cursor at the stream's newest row that is in `known` (hash by sequence), else at its start."""
        for _, _, row in self._newest_first():
            if known.get(row.stream_seq) == row.hash:
                return Cursor(row.epoch, row.stream_seq, row.hash)
        return Cursor()

    def close(self) -> None:
        """Close the day file that is open."""
        if self._path is not None:
            os.close(self._file)
            self._path = None

    def _newest_first(self) -> Iterator[tuple[Path, JournalFrame, Row]]:
        for path in reversed(fmt.segments(self.folder)):
            with suppress(*_NOT_NOW):
                for frame, row in newest_first(path):
                    if (row.kind, row.stream) == (fmt.OUTPUT, self.stream):
                        yield path, frame, row

    def _remember(self, path: Path, frame: JournalFrame, row: Row) -> None:
        """Note the place of a row: the rows after it stand in its frame or behind it."""
        with suppress(*_NOT_NOW):
            start = os.pread(self._open_file(path), fmt.FRAME_BYTES, frame.at)
            self._mark = _Mark(self._inode, frame.at, start, frame.at, row.stream_seq, row.seq)

    def _files_from(self, after: int) -> list[Path]:
        """The day files that may hold rows above `after`: a file knows how far its stream had come when it began."""
        files = fmt.segments(self.folder)
        for index in range(len(files) - 1, 0, -1):
            with suppress(*_NOT_NOW):
                if head_of(files[index]).written.get(self.stream, 0) <= after:
                    return files[index:]
        return files

    def _read_file(self, path: Path, after: int, limit: int) -> list[Row]:
        file = self._open_file(path)
        mark = self._held(file, after) or _Mark(self._inode, 0, b"", fmt.BEGIN, after, 0)
        found: list[Row] = []
        at, end, seq = mark.at, mark.next, mark.seq
        for frame in frames_from(file, mark.next):
            at, end = frame.at, frame.end
            rows = _rows(path, frame, seq)
            seq = rows[-1].seq if rows else seq
            found += [
                row for row in rows if row.stream_seq > after and (row.kind, row.stream) == (fmt.OUTPUT, self.stream)
            ]
            if len(found) >= limit:
                end = at  # there may be more in it
                break
        else:
            if os.pread(file, fmt.FRAME_BYTES, end).strip(b"\0"):  # usually a frame that is being written
                _judge_end(path, file, end, seq)
        found = found[:limit]
        start = os.pread(file, fmt.FRAME_BYTES, at)
        self._mark = _Mark(self._inode, at, start, end, found[-1].stream_seq if found else after, seq)
        return found

    def _held(self, file: int, after: int) -> _Mark | None:
        """The mark, unless it is of another file, of later rows, or what stood there was written anew."""
        if (mark := self._mark) is None or mark.inode != self._inode or mark.after > after:
            return None
        return mark if os.pread(file, fmt.FRAME_BYTES, mark.at) == mark.start else None

    def _open_file(self, path: Path) -> int:
        """The descriptor of a file; a new one if another file has come to have its name."""
        inode = path.stat().st_ino
        if path != self._path or inode != self._inode:
            self.close()
            self._file = _open(path)
            self._path, self._inode = path, os.fstat(self._file).st_ino
        return self._file


class JournalTail:
    """Hands each message of one writer's stream to `handler(row, message)`, from a point in time on, without a cursor.

    For screens, which begin again with their process: no chain is checked, unreadable messages are passed over. With
    `carried`, what the writer carried into a day (`DayOpened`) comes before the rows of that day.
    """

    def __init__(
        self, folder: Path, stream: str, handler: Callable[[Row, Any], None], *, carried: bool = False
    ) -> None:
        self._folder = folder
        self._stream = stream
        self._handler = handler
        self._decoder = StreamDecoder(stream)
        self._carried = StreamDecoder("records") if carried else None
        self._reader = JournalReader(folder, stream)
        self._after = 0

    def start(self, since_machine_ns: int) -> None:
        """Call the handler for rows of all day files back to machine time `since_machine_ns`, at least the newest
        file's."""
        chosen: list[Path] = []
        for path in reversed(fmt.segments(self._folder)):
            chosen.insert(0, path)
            with suppress(JournalDamaged):
                first = next(_unchecked(path), None)
                if first is None or first.machine_ns < since_machine_ns:
                    break
        for path in chosen:
            with suppress(JournalDamaged):  # a screen shows what there is, the writer itself complains
                records = (row for row in _unchecked(path) if row.kind == fmt.RECORD)
                for row in islice(records, _OPENING if self._carried is not None else 0):
                    with suppress(FrameError):
                        message = self._carried.decode_body(row.body) if self._carried is not None else None
                        if isinstance(message, DayOpened):
                            self._handler(row, message)
                for row in _unchecked(path):
                    if (row.kind, row.stream) == (fmt.OUTPUT, self._stream):
                        self._hand_over(row)

    def poll(self) -> int:
        """Call the handler for the rows written since the last call; return how many."""
        count = 0
        while rows := self._reader.read(self._after):
            for row in rows:
                self._hand_over(row)
            count += len(rows)
        return count

    def _hand_over(self, row: Row) -> None:
        self._after = row.stream_seq
        try:
            message = self._decoder.decode_body(row.body)
        except FrameError:
            return
        self._handler(row, message)

    def close(self) -> None:
        """Close the day file that is open."""
        self._reader.close()


def sealed_for(path: Path) -> str:
    """Return the next trading day (ISO date) that the seal at the end of a day file names, "" if the file is not
    sealed. Raises as `frames_with_rows`."""
    following = ""
    with open_day_file(path) as file:
        for frame, rows in frames_with_rows(path, file):
            if rows:
                following = frame.seal().next_day if frame.kind == fmt.SEAL else ""
    return following


class Extent(NamedTuple):
    """The byte at which the last whole frame of a file ends, and what its writer had read and written by then.

    `read` is the newest sequence by (writer, stream), `written` by stream, both with those of earlier files.
    """

    end: int
    read: dict[tuple[str, str], int]
    written: dict[str, int]


def extent_of(path: Path, since: Extent | None = None) -> Extent:
    """Return the end byte of a day file and the newest sequence read and written per stream, up to damage if there is
    any. `since`: an earlier extent of the file, to go on from. Raises as `open_day_file`."""
    with open_day_file(path) as file:
        if since is None:
            head = _head(path, file)
            cursors = {(writer, stream): cursor.seq for writer, stream, cursor in head.cursors}
            since = Extent(fmt.BEGIN, cursors, head.written)
        end, read, written = since.end, dict(since.read), dict(since.written)
        for frame in frames_from(file, end):
            end = frame.end
            for row in _rows(path, frame, 0):
                if row.kind == fmt.OUTPUT:
                    written[row.stream] = row.stream_seq
                elif row.kind == fmt.INPUT and row.source_hash != NO_HASH:
                    read[row.source, row.stream] = row.source_seq
    return Extent(end, read, written)
