"""Whom the watchdog kills: what it heard and hears no more, and what holds a lock and was never heard."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mytrading.daemons.watchdog import SILENCE_NS, UNHEARD_NS, Watchdog
from mytrading.messages.codec import Frame, Header, encode_body
from mytrading.messages.control import Heartbeat, ModeCleared
from mytrading.messages.enums import DaemonState
from mytrading.runtime.clock import MarketClock, machine_now
from mytrading.runtime.following import STILL_HERE_ROWS
from mytrading.runtime.journal import OUTPUT, Entry, Journal
from mytrading.runtime.lock import holder
from mytrading.runtime.machine import MachineDaemon
from mytrading.runtime.recovering import ist_day
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
    assert silent.wait(30) == -9


def test_daemon_that_was_heard_by_an_earlier_process_has_time_to_start(
    dog: Watchdog, silent: subprocess.Popen[bytes]
) -> None:
    dog._beats["router"] = (silent.pid + 1, machine_now())
    look_for(dog, SILENCE_NS + 10 * S)
    assert silent.poll() is None


def test_daemon_that_recovers_for_long_is_not_killed_while_it_says_so(
    dog: Watchdog, silent: subprocess.Popen[bytes]
) -> None:
    said = Heartbeat(
        daemon="router", pid=silent.pid, state=DaemonState.STARTING, ready=False, machine_ns=machine_now(),
        market_ns=0, started_machine_ns=0,
    )  # fmt: skip
    dog._on_status(Frame("router", Header(1, 1, 1, b"", 0), said, b""))
    look_for(dog, SILENCE_NS + 10 * S)
    assert silent.poll() is None, "its next word may take as long as its first"
    look_for(dog, UNHEARD_NS + 3 * S)
    assert silent.wait(30) == -9


def test_daemon_that_works_for_long_beats_once_a_second_and_no_more(dog: Watchdog) -> None:
    beats: list[int] = []
    dog.state = DaemonState.RUNNING
    dog.on_beat = lambda beat: beats.append(beat.machine_ns)  # type: ignore[method-assign]
    until = machine_now() + 1_200_000_000
    while machine_now() < until:
        dog.still_here()
    assert len(beats) == 2


class _Learner:
    """A machine that learns and decides nothing."""

    def notice(self, machine_ns: int) -> None:
        return

    def apply(self, row: object) -> None:
        return

    def decide(self, message: object, now: int) -> tuple[object, ...]:
        return ()


def test_replay_of_many_rows_says_now_and_then_that_it_goes_on(tmp_path: Path) -> None:
    config = run_config(tmp_path)
    journal = Journal(config.journal_dir("gateway"), "gateway", ist_day(MarketClock.load(config.clock_path).now()))
    body = encode_body(ModeCleared(account="paper", at_ns=1))
    journal.append([Entry(OUTPUT, "control", body)] * (2 * STILL_HERE_ROWS + 50), 1, 1)
    journal.close()
    daemon = MachineDaemon("gateway", config, _Learner())
    said: list[str] = []
    daemon.still_here = lambda: said.append("here")  # type: ignore[method-assign]
    daemon._open_journal()
    assert said == ["here", "here"]
    daemon.journal.close()
    daemon.context.destroy(linger=0)
