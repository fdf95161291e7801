"""The processes of a search: they end with the one that searches, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mytrading.backtest.search.study import FILE
from tests.kit.project import ROOT
from tests.kit.waiting import eventually

DATA = ROOT / "tests" / "data" / "bars-wild.csv.gz"
MANY = ("-p", "fast_period=2:40:1", "-p", "slow_period=50:250:1", "--objective", "net", "--workers", "2")


def workers_of(pid: int) -> list[psutil.Process]:
    found = psutil.Process(pid).children(recursive=True)
    return [one for one in found if "spawn_main" in " ".join(one.cmdline())]


@pytest.fixture
def searching(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A search that would go on for minutes, with its temporary files below the test's folder."""
    ask = ("optimize", "SMA_Crossover", "-d", str(DATA), "-i", "NSE:SBIN", "-t", "1m", "--stop", "none", *MANY)
    process = subprocess.Popen(
        [sys.executable, "-m", "mytrading", *ask, "--report", str(tmp_path / "report")],
        env={**os.environ, "MYTRADING_HOME": str(ROOT), "TMPDIR": str(tmp_path)},
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_workers_of_a_killed_search_end_and_leave_no_payload(
    searching: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    trials = tmp_path / "report" / FILE
    eventually(lambda: trials.is_file() and len(trials.read_bytes().splitlines()) > 2, 120)
    workers = workers_of(searching.pid)
    assert len(workers) == 2
    assert list(tmp_path.glob("mytrading-*"))
    searching.send_signal(signal.SIGKILL)
    searching.wait()
    try:
        eventually(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in workers), 30)
    finally:
        for one in workers:
            if one.is_running():
                one.kill()
    eventually(lambda: not list(tmp_path.glob("mytrading-*")), 30)
