"""Journals read for show: the past of one stream, then what is new, whatever else the file holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from mytrading.messages.codec import encode_body
from mytrading.messages.commands import WithdrawEntries
from mytrading.runtime.journal.journal import INPUT, OUTPUT, RECORD, Entry, Journal
from mytrading.runtime.journal.reader import JournalTail
from tests.kit.journal_surgery import change

DAY, NEXT = "2026-11-23", "2026-11-24"


def command(name: str, kind: int = OUTPUT, at: int = 0) -> Entry:
    body = encode_body(WithdrawEntries(id=name, cause="test"))
    return Entry(kind, "commands", body, source="risk" if kind == INPUT else "", machine_ns=at)


def tail(folder: Path) -> tuple[JournalTail, list[str]]:
    reported: list[str] = []
    return JournalTail(folder, "commands", lambda _, message: reported.append(getattr(message, "id", "?"))), reported


def test_past_is_reported_once_and_then_what_is_new(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "risk", DAY, 4096)
    journal.append([command("a"), command("input", INPUT), command("copy", RECORD)], 1, 1)
    following, reported = tail(tmp_path)
    following.start(0)
    assert reported == ["a"]
    journal.append([command("b")], 1, 1)
    assert following.poll() == 1
    assert following.poll() == 0
    assert reported == ["a", "b"]


def test_start_reads_no_day_that_ended_before_the_time_asked_for(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "risk", DAY, 4096)
    journal.append([command("old", at=10)], 1, 1)
    journal.roll(NEXT, {})
    journal.append([command("new", at=20)], 1, 1)
    for since, names in ((15, ["old", "new"]), (25, ["new"]), (0, ["old", "new"])):
        following, reported = tail(tmp_path)
        following.start(since)
        assert reported == names


def test_start_costs_the_rows_of_its_stream_and_not_those_beside_them(tmp_path: Path) -> None:
    """A gateway took 17 s to come back: it checked every row of three journals, twice, to show some of them."""
    journal = Journal(tmp_path, "risk", DAY, 4096)
    other = Entry(RECORD, "records", encode_body(WithdrawEntries(id="x", cause="")))
    journal.append([command("a"), *[other] * 50, command("b")], 1, 1)
    change(journal.path, lambda row: row.stream == "records", hash=b"\0", body=b"\xc1")  # it is not looked at
    following, reported = tail(tmp_path)
    following.start(0)
    assert reported == ["a", "b"]


@pytest.mark.parametrize("what", [b"", b"no journal at all" * 300])
def test_file_that_cannot_be_read_shows_nothing(tmp_path: Path, what: bytes) -> None:
    (tmp_path / f"{DAY}.journal").write_bytes(what)
    following, reported = tail(tmp_path)
    following.start(0)
    assert reported == []
