"""Notes of calls that were begun: what a killed router leaves to its successor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mytrading.runtime.recovery import begun_calls
from mytrading.runtime.recovery.begun_calls import SLOTS, BegunCalls, attempt_digest

KILLED = """
import os, signal, sys
from pathlib import Path
from mytrading.runtime.recovery.begun_calls import BegunCalls, attempt_digest

calls = BegunCalls(Path(sys.argv[1]))
calls.record(attempt_digest("a", 1))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_call_noted_by_a_process_that_was_killed_is_known_to_its_successor(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    BegunCalls(path).close()
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    successor = BegunCalls(path)
    assert not successor.never_began("a", 1)
    assert successor.never_began("a", 2) and successor.never_began("b", 1)


def test_nothing_is_known_without_notes_of_an_earlier_process(tmp_path: Path) -> None:
    assert not BegunCalls(tmp_path / "calls").never_began("a", 1)


def test_nothing_is_known_after_a_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "calls"
    BegunCalls(path).close()
    monkeypatch.setattr(begun_calls, "boot_id", lambda: "another boot")
    assert not BegunCalls(path).never_began("a", 1)
    assert BegunCalls(path).never_began("a", 1)


def test_newest_notes_are_kept_when_there_are_more_than_fit(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    first = BegunCalls(path)
    for number in range(SLOTS + 10):
        first.record(attempt_digest("a", number))
    second = BegunCalls(path)
    assert not any(second.never_began("a", number) for number in range(10, SLOTS + 10))
    assert second.never_began("a", 9)
