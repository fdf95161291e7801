"""Calls of author code, noted before each call in memory that outlives the process, and timed."""

from __future__ import annotations

import mmap
import os
import struct
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.observability.metrics import Histogram

BUDGET_S = 2.0
KILLED_AFTER_S = 4.0
"""A call found open this long after it began did not return: the watchdog kills after five seconds of silence."""

_CALL = struct.Struct("<q120s")


class _Overran(msgspec.Struct, frozen=True):
    """Strategies that overran in the run whose file was written at `run_written_wall_ns`."""

    run_written_wall_ns: int
    names: tuple[str, ...]


class OverrunGuard:
    """Notes and times every call of author code. One thread, one guard; `begin` and `end` cost a microsecond."""

    def __init__(self, folder: Path, timings: Histogram, budget_s: float = BUDGET_S) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._timings = timings
        self._budget_ns = int(budget_s * 1e9)
        self._began = 0
        self._known = folder / "overran.msgpack"
        with (folder / "running.bin").open("a+b") as file:
            os.posix_fallocate(file.fileno(), 0, _CALL.size)  # a copy into a hole would end us on a full disk
            self._map = mmap.mmap(file.fileno(), _CALL.size)

    def record_overruns(self, run_file: Path) -> tuple[str, ...]:
        """Return the strategies whose call hung since `run_file` was written (at the start of the stack's run), and
        keep the list in the guard's file. The call for which the process was killed just before this start counts."""
        written = run_file.stat().st_mtime_ns if run_file.exists() else 0
        names: list[str] = []
        with suppress(FileNotFoundError, msgspec.DecodeError):
            known = msgspec.msgpack.decode(self._known.read_bytes(), type=_Overran)
            names = [name for name in known.names if name and known.run_written_wall_ns == written]
        began, raw = _CALL.unpack(self._map)
        name = raw.rstrip(b"\0").decode(errors="replace")
        if began and machine_now() - began > KILLED_AFTER_S * 1e9 and name not in names:
            names.append(name)
        _CALL.pack_into(self._map, 0, 0, b"")
        with suppress(OSError):  # a full disk keeps no engine from starting; what it cannot keep counts for this start
            self._known.write_bytes(msgspec.msgpack.encode(_Overran(written, tuple(names))))
        return tuple(names)

    def begin(self, strategy: str) -> None:
        """Record, in shared memory, that a call into this strategy's code begins now."""
        _CALL.pack_into(self._map, 0, machine_now(), strategy.encode()[:120])
        self._began = time.perf_counter_ns()

    def end(self, strategy: str, failed: bool) -> str:
        """Record the end of the strategy's call (`failed`: it raised); returns a text if over budget, else empty."""
        took = time.perf_counter_ns() - self._began
        _CALL.pack_into(self._map, 0, 0, b"")
        self._timings.add(took, not failed)
        if took <= self._budget_ns:
            return ""
        return f"{strategy} took {took / 1e9:.1f} s for one call, at most {self._budget_ns / 1e9:g} s: do less per bar"

    def close(self) -> None:
        """Unmap the shared memory."""
        self._map.close()
