"""A backtest over years whose holidays nobody has listed says so, once a year, and trades them by their bars."""

from __future__ import annotations

import tomllib
from datetime import date

from mytrading.core.calendar import Calendar
from mytrading.core.calendar.empty_years import past_year_notes
from tests.kit.project import ROOT


def test_backtest_over_years_without_holidays_names_each_of_them_and_whose() -> None:
    calendar = Calendar.from_dict(tomllib.loads((ROOT / "config" / "calendar.toml").read_text(encoding="utf-8")))
    notes = past_year_notes(calendar, ("NSE", "MCX", "NSE", "NYSE"), date(2020, 5, 1), date(2026, 3, 1))
    # by the file: NSE has holidays from 2022 on, MCX from 2024 on
    assert [(note.split("holiday of ")[1].split(":")[0]) for note in notes] == [
        "2020 for NSE, MCX", "2021 for NSE, MCX", "2022 for MCX", "2023 for MCX",
    ]  # fmt: skip
    assert past_year_notes(calendar, ("NSE",), date(2022, 1, 1), date(2026, 12, 31)) == []
