"""Changes of open interest count from the close of the day before where it was seen, also after a restart."""

from __future__ import annotations

import tomllib
from datetime import date, time
from pathlib import Path

from mytrading.core.calendar import Calendar
from mytrading.core.time import to_ns
from mytrading.daemons.console.interest_base import InterestBase
from tests.kit.project import ROOT

CALL = "NFO:NIFTY30DEC2526000CE"
FRIDAY, MONDAY, TUESDAY = date(2025, 12, 19), date(2025, 12, 22), date(2025, 12, 23)


def at(day: date, text: str) -> int:
    return to_ns(day, time.fromisoformat(text))


def base(folder: Path) -> InterestBase:
    parsed = tomllib.loads((ROOT / "config" / "calendar.toml").read_text(encoding="utf-8"))
    return InterestBase(folder / "console" / "paper.interest.json", Calendar.from_dict(parsed))


def test_changes_count_from_the_first_figure_of_the_day_also_after_a_restart(tmp_path: Path) -> None:
    before = base(tmp_path)
    assert before.change_of(CALL, 1000, at(MONDAY, "10:00")) == (0, at(MONDAY, "10:00"))
    assert before.change_of(CALL, 1300, at(MONDAY, "11:00")) == (300, at(MONDAY, "10:00"))
    before.save(at(MONDAY, "11:00"), at_once=True)
    assert base(tmp_path).change_of(CALL, 900, at(MONDAY, "12:00")) == (-100, at(MONDAY, "10:00"))


def test_changes_count_from_the_close_of_the_day_before_where_it_was_seen(tmp_path: Path) -> None:
    seen = base(tmp_path)
    seen.change_of(CALL, 1000, at(FRIDAY, "15:00"))
    seen.change_of(CALL, 1250, at(FRIDAY, "15:35"))
    assert seen.change_of(CALL, 1500, at(MONDAY, "09:20")) == (250, at(FRIDAY, "15:35"))
    assert seen.change_of(CALL, 1600, at(TUESDAY, "09:20")) == (0, at(TUESDAY, "09:20")), "Monday ended unseen"


def test_a_market_that_begins_anew_and_a_broken_file_begin_from_now(tmp_path: Path) -> None:
    seen = base(tmp_path)
    seen.change_of(CALL, 1000, at(MONDAY, "15:40"))
    assert seen.change_of(CALL, 700, at(MONDAY, "09:15")) == (0, at(MONDAY, "09:15"))
    seen.save(at(MONDAY, "09:15"), at_once=True)
    (tmp_path / "console" / "paper.interest.json").write_text("{", encoding="utf-8")
    assert base(tmp_path).change_of(CALL, 800, at(MONDAY, "10:00")) == (0, at(MONDAY, "10:00"))
