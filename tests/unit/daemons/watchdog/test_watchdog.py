"""Processes that the watchdog kills: heartbeats that ended, and a held lock without any heartbeat."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from mytrading.core.time import SECOND, iso_day
from mytrading.daemons.watchdog.daemon import FIRST_HEARTBEAT_NS, Watchdog, _LastBeat, active_alerts
from mytrading.messages.codec import Frame, Header, encode_body
from mytrading.messages.control import Heartbeat, ModeCleared
from mytrading.messages.enums import DaemonState, Severity
from mytrading.runtime.daemon import disk_space
from mytrading.runtime.daemon.journal_follower import STILL_HERE_ROWS
from mytrading.runtime.daemon.machine_daemon import MachineDaemon
from mytrading.runtime.host.clock import MarketClock, machine_now
from mytrading.runtime.journal.journal import OUTPUT, Entry, Journal
from mytrading.runtime.supervision import hang_check
from mytrading.runtime.supervision.hang_check import MOST_NS, SILENCE_NS
from mytrading.runtime.supervision.instance_lock import holder
from tests.kit.run_configs import run_config
from tests.kit.waiting import eventually

_HOLD = """
import sys, time
from pathlib import Path
from mytrading.runtime.supervision.instance_lock import InstanceLock
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
    for at in range(began, began + span_ns, SECOND):
        dog._look(at)


def test_daemon_that_hangs_before_its_first_heartbeat_is_killed(dog: Watchdog, silent: subprocess.Popen[bytes]) -> None:
    look_for(dog, FIRST_HEARTBEAT_NS)
    assert silent.poll() is None
    look_for(dog, FIRST_HEARTBEAT_NS + 3 * SECOND)
    assert silent.wait(30) == -9


def test_daemon_that_was_seen_by_an_earlier_process_has_time_to_start(
    dog: Watchdog, silent: subprocess.Popen[bytes]
) -> None:
    dog._beats["router"] = _LastBeat(silent.pid + 1, machine_now(), SILENCE_NS)
    look_for(dog, SILENCE_NS + 10 * SECOND)
    assert silent.poll() is None


def test_daemon_that_recovers_for_long_is_not_killed_while_it_says_so(
    dog: Watchdog, silent: subprocess.Popen[bytes]
) -> None:
    said = Heartbeat(
        daemon="router", pid=silent.pid, state=DaemonState.STARTING, ready=False, machine_ns=machine_now(),
        market_ns=0, started_machine_ns=0,
    )  # fmt: skip
    dog._on_status(Frame("router", Header(1, 1, 1, b"", 0), said, b""))
    look_for(dog, SILENCE_NS + 10 * SECOND)
    assert silent.poll() is None, "its next word may take as long as its first"
    look_for(dog, FIRST_HEARTBEAT_NS + 3 * SECOND)
    assert silent.wait(30) == -9


def starved(monkeypatch: pytest.MonkeyPatch, dog: Watchdog) -> None:
    """Nine tenths of the time that the watchdog looks at are a wait for a core."""
    began = dog._last_look
    monkeypatch.setattr(hang_check, "core_wait_ns", lambda _pid: (dog._last_look - began) * 9 // 10)


def beat(pid: int, state: DaemonState, daemon: str = "router") -> Frame:
    said = Heartbeat(
        daemon=daemon, pid=pid, state=state, ready=False, machine_ns=machine_now(), market_ns=0, started_machine_ns=0
    )
    return Frame(daemon, Header(1, 1, 1, b"", 0), said, b"")


@pytest.mark.parametrize("state", [DaemonState.RUNNING, DaemonState.STARTING])
def test_daemon_that_waits_for_a_core_is_not_killed_until_it_comes_to_nothing_at_all(
    dog: Watchdog, silent: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, state: DaemonState
) -> None:
    """With a load of 20, processes that were starting were killed, which made the load greater."""
    starved(monkeypatch, dog)
    dog._on_status(beat(silent.pid, state))
    look_for(dog, SILENCE_NS * 6)
    assert silent.poll() is None
    look_for(dog, MOST_NS + 3 * SECOND)
    assert silent.wait(30) == -9


def test_daemon_that_was_killed_while_it_started_has_twice_as_long_the_next_time(
    dog: Watchdog, silent: subprocess.Popen[bytes]
) -> None:
    dog._slow["router"] = 1
    look_for(dog, FIRST_HEARTBEAT_NS + 20 * SECOND)
    assert silent.poll() is None
    look_for(dog, 2 * FIRST_HEARTBEAT_NS + 3 * SECOND)
    assert silent.wait(30) == -9


def test_daemon_that_does_not_run_and_is_not_started_is_an_alert_until_it_runs(dog: Watchdog) -> None:
    """An engine that had ended as if it had been asked to was down for two minutes, with no alert."""
    log = dog.config.state / "supervisord.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("INFO spawned: 'engine' with pid 7\nINFO exited: engine (exit status 78; expected)\n")
    look_for(dog, SECOND)
    active = [(alert.code, alert.subject) for alert in dog.alerts.active]
    assert active == [("DAEMON_STOPPED", "engine")]
    with log.open("a") as file:
        file.write("INFO spawned: 'engine' with pid 8\n")
    dog._on_status(beat(8, DaemonState.RUNNING, "engine"))
    look_for(dog, SECOND)
    assert dog.alerts.active == ()


def test_daemon_without_room_on_the_disk_is_an_alert_that_asks_for_room_until_it_runs(dog: Watchdog) -> None:
    """One that was tried again every five seconds was called stopped, with the advice to take the stack down."""
    log = dog.config.state / "supervisord.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("INFO exited: router (exit status 74; not expected)\nINFO spawned: 'router' with pid 8\n")
    look_for(dog, SECOND)
    active = {alert.subject: alert for alert in dog.alerts.active}
    assert active["router"].code == "DAEMON_STOPPED"
    assert "free space; it is tried again every 5 s" in active["router"].message
    assert "mytrading" not in active["router"].message
    dog._on_status(beat(8, DaemonState.RUNNING))
    look_for(dog, SECOND)
    assert dog.alerts.active == ()


def test_daemon_that_is_absent_on_a_full_disk_is_asked_room_for(dog: Watchdog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Supervisor's log takes no line then, so that nobody can read why."""
    monkeypatch.setattr(disk_space, "USED_UP_BYTES", 1 << 62)
    look_for(dog, FIRST_HEARTBEAT_NS + 2 * SECOND)
    texts = {alert.message for alert in dog.alerts.active if alert.subject == "feed"}
    assert texts == {"feed has no room on the disk: free space; it is tried again every 5 s"}


def test_gateway_that_does_not_run_is_handed_to_the_operators_command_once(tmp_path: Path) -> None:
    """Alerts are handed over by the gateway, so that nobody was called when the gateway itself was down."""
    reported = tmp_path / "reported"
    config = msgspec.structs.replace(
        run_config(tmp_path), alert_command=f"sh -c 'echo $ALERT_CODE $ALERT_SUBJECT $ALERT_STATE >> {reported}'"
    )
    log = config.state / "supervisord.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("INFO exited: gateway (exit status 78; expected)\nINFO exited: engine (exit status 78; expected)\n")
    watchdog = Watchdog(config)
    watchdog.setup()
    look_for(watchdog, SECOND)
    watchdog.alerts.repeat()
    assert eventually(reported.exists)
    log.write_text("")
    watchdog._on_status(beat(8, DaemonState.RUNNING, "gateway"))
    look_for(watchdog, SECOND)
    assert eventually(lambda: len(reported.read_text().splitlines()) > 1)
    watchdog.teardown()
    assert reported.read_text().splitlines() == ["DAEMON_STOPPED gateway raised", "DAEMON_STOPPED gateway cleared"]
    watchdog.context.destroy(linger=0)


def test_daemon_that_works_for_long_beats_once_a_second_and_no_more(dog: Watchdog) -> None:
    beats: list[int] = []
    dog.state = DaemonState.RUNNING
    dog.on_beat = lambda beat: beats.append(beat.machine_ns)  # type: ignore[method-assign]
    until = machine_now() + 1_200_000_000
    while machine_now() < until:
        dog.beat_if_due()
        time.sleep(0.001)  # its work, which need not take a core here
    assert len(beats) == 2


class _Learner:
    """A machine that learns and decides nothing."""

    def set_machine_time(self, machine_ns: int) -> None:
        return

    def apply(self, row: object) -> None:
        return

    def decide(self, message: object, now: int) -> tuple[object, ...]:
        return ()


def test_replay_of_many_rows_says_now_and_then_that_it_goes_on(tmp_path: Path) -> None:
    config = run_config(tmp_path)
    journal = Journal(config.journal_dir("gateway"), "gateway", iso_day(MarketClock.load(config.clock_path).now()))
    body = encode_body(ModeCleared(account="paper", at_ns=1))
    journal.append([Entry(OUTPUT, "control", body)] * (2 * STILL_HERE_ROWS + 50), 1, 1)
    journal.close()
    daemon = MachineDaemon("gateway", config, _Learner())
    said: list[str] = []
    daemon.beat_if_due = lambda: said.append("here")  # type: ignore[method-assign]
    daemon.open_journal()
    assert said == ["here", "here"]
    daemon.journal.close()
    daemon.context.destroy(linger=0)


def test_alerts_follow_from_state() -> None:
    active = active_alerts({"engine": (7, 42)}, {"router": "hung"}, {"feed": "absent"}, {"risk": "given up"})
    assert {key: (alert.severity, alert.text) for key, alert in active.items()} == {
        ("DAEMON_RESTARTED", "engine"): (Severity.WARNING, "engine died and was started again as pid 42"),
        ("DAEMON_HUNG", "router"): (Severity.CRITICAL, "hung"),
        ("DAEMON_STOPPED", "feed"): (Severity.CRITICAL, "absent"),
        ("DAEMON_GIVEN_UP", "risk"): (Severity.CRITICAL, "given up"),
    }
    assert active_alerts({}, {}, {}, {}) == {}


def test_each_restart_is_counted_by_its_alert_and_a_running_daemon_ends_that_of_a_hang(dog: Watchdog) -> None:
    for pid in (7, 8, 8, 9):
        dog._on_status(beat(pid, DaemonState.RUNNING))
    (restarted,) = dog.alerts.active
    assert (restarted.code, restarted.count) == ("DAEMON_RESTARTED", 2)
    dog._hung["router"] = "it hung"
    dog._look(machine_now())
    assert "DAEMON_HUNG" in [alert.code for alert in dog.alerts.active]
    dog._on_status(beat(9, DaemonState.RUNNING))
    assert [alert.code for alert in dog.alerts.active] == ["DAEMON_RESTARTED"]
