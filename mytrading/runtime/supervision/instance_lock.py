"""One instance only: a file lock that the kernel drops when its process dies, with the holder's pid in the file.

A record lock belongs to its process: a fork does not hold it. It is gone as soon as its process closes the file,
whichever way it was opened, so a process that holds it never opens the file again.
"""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

_held: dict[tuple[int, int], int] = {}
"""Of the locks that this process holds, by file: the pid of the process that took it, which a fork of it is not."""
_guard = threading.Lock()


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
        """Take the lock; wait up to `wait_s` for a dying holder. Raises `AlreadyRunning` if it is still held."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + wait_s
        while (holding := self._take()) is not None:
            if time.monotonic() >= deadline:
                raise AlreadyRunning(self.path, holding)
            time.sleep(0.05)

    def _take(self) -> str | None:
        """Try once; returns the pid of the process that holds it, None if this one does now."""
        with _guard:
            if _is_own(self.path):
                return str(os.getpid())
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            if not _try_lock(descriptor):
                pid = _written(descriptor)
                os.close(descriptor)
                return pid
            os.pwrite(descriptor, f"{os.getpid():<16}".encode(), 0)  # one write: nobody ever reads half a pid
            _held[_identity(descriptor)] = os.getpid()
            self._fd = descriptor
            return None

    def release(self) -> None:
        """Release the lock; no effect if it is not held."""
        if self._fd is not None:
            with _guard:
                _held.pop(_identity(self._fd), None)
                os.close(self._fd)
            self._fd = None


def holder(path: Path) -> str | None:
    """Return the pid (as text) of the process that holds the lock file, None if nobody does."""
    with _guard:
        if _is_own(path):
            return str(os.getpid())
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            return None if _try_lock(descriptor) else _written(descriptor)
        finally:
            os.close(descriptor)


def end_forks(path: Path, module: str) -> list[int]:
    """Kill forks of an earlier holder: processes that run the Python `module` with the lock file `path` open; return
    their pids, [] without `/proc`. To be called by the holder, or when there is none."""
    file, forks = path.resolve(), list[int]()
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        with suppress(OSError):
            runs = module.encode() in (entry / "cmdline").read_bytes().split(b"\0")
            if pid != os.getpid() and runs and any(_target(link) == file for link in (entry / "fd").iterdir()):
                forks.append(pid)
                os.kill(pid, signal.SIGKILL)
    return forks


def _target(link: Path) -> Path | None:
    with suppress(OSError):
        return link.readlink()
    return None


def _is_own(path: Path) -> bool:
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return _held.get((found.st_dev, found.st_ino)) == os.getpid()


def _identity(descriptor: int) -> tuple[int, int]:
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino


def _written(descriptor: int) -> str:
    return os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # POSIX lets a system answer with either
        return False
    return True
