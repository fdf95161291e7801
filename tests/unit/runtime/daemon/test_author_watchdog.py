"""The note of what runs: budget, survival of a kill, and forgetting it with the next start."""

from __future__ import annotations

import os
import time

import pytest

from mytrading.runtime.daemon import author_watchdog
from mytrading.runtime.daemon.author_watchdog import OverrunGuard
from mytrading.runtime.observability.metrics import Histogram


@pytest.fixture
def run_file(tmp_path):
    path = tmp_path / "run.msgpack"
    path.write_bytes(b"x")
    return path


def test_call_within_budget_is_counted_and_fine(tmp_path):
    timings = Histogram()
    guard = OverrunGuard(tmp_path, timings)
    guard.begin("A")
    assert guard.end("A", failed=False) == ""
    assert (timings.count, timings.errors) == (1, 0)


def test_call_over_budget_says_how_long_it_took(tmp_path):
    guard = OverrunGuard(tmp_path, Histogram(), budget_s=0.0)
    guard.begin("Slow")
    assert "Slow took 0.0 s for one call, at most 0 s" in guard.end("Slow", failed=False)


def test_killed_in_a_long_call_is_remembered_until_the_run_file_is_new(tmp_path, run_file, monkeypatch):
    OverrunGuard(tmp_path, Histogram()).begin("Looper")
    monkeypatch.setattr(author_watchdog, "KILLED_AFTER_S", 0.0)
    assert OverrunGuard(tmp_path, Histogram()).record_overruns(run_file) == ("Looper",)
    assert OverrunGuard(tmp_path, Histogram()).record_overruns(run_file) == ("Looper",)
    later = time.time_ns() + 10**9
    os.utime(run_file, ns=(later, later))
    assert OverrunGuard(tmp_path, Histogram()).record_overruns(run_file) == ()


def test_killed_in_a_short_call_is_not_held_against_it(tmp_path, run_file):
    OverrunGuard(tmp_path, Histogram()).begin("Unlucky")
    assert OverrunGuard(tmp_path, Histogram()).record_overruns(run_file) == ()
