"""The performance monitor: percentiles, errors, reports over several processes, and the call of the README."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mytrading.runtime.observability.metrics import (
    BUCKETS,
    PerformanceMonitor,
    bucket_middle_ns,
    bucket_of,
    get_performance_monitor,
    merge_operations,
    percentile,
    performance_timer,
    read_snapshots,
    summarize,
)

FLAT_KEYS = {
    "uptime_seconds",
    "total_operations",
    "operations_per_second",
    "components_monitored",
    "metrics_stored",
    "slowest_operations",
    "most_called_operations",
    "error_rates",
    "throughput_5min",
    "memory_usage",
}


@given(st.integers(min_value=0, max_value=1 << 41))
def test_bucket_middle_lies_within_a_thirtieth_of_the_value(ns: int) -> None:
    assert abs(bucket_middle_ns(bucket_of(ns)) - ns) <= max(ns * 0.032, 0.5)
    assert 0 <= bucket_of(ns) < BUCKETS


@given(st.integers(min_value=0, max_value=1 << 41))
def test_bucket_never_falls_as_values_grow(ns: int) -> None:
    assert bucket_of(ns) <= bucket_of(ns + 1)


@pytest.mark.parametrize("ns", [-5, 1 << 50])
def test_bucket_of_value_out_of_range_is_the_nearest_one(ns: int) -> None:
    assert bucket_of(ns) == (0 if ns < 0 else BUCKETS - 1)


def test_percentile_without_values_is_zero() -> None:
    assert percentile({}, 0, 0.5) == 0.0


def test_report_gives_percentiles_close_to_the_sorted_values() -> None:
    monitor = PerformanceMonitor()
    values = [random.Random(5).lognormvariate(-7, 1) for _ in range(2000)]
    random.Random(6).shuffle(values)
    for number, seconds in enumerate(values):
        monitor.record("router", "place", seconds, ok=number % 10 != 0)
    entry = monitor.get_summary_report()["router.place"]
    ordered = sorted(values)
    assert entry["count"] == 2000
    assert entry["errors"] == 200
    assert entry["mean"] == pytest.approx(sum(values) / 2, rel=1e-4)
    assert entry["max"] == pytest.approx(ordered[-1] * 1000, rel=1e-6)
    for name, rank in (("p50", 1000), ("p95", 1900), ("p99", 1980)):
        assert entry[name] == pytest.approx(ordered[rank - 1] * 1000, rel=0.04)


def test_report_has_the_flat_keys_and_rates() -> None:
    monitor = PerformanceMonitor()
    for _ in range(10):
        monitor.record("engine", "slow", 5_000_000)
    monitor.record("engine", "slow", 5_000_000, ok=False)
    monitor.record("feed", "fast", 1_000)
    report = monitor.get_summary_report()
    assert set(report) >= FLAT_KEYS
    assert report["total_operations"] == 12
    assert report["components_monitored"] == 2
    assert report["slowest_operations"][0]["operation"] == "engine.slow"
    assert report["error_rates"]["engine.slow"] == pytest.approx(1 / 11)
    assert report["memory_usage"]["rss_mb"] > 1
    assert report["throughput_5min"] > 0


def test_timer_as_block_and_decorator_counts_runs_and_errors() -> None:
    monitor = PerformanceMonitor()

    @monitor.timer("engine", "execute")
    def execute(fail: bool) -> int:
        if fail:
            raise ValueError("no")
        return 3

    assert execute(False) == 3
    with pytest.raises(ValueError, match="no"):
        execute(True)
    with monitor.timer("engine", "execute"):
        pass
    entry = monitor.get_summary_report()["engine.execute"]
    assert (entry["count"], entry["errors"]) == (3, 1)


def test_snapshots_of_two_processes_merge_into_one_report(tmp_path: Path) -> None:
    for process, durations in (("engine", (1_000_000, 2_000_000)), ("gateway", (3_000_000,))):
        monitor = PerformanceMonitor()
        for ns in durations:
            monitor.record("strategy_engine", "execute", ns)
        monitor.write_snapshot(tmp_path / f"{process}.json")
    snapshots = read_snapshots(tmp_path)
    assert [snapshot.process for snapshot in snapshots] == ["engine", "gateway"]
    entry = summarize(snapshots)["strategy_engine.execute"]
    assert entry["count"] == 3
    assert entry["mean"] == pytest.approx(2.0)
    assert entry["max"] == 3.0
    assert merge_operations(snapshots)["strategy_engine.execute"].count == 3


def test_damaged_snapshot_is_passed_over(tmp_path: Path) -> None:
    PerformanceMonitor().write_snapshot(tmp_path / "feed.json")
    (tmp_path / "risk.json").write_bytes(b"{half")
    assert [snapshot.process for snapshot in read_snapshots(tmp_path)] == ["feed"]


def test_report_of_readme_in_a_process_outside_reads_the_running_stack(tmp_path: Path) -> None:
    monitor = PerformanceMonitor()
    monitor.record("strategy_engine", "execute", 0.0025)
    monitor.write_snapshot(tmp_path / "mytrading" / "paper" / "metrics" / "engine.json")
    code = (
        "from mytrading.utils.performance_monitor import get_performance_monitor\n"
        "stats = get_performance_monitor().get_summary_report()\n"
        "print(f\"{stats['strategy_engine.execute']['mean']:.2f}ms\")"
    )
    environ = {"XDG_STATE_HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2.50ms"


def test_report_without_any_measurement_is_empty(tmp_path: Path) -> None:
    report = PerformanceMonitor(tmp_path / "metrics").get_summary_report()
    assert report["total_operations"] == 0
    assert report["metrics_stored"] == 0


def test_monitor_of_a_process_is_one_and_the_module_timer_feeds_it() -> None:
    with performance_timer("test", "block"):
        pass
    assert get_performance_monitor() is get_performance_monitor()
    assert get_performance_monitor().operation("test", "block").count >= 1


def test_record_takes_a_float_as_seconds_and_an_int_as_nanoseconds() -> None:
    monitor = PerformanceMonitor()
    monitor.record("risk", "decide", 0.002)
    monitor.record("risk", "decide", 2_000_000)
    histogram = monitor.operation("risk", "decide")
    assert histogram.total_ns == 4_000_000
    assert histogram.percentiles((0.5, 0.99)) == pytest.approx((2e6, 2e6), rel=0.04)
