"""The journal: sequences, chain, day files, cursors, the reserve, and readers that follow it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mytrading.messages.codec import NO_HASH
from mytrading.runtime.journal.format import SegmentHead, first_bytes
from mytrading.runtime.journal.journal import (
    EPOCH_GAP,
    INPUT,
    OUTPUT,
    RECORD,
    Cursor,
    Entry,
    Journal,
    JournalDamaged,
    JournalReader,
    last_inputs,
    read_segment,
)
from tests.kit.journal_surgery import change, put, remove


def out(body: bytes) -> Entry:
    return Entry(OUTPUT, "commands", body)


def test_append_numbers_rows_and_streams_apart(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "risk", "2026-11-23")
    rows = journal.append([Entry(INPUT, "signals", b"s", "engine", 1, 7, b"h" * 8), out(b"a"), out(b"b")], 5, 6)
    assert [row.seq for row in rows] == [1, 2, 3]
    assert [row.stream_seq for row in rows] == [0, 1, 2]
    assert journal.written("commands") == 2
    assert rows[0].source_seq == 7


def test_reopen_goes_on_where_it_stopped(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "risk", "2026-11-23")
    journal.append([out(b"a")], 1, 1)
    journal.close()
    again = Journal(tmp_path, "risk", "2026-11-24")
    assert again.day == "2026-11-23"
    again.append([out(b"b")], 1, 1)
    assert [row.body for row in again.rows()] == [b"a", b"b"]


def test_changed_row_is_named_when_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "risk", "2026-11-23")
    journal.append([out(b"a"), out(b"b"), out(b"c")], 1, 1)
    journal.close()
    change(journal.path, lambda row: row.seq == 2, body=b"\0")
    with pytest.raises(JournalDamaged, match="row 2"):
        list(read_segment(journal.path))


def test_removed_row_is_named_when_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "risk", "2026-11-23")
    journal.append([out(b"a"), out(b"b"), out(b"c")], 1, 1)
    journal.close()
    remove(journal.path, lambda row: row.seq == 2)
    with pytest.raises(JournalDamaged, match="expected row 2, found row 3"):
        list(read_segment(journal.path))


def test_durable_commit_waits_for_the_disk_and_others_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, syncs, sync = Journal(tmp_path, "router", "2026-11-23"), [], os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda file: (syncs.append(journal.size), sync(file)))
    for number in range(4):
        journal.append([out(b"a")], 1, 1, durable=number % 2 == 1)
    assert syncs == [1, 3]


def test_file_that_is_no_journal_says_so(tmp_path: Path) -> None:
    (tmp_path / "2026-11-23.journal").write_bytes(b"not a journal, but long enough to look like one" * 50)
    with pytest.raises(JournalDamaged, match="move the file aside"):
        Journal(tmp_path, "risk", "2026-11-23")


def test_roll_carries_sequences_chain_and_cursors(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "risk", "2026-11-23")
    journal.append([out(b"a")], 1, 1)
    cursors = {("engine", "signals"): Cursor(1, 9, b"12345678")}
    journal.roll("2026-11-24", cursors)
    journal.append([out(b"b")], 1, 1)
    journal.close()
    again = Journal(tmp_path, "risk", "2026-11-24")
    assert again.day == "2026-11-24"
    assert again.carried_cursors == cursors
    assert [(row.seq, row.stream_seq) for row in again.rows()] == [(2, 2)]


def test_reader_follows_across_day_files(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "risk", "2026-11-23")
    reader = JournalReader(tmp_path, "commands")
    assert reader.read(0) == []
    journal.append([out(b"a"), out(b"b")], 1, 1)
    assert [row.body for row in reader.read(1)] == [b"b"]
    journal.roll("2026-11-24", {})
    assert reader.read(2) == []
    journal.append([out(b"c")], 1, 1)
    assert [row.stream_seq for row in reader.read(2)] == [3]
    assert [row.body for row in reader.read(0)] == [b"a", b"b"]
    assert reader.last() == 3


def test_reader_notices_that_its_row_is_gone(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "risk", "2026-11-23")
    rows = journal.append([out(b"a")], 1, 1)
    reader = JournalReader(tmp_path, "commands")
    assert reader.matches(Cursor(1, 1, rows[0].hash))
    assert not reader.matches(Cursor(1, 1, b"othrhash"))
    assert not reader.matches(Cursor(1, 2, rows[0].hash))


def test_new_epoch_never_reuses_a_sequence_a_reader_saw(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "risk", "2026-11-23")
    journal.append([out(b"a")], 1, 1)
    assert journal.begin_epoch({"commands": 6}) == 2
    journal.append([out(b"b")], 1, 1)
    journal.close()
    again = Journal(tmp_path, "risk", "2026-11-23")
    assert again.epoch == 2
    assert [(row.epoch, row.stream_seq) for row in again.rows()] == [(1, 1), (2, 7 + EPOCH_GAP)]


def test_last_inputs_lists_what_was_read_newest_first(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "router", "2026-11-23")
    for seq in (1, 2, 3):
        journal.append([Entry(INPUT, "commands", b"c", "risk", 1, seq, bytes([seq]) * 8)], 1, 1)
    journal.append([Entry(INPUT, "reports", b"r", "reconciler", 0, 0, NO_HASH), Entry(RECORD, "records", b"x")], 1, 1)
    assert last_inputs(tmp_path, "risk", "commands", 2) == [(3, b"\3" * 8), (2, b"\2" * 8)]
    assert last_inputs(tmp_path / "absent", "risk", "commands", 2) == []


def test_reader_goes_back_when_asked_for_what_it_had_passed(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "risk", "2026-11-23")
    reader = JournalReader(tmp_path, "commands")
    journal.append([out(b"a"), Entry(OUTPUT, "orders", b"o"), out(b"b")], 1, 1)
    assert [row.body for row in reader.read(0)] == [b"a", b"b"]
    journal.append([Entry(INPUT, "signals", b"s"), out(b"c")], 1, 1)
    assert [row.body for row in reader.read(2)] == [b"c"]
    assert reader.read(3) == []
    assert [row.body for row in reader.read(0)] == [b"a", b"b", b"c"]


def test_reader_whose_cursor_was_compared_reads_on_from_there(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "risk", "2026-11-23")
    reader = JournalReader(tmp_path, "commands")
    rows = journal.append([out(bytes([number])) for number in range(50)], 1, 1)
    assert reader.matches(Cursor(1, 40, rows[39].hash))
    assert reader._mark is not None
    assert reader._mark.after == 40
    assert [row.stream_seq for row in reader.read(40)] == list(range(41, 51))
    assert [row.stream_seq for row in reader.read(38, 2)] == [39, 40]


def test_reader_starts_again_when_rows_it_had_passed_were_rewritten(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "risk", "2026-11-23")
    reader = JournalReader(tmp_path, "commands")
    journal.append([Entry(RECORD, "records", b"x"), Entry(RECORD, "records", b"y")], 1, 1)
    assert reader.read(0) == []
    journal.close()
    put(journal.path, 8, first_bytes(SegmentHead())[8:] + bytes(500))
    again = Journal(tmp_path, "risk", "2026-11-23")
    again.append([out(b"a"), Entry(RECORD, "records", b"x"), Entry(RECORD, "records", b"y")], 1, 1)
    assert [row.body for row in reader.read(0)] == [b"a"]


def test_sequence_that_is_written_twice_is_named_when_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "risk", "2026-11-23")
    journal.append([out(b"a")], 1, 1)
    journal._stream_seqs.clear()
    journal.append([out(b"b")], 1, 1)
    with pytest.raises(JournalDamaged, match=r"row 2 .* repeats sequence 1"):
        list(read_segment(journal.path))
