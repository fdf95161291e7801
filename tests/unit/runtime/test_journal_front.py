"""The front of a journal: what is noted counts at once, whoever dies before it is moved, and nothing else does."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from mytrading.runtime import journal as journal_module
from mytrading.runtime import journal_front
from mytrading.runtime.journal import (
    INPUT,
    OUTPUT,
    Cursor,
    Entry,
    Journal,
    JournalFull,
    JournalReader,
    Row,
    last_inputs,
    read_segment,
)
from mytrading.runtime.journal_format import front_of
from mytrading.runtime.journal_front import Front, unmoved
from mytrading.runtime.rebuild import set_aside

DAY = "2026-11-23"


@pytest.fixture(autouse=True, params=["mapped", "written"])
def way(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each test on a file system whose files are mapped, and on one whose files are not."""
    here = {journal_front.file_system_of(tmp_path)} if request.param == "mapped" else set()
    monkeypatch.setattr(journal_front, "IN_PLACE", here)
    return str(request.param)


def out(body: bytes) -> Entry:
    return Entry(OUTPUT, "commands", body)


def opened(folder: Path) -> Journal:
    return Journal(folder, "risk", DAY, 4096, fronted=True)


def in_database(journal: Journal) -> list[bytes]:
    return [body for (body,) in journal._db.connection.execute("SELECT body FROM rows ORDER BY seq")]


def test_what_is_noted_is_read_by_all_before_it_is_moved(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    reader = JournalReader(tmp_path, "commands")
    first = journal.note([out(b"a")], 1, 1)[0]
    journal.note([Entry(INPUT, "signals", b"s", "engine", 1, 7, b"h" * 8), out(b"b")], 1, 1)
    assert in_database(journal) == []
    assert [row.body for row in read_segment(journal.path)] == [b"a", b"s", b"b"]
    assert last_inputs(tmp_path, "engine", "signals", 5) == [(7, b"h" * 8)]
    assert reader.last() == 2
    assert reader.matches(Cursor(1, 1, first.hash))
    assert reader.newest_of({1: first.hash}) == Cursor(1, 1, first.hash)
    journal.move()
    assert in_database(journal) == [b"a", b"s", b"b"]
    assert [row.body for row in reader.read(0)] == [b"a", b"b"]


def test_disk_is_at_work_while_something_else_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the write and before the wait for the disk, once, and only where there is something to wait for."""
    journal, said = opened(tmp_path), []
    sync, advise = os.fdatasync, os.posix_fadvise
    monkeypatch.setattr(os, "fdatasync", lambda file: (said.append("waited"), sync(file)))
    monkeypatch.setattr(os, "posix_fadvise", lambda *of: (said.append("begun"), advise(*of)))

    def meanwhile() -> None:
        said.append(f"meanwhile {[row.body for row in unmoved(journal.path, 0, bytes(8))]}")

    journal.note([out(b"a")], 1, 1, durable=False, meanwhile=meanwhile)
    assert said == []
    journal.note([out(b"b")], 1, 1, durable=True, meanwhile=meanwhile)
    assert said == ["begun", "meanwhile [b'a', b'b']", "waited"]


def test_mapped_front_needs_no_call_for_a_record(tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, calls, write = opened(tmp_path), [], os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda *of: (calls.append(of[2]), write(*of))[1])
    journal.note([out(b"a")], 1, 1)
    assert len(calls) == (0 if way == "mapped" else 1)
    calls.clear()
    journal.note([out(b"b")], 1, 1, durable=True)
    journal.note([out(b"c")], 1, 1)
    assert len(calls) == 2, "a disk that is waited for takes pages sooner that are not mapped"
    assert [row.body for row in unmoved(journal.path, 0, bytes(8))] == [b"a", b"b", b"c"]


def test_making_ready_changes_nothing_up_to_the_end_of_the_file(tmp_path: Path) -> None:
    front = Front(tmp_path / "front", size=4096)
    row = Row(1, 1, OUTPUT, "commands", 1, "", 0, 0, b"", 1, 1, b"x" * 60, bytes(8))
    while front.append([row], durable=False):
        before = (tmp_path / "front").read_bytes()
        front.make_ready()
        assert (tmp_path / "front").read_bytes() == before
    assert len(before) == 4096
    front.close()


def test_file_system_is_the_one_the_file_is_on(tmp_path: Path) -> None:
    told = subprocess.run(["stat", "-f", "-c", "%T", tmp_path], capture_output=True, text=True, check=True).stdout
    assert journal_front.file_system_of(tmp_path)[:3] == told[:3]


def test_next_start_takes_in_what_a_killed_process_noted(tmp_path: Path) -> None:
    killed = opened(tmp_path)
    killed.append([out(b"a")], 1, 1)
    killed.note([out(b"b")], 1, 1, durable=True)
    killed.move()
    killed.note([out(b"c")], 1, 1)
    again = Journal(tmp_path, "risk", DAY, 4096)
    assert in_database(again) == [b"a", b"b", b"c"]
    assert (again.size, again.written("commands")) == (3, 3)
    assert not front_of(again.path).exists()


def test_record_that_was_cut_short_ends_what_is_taken_in(tmp_path: Path) -> None:
    killed = opened(tmp_path)
    killed.note([out(b"a")], 1, 1)
    whole = len(front_of(killed.path).read_bytes().rstrip(b"\0"))
    killed.note([out(b"bbbbbbbb")], 1, 1)
    killed.note([out(b"c")], 1, 1)
    with front_of(killed.path).open("r+b") as file:
        file.seek(whole + 20)
        file.write(b"?")
    assert [row.body for row in opened(tmp_path).rows()] == [b"a"]


def test_front_of_another_past_is_not_taken_in(tmp_path: Path) -> None:
    """The database was put back from a copy: what the front holds goes on from rows that nobody has any more."""
    journal = opened(tmp_path)
    journal.note([out(b"a")], 1, 1)
    journal.move()
    journal.checkpoint()
    kept = shutil.copy(journal.path, tmp_path / "kept")
    for body in (b"b", b"c"):
        journal.note([out(body)], 1, 1)
    front = front_of(journal.path)
    rows = unmoved(journal.path, 2, journal._unmoved[0].hash)
    assert [row.body for row in rows] == [b"c"]
    other = Journal(tmp_path / "other", "risk", DAY, 4096)
    other.append([out(b"x"), out(b"y")], 1, 1)
    other.close()
    shutil.copy(front, front_of(other.path))
    assert [row.body for row in Journal(tmp_path / "other", "risk", DAY, 4096).rows()] == [b"x", b"y"]
    assert kept.exists()


def test_front_begins_again_when_the_database_has_its_rows_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "Front", lambda path: Front(path, size=4096))
    journal = opened(tmp_path)
    written = [bytes([65 + number % 26]) * 200 for number in range(60)]
    for number, body in enumerate(written):
        journal.note([out(body)], 1, 1, durable=number % 5 == 0)
        if number % 3 == 2:
            journal.move()
            assert in_database(journal) == written[: number + 1]
    assert front_of(journal.path).stat().st_size == 4096
    assert [row.body for row in opened(tmp_path).rows()] == written


def test_rows_for_which_the_front_has_no_room_go_to_the_database_behind_those_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "Front", lambda path: Front(path, size=4096))
    journal = opened(tmp_path)
    journal.note([out(b"small")], 1, 1)
    journal.note([out(b"L" * 5000)], 1, 1)
    assert in_database(journal) == [b"small", b"L" * 5000]
    journal.note([out(b"next")], 1, 1)
    assert [row.body for row in opened(tmp_path).rows()] == [b"small", b"L" * 5000, b"next"]


def test_disk_without_room_for_a_front_commits_directly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> Front:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(journal_module, "Front", full)
    journal = opened(tmp_path)
    journal.note([out(b"a")], 1, 1, durable=True)
    assert in_database(journal) == [b"a"]
    assert not front_of(journal.path).exists()


def test_closed_and_rolled_journals_leave_no_front(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.note([out(b"a")], 1, 1)
    journal.roll("2026-11-24", {})
    journal.note([out(b"b")], 1, 1)
    assert [path.name for path in tmp_path.glob("*-front")] == ["2026-11-24.sqlite-front"]
    journal.close()
    assert not list(tmp_path.glob("*-front"))
    assert [row.body for file in sorted(tmp_path.glob("*.sqlite")) for row in read_segment(file)] == [b"a", b"b"]


def test_damaged_journal_takes_its_front_along(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.note([out(b"a")], 1, 1)
    journal.move()
    journal.note([out(b"b")], 1, 1)
    error = set_aside(tmp_path, "row 3 is bad")
    assert "moved to" in str(error)
    assert not front_of(journal.path).exists()
    assert [row.body for row in Journal(tmp_path, "risk", DAY, 4096).rows()] == [b"a", b"b"], "salvage read both"


def test_row_keeps_its_times_and_source_through_the_front(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    entry = Entry(INPUT, "signals", b"s", "engine", 2, 9, b"h" * 8, market_ns=3, machine_ns=4)
    noted = journal.note([entry], 1, 2)
    (read,) = unmoved(journal.path, 0, bytes(8))
    assert read == noted[0] == Row(1, 1, INPUT, "signals", 0, "engine", 2, 9, b"h" * 8, 3, 4, b"s", noted[0].hash)


def without_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk takes what is written, and says that it lost it."""

    def lost(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", lost)


def without_room(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database takes no more rows."""

    def full(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(journal._db, "commit", full)


def without_a_second_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the record itself the file takes nothing."""
    write, left = os.pwrite, [True]

    def once(descriptor: int, data: bytes, at: int) -> int:
        if not left:
            raise OSError(5, "Input/output error")
        left.clear()
        return write(descriptor, data, at)

    monkeypatch.setattr(os, "pwrite", once)


@pytest.mark.parametrize("cut", [False, True], ids=["written over", "cut off"])
def test_record_whose_sync_failed_on_a_full_disk_is_not_taken_in_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: bool
) -> None:
    """It was whole in the file: an order that was never sent was there, of unknown fate, after the start."""
    killed = opened(tmp_path)
    killed.note([out(b"a")], 1, 1)
    with monkeypatch.context() as patch:
        without_sync(patch)
        without_room(killed, patch)
        if cut:
            without_a_second_write(patch)
        with pytest.raises(JournalFull):
            killed.note([out(b"an order"), out(b"its position")], 1, 1, durable=True)
        assert [row.body for row in read_segment(killed.path)] == [b"a"], "no reader sees it either"
    assert [row.body for row in opened(tmp_path).rows()] == [b"a"]


def test_sync_that_failed_leaves_no_hole_before_what_is_noted_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = opened(tmp_path)
    killed.note([out(b"a")], 1, 1)
    with monkeypatch.context() as patch:
        without_sync(patch)
        killed.note([out(b"b")], 1, 1, durable=True)
    assert in_database(killed) == [b"a", b"b"]
    with front_of(killed.path).open("r+b") as file:
        file.write(bytes(8))  # the pages that the disk lost
    killed.note([out(b"c")], 1, 1, durable=True)
    assert [row.body for row in opened(tmp_path).rows()] == [b"a", b"b", b"c"]
