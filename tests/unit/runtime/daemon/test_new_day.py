"""A daemon opens a new day before it takes anything of it: it may wake in the middle of a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mytrading.core.time import DAY, day_end, iso_day
from mytrading.messages.commands import WithdrawEntries
from mytrading.messages.journal_rows import DayOpened
from mytrading.runtime.daemon.machine_daemon import MachineDaemon
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.journal.journal import JournalFull, segments
from tests.kit.run_configs import run_config

TODAY = 1_795_146_300_000_000_000
"""Friday 2026-11-20, 09:15 in India."""
TAKEN = WithdrawEntries(id="w1", cause="test")


class Learner:
    """A machine that remembers what it learnt, in order, and decides nothing."""

    def __init__(self) -> None:
        self.learnt: list[Any] = []
        self.machine_ns = 0

    def set_machine_time(self, machine_ns: int) -> None:
        self.machine_ns = machine_ns

    def apply(self, row: Any) -> None:
        if isinstance(row, DayOpened | WithdrawEntries):
            self.learnt.append(row)

    def decide(self, _message: object, _now: int) -> tuple[object, ...]:
        return ()


class Sleeper(MachineDaemon):
    """A router whose market time is set by the test."""

    def __init__(self, folder: Path) -> None:
        super().__init__("router", run_config(folder), Learner())
        self.at = TODAY
        self.clock.now = lambda: self.at  # type: ignore[method-assign]
        self.clock.market_and_machine_now = lambda: (self.at, machine_now())  # type: ignore[method-assign]

    def snapshot(self, day: str) -> tuple[Any, ...]:
        self.noticed = self.machine.machine_ns
        return (DayOpened(day=day),)


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Sleeper]:
    made = Sleeper(tmp_path)
    made.setup()
    yield made
    made.journal.close()
    made.context.destroy(linger=0)


def take(sleeper: Sleeper) -> None:
    sleeper.step("commands", TAKEN, source="risk", keep=True)


def test_message_of_a_new_day_is_taken_after_the_day_was_opened(sleeper: Sleeper) -> None:
    """No timer ran since yesterday: the machine slept, and this is the first thing it hears."""
    take(sleeper)
    sleeper.at, woken = sleeper.at + DAY, machine_now()
    take(sleeper)
    first, opened, second = sleeper.machine.learnt
    assert (first, opened.day, second) == (TAKEN, "2026-11-21", TAKEN)
    assert sleeper.journal.day == "2026-11-21" and sleeper.noticed >= woken, "the day is turned at the time of now"
    assert [path.stem for path in segments(sleeper.journal.folder)] == ["2026-11-20", "2026-11-21"]
    rows = list(sleeper.journal.rows())
    assert [row.stream for row in rows].count("commands") == 1, "each is in the file of its day"
    times = [row.machine_ns for row in rows]
    assert times == sorted(times), "decided again, an input older than its day's first row leads to other times"


def test_day_that_the_disk_does_not_take_goes_on_and_is_tried_again_each_second(
    sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def full(*_: Any) -> None:
        tried.append(1)
        raise JournalFull("no space left")

    take(sleeper)
    with monkeypatch.context() as patch:
        patch.setattr(sleeper.journal, "roll", full)
        sleeper.at += DAY
        for _ in range(5):
            take(sleeper)
        assert len(tried) == 1 and sleeper.journal.day == "2026-11-20"
        sleeper.at += 1_000_000_000
        take(sleeper)
        assert len(tried) == 2
    sleeper.at += 1_000_000_000
    take(sleeper)
    assert sleeper.journal.day == "2026-11-21"
    assert sum(row == TAKEN for row in sleeper.machine.learnt) == 8


@pytest.mark.parametrize("hours", [0, 9.25, 18.4, 18.5, 23.99])
def test_day_ends_with_the_first_moment_of_the_next_one_in_india(hours: float) -> None:
    moment = TODAY // DAY * DAY + int(hours * 3_600_000_000_000)
    end = day_end(moment)
    assert moment < end <= moment + DAY
    assert iso_day(end - 1) == iso_day(moment) < iso_day(end)
