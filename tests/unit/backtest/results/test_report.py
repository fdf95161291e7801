"""Which hours are cut out of a chart's time axis, and how a page is written."""

from __future__ import annotations

from datetime import date, time, timedelta
from pathlib import Path

import numpy as np
import pytest

from mytrading.backtest.data.columns import Columns
from mytrading.backtest.results import output
from mytrading.backtest.results.report import build_page, equity_figure, hours_without_bars
from mytrading.backtest.run import run
from mytrading.core.time import to_ns
from mytrading.reports.page import write_page
from tests.kit.backtest_specs import Cross, Script, bars, spec_of
from tests.kit.backtest_specs import bars_of as shipped_bars

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


def test_drawdown_on_the_card_is_the_deepest_of_the_chart_and_that_of_days_is_labelled() -> None:
    result = run(spec_of(Cross, shipped_bars("trend"), lots=4_000))
    (curve,) = [one for one in equity_figure(result).data if one.name == "drawdown %"]
    found = output.metrics(result)
    assert found["max_drawdown_bars"] < found["max_drawdown"] < 0
    assert min(curve.y) == pytest.approx(100 * found["max_drawdown_bars"], abs=1e-4)
    page = build_page(result, ())
    shown = {name: cell.text for name, cell in page.cards}
    assert shown["Max drawdown"] == f"{found['max_drawdown_bars']:.2%}"
    assert output.metric_row("max_drawdown", found["max_drawdown"])[0] == "max drawdown, daily closes"


def test_drawdown_begins_at_the_capital_and_not_at_the_first_bar() -> None:
    rows = [(100.0, 100.0, 100.0, 100.0), (100.0, 100.0, 90.0, 90.0), (90.0, 90.0, 90.0, 90.0)]
    result = run(spec_of(Script, bars(rows), capital=1_000.0, parameters={"plan": "0 BUY"}))
    assert output.metrics(result)["max_drawdown_bars"] == pytest.approx(-0.01)
