"""Turns of a daemon at one socket while others, and its timers, wait."""

from __future__ import annotations

import os
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import zmq

from mytrading.messages.codec import Frame, Header
from mytrading.messages.control import ModeCleared
from mytrading.runtime.daemon.daemon import DRAIN_LIMIT, DRAIN_NS, Daemon
from mytrading.runtime.host.clock import machine_now
from tests.kit.run_configs import run_config

FRAME = Frame("router", Header(1, 1, 1, b"", 0), ModeCleared(account="paper", at_ns=1), b"")


class Endless:
    """A receiver in which always another frame waits, as a pipe with a written end says."""

    def __init__(self, readable: int) -> None:
        self.polled = [(readable, zmq.POLLIN)]

    def receive(self) -> Frame:
        return FRAME


def test_flood_whose_frames_take_long_leaves_the_timers_their_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """256 frames of 12 ms each kept risk from its heartbeat until the watchdog took it for hung."""
    daemon = Daemon("risk", run_config(tmp_path))
    clock = [machine_now()]
    monkeypatch.setattr("mytrading.runtime.daemon.daemon.machine_now", lambda: clock[-1])
    daemon.wake()
    endless = Endless(daemon.wake_pipe.fileno())

    def slow(_frame: Frame) -> None:
        clock.append(clock[-1] + DRAIN_NS // 3)

    try:
        daemon._drain(endless, slow)  # type: ignore[arg-type]
        assert daemon.handled == 4
        before = daemon.handled
        daemon._drain(endless, lambda _: None)  # type: ignore[arg-type]
        assert before < daemon.handled <= before + DRAIN_LIMIT
    finally:
        daemon.context.destroy(linger=0)


def test_urgent_pipe_has_more_of_a_turn_than_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A starved router took one report of a fill for each entry, and was six seconds behind with its stops."""
    daemon = Daemon("risk", run_config(tmp_path))
    taken: Counter[int] = Counter()
    clock = [machine_now()]
    monkeypatch.setattr("mytrading.runtime.daemon.daemon.machine_now", lambda: clock[-1])

    def slow(name: int, _frame: Frame) -> None:
        taken[name] += 1
        clock.append(clock[-1] + DRAIN_NS // 2)

    pipes = [os.pipe() for _ in range(2)]
    try:
        for readable, writable in pipes:
            os.write(writable, b"1")
            daemon._receivers[readable] = (Endless(readable), partial(slow, readable))  # type: ignore[index, assignment]
        daemon._polled[:] = [(readable, zmq.POLLIN) for readable, _ in pipes]
        plain, urgent = (readable for readable, _ in pipes)
        daemon._urgent.add(urgent)  # type: ignore[arg-type]
        daemon._turn()
        assert taken[plain] == 3 and taken[urgent] == 11
    finally:
        for end in (end for pipe in pipes for end in pipe):
            os.close(end)
        daemon.context.destroy(linger=0)


def test_frame_that_is_alone_is_handled_without_asking_for_another_by_an_exception(tmp_path: Path) -> None:
    """An empty socket is found by a daemon after nearly every frame."""
    daemon = Daemon("risk", run_config(tmp_path))

    class Alone(Endless):
        def receive(self) -> Frame:
            daemon.wake_pipe.reset()
            return FRAME

    daemon.wake()
    try:
        daemon._drain(Alone(daemon.wake_pipe.fileno()), lambda _: None)  # type: ignore[arg-type]
        assert daemon.handled == 1
    finally:
        daemon.context.destroy(linger=0)
