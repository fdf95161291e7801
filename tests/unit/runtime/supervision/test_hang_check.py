"""A silent process is killed once, by the one that watches it, unless that one was asleep itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mytrading.core.time import SECOND
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.supervision import control
from mytrading.runtime.supervision.hang_check import (
    BEHIND_NS,
    SILENCE_NS,
    STALL_NS,
    HangKiller,
    Silence,
    SupervisorGuard,
    core_wait_ns,
    count_waits,
)
from mytrading.runtime.supervision.instance_lock import holder
from tests.kit.run_configs import run_config
from tests.kit.waiting import eventually

_HOLD = """
import sys
from pathlib import Path
from mytrading.runtime.supervision.instance_lock import InstanceLock
InstanceLock(Path(sys.argv[1])).acquire(); sys.stdin.read()
"""


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", _HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        eventually(lambda: holder(tmp_path / "lock") == str(process.pid), 20)
        yield process
        process.kill()


def look_until(hung: HangKiller, start: int, end: int) -> list[int]:
    """Check each second from `start` to `end` (machine ns); return the killed processes."""
    return [pid for at in range(start, end + 1, SECOND) if (pid := hung.check(at))]


def test_silent_process_is_killed_once(tmp_path: Path, victim: subprocess.Popen[bytes]) -> None:
    hung = HangKiller(tmp_path / "lock", 0)
    hung.on_heartbeat(victim.pid, SECOND)
    assert look_until(hung, SECOND, SECOND + SILENCE_NS) == []
    assert look_until(hung, 2 * SECOND + SILENCE_NS, 20 * SECOND) == [victim.pid]
    assert victim.wait(10) == -9


def test_second_watcher_gives_the_first_time_to_act(tmp_path: Path, victim: subprocess.Popen[bytes]) -> None:
    hung = HangKiller(tmp_path / "lock", 0, BEHIND_NS)
    hung.on_heartbeat(victim.pid, 0)
    assert look_until(hung, 0, SILENCE_NS + 2 * SECOND) == []
    assert look_until(hung, SILENCE_NS + 3 * SECOND, 20 * SECOND) == [victim.pid]


def test_process_that_stops_or_was_never_seen_is_left_alone(tmp_path: Path, victim: subprocess.Popen[bytes]) -> None:
    hung = HangKiller(tmp_path / "lock", 0)
    assert look_until(hung, 0, 20 * SECOND) == []
    hung.on_heartbeat(victim.pid, 21 * SECOND)
    hung.on_heartbeat(0, 22 * SECOND)
    assert look_until(hung, 22 * SECOND, 40 * SECOND) == []
    assert victim.poll() is None


def test_nobody_is_judged_after_a_stall_of_who_looks(tmp_path: Path, victim: subprocess.Popen[bytes]) -> None:
    hung = HangKiller(tmp_path / "lock", 0)
    hung.on_heartbeat(victim.pid, 0)
    hung.check(SECOND)
    assert hung.check(SECOND + STALL_NS + SILENCE_NS) == 0
    assert victim.poll() is None


def test_pid_that_no_longer_holds_the_lock_is_left_alone(tmp_path: Path, victim: subprocess.Popen[bytes]) -> None:
    (tmp_path / "lock").write_text("1\n")
    hung = HangKiller(tmp_path / "lock", 0)
    hung.on_heartbeat(victim.pid, 0)
    assert look_until(hung, 0, 20 * SECOND) == []
    assert victim.poll() is None


_SPIN = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])}); os.nice(int(sys.argv[2]))\nwhile True: pass"


@pytest.mark.slow
def test_wait_for_a_core_is_no_silence_and_a_stop_is(victim: subprocess.Popen[bytes]) -> None:
    """A process that others left no core was killed as if it hung."""
    core = str(min(os.sched_getaffinity(0)))
    starved = subprocess.Popen([sys.executable, "-c", _SPIN, core, "19"])
    greedy = subprocess.Popen([sys.executable, "-c", _SPIN, core, "0"])
    try:
        silence, stopped = Silence(), Silence()
        assert (
            silence.silent_ns(starved.pid, 0, 4 * SECOND) == stopped.silent_ns(victim.pid, 0, 4 * SECOND) == 4 * SECOND
        )
        before = core_wait_ns(starved.pid)
        eventually(lambda: core_wait_ns(starved.pid) - before > SECOND // 5, 20)
        assert silence.silent_ns(starved.pid, 0, 4 * SECOND + SECOND // 5) < 4 * SECOND
        assert stopped.silent_ns(victim.pid, 0, 5 * SECOND) == 5 * SECOND
        assert silence.silent_ns(starved.pid, 0, 200 * SECOND) == 200 * SECOND
    finally:
        for process in (starved, greedy):
            process.kill()
            process.wait()


def test_supervisor_whose_loop_stands_is_killed_and_one_that_waits_or_is_being_stopped_is_not(tmp_path: Path) -> None:
    config = run_config(tmp_path)
    path = control.lock_path(config)
    loop = _HOLD.replace("sys.stdin.read()", "\nwhile sys.stdin.buffer.raw.read(1): pass")
    supervisor = subprocess.Popen([sys.executable, "-c", loop, str(path)], stdin=subprocess.PIPE, bufsize=0)
    assert supervisor.stdin is not None
    try:
        eventually(lambda: holder(path) == str(supervisor.pid), 20)
        guard, at = SupervisorGuard(config, SILENCE_NS), machine_now()
        for _ in range(8):  # a second of machine time passes with each look
            before = count_waits(supervisor.pid)
            supervisor.stdin.write(b"1")
            eventually(lambda seen=before: count_waits(supervisor.pid) > seen, 20)
            guard.check(at := at + SECOND)
        assert supervisor.poll() is None
        supervisor.send_signal(signal.SIGSTOP)
        eventually(lambda: psutil.Process(supervisor.pid).status() == psutil.STATUS_STOPPED, 20)
        (config.state / control.STOPPING).touch()
        for _ in range(8):
            guard.check(at := at + SECOND)
        assert supervisor.poll() is None
        (config.state / control.STOPPING).unlink()
        for _ in range(8):
            guard.check(at := at + SECOND)
        assert supervisor.wait(20) == -signal.SIGKILL
    finally:
        supervisor.kill()
        supervisor.communicate()
