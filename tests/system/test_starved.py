"""A machine whose cores are taken by others: the stack starts late, trades, and nobody is killed for waiting."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mytrading.runtime.supervision import control
from tests.kit.project import ROOT
from tests.kit.stack import COMMAND, Stack
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.long, pytest.mark.timeout(1200)]

NICE = 15
"""Nine processes of this niceness get some tenth of two cores that others would have for themselves."""


@pytest.fixture
def busy() -> Iterator[None]:
    """One process for each core that never sleeps."""
    spinners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in os.sched_getaffinity(0)]
    yield
    for spinner in spinners:
        spinner.kill()
        spinner.wait()


@pytest.mark.usefixtures("busy")
def test_stack_that_others_leave_a_tenth_of_the_machine_starts_and_nobody_is_killed(tmp_path: Path) -> None:
    """Guards against killing daemons, after thirty or five seconds, that start or only wait for a core."""
    with Stack(tmp_path) as stack:
        command = ["nice", "-n", str(NICE), COMMAND, "up", "--detach", "--simulator"]
        done = subprocess.run(command, env=stack.environment, cwd=ROOT, capture_output=True, text=True, timeout=400)
        assert done.returncode == 0, done.stderr
        eventually(lambda: len(stack.ask("orders")) >= 1 and stack.is_settled(), 200)
        assert {name: count for name, count in control.start_counts(stack.config).items() if count > 1} == {}
        assert [row for row in stack.ask("alerts", "--all") if row["code"] == "DAEMON_HUNG"] == []
