"""The performance log: what stands in its lines, and that a daemon writes them while it runs and at its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mytrading.messages.run_config import RunConfig
from mytrading.runtime.daemon import daemon as harness
from mytrading.runtime.daemon.daemon import Daemon
from mytrading.runtime.observability.logging import configure_for_run
from mytrading.runtime.observability.metrics import Histogram, PerformanceMonitor, write_performance


def written(config: RunConfig) -> list[dict[str, Any]]:
    path = Path(config.log_dir) / "performance.log"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Brief(Daemon):
    """Stops as soon as its performance log has a line."""

    def setup(self) -> None:
        self.every(0.02, lambda _: self.stop() if written(self.config) else None)


def run_brief(config: RunConfig) -> None:
    configure_for_run("watchdog", config)
    Brief("watchdog", config).run()


def test_line_of_an_operation_has_count_errors_and_milliseconds(config: RunConfig) -> None:
    configure_for_run("router", config)
    monitor, handlers = PerformanceMonitor(), Histogram()
    monitor.record("router", "place", 0.004)
    monitor.record("router", "place", 0.004, ok=False)
    write_performance("router", monitor, handlers)
    place, message = written(config)
    assert (place["component"], place["event"], place["operation"]) == ("router", "operation.measured", "router.place")
    assert (place["count"], place["errors"], place["max_ms"]) == (2, 1, 4.0)
    assert place["p50_ms"] == pytest.approx(4.0, rel=0.1)
    assert (message["operation"], message["count"]) == ("router.message", 0)


def test_process_that_counts_no_messages_has_no_line_of_them(config: RunConfig) -> None:
    configure_for_run("simulator", config)
    monitor = PerformanceMonitor()
    monitor.record("simulator", "step", 0.001)
    write_performance("simulator", monitor)
    assert [line["operation"] for line in written(config)] == ["simulator.step"]


def test_daemon_writes_while_it_runs_and_at_its_end(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "PERFORMANCE_S", 0.05)
    run_brief(config)
    lines = [line["operation"] for line in written(config)].count("watchdog.message")
    assert lines >= 2, "one while it ran, which stopped it, and one at its end"


def test_performance_logging_switched_off_writes_no_file(config: RunConfig) -> None:
    off = msgspec.structs.replace(config.logging, performance=False)
    configure_for_run("router", msgspec.structs.replace(config, logging=off))
    write_performance("router", PerformanceMonitor(), Histogram())
    assert written(config) == []
