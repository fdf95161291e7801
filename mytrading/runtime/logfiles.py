"""A log file that several processes append to at once, with rotation by size and removal by age.

Used by `runtime.logging` only. Every line is one `write` on a descriptor opened for appending, which the kernel keeps
whole, so no process ever waits for another; whoever finds the file too large renames it under a lock, and the others
notice within a second. The one rule: a log that cannot be written never stops the writer; it counts what it lost.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_CHECK_SECONDS = 1.0
_DAY = 86_400.0


class SharedLogFile:
    """One file under `logs/`: `NAME.log`, with older parts as `NAME.<date>T<time>.log`."""

    def __init__(self, path: Path, max_bytes: int, retention_days: int, check_seconds: float = _CHECK_SECONDS) -> None:
        self.path = path
        self.lost = 0
        self._max_bytes = max_bytes
        self._check_seconds = check_seconds
        self._retention = retention_days * _DAY
        self._descriptor = -1
        self._inode = -1
        self._next_check = 0.0

    def write(self, line: bytes) -> None:
        """Append one line, its newline included, in a single call."""
        now = time.monotonic()
        if now >= self._next_check:
            self._next_check = now + self._check_seconds
            self._check()
        try:
            os.write(self._descriptor, line)
        except OSError:
            self.lost += 1

    def close(self) -> None:
        """Close the descriptor; a later write opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._inode, self._next_check = -1, -1, 0.0

    def _check(self) -> None:
        """Open the file if it is not open or not the one at the path any more, and rotate it when it is full."""
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._on_disk() != self._inode or self._descriptor < 0:
                self._open()
            if os.fstat(self._descriptor).st_size >= self._max_bytes:
                self._rotate()

    def _on_disk(self) -> int:
        try:
            return self.path.stat().st_ino
        except FileNotFoundError:
            return -1

    def _open(self) -> None:
        self.close()
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._inode = os.fstat(self._descriptor).st_ino

    def _rotate(self) -> None:
        with self._lock():
            if self._on_disk() == self._inode:
                self.path.rename(self._archive_name())
                self._remove_old()
            self._open()

    def _archive_name(self) -> Path:
        stamp = time.strftime("%Y-%m-%dT%H%M%S")
        name = self.path.with_name(f"{self.path.stem}.{stamp}{self.path.suffix}")
        count = 1
        while name.exists():
            count += 1
            name = self.path.with_name(f"{self.path.stem}.{stamp}-{count}{self.path.suffix}")
        return name

    def _remove_old(self) -> None:
        oldest = time.time() - self._retention
        for part in self.path.parent.glob(f"{self.path.stem}.*{self.path.suffix}"):
            with suppress(FileNotFoundError):
                if part != self.path and part.stat().st_mtime < oldest:
                    part.unlink()

    @contextmanager
    def _lock(self) -> Iterator[None]:
        descriptor = os.open(self.path.with_name(".rotate.lock"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
