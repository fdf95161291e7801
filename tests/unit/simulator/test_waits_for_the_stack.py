"""A market that stands begins when every process of its stack is ready, and goes on when one of them starts again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, time
from pathlib import Path

import pytest

from mytrading.core.time import SECOND, to_ns
from mytrading.messages.control import Heartbeat
from mytrading.messages.enums import DaemonState
from mytrading.runtime.host.clock import (
    ClockFile,
    ClockSegment,
    MarketClock,
    machine_now,
    read_clock_file,
    write_clock_file,
)
from mytrading.runtime.streams.zmq_streams import ZMQPublisher
from mytrading.simulator.main import build
from mytrading.simulator.settings.options import SimulatorOptions
from mytrading.simulator.venue.driver import Driver
from tests.kit.project import ROOT
from tests.kit.simulator_process import API_KEY
from tests.kit.waiting import eventually

TEN = to_ns(date(2026, 11, 20), time(10))
DAEMONS = ("feed", "engine", "router")


class Stack:
    """Daemons that say whether they are ready, and the driver of the market that waits for them."""

    def __init__(self, folder: Path, stands_ns: int) -> None:
        self.path = path = folder / "clock.json"
        begins = ClockSegment(machine_now() + stands_ns, TEN, 600.0)
        write_clock_file(path, ClockFile(segments=(begins,), last_seen_machine_ns=begins.machine_ns))
        self.clock = MarketClock.load(path)
        endpoints = {name: f"ipc://{folder}/{name}" for name in DAEMONS}
        self._beats = {name: ZMQPublisher(endpoint) for name, endpoint in endpoints.items()}
        self.driver: Driver
        options = SimulatorOptions(
            api_key=API_KEY, daemons=endpoints, speed=600.0, clock=path, config_dir=ROOT / "config"
        )
        self.venue, self.driver = build(options)
        self.driver.begin()

    def beat(self, **ready: bool) -> int:
        """Each daemon named says how it is, the market makes a step; when the market begins (machine ns)."""
        for name, value in ready.items():
            now = machine_now()
            beat = Heartbeat(
                daemon=name, pid=1, state=DaemonState.RUNNING, ready=value, machine_ns=now, market_ns=TEN,
                started_machine_ns=now,
            )  # fmt: skip
            self._beats[name].send(name, beat)
        self.driver.step()
        self.clock.refresh()
        return self.clock.starts_at_machine_ns

    def close(self) -> None:
        for publisher in self._beats.values():
            publisher.close()
        self.venue.close()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    made = Stack(tmp_path, 3_600 * SECOND)
    yield made
    made.close()


def test_market_stands_while_one_process_is_not_ready_and_begins_when_all_are(stack: Stack) -> None:
    stands = stack.clock.starts_at_machine_ns
    for _ in range(20):
        assert stack.beat(feed=True, engine=True, router=False) == stands
    assert stack.clock.now() == TEN
    eventually(lambda: stack.beat(feed=True, engine=True, router=True) < stands, 10)
    eventually(lambda: stack.clock.now() > TEN, 10)
    assert (
        len(stack.clock.segments) == 1
        and stack.clock.market_ns_at(stack.clock.starts_at_machine_ns + SECOND) == TEN + 600 * SECOND
    )


def test_market_goes_on_when_a_process_is_not_ready_any_more(stack: Stack) -> None:
    stands = stack.clock.starts_at_machine_ns
    begun = eventually(lambda: (at := stack.beat(feed=True, engine=True, router=True)) < stands and at, 10)
    before = stack.clock.now()
    eventually(lambda: stack.beat(engine=False) == begun and stack.clock.now() > before + SECOND, 10)
    assert stack.clock.segments[-1].machine_ns == begun


def test_market_begins_at_its_time_and_names_who_is_not_ready(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = Stack(tmp_path, SECOND // 2)
    begins = stack.clock.starts_at_machine_ns
    eventually(lambda: stack.beat(feed=True) and stack.clock.now() > TEN, 10)
    assert stack.clock.starts_at_machine_ns == begins
    assert "the market begins, although these are not ready: engine, router" in capsys.readouterr().out
    stack.close()


def test_market_that_is_stopped_resumes_at_that_moment_and_does_not_go_back(tmp_path: Path) -> None:
    """Up to a second of the machine was lost: minutes at a high speed, in which orders had been made."""
    stack = Stack(tmp_path, 0)

    async def drive_and_stop() -> int:
        driving = asyncio.create_task(stack.driver.run())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        stopped = machine_now()
        driving.cancel()
        with suppress(asyncio.CancelledError):
            await driving
        return stopped

    stopped = asyncio.run(drive_and_stop())
    stack.close()
    assert read_clock_file(stack.path).last_seen_machine_ns >= stopped
    assert (MarketClock.load(stack.path).resume_point() or 0) >= stack.clock.market_ns_at(stopped)
