"""Which hours are cut out of a chart's time axis, and how a page is written."""

from __future__ import annotations

from datetime import date, time, timedelta
from pathlib import Path

import numpy as np
import pytest

from mytrading.backtest.data.columns import Columns
from mytrading.backtest.results.report import hours_without_bars
from mytrading.core.time import to_ns
from mytrading.reports.page import write_page

MONDAY = date(2024, 3, 11)


def bars_of(days: list[date], opens: time, count: int, timeframe: str = "5m", span: int = 300) -> Columns:
    starts = [to_ns(day, opens) + n * span * 10**9 for day in days for n in range(count)]
    return Columns("NSE:X", timeframe, np.array(starts, dtype=np.int64), np.ones((5, len(starts))))


def test_page_that_cannot_be_written_whole_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    write_page("before", path)

    def full(self: Path, text: str, **_: str) -> int:
        self.write_bytes(text[:2].encode())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        write_page("after", path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"report.html": b"before"}


def test_nights_and_weekends_without_bars_are_cut_out() -> None:
    week = [MONDAY + timedelta(days=n) for n in (0, 1, 2, 3, 4, 7)]
    assert hours_without_bars([bars_of(week, time(9, 15), 75)]) == [
        {"bounds": [15.5, 9.25], "pattern": "hour"},
        {"bounds": ["sat", "mon"]},
    ]


def test_saturday_with_bars_stays_and_late_hours_of_another_instrument_too() -> None:
    days = [MONDAY + timedelta(days=n) for n in (4, 5)]
    late = bars_of(days, time(18, 0), 66)
    assert hours_without_bars([bars_of(days, time(9, 15), 75), late]) == [{"bounds": [23.5, 9.25], "pattern": "hour"}]


def test_axis_of_one_day_or_of_daily_bars_is_whole() -> None:
    assert hours_without_bars([bars_of([MONDAY], time(9, 15), 75)]) == []
    days = [MONDAY + timedelta(days=n) for n in range(30)]
    assert hours_without_bars([bars_of(days, time(0, 0), 1, "1d", 86_400)]) == []
