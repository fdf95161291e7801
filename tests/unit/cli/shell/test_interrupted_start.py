"""Ctrl-C while a stack is being started, and while a command still loads."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from mytrading.cli import main
from mytrading.cli.doctor import command as doctor
from mytrading.cli.shell import start
from mytrading.cli.stack import viewer


@pytest.fixture
def handlers() -> Iterator[None]:
    """The test's own signal handlers come back after it."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(
    "number, ending", [(signal.SIGINT, "stop"), (signal.SIGTERM, "stop"), (signal.SIGHUP, "hang up")]
)
def test_signal_while_supervisor_starts_is_left_to_the_viewer_which_stops_the_stack(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals, ending: str
) -> None:
    def begin(*_: Any) -> str:
        os.kill(os.getpid(), number)
        return "begins"

    seen: list[tuple[str, str]] = []
    monkeypatch.setattr(start, "prepare_stack", lambda wanted: wanted)
    monkeypatch.setattr(doctor, "check_before_start", lambda stack: None)
    monkeypatch.setattr(start, "start_stack", begin)
    monkeypatch.setattr(viewer, "watch_stack", lambda stack, view: seen.append((view.story, view.ending)) or 0)
    with pytest.raises(SystemExit) as ended:
        main.run(["up", "--simulator"])
    assert (ended.value.code, seen) == (0, [("begins", ending)])


def test_interrupt_while_a_command_loads_ends_it_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "_code", interrupted)
    with pytest.raises(SystemExit) as ended:
        main.run(["status"])
    assert ended.value.code == 130
