"""Whom the watchdog kills: what it heard and hears no more, and what holds a lock and was never heard."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mytrading.daemons.watchdog import SILENCE_NS, UNHEARD_NS, Watchdog
from mytrading.runtime.clock import machine_now
from mytrading.runtime.lock import holder
from tests.support import eventually
from tests.unit.cli.stacks import run_config

S = 1_000_000_000
_HOLD = """
import sys, time
from pathlib import Path
from mytrading.runtime.lock import InstanceLock
InstanceLock(Path(sys.argv[1])).acquire()
time.sleep(60)
"""


@pytest.fixture
def dog(tmp_path: Path) -> Iterator[Watchdog]:
    watchdog = Watchdog(run_config(tmp_path))
    yield watchdog
    watchdog.context.destroy(linger=0)


@pytest.fixture
def silent(dog: Watchdog) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the router's lock and never says anything."""
    path = dog.config.lock_dir / "router.lock"
    process = subprocess.Popen([sys.executable, "-c", _HOLD, str(path)])
    eventually(lambda: holder(path) == str(process.pid))
    yield process
    process.kill()
    process.wait()


def look_for(dog: Watchdog, span_ns: int) -> None:
    """Look every second for so long."""
    began = machine_now()
    for at in range(began, began + span_ns, S):
        dog._look(at)


def test_daemon_that_hangs_before_its_first_heartbeat_is_killed(dog: Watchdog, silent: subprocess.Popen[bytes]) -> None:
    look_for(dog, UNHEARD_NS)
    assert silent.poll() is None
    look_for(dog, UNHEARD_NS + 3 * S)
    assert silent.wait(5) == -9


def test_daemon_that_was_heard_by_an_earlier_process_has_time_to_start(
    dog: Watchdog, silent: subprocess.Popen[bytes]
) -> None:
    dog._beats["router"] = (silent.pid + 1, machine_now())
    look_for(dog, SILENCE_NS + 10 * S)
    assert silent.poll() is None


def test_daemon_that_works_for_long_beats_once_a_second_and_no_more(dog: Watchdog) -> None:
    beats: list[int] = []
    dog.on_beat = lambda beat: beats.append(beat.machine_ns)  # type: ignore[method-assign]
    until = machine_now() + 1_200_000_000
    while machine_now() < until:
        dog.still_here()
    assert len(beats) == 2
