"""The file of a day under kills, power cuts and disks that take no more: what was appended counts, and nothing else."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mytrading.runtime.journal import reader as reader_module
from mytrading.runtime.journal import segment as segment_module
from mytrading.runtime.journal.format import BEGIN, FRAME_BYTES
from mytrading.runtime.journal.journal import (
    INPUT,
    OUTPUT,
    RECORD,
    Cursor,
    Entry,
    Journal,
    JournalDamaged,
    JournalFull,
    JournalReader,
    JournalUnavailable,
    last_inputs,
    read_segment,
)
from mytrading.runtime.journal.segment import AHEAD_BYTES, SYNC_EVERY
from mytrading.runtime.recovery.journal_rebuild import set_aside
from tests.kit.hypothesis_budget import cases, examples
from tests.kit.journal_surgery import end_of, flip, frame_with, put

DAY = "2026-11-23"
KILLS = examples(60)
STARTS = 7
"""A start is tried at each so many bytes; what a reader finds, at every one."""


def out(body: bytes) -> Entry:
    return Entry(OUTPUT, "commands", body)


def opened(folder: Path, reserve: int = 4096) -> Journal:
    return Journal(folder, "risk", DAY, reserve)


def bodies(path: Path) -> list[bytes]:
    return [row.body for row in read_segment(path)]


def allocated(path: Path) -> int:
    return path.stat().st_blocks * 512


# what is appended


def test_what_is_appended_is_read_by_all_at_once(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    reader = JournalReader(tmp_path, "commands")
    first = journal.append([out(b"a")], 1, 1)[0]
    journal.append([Entry(INPUT, "signals", b"s", "engine", 1, 7, b"h" * 8), out(b"b")], 1, 1)
    assert bodies(journal.path) == [b"a", b"s", b"b"]
    assert last_inputs(tmp_path, "engine", "signals", 5) == [(7, b"h" * 8)]
    assert reader.last() == 2
    assert reader.matches(Cursor(1, 1, first.hash))
    assert reader.newest_of({1: first.hash}) == Cursor(1, 1, first.hash)
    assert [row.body for row in reader.read(0)] == [b"a", b"b"]


def test_row_keeps_its_times_and_source(tmp_path: Path) -> None:
    entry = Entry(INPUT, "signals", b"s", "engine", 2, 9, b"h" * 8, market_ns=3, machine_ns=4)
    journal = opened(tmp_path)
    (row,) = journal.append([entry], 1, 2)
    assert list(read_segment(journal.path)) == [row]
    assert (row.market_ns, row.machine_ns, row.source_epoch, row.source_seq) == (3, 4, 2, 9)


def test_disk_is_at_work_while_something_else_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the write and before the wait for the disk, once, and only where there is something to wait for."""
    journal, said = opened(tmp_path), []
    sync, advise = os.fdatasync, os.posix_fadvise
    monkeypatch.setattr(os, "fdatasync", lambda file: (said.append("waited"), sync(file)))
    monkeypatch.setattr(os, "posix_fadvise", lambda *of: (said.append("begun"), advise(*of)))

    def meanwhile() -> None:
        said.append(f"meanwhile {bodies(journal.path)}")

    journal.append([out(b"a")], 1, 1, durable=False, meanwhile=meanwhile)
    assert said == []
    journal.append([out(b"b")], 1, 1, durable=True, meanwhile=meanwhile)
    assert said == ["begun", "meanwhile [b'a', b'b']", "waited"]


def test_writer_that_never_waits_is_synced_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, syncs, sync = opened(tmp_path), [], os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda file: (syncs.append(journal.size), sync(file)))
    for number in range(2 * SYNC_EVERY + 1):
        journal.append([out(b"x")], number, number)
        journal.sync_if_due()
    assert syncs == [SYNC_EVERY, 2 * SYNC_EVERY]


# kills


def killed_while_it_appends(folder: Path, chosen: random.Random) -> list[bytes]:
    """Rows that were appended for a process before it was killed, at a random moment."""
    reported, tell = os.pipe()
    child = os.fork()
    if child == 0:
        journal = opened(folder)
        for number in range(1 << 30):
            size = chosen.choice((1, 300, 5000, 70_000))
            text = [f"{os.getpid()} {number} {part} ".encode().ljust(size, b"x") for part in range(number % 3 + 1)]
            journal.append([out(body) for body in text], number, number, durable=number % 7 == 0)
            os.write(tell, b"".join(body[:24].ljust(24) for body in text))
    os.close(tell)
    time.sleep(chosen.random() * 0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reported, "rb") as file:
        said = file.read()
    return [said[at : at + 24] for at in range(0, len(said) - 23, 24)]


def test_process_killed_at_any_moment_loses_nothing_and_its_successor_goes_on(tmp_path: Path) -> None:
    chosen, expected = random.Random(7), []
    for _ in range(KILLS):
        expected += killed_while_it_appends(tmp_path, chosen)
        found = [body[:24].ljust(24) for path in tmp_path.glob("2026*") for body in bodies(path)]
        assert [body for body in found if body in set(expected)] == expected
        expected = found  # a row may have been whole before its append returned
    journal = opened(tmp_path)
    journal.append([out(b"after")], 1, 1)
    assert bodies(journal.path)[-1] == b"after"
    assert journal.size == len(expected) + 1


# power cuts: whatever the disk had stays, and what it had not is cut off at the first gap


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, list[int]]:
    """A journal of six commits, the third of them durable, whose process was killed: its file, and where each ends."""
    journal, ends = opened(tmp_path / "whole"), []
    for number in range(6):
        journal.append([out(b"%d" % number), Entry(RECORD, "records", b"r" * 40)], 1, 1, durable=number == 2)
        ends.append(journal._file.end)
    return journal.path, ends


def as_found(written: Path, folder: Path, data: bytes) -> Path:
    """A folder in which a start finds these bytes."""
    folder.mkdir(exist_ok=True)
    path = folder / written.name
    path.unlink(missing_ok=True)  # a file that is cut to nothing is written to the disk at once
    path.write_bytes(data)
    return path


def numbers(path: Path) -> list[bytes]:
    return [row.body for row in read_segment(path) if row.kind == OUTPUT]


def test_file_cut_off_at_any_byte_keeps_the_commits_before_it(written: tuple[Path, list[int]], tmp_path: Path) -> None:
    path, ends = written
    data = path.read_bytes()
    for at in cases(range(ends[0], ends[-1] + 1)):
        cut = as_found(path, tmp_path / "cut", data[:at])
        kept = sum(end <= at for end in ends)
        assert numbers(cut) == [b"%d" % number for number in range(kept)]
        if at % STARTS:
            continue
        journal = opened(cut.parent)
        assert journal.append([out(b"new")], 1, 1)[0].seq == 2 * kept + 1
        assert numbers(cut)[kept:] == [b"new"]
        journal.close()


def test_byte_changed_anywhere_is_found_if_the_disk_had_it_and_ends_the_file_if_not(
    written: tuple[Path, list[int]], tmp_path: Path
) -> None:
    path, ends = written
    data = path.read_bytes()
    for at in cases(range(BEGIN, ends[-1])):
        changed = as_found(path, tmp_path / "changed", data)
        flip(changed, at)
        if at < ends[2]:  # what stands behind the durable commit says that it was on the disk
            with pytest.raises(JournalDamaged, match=str(changed)):
                list(read_segment(changed))
            continue
        kept = sum(end <= at for end in ends)
        assert numbers(changed) == [b"%d" % number for number in range(kept)]
        if at % STARTS:
            continue
        journal = opened(changed.parent)
        journal.append([out(b"new")], 1, 1)
        assert numbers(changed)[kept:] == [b"new"]
        journal.close()


def test_byte_changed_anywhere_in_a_closed_file_is_found(written: tuple[Path, list[int]], tmp_path: Path) -> None:
    opened(written[0].parent).close()
    path, ends = written
    data = path.read_bytes()
    for at in cases(range(BEGIN, ends[-1])):
        changed = as_found(path, tmp_path / "changed", data)
        flip(changed, at)
        with pytest.raises(JournalDamaged, match=str(changed)):
            list(read_segment(changed))


def test_page_that_a_power_cut_took_ends_the_file_and_what_stands_behind_it_never_counts_again(tmp_path: Path) -> None:
    """A disk takes pages in any order: a later one may be there and an earlier one not."""
    journal = opened(tmp_path)
    for number in range(4):
        journal.append([out(b"%d" % number)], 1, 1)
    gap = frame_with(journal.path, lambda row: row.body == b"1")
    put(journal.path, gap.at, bytes(gap.end - gap.at))
    assert bodies(journal.path) == [b"0"]
    again = opened(tmp_path)
    again.append([out(b"1")], 1, 1)  # of the same length: the old frames behind it would follow on it
    assert bodies(journal.path) == [b"0", b"1"]


def test_page_of_zeros_where_the_disk_had_rows_is_damage(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for number in range(4):
        journal.append([out(b"%d" % number)], 1, 1, durable=True)
    gap = frame_with(journal.path, lambda row: row.body == b"1")
    put(journal.path, gap.at, bytes(gap.end - gap.at))
    with pytest.raises(JournalDamaged, match="row 2 "):
        list(read_segment(journal.path))
    with pytest.raises(JournalDamaged, match="row 2 "):
        opened(tmp_path)


def test_frame_of_another_past_is_not_taken_in(tmp_path: Path) -> None:
    journal, other = opened(tmp_path / "a"), opened(tmp_path / "b")
    journal.append([out(b"a")], 1, 1)
    for body in (b"x", b"y"):
        other.append([out(body)], 1, 1)
    foreign = frame_with(other.path, lambda row: row.body == b"y")
    at = end_of(journal.path)
    put(journal.path, at, other.path.read_bytes()[foreign.at : foreign.end])
    with pytest.raises(JournalDamaged, match=r"row 2 .* does not match its hash"):
        list(read_segment(journal.path))


def test_reader_waits_for_a_frame_that_is_being_written(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append([out(b"a")], 1, 1)
    end = journal._file.end
    journal.append([out(b"b")], 1, 1)
    whole = journal.path.read_bytes()[end : journal._file.end]
    reader = JournalReader(tmp_path, "commands")
    for length in range(len(whole)):
        put(journal.path, end, whole[:length] + bytes(len(whole) - length))
        assert [row.body for row in reader.read(0)] == [b"a"]
        assert reader.read(1) == []
    put(journal.path, end, whole)
    assert [row.body for row in reader.read(1)] == [b"b"]


def test_damaged_journal_is_set_aside_and_keeps_its_beginning_and_its_epoch(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for number in range(3):
        journal.append([out(b"%d" % number)], 1, 1, durable=True)
    journal.begin_epoch({"commands": 9})
    journal.append([out(b"new")], 1, 1, durable=True)
    journal.close()
    flip(journal.path, frame_with(journal.path, lambda row: row.body == b"1").at + FRAME_BYTES)
    assert "moved to" in str(set_aside(tmp_path, "row 2 is bad"))
    again = opened(tmp_path)
    assert bodies(again.path) == [b"0"]
    assert again.epoch == 2
    assert again.append([out(b"later")], 1, 1)[0].stream_seq > 9


# the disk


def test_reserve_is_blocks_of_the_journals_own_file(tmp_path: Path) -> None:
    """A reserve that was released to the file system went to whichever program wrote first."""
    journal = opened(tmp_path, 8 << 20)
    assert allocated(journal.path) >= 8 << 20
    assert not (tmp_path / ".reserve").exists()
    journal.append([out(b"a")], 1, 1)
    journal.roll("2026-11-24", {})
    assert allocated(journal.path) >= 8 << 20
    assert allocated(tmp_path / f"{DAY}.journal") < 1 << 16, "a day that is over needs none"


def test_rows_that_fill_the_reserve_lengthen_no_file(tmp_path: Path) -> None:
    journal = opened(tmp_path, 2 << 20)
    before = {path.name: allocated(path) for path in tmp_path.iterdir()}
    for number in range(900):
        journal.append([out(bytes(400))], number, number)
    assert {path.name: allocated(path) for path in tmp_path.iterdir()} == before
    assert len(list(journal.rows())) == 900


def test_closed_journal_keeps_its_reserve_and_the_next_start_takes_no_block(tmp_path: Path) -> None:
    """The last close gave the reserve back, and the next start had no byte to work with."""
    journal = opened(tmp_path, 1 << 20)
    journal.append([out(b"a")], 1, 1)
    journal.close()
    before = journal.path.stat()
    again = opened(tmp_path, 1 << 20)
    again.append([out(b"b")], 2, 2)
    assert bodies(journal.path) == [b"a", b"b"]
    after = journal.path.stat()
    assert (after.st_ino, after.st_blocks) == (before.st_ino, before.st_blocks)
    assert [path.name for path in tmp_path.iterdir()] == [journal.path.name]


def without_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file system gives no more blocks."""

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)


def test_full_disk_leaves_the_reserve_and_then_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(tmp_path, 1 << 20)
    assert journal.watch_disk()
    written = 0
    with monkeypatch.context() as patch:
        without_room(patch)
        with pytest.raises(JournalFull, match="free disk space"):
            while written < 1000:
                journal.append([out(bytes(10_000))], 1, 1)
                written += 1
                short = not journal.watch_disk()
                assert short is (journal._file.end + (1 << 20) > journal._file._allocated)
        assert short
        size = journal.size
        assert written * 10_000 > 1 << 20
        assert len(list(journal.rows())) == size == written
    monkeypatch.setattr(segment_module, "free_bytes", lambda _: 1 << 40)
    assert journal.watch_disk()
    journal.append([out(b"again")], 1, 1)
    assert journal.size == size + 1


def test_start_on_a_full_disk_has_the_reserve_of_the_run_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(tmp_path, 1 << 20).append([out(b"a")], 1, 1)
    without_room(monkeypatch)
    again = opened(tmp_path, 1 << 20)
    for _ in range(50):
        again.append([out(bytes(10_000))], 1, 1)
    assert again.size == 51


def test_file_system_that_writes_each_block_elsewhere_has_a_spare_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_module, "writes_in_place", lambda _: False)
    journal = opened(tmp_path, 8 << 20)
    assert allocated(tmp_path / ".reserve") == 8 << 20
    assert allocated(journal.path) < AHEAD_BYTES
    refused = failing_writes(monkeypatch, times=1)
    journal.append([out(b"a")], 1, 1)
    assert (len(refused), (tmp_path / ".reserve").exists(), journal.is_short_of_disk) == (1, False, True)
    assert bodies(journal.path) == [b"a"]


def failing_writes(monkeypatch: pytest.MonkeyPatch, times: int) -> list[int]:
    """So many writes find the disk full; returns those that did."""
    write, failed = os.pwrite, list[int]()

    def refusing(file: int, data: bytes, at: int) -> int:
        if len(failed) < times:
            failed.append(at)
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data, at)

    monkeypatch.setattr(os, "pwrite", refusing)
    return failed


def test_frame_that_was_written_half_is_taken_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, write = opened(tmp_path), os.pwrite
    journal.append([out(b"a")], 1, 1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", lambda file, data, at: write(file, data[: len(data) // 2 + 1], at))
        with pytest.raises(JournalFull):
            journal.append([out(b"b")], 1, 1)
    journal.append([out(b"c")], 1, 1)
    assert bodies(journal.path) == [b"a", b"c"]


# a disk that fails to sync


def failing_syncs(monkeypatch: pytest.MonkeyPatch, times: int, lose: Callable[[], None] = lambda: None) -> list[int]:
    sync, failed = os.fdatasync, list[int]()

    def refusing(file: int) -> None:
        if len(failed) < times:
            failed.append(file)
            lose()
            raise OSError(errno.EIO, "Input/output error")
        sync(file)

    monkeypatch.setattr(os, "fdatasync", refusing)
    return failed


@pytest.mark.parametrize("cut", [False, True], ids=["written over", "cut off"])
def test_order_whose_sync_failed_is_read_by_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: bool) -> None:
    """Guards against a whole row in the file: an order never sent was there, of unknown fate, after the start."""
    killed = opened(tmp_path)
    killed.append([out(b"a")], 1, 1)
    with monkeypatch.context() as patch:
        write, calls = os.pwrite, list[int]()

        def refusing(file: int, data: bytes, at: int) -> int:
            calls.append(at)
            if cut and len(calls) == 3:  # the record, what is written again, and then what ends the file before it
                raise OSError(errno.EIO, "Input/output error")
            return write(file, data, at)

        patch.setattr(os, "pwrite", refusing)
        failing_syncs(patch, times=9)
        with pytest.raises(JournalFull):
            killed.append([out(b"an order"), out(b"its position")], 1, 1, durable=True)
    assert bodies(killed.path) == [b"a"]
    assert opened(tmp_path).size == 1


def test_pages_that_the_disk_refused_once_are_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(tmp_path)
    journal.append([out(b"a")], 1, 1)
    with monkeypatch.context() as patch:
        written, write = list[int](), os.pwrite
        patch.setattr(os, "pwrite", lambda file, data, at: (written.append(at), write(file, data, at))[1])
        failing_syncs(patch, times=1)
        journal.append([out(b"b")], 1, 1, durable=True)
    assert len(written) == 2
    assert written[1] < written[0], "also what no sync had taken yet"
    assert bodies(opened(tmp_path).path) == [b"a", b"b"]


def test_durable_row_behind_pages_that_are_lost_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel may drop what it could not write: a row behind the gap would be found by nobody."""
    journal = opened(tmp_path)
    journal.append([out(b"a")], 1, 1)
    lost = frame_with(journal.path, lambda row: row.body == b"a")
    with monkeypatch.context() as patch:
        failing_syncs(patch, times=1, lose=lambda: put(journal.path, lost.at, bytes(lost.end - lost.at)))
        with pytest.raises(JournalFull):
            journal.append([out(b"b")], 1, 1, durable=True)


def test_file_that_may_not_be_written_is_unavailable_and_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(tmp_path).close()
    real = os.open

    def denied(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(JournalUnavailable, match="may be written"):
        opened(tmp_path)


def test_copy_with_holes_is_opened_and_gets_its_reserve(tmp_path: Path) -> None:
    journal = opened(tmp_path / "a", 1 << 20)
    journal.append([out(b"a")], 1, 1)
    (tmp_path / "b").mkdir()
    copy = shutil.copy(journal.path, tmp_path / "b")
    with Path(copy).open("r+b") as file:
        file.truncate(journal._file.end)
        file.truncate(3 << 20)
    again = opened(tmp_path / "b", 1 << 20)
    again.append([out(b"b")], 1, 1)
    assert bodies(again.path) == [b"a", b"b"]
    assert allocated(again.path) >= 1 << 20


def test_frame_that_was_written_while_it_was_looked_at_is_no_damage(tmp_path: Path) -> None:
    """A reader saw half of it; by the time it looked at what follows, there was a frame that knew of it."""
    journal = Journal(tmp_path, "w", "2026-01-01")
    for body in (b"first", b"second", b"third"):
        journal.append([Entry(OUTPUT, "signals", body)], 0, 0, durable=True)
    journal.close()
    (path,) = tmp_path.glob("*.journal")
    with reader_module.open_day_file(path) as file:
        frame, *behind = list(reader_module.frames_from(file))[-2:]
        assert [one.synced > frame.at for one in behind] == [True]
        reader_module._judge_end(path, file, frame.at, 0)
        torn = tmp_path / "torn"
        torn.write_bytes(path.read_bytes()[: frame.at] + bytes(frame.end - frame.at) + path.read_bytes()[frame.end :])
        with reader_module.open_day_file(torn) as other, pytest.raises(JournalDamaged, match="row 1 cannot be read"):
            reader_module._judge_end(torn, other, frame.at, 0)
