"""Durations of operations: `get_performance_monitor()` counts, daemons leave snapshots, `mytrading perf` merges them.

A record costs about a microsecond and takes no lock: a daemon's operations are timed on its own thread.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from contextlib import ContextDecorator, suppress
from functools import cache
from pathlib import Path
from typing import Any, Self

import msgspec
import psutil

from mytrading.runtime.host.paths import state_base
from mytrading.runtime.observability.logging import performance_logger

SUB_BITS = 4
SUB = 1 << SUB_BITS
MAX_NS = (1 << 42) - 1
BUCKETS = (42 - SUB_BITS + 1) * SUB


def bucket_of(ns: int) -> int:
    """Return the histogram bucket of a duration; one over 73 minutes counts as 73 minutes, below 0 as 0."""
    if ns < SUB:
        return max(ns, 0)
    ns = min(ns, MAX_NS)
    shift = ns.bit_length() - SUB_BITS - 1
    return (shift << SUB_BITS) + (ns >> shift)


def bucket_middle_ns(bucket: int) -> float:
    """Return the duration in the middle of a histogram bucket, in ns."""
    if bucket < 2 * SUB:
        return float(bucket)
    shift = (bucket >> SUB_BITS) - 1
    low = (bucket - (shift << SUB_BITS)) << shift
    return low + (1 << shift) / 2


def percentile(buckets: Mapping[int, int], count: int, fraction: float) -> float:
    """Return the ns that `fraction` of `count` values do not exceed, 0.0 for none; `buckets` counts values by
    bucket."""
    rank = max(1, round(fraction * count))
    seen = 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= rank:
            return bucket_middle_ns(bucket)
    return 0.0


_MS = 1e6
_WINDOW = 300.0
_MARK_EVERY = 5.0


class OperationSnapshot(msgspec.Struct, frozen=True):
    """Durations of one operation; `buckets` counts by bucket number (`bucket_of`). Times in ns."""

    component: str
    operation: str
    count: int
    errors: int
    total_ns: int
    max_ns: int
    buckets: dict[int, int]

    @property
    def name(self) -> str:
        """The key in a summary: `component.operation`."""
        return f"{self.component}.{self.operation}"

    def merged(self, other: OperationSnapshot) -> OperationSnapshot:
        """Return the sum of this snapshot and another one of the same operation, neither changed."""
        return OperationSnapshot(
            self.component, self.operation, self.count + other.count, self.errors + other.errors,
            self.total_ns + other.total_ns, max(self.max_ns, other.max_ns),
            dict(Counter(self.buckets) + Counter(other.buckets)),
        )  # fmt: skip

    def figures(self) -> dict[str, float]:
        """Return count, errors, and mean, p50, p95, p99 and max in milliseconds."""
        shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
        cuts = {name: percentile(self.buckets, self.count, share) for name, share in shares.items()}
        return {
            "count": self.count,
            "mean": self.total_ns / max(self.count, 1) / _MS,
            **{name: min(cut, self.max_ns) / _MS for name, cut in cuts.items()},
            "max": self.max_ns / _MS,
            "errors": self.errors,
        }


class MetricsSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One process at `taken_at` (wall, seconds); `recent_rate` is operations a second over five minutes."""

    process: str
    pid: int
    taken_at: float
    uptime_seconds: float
    recent_rate: float
    rss_mb: float
    vms_mb: float
    memory_percent: float
    operations: tuple[OperationSnapshot, ...]


class Histogram:
    """Durations of one operation; whoever measures often keeps it at hand and calls `add` with nanoseconds."""

    __slots__ = ("_buckets", "count", "errors", "max_ns", "total_ns")

    def __init__(self) -> None:
        self.count = 0
        self.errors = 0
        self.total_ns = 0
        self.max_ns = 0
        self._buckets = [0] * BUCKETS

    def add(self, ns: int, ok: bool = True) -> None:
        """Count one run that took `ns` nanoseconds; without `ok` it counts as an error too."""
        self.count += 1
        self.total_ns += ns
        if ns > self.max_ns:
            self.max_ns = ns
        if SUB <= ns <= MAX_NS:  # as in `bucket_of`, of which most durations need no more
            shift = ns.bit_length() - SUB_BITS - 1
            self._buckets[(shift << SUB_BITS) + (ns >> shift)] += 1
        else:
            self._buckets[bucket_of(ns)] += 1
        if not ok:
            self.errors += 1

    def buckets(self) -> dict[int, int]:
        """Counts by bucket number, empty buckets left out."""
        return {bucket: count for bucket, count in enumerate(self._buckets) if count}

    def percentiles(self, fractions: Iterable[float]) -> tuple[float, ...]:
        """The durations (ns) that these fractions of all runs do not exceed; zeros without runs."""
        buckets = self.buckets()
        return tuple(min(percentile(buckets, self.count, fraction), self.max_ns) for fraction in fractions)

    def snapshot(self, component: str, operation: str) -> OperationSnapshot:
        """Return the counts and times so far, under the name of an operation."""
        figures = (self.count, self.errors, self.total_ns, self.max_ns, self.buckets())
        return OperationSnapshot(component, operation, *figures)


@cache
def _process(pid: int) -> psutil.Process:
    """A process, looked up once: each look reads the boot time and the process's beginning from /proc."""
    return psutil.Process(pid)


class PerformanceMonitor:
    """Counts and times by component and operation.

    A process that measured nothing reports the snapshots in `metrics_dir`, by default those of the latest state folder.
    """

    def __init__(self, metrics_dir: Path | None = None) -> None:
        self._operations: dict[tuple[str, str], Histogram] = {}
        self._started = time.monotonic()
        self._marks: deque[tuple[float, int]] = deque([(self._started, 0)], maxlen=int(_WINDOW / _MARK_EVERY) + 1)
        self._metrics_dir = metrics_dir

    def operation(self, component: str, operation: str) -> Histogram:
        """Return the histogram of one operation, made at the first call."""
        if (found := self._operations.get((component, operation))) is None:
            found = self._operations[component, operation] = Histogram()
        return found

    def record(self, component: str, operation: str, duration: float, ok: bool = True) -> None:
        """Count one run, an error too unless `ok`; a float `duration` is seconds, an int ns (`perf_counter_ns`)."""
        ns = duration if isinstance(duration, int) else int(duration * 1e9)
        self.operation(component, operation).add(ns, ok)

    def timer(self, component: str, operation: str) -> Timer:
        """Return a context manager and decorator that records durations; an exception counts as an error."""
        return Timer(self.operation(component, operation))

    def snapshot(self, process: str = "") -> MetricsSnapshot:
        """Return counts and times of all operations so far and this process's memory use, named `process`."""
        now = time.monotonic()
        own = _process(os.getpid())
        memory = own.memory_info()
        total = sum(entry.count for entry in list(self._operations.values()))
        if now - self._marks[-1][0] >= _MARK_EVERY:
            self._marks.append((now, total))
        then, count = next((mark for mark in self._marks if now - mark[0] <= _WINDOW), self._marks[-1])
        return MetricsSnapshot(
            process=process or f"process-{os.getpid()}",
            pid=os.getpid(),
            taken_at=time.time(),
            uptime_seconds=now - self._started,
            recent_rate=(total - count) / (now - then) if now > then else 0.0,
            rss_mb=memory.rss / 1e6,
            vms_mb=memory.vms / 1e6,
            memory_percent=own.memory_percent(),
            operations=tuple(entry.snapshot(*key) for key, entry in list(self._operations.items())),
        )

    def write_snapshot(self, path: Path) -> None:
        """Write the `snapshot` as JSON to `path` (PROCESS.json), atomically; a full disk keeps the file before."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(msgspec.json.encode(self.snapshot(path.stem)))
            temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def get_summary_report(self) -> dict[str, Any]:
        """The figures of this process, or of the running stack when this process has measured nothing.

        Keys: uptime_seconds, total_operations, operations_per_second, components_monitored, metrics_stored,
        slowest_operations, most_called_operations, error_rates, throughput_5min, memory_usage, and for each
        "component.operation" its count, mean, p50, p95, p99, max (ms) and errors.
        """
        if self._operations:
            return summarize([self.snapshot()])
        files = list(state_base().glob("*/metrics/*.json")) if self._metrics_dir is None else []
        newest = max(files, key=lambda path: path.stat().st_mtime).parent if files else None
        folder = self._metrics_dir or newest
        return summarize(read_snapshots(folder) if folder else [])


class Timer(ContextDecorator):
    """Times a block or every call of a function; made by `PerformanceMonitor.timer`."""

    def __init__(self, target: Histogram) -> None:
        self._target = target
        self._started = 0

    def _recreate_cm(self) -> Timer:
        return Timer(self._target)  # each call of a function has one of its own

    def __enter__(self) -> Self:
        self._started = time.perf_counter_ns()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._target.add(time.perf_counter_ns() - self._started, kind is None)


@cache
def get_performance_monitor() -> PerformanceMonitor:
    """Return the performance monitor of this process."""
    return PerformanceMonitor()


def performance_timer(component: str, operation: str) -> Timer:
    """Return this process's timer: `with performance_timer("router", "place"):`, or the same as a decorator."""
    return get_performance_monitor().timer(component, operation)


def read_snapshots(folder: Path) -> list[MetricsSnapshot]:
    """The snapshots in a folder, in order of process name; a damaged or foreign file is passed over."""
    snapshots = []
    for path in sorted(folder.glob("*.json")):
        with suppress(OSError, msgspec.DecodeError, msgspec.ValidationError):
            snapshots.append(msgspec.json.decode(path.read_bytes(), type=MetricsSnapshot))
    return snapshots


def merge_operations(snapshots: Iterable[MetricsSnapshot]) -> dict[str, OperationSnapshot]:
    """All operations of all processes by "component.operation"."""
    merged: dict[str, OperationSnapshot] = {}
    for snapshot in snapshots:
        for operation in snapshot.operations:
            known = merged.get(operation.name)
            merged[operation.name] = known.merged(operation) if known else operation
    return merged


def summarize(snapshots: list[MetricsSnapshot]) -> dict[str, Any]:
    """One report over several processes; see `PerformanceMonitor.get_summary_report` for the keys."""
    operations = merge_operations(snapshots)
    figures = {name: operation.figures() for name, operation in operations.items()}
    total = sum(operation.count for operation in operations.values())
    uptime = max((snapshot.uptime_seconds for snapshot in snapshots), default=0.0)
    return {
        "uptime_seconds": uptime,
        "total_operations": total,
        "operations_per_second": total / uptime if uptime else 0.0,
        "components_monitored": len({operation.component for operation in operations.values()}),
        "metrics_stored": len(operations),
        "slowest_operations": _top(figures, "mean"),
        "most_called_operations": _top(figures, "count"),
        "error_rates": {name: entry["errors"] / entry["count"] for name, entry in figures.items() if entry["count"]},
        "throughput_5min": sum(snapshot.recent_rate for snapshot in snapshots),
        "memory_usage": {
            "rss_mb": sum(snapshot.rss_mb for snapshot in snapshots),
            "vms_mb": sum(snapshot.vms_mb for snapshot in snapshots),
            "percent": sum(snapshot.memory_percent for snapshot in snapshots),
        },
        **figures,
    }


def _top(figures: dict[str, dict[str, float]], key: str) -> list[dict[str, Any]]:
    """The five operations with the greatest `key`, as {operation, …figures}."""
    names = sorted(figures, key=lambda name: figures[name][key], reverse=True)[:5]
    return [{"operation": name, **figures[name]} for name in names]


def write_performance(name: str, monitor: PerformanceMonitor, handlers: Histogram | None = None) -> None:
    """Log `operation.measured` for each operation of the monitor and, with `handlers`, for the messages that the daemon
    `name` handled; times in ms."""
    log = performance_logger()
    messages = (handlers.snapshot(name, "message"),) if handlers is not None else ()
    for operation in (*monitor.snapshot().operations, *messages):
        figures = operation.figures()
        times = {f"{key}_ms": round(figures[key], 4) for key in ("mean", "p50", "p95", "p99", "max")}
        about = {"operation": operation.name, "count": operation.count, "errors": operation.errors}
        log.info("operation.measured", **about, **times)
