"""One instance only: a file lock that the kernel drops when its process dies, with the holder's pid to show.

The one rule: whoever cannot get the lock opens nothing, and says which process holds it.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path


class AlreadyRunning(Exception):
    """Another process holds the lock; the message names its pid. Stop that one first."""

    def __init__(self, path: Path, pid: str) -> None:
        super().__init__(
            f"already running as pid {pid} (lock {path}); stop that one first, or use another state folder"
        )
        self.pid = pid


class InstanceLock:
    """Held from `acquire` until the process ends or `release`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def acquire(self, wait_s: float = 0.0) -> None:
        """Take the lock; wait up to `wait_s` for a dying holder. Raises `AlreadyRunning`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + wait_s
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                pid = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
                os.close(descriptor)
                raise AlreadyRunning(self.path, pid)
            time.sleep(0.05)
        os.pwrite(descriptor, f"{os.getpid():<16}".encode(), 0)  # one write: nobody ever reads half a pid
        self._fd = descriptor

    def release(self) -> None:
        """Give the lock back."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def holder(path: Path) -> str | None:
    """The pid that holds the lock, or None if nobody does."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        if _try_lock(descriptor):
            return None
        return os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
