"""The end of the log as it grows, for pages that follow it: only what was added is read, rotations included."""

from __future__ import annotations

import os
from collections import deque
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from msgspec.structs import asdict

from mytrading.messages.console_api import LogLine
from mytrading.messages.console_rows import LogRow
from mytrading.runtime.observability.log_lines import parse_log_line

KEPT = 500
MOST_BYTES = 1 << 18
"""Of what was written since the last look, so much at the end is read."""
_HEAD = ("time", "level", "component", "event", "source")


def wall_ms_of(text: str) -> int | None:
    """Return the wall time of an ISO text; None where it is none."""
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return None


def log_line(entry: dict[str, Any], line: str) -> LogLine:
    """Return a line of the log by its fields, as `parse_log_line` reads them; one without fields is all text."""
    return LogLine(
        wall_ms=wall_ms_of(str(entry.get("time"))),
        process=str(entry.get("component", "")),
        level=str(entry.get("level", "")),
        event=str(entry.get("event", "")),
        text=" ".join(f"{key}={value}" for key, value in entry.items() if key not in _HEAD) if entry else line,
    )


class LogTail:
    """The last `KEPT` lines of a log file, each with its number since this process looks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        self._count = 0
        self._rows: deque[LogRow] = deque(maxlen=KEPT)

    def rows(self) -> dict[str, LogRow]:
        """Read what was added; returns the lines by their number, the oldest first."""
        self._read()
        if not self._is_current():
            self.close()
            if self._path.exists():
                self._file = self._path.open("rb")
                self._read()
        return {row.id: row for row in self._rows}

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._file, self._rest = None, b""

    def _is_current(self) -> bool:
        """False if no file is open, or the log was moved aside or cut since."""
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        if self._file is None:
            return False
        return there.st_ino == os.fstat(self._file.fileno()).st_ino and there.st_size >= self._file.tell()

    def _read(self) -> None:
        if self._file is None:
            return
        at, end = self._file.tell(), self._file.seek(0, 2)
        begin = max(at, end - MOST_BYTES)
        self._file.seek(begin)
        lines = ((self._rest if begin == at else b"") + self._file.read()).split(b"\n")
        self._rest = lines.pop()
        for line in lines[begin > at :]:  # the first of a part is no whole line
            self._add(line.decode(errors="replace"))

    def _add(self, line: str) -> None:
        self._count += 1
        self._rows.append(LogRow(id=str(self._count), **asdict(log_line(parse_log_line(line), line))))
