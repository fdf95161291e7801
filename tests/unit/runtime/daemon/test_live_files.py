"""Files edited while the stack runs: a good edit is taken once, a broken one changes nothing and is reported."""

from __future__ import annotations

import tomllib
from datetime import date, time
from pathlib import Path
from typing import Any

import structlog

from mytrading.core.calendar import Calendar
from mytrading.core.calendar.square_off import SquareOff
from mytrading.core.time import to_ns
from mytrading.messages.control import Alert
from mytrading.runtime.daemon.live_files import CODE, EditedFiles, read_edited
from mytrading.runtime.observability.alerts import Alerts
from tests.kit.project import ROOT

TEXT = (ROOT / "config" / "calendar.toml").read_text(encoding="utf-8")
DAY = date(2026, 11, 23)
LATE = "{ from = 2026-08-03, open = 09:15:00, close = 15:40:00 }"


def files(path: Path) -> tuple[EditedFiles, Calendar, list[Alert]]:
    reported: list[Alert] = []
    log: Any = structlog.get_logger()
    edits = EditedFiles(Alerts("risk", lambda: 1, reported.append), log)
    calendar = Calendar.from_dict(tomllib.loads(path.read_text(encoding="utf-8")))
    edits.follow(path, lambda read: calendar.replace_with(Calendar.from_dict(read)))
    return edits, calendar, reported


def write(path: Path, text: str) -> None:
    fresh = path.with_name("new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def test_edit_of_a_session_counts_for_all_who_hold_the_calendar(tmp_path: Path) -> None:
    path = tmp_path / "calendar.toml"
    path.write_text(TEXT, encoding="utf-8")
    edits, calendar, _ = files(path)
    square_off = SquareOff(calendar, {})
    noon, late = to_ns(DAY, time(12)), to_ns(DAY, time(15, 20))
    assert calendar.is_open("NFO", late) and square_off.mis_deadline_ns("NFO", noon) == to_ns(DAY, time(15, 35))
    assert LATE in TEXT
    write(path, TEXT.replace(LATE, LATE.replace("15:40", "15:10")))
    edits.poll()
    assert not calendar.is_open("NFO", late) and square_off.mis_deadline_ns("NFO", noon) == to_ns(DAY, time(15, 5))


def test_broken_edit_keeps_what_was_read_and_stands_as_an_alert_until_it_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "calendar.toml"
    path.write_text(TEXT, encoding="utf-8")
    edits, calendar, reported = files(path)
    for broken in ("[exchanges", TEXT.replace(LATE, LATE.replace("15:40", "08:00"))):
        write(path, broken)
        edits.poll()
        assert calendar.is_open("NFO", to_ns(DAY, time(15, 20)))
        assert reported[-1].code == CODE and not reported[-1].cleared
    path.unlink()
    edits.poll()
    assert calendar.is_open("NFO", to_ns(DAY, time(15, 20)))
    write(path, TEXT)
    edits.poll()
    assert reported[-1].cleared


def test_untouched_file_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "calendar.toml"
    path.write_text(TEXT, encoding="utf-8")
    edits, calendar, _ = files(path)
    edits.poll()
    assert calendar.edition == 0


def test_place_that_nothing_can_be_kept_in_keeps_no_daemon_from_starting(tmp_path: Path) -> None:
    path = tmp_path / "calendar.toml"
    path.write_text(TEXT, encoding="utf-8")
    kept = tmp_path / "taken"
    kept.write_text("a file where the folder should be")
    calendar = read_edited(path, kept, Calendar.from_dict).made
    assert calendar.is_open("NFO", to_ns(DAY, time(12)))
