"""The whole stack loses journals, in each of the ways that files are lost, and says so, knows its own, and waits."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from mytrading.core.calendar import Calendar
from mytrading.core.time import ist_date
from mytrading.messages.run_config import RunConfig
from mytrading.operations.journal_verify import verify_journals
from mytrading.operations.state_backup import verify_backup
from mytrading.runtime.host.clock import ClockFile, ClockSegment, MarketClock, machine_now, write_clock_file
from mytrading.runtime.journal.journal import OUTPUT, segments
from tests.kit.journal_surgery import end_of, flip, frame_with, put, spoil
from tests.kit.project import unpack
from tests.kit.stack import Stack
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all tests of lost journals: each leaves it running and resumed."""
    with Stack(tmp_path_factory.mktemp("recovery")) as running:
        running.up("--simulator")
        eventually(lambda: len(running.ask("orders")) >= 1, 60)
        yield running


def overwrite(path: Path) -> None:
    end = end_of(path)
    put(path, end // 3, os.urandom(min(end // 3, 16_384)))


def truncate(path: Path) -> None:
    """Cut the file off within the first frame that others have read."""
    os.truncate(path, frame_with(path, lambda row: row.kind == OUTPUT).at + 50)


def delete(path: Path) -> None:
    path.unlink()


LOST = {"JOURNAL_REBUILT", "JOURNAL_TAIL_LOST", "UPSTREAM_LOST_ROWS"}
DAMAGES = {"overwritten": overwrite, "truncated": truncate, "deleted": delete}


def lose(stack: Stack, daemon: str, damage: Callable[[Path], None]) -> None:
    """Kill a daemon and damage its journal before supervisor has it back."""
    path = segments(stack.config.journal_dir(daemon))[-1]
    stack.kill(daemon)
    damage(path)


def codes(stack: Stack) -> set[str]:
    return {row["code"] for row in stack.ask("alerts")}


def held(stack: Stack) -> dict[tuple[str, str], int]:
    return {(row["strategy"], row["instrument"]): row["quantity"] for row in stack.ask("positions")}


def denials(stack: Stack) -> list[str]:
    return [text for row in stack.ask("signals") for text in row["denied"]]


def entries(stack: Stack) -> int:
    return sum(row["purpose"] == "entry" for row in stack.ask("orders"))


@pytest.mark.parametrize(("daemon", "how"), [("router", "overwritten"), ("risk", "deleted"), ("engine", "truncated")])
def test_lost_journal_is_reported_learnt_again_and_entries_wait_for_a_person(
    stack: Stack, daemon: str, how: str
) -> None:
    assert stack.run("halt", "nothing is to be on its way when the file goes").returncode == 0
    eventually(lambda: stack.is_settled() and not stack.disagreements(), 60)
    before = held(stack)
    lose(stack, daemon, DAMAGES[how])
    eventually(lambda: codes(stack) & LOST, 40)
    eventually(lambda: "quarantine own journal" in str(stack.beat(daemon)["notes"]), 20)
    assert stack.beat(daemon)["state"] == "DEGRADED"
    placed = entries(stack)
    assert eventually(lambda: (stack.is_settled() and not stack.disagreements()) or None, 40), stack.disagreements()
    assert entries(stack) == placed
    assert held(stack).items() <= before.items(), "owners are as they were; exits may have gone on"
    # Risk sees what the engine lost at its next signal: a resume before that is followed by another.
    eventually(lambda: stack.run("resume").returncode == 0 and stack.is_ready() and not codes(stack) & LOST, 60)
    assert not codes(stack) & LOST


def restart(stack: Stack, name: str) -> None:
    killed = stack.beat(name)["pid"]
    stack.kill(name)
    eventually(lambda: stack.beat(name)["pid"] != killed, 40)


@contextmanager
def bad_row(stack: Stack) -> Iterator[None]:
    """A row of risk's journal that nobody can read, which a start before had found whole."""
    restart(stack, "risk")
    path = segments(stack.config.journal_dir("risk"))[-1]
    at = spoil(path, lambda row: row.stream == "records")
    yield
    flip(path, at)


def test_bad_row_of_an_upstream_halts_entries_until_it_is_mended_and_a_person_resumes(stack: Stack) -> None:
    with bad_row(stack):
        restart(stack, "router")
        eventually(lambda: "UPSTREAM_UNREADABLE" in codes(stack), 40)
        assert not stack.beat("router")["ready"]
        restart(stack, "router")
        eventually(lambda: "quarantine risk" in str(stack.beat("router")["notes"]), 40)
    assert stack.run("resume").returncode == 0
    eventually(stack.is_ready, 40)
    eventually(lambda: "UPSTREAM_UNREADABLE" not in codes(stack), 40)


@pytest.mark.long
def test_resume_that_a_router_reads_while_it_starts_ends_the_doubts_before_it(stack: Stack) -> None:
    with bad_row(stack):
        restart(stack, "router")
        eventually(lambda: "UPSTREAM_UNREADABLE" in codes(stack), 40)
    killed = stack.beat("router")["pid"]
    stack.kill("router")
    assert stack.run("resume").returncode == 0
    eventually(lambda: stack.beat("router")["pid"] != killed, 40)
    eventually(stack.is_ready, 60)
    assert "quarantine" not in str(stack.beat("router")["notes"])


def lost_tails(config: RunConfig) -> int:
    return len([finding for finding in verify_journals(config) if "tail was lost" in finding.problem])


def test_backup_of_a_running_stack_is_consistent(stack: Stack) -> None:
    """Rows lost by a test before this one are missed in the stack too, until more is written there."""
    before = lost_tails(stack.config)
    body = stack.ask("state", "backup")
    names = {str(Path(piece["path"]).parent) for piece in verify_backup(Path(body["file"]))["files"]}
    assert {"state/journal/router", "state/journal/risk"} <= names
    folder = stack.base.parent / "copy"
    unpack(Path(body["file"]), folder)
    copied = lost_tails(msgspec.structs.replace(stack.config, state_dir=str(folder / "state")))
    assert copied <= max(before, lost_tails(stack.config))


# the day's loss


def is_stopped(stack: Stack) -> bool:
    """The last signal for a position was denied for the day's loss."""
    return bool(found := denials(stack)) and "DAILY_LOSS" in found[-1]


def has_lost(stack: Stack) -> bool:
    """What is held falls by two fifths, whatever the day's generated market does; true once the limit is reached."""
    for row in stack.ask("positions"):
        if row["quantity"]:
            exchange, symbol = row["instrument"].split(":")
            price = round(row["average_price"] * 0.6, 1)
            stack.sim("market", symbol=symbol, exchange=exchange, ltp=price, hold=True)
    return "DAILY_LOSS" in codes(stack)


def test_loss_limit_of_the_day_survives_restarts_and_ends_with_the_day(tmp_path: Path) -> None:
    with Stack(tmp_path, MAX_DAILY_LOSS="1") as stack:
        stack.up("--simulator")
        eventually(lambda: has_lost(stack), 90)
        stack.kill("risk")
        eventually(stack.is_ready, 40)
        placed = entries(stack)
        eventually(lambda: is_stopped(stack), 90)
        assert stack.down().returncode == 0
        stack.up("--simulator")
        assert "DAILY_LOSS" in codes(stack)
        assert entries(stack) == placed
        assert stack.down().returncode == 0
        to_the_next_morning(stack)
        stack.up("--simulator")
        eventually(lambda: entries(stack) > placed, 90)


def to_the_next_morning(stack: Stack) -> None:
    """The market of a stopped stack moves on to the next trading day, some minutes after the open."""
    clock = MarketClock.load(stack.config.clock_path)
    stopped_at = clock.resume_point()
    assert stopped_at is not None
    with stack.config.calendar_path.open("rb") as file:
        calendar = Calendar.from_dict(tomllib.load(file))
    morning = calendar.next_session("NFO", ist_date(stopped_at) + timedelta(days=1)).open_ns + 20 * 60 * 10**9
    now = machine_now()
    segments = (*clock.segments, ClockSegment(now, morning, 1.0))
    write_clock_file(stack.config.clock_path, ClockFile(segments=segments, last_seen_machine_ns=now))
