"""Day files of journals changed behind their writer's back: rows forged, removed or made unreadable, for tests.

Frames are written anew with right checksums, so that only the row's own hash, number or body says that it was changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec.structs import replace

from mytrading.runtime.journal.format import FRAME_BYTES, JournalFrame, Row, encode_frame
from mytrading.runtime.journal.reader import all_heads, frames_from, frames_with_rows, open_day_file
from mytrading.runtime.journal.segment import write_new_segment


def stored_rows(path: Path) -> list[Row]:
    """All rows of a file as they stand there; their chain is not looked at."""
    with open_day_file(path) as file:
        return [row for _, rows in frames_with_rows(path, file) for row in rows]


def rebuild(path: Path, rows: Iterable[Row]) -> None:
    """Put a file with these very rows in the place of another; one frame each, no seal."""
    heads = all_heads(path)
    head = replace(heads[-1], seq=heads[0].seq, hash=heads[0].hash, cursors=heads[0].cursors)
    made, _ = write_new_segment(path, head, [[row] for row in rows])
    made.replace(path)


def change(path: Path, which: Callable[[Row], bool], **fields: object) -> None:
    """Give rows other fields, and leave their hashes as they are."""
    rebuild(path, [row._replace(**fields) if which(row) else row for row in stored_rows(path)])


def remove(path: Path, which: Callable[[Row], bool]) -> None:
    """Take rows out."""
    rebuild(path, [row for row in stored_rows(path) if not which(row)])


def write_over(path: Path, which: Callable[[Row], bool], body: bytes) -> None:
    """Give a row of a file that is being written another body of the same length, where it stands."""
    frame = frame_with(path, which)
    rows = [row._replace(body=body) if which(row) else row for row in frame.rows()]
    data = encode_frame(frame.kind, rows, frame.synced)
    assert len(data) == frame.end - frame.at, "the new body must be as long as the old one"
    put(path, frame.at, data)


def frame_with(path: Path, which: Callable[[Row], bool]) -> JournalFrame:
    """The first frame that has such a row."""
    with open_day_file(path) as file:
        return next(frame for frame in frames_from(file) if any(which(row) for row in frame.rows()))


def flip(path: Path, at: int) -> None:
    """Turn the bits of one byte round, where it stands; a second time makes it what it was."""
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0xFF]))


def spoil(path: Path, which: Callable[[Row], bool]) -> int:
    """Turn a byte of a row's frame round; returns which."""
    at = frame_with(path, which).at + FRAME_BYTES
    flip(path, at)
    return at


def put(path: Path, at: int, data: bytes) -> None:
    """Write bytes where they are to stand."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def end_of(path: Path) -> int:
    """Return the byte at which the last whole frame ends."""
    with open_day_file(path) as file:
        return [frame.end for frame in frames_from(file)][-1]
