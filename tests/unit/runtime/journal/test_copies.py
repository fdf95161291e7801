"""Copies of a journal's newest file: they read like the file as it was, and do not pile up."""

from __future__ import annotations

from pathlib import Path

from mytrading.runtime.journal.copies import FOLDER, KEPT, copy_newest_file
from mytrading.runtime.journal.format import segments
from mytrading.runtime.journal.journal import OUTPUT, Entry, Journal
from tests.kit.journal_surgery import stored_rows


def bodies(path: Path) -> list[bytes]:
    return [row.body for row in stored_rows(path)]


def test_copy_made_while_the_writer_goes_on_is_the_journal_as_it_was(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "router", "2026-11-25")
    journal.append([Entry(OUTPUT, "orders", b"one")], 1, 1)
    copy = copy_newest_file(tmp_path, "r1")
    journal.append([Entry(OUTPUT, "orders", b"two")], 2, 2)
    assert copy is not None and bodies(copy) == [b"one"] and bodies(journal.path) == [b"one", b"two"]
    assert segments(tmp_path) == [journal.path], "a copy is no file of the journal"


def test_copies_beyond_the_newest_are_removed_and_a_journal_without_files_has_none(tmp_path: Path) -> None:
    assert copy_newest_file(tmp_path, "r0") is None
    Journal(tmp_path, "router", "2026-11-25").close()
    for number in range(KEPT + 3):
        assert copy_newest_file(tmp_path, f"r{number}") is not None
    names = sorted(path.name for path in (tmp_path / FOLDER).iterdir())
    assert len(names) == KEPT and "2026-11-25-r0.journal" not in names and f"2026-11-25-r{KEPT + 2}.journal" in names
