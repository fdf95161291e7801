"""The turn of a day, cut short by SIGKILL at every step: one day is open afterwards, closed ones are sealed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mytrading.runtime.journal.format import BEGIN
from mytrading.runtime.journal.journal import (
    INPUT,
    OUTPUT,
    RECORD,
    Cursor,
    Entry,
    Journal,
    JournalDamaged,
    JournalFull,
    JournalOfAnotherVersion,
    JournalReader,
    read_segment,
    segments,
)
from tests.kit.journal_surgery import put

DAY, NEXT = "2026-11-23", "2026-11-24"
CURSORS = {("engine", "signals"): Cursor(1, 7, b"12345678")}
SEAL = Entry(RECORD, "records", b"sealed")
OPENING = [Entry(RECORD, "records", b"opened"), Entry(RECORD, "records", b"doubt")]
CALLS = ("open", "pwrite", "fdatasync", "fsync", "posix_fallocate", "ftruncate", "close")
"""Calls of a roll to the file system, beside the new name."""
STEPS = 16


def begun(folder: Path) -> Journal:
    journal = Journal(folder, "risk", DAY, 4096)
    journal.append([Entry(INPUT, "signals", b"in", "engine", 1, 7, b"12345678")], 1, 1)
    journal.append([Entry(OUTPUT, "commands", b"a"), Entry(OUTPUT, "commands", b"b")], 2, 2)
    return journal


def roll(journal: Journal) -> None:
    journal.roll(NEXT, CURSORS, SEAL, OPENING, 5, 5)


def finished(folder: Path) -> Journal:
    """Start again: go on at the same place, the cut roll first."""
    journal = Journal(folder, "risk", DAY, 4096)
    if journal.sealed_for:
        assert journal.sealed_for == NEXT
        roll(journal)
    return journal


def rolled_until(step: int, folder: Path) -> bool:
    """Roll in a process of its own that is killed before its n-th step; true if it came to the end."""
    child = os.fork()
    if child == 0:
        _count_steps(step)
        journal = Journal(folder, "risk", DAY, 4096)
        _armed.append(step)
        roll(journal)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0


_armed: list[int] = []


def _count_steps(step: int) -> None:
    taken = 0

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def inner(*arguments: Any, **named: Any) -> Any:
            nonlocal taken
            taken += bool(_armed)
            if taken == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)

        return inner

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))
    Path.replace = counted(Path.replace)  # type: ignore[method-assign]


@pytest.mark.parametrize("step", range(1, STEPS + 2))
def test_roll_killed_before_any_step_leaves_one_day_open_and_loses_nothing(tmp_path: Path, step: int) -> None:
    begun(tmp_path).close()
    whole = rolled_until(step, tmp_path)
    assert whole == (step > STEPS), "the number of steps changed: let the range cover them all"
    journal = finished(tmp_path)
    row = journal.append([Entry(OUTPUT, "commands", b"c")], 9, 9)[0]
    rows = [row for path in segments(tmp_path) for row in read_segment(path)]
    assert [found.seq for found in rows] == list(range(1, len(rows) + 1))
    bodies = [found.body for found in rows if found.kind != RECORD]
    assert bodies == [b"in", b"a", b"b", b"c"]
    assert row.stream_seq == 3
    assert JournalReader(tmp_path, "commands").read(0)[1].body == b"b"
    assert [found.body for found in JournalReader(tmp_path, "commands").read(2)] == [b"c"]
    closed = segments(tmp_path)[:-1]
    assert all(list(read_segment(path))[-1].body == b"sealed" for path in closed)
    if closed:
        assert journal.day == NEXT
        assert [found.body for found in list(read_segment(journal.path))[:2]] == [b"opened", b"doubt"]
        assert journal.carried_cursors == CURSORS
    else:
        roll(journal)
        assert len(segments(tmp_path)) == 2


def test_day_that_was_sealed_says_so_and_one_that_went_on_does_not(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    roll(journal)
    journal.close()
    journal.path.unlink()
    again = Journal(tmp_path, "risk", DAY, 4096)
    assert (again.day, again.sealed_for) == (DAY, NEXT)
    again.append([Entry(RECORD, "records", b"went on")], 6, 6)
    assert again.sealed_for == ""


def test_roll_onto_a_disk_that_takes_no_file_leaves_the_day_open(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    size = journal.size
    (tmp_path / f".{NEXT}.journal").mkdir()  # what stands in the way of a file, also for root
    with pytest.raises(JournalFull):
        roll(journal)
    assert (journal.day, journal.size, journal.sealed_for) == (DAY, size, "")


def test_reader_follows_a_file_that_took_the_place_of_another(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    reader = JournalReader(tmp_path, "commands")
    assert len(reader.read(0)) == 2
    journal.close()
    journal.path.rename(tmp_path / "aside")
    fresh = Journal(tmp_path, "risk", DAY, 4096)
    fresh.begin_epoch({"commands": 5})
    fresh.append([Entry(OUTPUT, "commands", b"new")], 1, 1)
    assert [row.body for row in reader.read(2)] == [b"new"]


def test_reader_of_a_file_that_is_no_journal_says_damaged(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    journal.close()
    journal.path.write_bytes(b"no journal at all " * 500)
    with pytest.raises(JournalDamaged, match=f"{DAY}.journal"):
        JournalReader(tmp_path, "commands").read(0)


def test_writer_notices_that_its_file_was_removed(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    journal.sync_if_due()
    journal.path.unlink()
    with pytest.raises(JournalDamaged, match="removed"):
        journal.sync_if_due()


def test_file_of_a_newer_layout_is_refused_with_both_versions(tmp_path: Path) -> None:
    begun(tmp_path).close()
    put(tmp_path / f"{DAY}.journal", BEGIN - 1, bytes([99]))
    with pytest.raises(JournalOfAnotherVersion, match="expected layout 2, found 99"):
        Journal(tmp_path, "risk", DAY)


def test_folder_with_a_file_of_an_old_layout_is_refused_naming_the_command(tmp_path: Path) -> None:
    begun(tmp_path).close()
    (tmp_path / "2026-11-22.sqlite").write_bytes(b"SQLite format 3\0")
    for start in (lambda: Journal(tmp_path, "risk", DAY), lambda: JournalReader(tmp_path, "commands").read(0)):
        with pytest.raises(JournalOfAnotherVersion, match="mytrading state upgrade"):
            start()


def test_old_and_new_file_of_one_day_are_named_together_and_no_conversion_is_promised(tmp_path: Path) -> None:
    begun(tmp_path).close()
    (tmp_path / f"{DAY}.sqlite").write_bytes(b"SQLite format 3\0")
    with pytest.raises(JournalOfAnotherVersion, match=f"{DAY}.journal beside it is of the same day") as found:
        Journal(tmp_path, "risk", DAY)
    assert "converts it" not in str(found.value)
