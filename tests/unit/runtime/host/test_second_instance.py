"""A process too many: one that outlived its supervisor before it began, and one beside a running instance."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import zmq

from mytrading.daemons.watchdog.daemon import Watchdog
from mytrading.messages.control import Heartbeat
from mytrading.messages.enums import DaemonState
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.host.run_info import SUPERVISOR, supervisor_of_this
from mytrading.runtime.streams.endpoints import endpoint_of
from mytrading.runtime.streams.zmq_streams import ZMQPublisher, ZMQSubscriber
from mytrading.runtime.supervision import control
from mytrading.runtime.supervision.instance_lock import InstanceLock
from tests.kit.feed_process import runtime_folder
from tests.kit.run_configs import run_config
from tests.kit.waiting import eventually


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    made: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield made
    made.destroy(linger=0)


def dead_pid() -> int:
    """The pid of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_daemon_whose_supervisor_died_before_it_began_knows_that_it_is_orphaned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SUPERVISOR, str(dead_pid()))
    dog = Watchdog(run_config(tmp_path))
    reported: list[bool] = []
    dog.on_supervisor_lost = lambda: reported.append(True)  # type: ignore[method-assign]
    dog._beat(machine_now())
    assert (reported, dog._stopping) == ([True], True)
    dog.context.destroy(linger=0)


def test_process_that_no_supervisor_started_belongs_to_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SUPERVISOR, raising=False)
    assert supervisor_of_this() == os.getppid()


def test_second_instance_does_not_take_the_endpoint_of_the_first(
    tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    with runtime_folder() as folder:
        config = msgspec.structs.replace(run_config(tmp_path), runtime_dir=str(folder))
        first = ZMQPublisher(endpoint_of(config, "status", "watchdog"), context=context)
        second = Watchdog(config)  # as far as it comes before it finds the lock taken
        reader = ZMQSubscriber("status", [first.endpoint], context=context)
        beat = Heartbeat(
            daemon="watchdog", pid=1, state=DaemonState.RUNNING, ready=True, machine_ns=1, market_ns=1,
            started_machine_ns=1,
        )  # fmt: skip

        def received() -> bool:
            first.send("watchdog", beat)
            return reader.receive() is not None

        assert eventually(received, 5), "what is bound to the endpoint is the first one still"
        second.context.destroy(linger=0)


def test_stop_waits_for_a_supervisor_that_is_being_started(tmp_path: Path) -> None:
    """Guards against a supervisor that takes no requests yet when it is asked to stop, and runs on."""
    config = run_config(tmp_path)
    starting = InstanceLock(config.lock_dir / "start.lock")
    starting.acquire()
    stopping = threading.Thread(target=control.forbid_starts, args=(config,))
    stopping.start()
    stopping.join(0.3)
    assert not control.is_stopping(config.state)
    starting.release()
    stopping.join(10)
    assert control.is_stopping(config.state)
    assert control.revive(config) == 0
