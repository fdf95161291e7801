"""The raw tape: every frame the market socket gave, as it came, with the times at which it came.

Written by the feed, read to see what the server really sent. One file a trading day,
`YYYY-MM-DD.tape`. The tape never disturbs the feed: when the cap is reached or the disk is full, frames are counted as
lost and trading goes on.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple
from zlib import crc32

MAGIC = b"MTTAPE1\n"
SUFFIX = ".tape"
MAX_RECORD = 1 << 24
_RECORD = struct.Struct("<IIqq")
_BUFFER = 1 << 18


class TapeFrame(NamedTuple):
    """One frame: machine and market time of its receipt (ns), and its bytes."""

    received_ns: int
    market_ns: int
    data: bytes


class TapeWriter:
    """Appends frames to the file of the day. Budget of `append`: 2 µs; `flush` once a second.

    `max_bytes` bounds all files together: the oldest days go first, and when the present day alone reaches it, the
    rest of the day is not recorded. `lost` counts frames that were not.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        self._file: BinaryIO | None = None
        self.day = ""
        """The ISO date of the file that is being written, empty before the first `roll`."""
        self._room = self.frames = self.lost = 0

    def roll(self, day: str) -> None:
        """Switch to the file of `day` (ISO date), deleting old ones for room; a record torn by a crash is cut off."""
        if day == self.day:
            return
        self.close()
        self.day = day
        path = self._folder / f"{day}{SUFFIX}"
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._room = self._max_bytes - self._make_room(path)
            self._file = _open(path)

    def append(self, received_ns: int, market_ns: int, data: bytes) -> None:
        """Append one frame, received at machine and market ns; count it in `lost` if it cannot be written."""
        size = _RECORD.size + len(data)
        if self._file is None or size > self._room:
            self.lost += 1
            return
        try:
            self._file.write(_RECORD.pack(len(data), crc32(data), received_ns, market_ns) + data)
        except OSError:
            self._give_up()
            return
        self._room -= size
        self.frames += 1

    def flush(self) -> None:
        """Write buffered frames to the operating system."""
        if self._file is not None:
            try:
                self._file.flush()
            except OSError:
                self._give_up()

    def close(self) -> None:
        """Flush and close; the next `roll` opens again."""
        self.flush()
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        self._file, self.day = None, ""

    def _give_up(self) -> None:
        self.lost += 1
        with suppress(OSError):
            if self._file is not None:
                self._file.close()
        self._file = None

    def _make_room(self, current: Path) -> int:
        """Delete the oldest days above the cap; returns the bytes of those that stay."""
        files = sorted(path for path in self._folder.glob(f"*{SUFFIX}") if path != current)
        own = current.stat().st_size if current.exists() else 0
        total = own + sum(path.stat().st_size for path in files)
        # Half of the cap is kept for the day that begins.
        while files and total - own > self._max_bytes // 2:
            oldest = files.pop(0)
            total -= oldest.stat().st_size
            oldest.unlink()
        return total


def _open(path: Path) -> BinaryIO:
    """The file, at the end of its last whole record; what follows is cut off."""
    file = path.open("r+b" if path.exists() else "w+b", buffering=_BUFFER)
    whole = 0
    if file.read(len(MAGIC)) == MAGIC:
        whole = len(MAGIC) + sum(_RECORD.size + len(frame.data) for frame in _records(file))
    file.seek(whole)
    file.truncate()
    if not whole:
        file.write(MAGIC)
    return file


def read_tape(path: Path) -> Iterator[TapeFrame]:
    """Yield the frames of a day's tape up to the first damaged record. `ValueError` if it is no tape."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ValueError(f"{path}: expected a tape (first bytes {MAGIC!r}), found something else")
        yield from _records(file)


def _records(file: BinaryIO) -> Iterator[TapeFrame]:
    while len(head := file.read(_RECORD.size)) == _RECORD.size:
        length, check, received_ns, market_ns = _RECORD.unpack(head)
        if length > MAX_RECORD:
            return
        data = file.read(length)
        if len(data) < length or crc32(data) != check:
            return
        yield TapeFrame(received_ns, market_ns, data)
