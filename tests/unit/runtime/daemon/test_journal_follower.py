"""A journal that lost rows and its reader, as a pair: nothing that is written afterwards is passed over."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from mytrading.messages.codec import Frame, Header, encode_body
from mytrading.messages.commands import WithdrawEntries
from mytrading.messages.control import Alert, Heartbeat
from mytrading.messages.enums import DaemonState
from mytrading.messages.journal_rows import Doubted
from mytrading.runtime.daemon.machine_daemon import MachineDaemon
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.journal.journal import (
    EPOCH_GAP,
    OUTPUT,
    Entry,
    Journal,
    JournalFull,
    Row,
    last_inputs,
)
from tests.kit.run_configs import run_config

DAY = "2026-11-23"
COMMANDS = "commands"


class _Learner:
    """A machine that remembers which commands it learnt."""

    def __init__(self) -> None:
        self.learnt: list[str] = []

    def set_machine_time(self, machine_ns: int) -> None:
        return

    def apply(self, row: Any) -> None:
        if isinstance(row, WithdrawEntries):
            self.learnt.append(row.id)

    def decide(self, message: object, now: int) -> tuple[object, ...]:
        return ()


class Pair:
    """A router that follows the commands of a risk which is nothing but its journal."""

    def __init__(self, folder: Path) -> None:
        self.machine = _Learner()
        self.router = MachineDaemon("router", run_config(folder), self.machine)
        self.router.open_journal()
        self.folder = self.router.config.journal_dir("risk")
        self.risk = Journal(self.folder, "risk", DAY, 4096)
        self.router.follower.open("risk", COMMANDS)

    def write(self, *names: str) -> list[Row]:
        """Journal commands of these ids; nobody hears of them yet."""
        bodies = [encode_body(WithdrawEntries(id=name, cause="test")) for name in names]
        return self.risk.append([Entry(OUTPUT, COMMANDS, body) for body in bodies], 1, 1)

    def hear(self, row: Row) -> None:
        """The frame of a row comes to the router."""
        message = self.router.follower.decoders[COMMANDS].decode_body(row.body)
        header = Header(1, row.epoch, row.stream_seq, row.hash, 0)
        self.router.follower.receive(COMMANDS, Frame("risk", header, message, row.body))

    def lose(self, rows: int) -> None:
        """Risk's journal comes back without its newest rows; its own writer does not know of them."""
        self.risk.close()
        left = list(self.risk.rows())[: self.risk.size - rows]
        for path in self.folder.glob("2026*"):
            path.unlink()
        self.risk = Journal(self.folder, "risk", DAY, 4096)
        if left:
            self.risk.append([Entry(row.kind, row.stream, row.body) for row in left], 1, 1)

    def begin_epoch(self) -> None:
        """Begin a new epoch, as risk does at its start for lost rows that the router's journal does not name."""
        self.risk.begin_epoch({COMMANDS: self.risk.written(COMMANDS)})

    @property
    def doubted(self) -> bool:
        return "risk/commands" in self.router.quarantine.writers


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    yield made
    made.risk.close()
    made.router.journal.close()
    made.router.context.destroy(linger=0)


@pytest.mark.parametrize("lost", [1, 2, 3], ids=["the last row", "two rows", "the whole journal"])
@pytest.mark.parametrize("way", ["frame", "journal"])
def test_row_of_a_rebuilt_journal_is_read_by_whoever_had_read_further(pair: Pair, lost: int, way: str) -> None:
    """Its sequence lay at or below the reader's cursor: an exit that risk gave after its recovery was never read."""
    for row in pair.write("a", "b", "c"):
        pair.hear(row)
    pair.lose(lost)
    pair.begin_epoch()
    fresh = pair.write("exit")[0]
    if way == "frame":
        pair.hear(fresh)
    pair.router.follower.catch_up()
    assert pair.machine.learnt == ["a", "b", "c", "exit"]
    assert pair.doubted
    assert fresh.stream_seq > EPOCH_GAP


def test_rows_that_have_to_wait_stay_in_the_journal_and_come_in_their_order(pair: Pair) -> None:
    waiting = True
    pair.router.follow(COMMANDS, waits=lambda: waiting)
    first, second = pair.write("a", "b")
    pair.hear(first)
    pair.router.follower.catch_up()
    assert (pair.machine.learnt, pair.router.cursors()) == ([], {})
    waiting = False
    pair.hear(second)
    assert pair.machine.learnt == ["a", "b"]


def test_daemon_that_doubts_an_upstream_is_not_ready_before_it_says_that_entries_halt(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heartbeat came up to a tenth of a second after the alert: until then entries were admitted."""
    reported: list[Heartbeat | Alert] = []
    pair.router.state = DaemonState.RUNNING
    monkeypatch.setattr(pair.router, "ready", lambda: not pair.router.quarantine.writers)
    pair.router.report_readiness()
    monkeypatch.setattr(pair.router.status, "send", lambda _, message: reported.append(message))
    pair.risk.append([Entry(OUTPUT, COMMANDS, b"\xc1not a message")], 1, 1)
    pair.router.follower.catch_up()
    beat, alert = reported
    assert (isinstance(beat, Heartbeat) and beat.ready, isinstance(alert, Alert) and alert.code) == (
        False,
        "UPSTREAM_UNREADABLE",
    )


def test_reader_that_takes_long_over_each_row_beats_in_between(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a heartbeat after each hundredth row alone: late by seconds, the reader was killed as hung."""
    now, reported = machine_now(), list[Any]()
    pair.router.state = DaemonState.RUNNING
    monkeypatch.setattr(pair.router.status, "send", lambda _, message: reported.append((now, message)))
    monkeypatch.setattr("mytrading.runtime.daemon.daemon.machine_now", lambda: now)

    def take_long(row: Any) -> None:
        nonlocal now
        now += 2_000_000_000

    monkeypatch.setattr(pair.machine, "apply", take_long)
    pair.write("a", "b", "c", "d")
    pair.router.follower.catch_up()
    beats = [at for at, message in reported if isinstance(message, Heartbeat)]
    assert len(beats) == 4
    assert max(later - earlier for earlier, later in pairwise(beats)) == 2_000_000_000


def test_frame_with_another_hash_at_the_cursor_is_no_repetition(pair: Pair) -> None:
    """A tail that was lost unnoticed is written anew under the same numbers: nothing of it is missed."""
    for row in pair.write("a", "b"):
        pair.hear(row)
    pair.lose(1)
    pair.hear(pair.write("exit")[0])
    assert pair.machine.learnt == ["a", "b", "exit"]
    assert pair.doubted


def test_rows_below_the_first_one_seen_of_a_new_epoch_are_read_too(pair: Pair) -> None:
    """The reader went back to the last common row, and then on with the rows it had fetched before it did."""
    for row in pair.write("a", "b", "c"):
        pair.hear(row)
    pair.lose(2)
    pair.write("exit 1", "exit 2")
    pair.risk.begin_epoch({})
    pair.hear(pair.write("exit 3")[0])
    pair.router.follower.catch_up()
    assert pair.machine.learnt == ["a", "b", "c", "exit 1", "exit 2", "exit 3"]


def test_frame_of_the_past_epoch_that_comes_late_takes_nothing_from_the_new_one(pair: Pair) -> None:
    first, late = pair.write("a", "b")
    pair.hear(first)
    pair.lose(1)
    pair.begin_epoch()
    fresh = pair.write("exit")[0]
    pair.hear(late)
    pair.hear(fresh)
    pair.router.follower.catch_up()
    assert pair.machine.learnt == ["a", "b", "exit"]


def test_new_epoch_of_a_journal_that_lost_nothing_raises_no_doubt(pair: Pair) -> None:
    for row in pair.write("a", "b"):
        pair.hear(row)
    pair.begin_epoch()
    pair.hear(pair.write("c")[0])
    assert pair.machine.learnt == ["a", "b", "c"]
    assert not pair.doubted


def test_next_day_begins_above_what_a_new_epoch_keeps_free(pair: Pair) -> None:
    pair.write("a")
    pair.begin_epoch()
    pair.risk.roll("2026-11-24", {})
    pair.risk.close()
    pair.risk = Journal(pair.folder, "risk", DAY, 4096)
    assert pair.write("b")[0].stream_seq == EPOCH_GAP + 2


def test_command_whose_decision_finds_no_room_is_read_again_and_not_taken_for_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the daemon wrote the command alone where there was room for it: an exit was never decided on."""

    def full(file: int, data: bytes, at: int) -> int:
        return write(file, data[:1000], at)

    write = os.pwrite
    pair = Pair(tmp_path)
    long = Doubted(whom="w", code="c", problem="p" * 2000, at_ns=1)
    monkeypatch.setattr(pair.machine, "decide", lambda *_: (long,))
    (command,) = pair.write("exit")
    with monkeypatch.context() as patch, pytest.raises(JournalFull):
        patch.setattr(os, "pwrite", full)
        pair.hear(command)
    pair.router.flush_inputs()
    assert pair.machine.learnt == ["exit"]
    assert last_inputs(pair.router.journal.folder, "risk", COMMANDS, 5) == []
    again = Pair(tmp_path)
    again.router.follower.catch_up()
    assert again.machine.learnt == ["exit"]
    for made in (pair, again):
        made.risk.close()
        made.router.context.destroy(linger=0)


class _Caller(MachineDaemon):
    """A daemon that makes a call for what it decides, unless the call is not wanted."""

    calls = True

    def begin_calls(self, rows: Sequence[Any]) -> bool:
        return self.calls


def test_what_led_to_a_call_is_applied_a_turn_later_and_in_its_order(tmp_path: Path) -> None:
    """Readers of an order's rows wake up on the cores that its request needs."""
    caller = _Caller("risk", run_config(tmp_path), _Learner())
    caller.open_journal()
    received: list[str] = []
    caller._send = lambda _, row: received.append(row.id)  # type: ignore[method-assign]
    caller.record([WithdrawEntries(id="called", cause="test")])
    assert (caller.machine.learnt, received) == (["called"], [])  # type: ignore[attr-defined]
    caller.calls = False
    caller.record([WithdrawEntries(id="after it", cause="test")])
    assert received == ["called", "after it"]
    caller.calls = True
    caller.record([WithdrawEntries(id="last", cause="test")])
    caller._turn()
    assert received == ["called", "after it", "last"]
    caller.journal.close()
    caller.context.destroy(linger=0)


def test_in_lock_step_nothing_is_applied_later(tmp_path: Path) -> None:
    caller = _Caller("risk", run_config(tmp_path), _Learner())
    caller.open_journal()
    caller.lock_step = True
    received: list[str] = []
    caller._send = lambda _, row: received.append(row.id)  # type: ignore[method-assign]
    caller.record([WithdrawEntries(id="called", cause="test")])
    assert received == ["called"]
    caller.journal.close()
    caller.context.destroy(linger=0)
