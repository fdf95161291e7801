"""Progress on stderr where that is no terminal: a line now and then, with the time left."""

from __future__ import annotations

import re
import threading

import pytest

from mytrading.cli.shell.output import ProgressLine, progress_bar, spell_seconds
from tests.kit.waiting import eventually


class Seconds:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_time_left_is_by_the_pace_since_the_first_update() -> None:
    clock = Seconds()
    line = ProgressLine("trials", 100, clock)
    assert line.text() == "trials: 0 of 100 (0%), 0 s so far"
    line.update(completed=40)  # done before, which says nothing about the pace
    clock.now = 30.0
    line.update(completed=50, note="best sharpe 1.2")
    assert line.text() == "trials: 50 of 100 (50%), 2 min 30 s left, best sharpe 1.2"


def test_work_of_unknown_size_tells_how_long_it_takes() -> None:
    clock = Seconds()
    line = ProgressLine("NSE:SBIN", None, clock)
    clock.now = 70.0
    line.update(completed=3)
    assert line.text() == "NSE:SBIN: 3, 1 min 10 s so far"
    line.update(total=6)
    assert line.text().startswith("NSE:SBIN: 3 of 6 (50%)")


@pytest.mark.parametrize(("seconds", "text"), [(9.6, "10 s"), (80, "1 min 20 s"), (7_500, "2 h 5 min")])
def test_seconds_in_words(seconds: float, text: str) -> None:
    assert spell_seconds(seconds) == text


def test_lines_come_also_while_nothing_is_updated_and_end_with_the_work(capfd: pytest.CaptureFixture[str]) -> None:
    said = ""

    def lines() -> list[str]:
        nonlocal said
        said += capfd.readouterr().err
        return said.splitlines()

    with progress_bar("bars", 10, line_seconds=0.01) as update:
        update(completed=5)
        eventually(lambda: len(lines()) > 2)
    assert re.fullmatch(r"bars: 5 of 10 \(50%\), \d+ s so far", lines()[-1])
    assert "progress" not in {thread.name for thread in threading.enumerate()}


def test_short_work_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with progress_bar("bars", 10) as update:
        update(completed=10)
    assert capfd.readouterr().err == ""
