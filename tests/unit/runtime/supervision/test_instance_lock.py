"""One instance only: the kernel drops a dead holder's lock, and the living one is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from mytrading.runtime.supervision.instance_lock import AlreadyRunning, InstanceLock, end_forks, holder
from tests.kit.waiting import eventually

_HOLD = """
import sys
from pathlib import Path
from mytrading.runtime.supervision.instance_lock import InstanceLock
lock = InstanceLock(Path(sys.argv[1])); lock.acquire(); print("held", flush=True); sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "account.lock"


def hold(path: Path, code: str = _HOLD) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_second_holder_is_refused_with_the_pid_of_the_first(path: Path) -> None:
    first = hold(path)
    with pytest.raises(AlreadyRunning, match=f"already running as pid {first.pid} ") as caught:
        InstanceLock(path).acquire()
    assert caught.value.pid == holder(path) == str(first.pid)
    first.kill()
    first.communicate()


def test_lock_of_a_killed_holder_is_free_at_once(path: Path) -> None:
    first = hold(path)
    first.kill()
    first.communicate()
    assert holder(path) is None
    lock = InstanceLock(path)
    lock.acquire()
    assert holder(path) == str(os.getpid())
    lock.release()
    assert holder(path) is None


def test_waiting_for_a_dying_holder_gets_the_lock_when_it_ends(path: Path) -> None:
    first = hold(path)
    assert first.stdin is not None
    first.stdin.close()
    lock = InstanceLock(path)
    lock.acquire(wait_s=10.0)
    lock.release()
    assert first.wait(10) == 0


def test_lock_of_a_holder_is_not_held_by_its_fork(path: Path) -> None:
    """A fork made past Python held the lock of an engine that was killed, and no engine could start."""
    code = _HOLD.replace("sys.stdin.read()", "import ctypes; ctypes.CDLL(None).fork(); sys.stdin.read()")
    first = hold(path, code)
    forked = eventually(lambda: psutil.Process(first.pid).children())[0]
    first.kill()
    first.wait(10)
    assert forked.is_running()
    assert holder(path) is None
    lock = InstanceLock(path)
    lock.acquire()
    assert end_forks(path, code) == [forked.pid]
    assert holder(path) == str(os.getpid())
    lock.release()


def test_lock_is_still_held_after_the_holder_looked_at_it_and_tried_to_take_it_twice(path: Path) -> None:
    code = _HOLD.replace(
        "print(",
        "import mytrading.runtime.supervision.instance_lock as l; l.holder(lock.path); twice(lock.path); print(",
    )
    code = (
        """
def twice(path):
    try: InstanceLock(path).acquire()
    except l.AlreadyRunning: return
    raise SystemExit("taken twice")
"""
        + code
    )
    first = hold(path, code)
    assert holder(path) == str(first.pid)
    first.kill()
    first.communicate()


def test_lock_that_nobody_made_has_no_holder(path: Path) -> None:
    assert holder(path) is None
    assert not path.exists()
