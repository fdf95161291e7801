"""Speed 0 on real stacks: the market waits for the stack, and the same seed leads to the same decisions."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.kit.lockstep_stack import LockStepped, make_home
from tests.kit.stack import Stack
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


def signals_of(stack: Stack) -> list[Any]:
    return [[row["id"], row["action"], row["bar_ns"], row["created_ns"]] for row in stack.ask("signals")]


def run_until(folder: Path, at: str) -> tuple[list[Any], dict[str, Any]]:
    environment = make_home(folder / "home")
    with Stack(folder, **environment) as stack:
        stack.up("--simulator", "--speed", "0")
        market = LockStepped(stack)
        market.run_to(at)
        assert stack.disagreements() == []
        assert stack.run("journal", "verify").returncode == 0
        return signals_of(stack), market.end_state()


def test_two_runs_of_a_seed_in_lock_step_decide_the_same(tmp_path: Path) -> None:
    first, second = run_until(tmp_path / "a", "09:55:30"), run_until(tmp_path / "b", "09:55:30")
    assert len(first[0]) >= 8
    assert first == second


def test_market_in_lock_step_stands_while_a_daemon_hangs_and_says_for_whom(tmp_path: Path) -> None:
    with Stack(tmp_path, **make_home(tmp_path / "home")) as stack:
        stack.up("--simulator", "--speed", "0")
        market = LockStepped(stack)
        eventually(lambda: market.state()["tick"] > 10, 30)
        pid = stack.kill("risk", signal.SIGSTOP)
        waits = eventually(lambda: (said := market.state()["waits_for"]).startswith("risk") and said, 5)
        stood = market.now()
        assert waits.startswith("risk: ")
        assert stack.pid("risk") == pid
        assert market.now() == stood
        stack.kill("risk", signal.SIGCONT)
        eventually(lambda: market.now() > stood, 10)
