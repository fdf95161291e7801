"""The performance log's lines: one for each operation of a process, with what it took since the process started.

Used by the daemon harness and the simulator, about once a minute of machine time and at the end. The one rule: a line
stands for itself, so that the last one of a process is its whole run.
"""

from __future__ import annotations

from mytrading.runtime.logging import performance_logger
from mytrading.runtime.metrics import Histogram, PerformanceMonitor


def write_performance(name: str, monitor: PerformanceMonitor, handlers: Histogram | None = None) -> None:
    """Write a line `operation.measured` for each operation, and one for the messages `name` handled if it counts them.

    Milliseconds, except for `count` and `errors`.
    """
    log = performance_logger()
    messages = (handlers.snapshot(name, "message"),) if handlers is not None else ()
    for operation in (*monitor.snapshot().operations, *messages):
        figures = operation.figures()
        times = {f"{key}_ms": round(figures[key], 4) for key in ("mean", "p50", "p95", "p99", "max")}
        log.info(
            "operation.measured", operation=operation.name, count=operation.count, errors=operation.errors, **times
        )
