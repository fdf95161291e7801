"""Search of the log, backwards through all of its parts: in slices of bounded time, which say how far they looked.

A slice ends with enough lines, or when its time is up; the next one goes on at its `older`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from mytrading.daemons.console.log_tail import log_line
from mytrading.messages.console_api import LogLine, LogSearch
from mytrading.runtime.observability.log_lines import parse_log_line

LEVELS = ("debug", "info", "warning", "error", "critical")
CHUNK_BYTES = 1 << 20
SLICE_S = 1.5
"""Seconds after which a slice ends; a chunk that was begun is looked through."""
BREATH_S = 0.001
"""Pause after each chunk, in which other threads of the process have their turn."""


class UnknownPlace(ValueError):
    """A place to go on at that is none, or in a part of the log that was deleted meanwhile."""


class LogFilter(NamedTuple):
    """What lines must be: of a process, from a level on, with these texts in them in any case; empty is any."""

    process: str = ""
    level: str = ""
    texts: tuple[str, ...] = ()


class _Test:
    """Whether a line fits a filter; what is cheap is looked at first."""

    def __init__(self, wanted: LogFilter) -> None:
        self._process = wanted.process
        self._levels = frozenset(LEVELS[LEVELS.index(wanted.level) :]) if wanted.level else frozenset(LEVELS)
        words = [text.casefold() for text in wanted.texts if text]
        self._bytes = [word.encode() for word in words if word.isascii()]
        self._words = [word for word in words if not word.isascii()]
        if wanted.process.isascii():
            self._bytes += [wanted.process.casefold().encode()]

    def may_hold(self, chunk: bytes) -> bool:
        """False if no line of a chunk fits."""
        low = chunk.lower()
        return all(word in low for word in self._bytes)

    def line(self, raw: bytes) -> LogLine | None:
        """Return a line by its fields if it fits."""
        low = raw.lower()
        if not all(word in low for word in self._bytes):
            return None
        text = raw.decode(errors="replace")
        if self._words and not all(word in text.casefold() for word in self._words):
            return None
        entry = parse_log_line(text)
        if (self._process and entry.get("component") != self._process) or entry.get(
            "level", "info"
        ) not in self._levels:
            return None
        return log_line(entry, text)


def search_log(path: Path, wanted: LogFilter, limit: int, before: str = "", seconds: float = SLICE_S) -> LogSearch:
    """Return the newest lines of a log that fit, the newest last, from its end or from `before` (the `older` of another
    slice) backwards. Raises `UnknownPlace`."""
    test, until = _Test(wanted), time.monotonic() + seconds
    found: list[LogLine] = []
    looked, place, oldest = 0, "", b""
    for chunk in _chunks_backwards(path, before):
        place, looked = chunk.place, looked + len(chunk.data)
        lines = chunk.data.removesuffix(b"\n").split(b"\n")
        oldest = lines[0]
        if test.may_hold(chunk.data):
            begin = len(chunk.data)
            while lines and len(found) < limit:
                oldest = lines.pop()
                begin -= len(oldest) + 1
                if (line := test.line(oldest)) is not None:
                    found.append(line)
            if lines:  # enough are found
                inode, _, offset = place.partition(":")
                place, looked = f"{inode}:{int(offset) + begin}", looked - begin
        if len(found) == limit or time.monotonic() > until:
            break
        time.sleep(BREATH_S)
    else:
        place = ""
    return LogSearch(lines=found[::-1], older=place, back_to_ms=_wall_ms(oldest), looked_bytes=looked)


class _Chunk(NamedTuple):
    """Whole lines of a part of the log, and the place at which they begin."""

    data: bytes
    place: str


def log_parts(path: Path) -> list[Path]:
    """Return the files of a log, the newest first."""
    parts = sorted(path.parent.glob(f"{path.stem}.*{path.suffix}"), key=lambda part: part.name, reverse=True)
    return [part for part in (path, *parts) if part.exists()]


def _chunks_backwards(path: Path, before: str) -> Iterator[_Chunk]:
    """Yield the log in whole lines from its end, or from a place, to its beginning. A part that is moved meanwhile is
    known by its inode."""
    inode, _, offset = before.partition(":")
    if before and not (inode.isdecimal() and offset.isdecimal()):
        raise UnknownPlace(f"before: expected the `older` of another answer, found {before!r}")
    waits = bool(before)
    for part in log_parts(path):
        try:
            file = part.open("rb")
        except FileNotFoundError:  # moved since
            continue
        with file:
            known = os.fstat(file.fileno())
            if waits and str(known.st_ino) != inode:
                continue
            end = min(int(offset), known.st_size) if waits else known.st_size
            waits = False
            while end > 0:
                begin = max(end - CHUNK_BYTES, 0)
                file.seek(begin)
                data = file.read(end - begin)
                if begin and 0 < (first := data.find(b"\n") + 1) < len(
                    data
                ):  # a part of a line goes with the one before
                    begin, data = begin + first, data[first:]
                end = begin
                yield _Chunk(data, f"{known.st_ino}:{begin}")
    if waits:
        raise UnknownPlace("before: that part of the log was deleted meanwhile; search again")


def _wall_ms(raw: bytes) -> int | None:
    try:
        moment = msgspec.json.decode(raw)["time"]
        return int(datetime.fromisoformat(moment).timestamp() * 1000)
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return None
