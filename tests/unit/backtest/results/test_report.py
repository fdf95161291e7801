"""Reports: hours cut out of a chart's time axis, candles put together, and files written."""

from __future__ import annotations

from datetime import date, time, timedelta
from pathlib import Path

import numpy as np
import pytest

from mytrading.backtest.data.columns import Columns
from mytrading.backtest.results import output
from mytrading.backtest.results.report import build_report, equity_chart, times_without_bars
from mytrading.backtest.run import run
from mytrading.core.time import to_ns
from mytrading.reports.charts import group_candles
from mytrading.reports.page import write_whole
from tests.kit.backtest_specs import Cross, Script, bars, spec_of
from tests.kit.backtest_specs import bars_of as shipped_bars
from tests.kit.pages import series_of

MONDAY = date(2024, 3, 11)


def bars_of(days: list[date], opens: time, count: int, timeframe: str = "5m", span: int = 300) -> Columns:
    starts = [to_ns(day, opens) + n * span * 10**9 for day in days for n in range(count)]
    return Columns("NSE:X", timeframe, np.array(starts, dtype=np.int64), np.ones((5, len(starts))))


def test_page_that_cannot_be_written_whole_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    write_whole(path, b"before")
    write = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        write(self, data[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"after")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"report.html": b"before"}


def test_nights_and_weekends_without_bars_are_cut_out() -> None:
    week = [MONDAY + timedelta(days=n) for n in (0, 1, 2, 3, 4, 7)]
    assert times_without_bars([bars_of(week, time(9, 15), 75)]) == {
        "closed_hours": (15.5, 9.25),
        "closed_weekends": True,
    }
    holiday = week.pop(2)
    assert times_without_bars([bars_of(week, time(9, 15), 75)])["closed_days"] == [holiday.isoformat()]


def test_saturday_with_bars_stays_and_late_hours_of_another_instrument_too() -> None:
    days = [MONDAY + timedelta(days=n) for n in (4, 5)]
    late = bars_of(days, time(18, 0), 66)
    assert times_without_bars([bars_of(days, time(9, 15), 75), late]) == {"closed_hours": (23.5, 9.25)}


def test_axis_of_one_day_or_of_daily_bars_is_whole() -> None:
    assert times_without_bars([bars_of([MONDAY], time(9, 15), 75)]) == {}
    days = [MONDAY + timedelta(days=n) for n in range(30)]
    assert times_without_bars([bars_of(days, time(0, 0), 1, "1d", 86_400)]) == {}


def test_drawdown_on_the_card_is_the_deepest_of_the_chart_and_that_of_days_is_labelled() -> None:
    result = run(spec_of(Cross, shipped_bars("trend"), lots=4_000))
    curve = series_of(equity_chart(result), "drawdown")
    found = output.metrics(result)
    assert found["max_drawdown_bars"] < found["max_drawdown"] < 0
    assert min(float(value or 0.0) for value in curve.y) == pytest.approx(found["max_drawdown_bars"], abs=1e-6)
    shown = {card.name: card.value for card in build_report(result, ()).cards}
    assert shown["Max drawdown"].unit == "percent"
    assert shown["Max drawdown"].value == pytest.approx(found["max_drawdown_bars"], abs=1e-9)
    assert output.metric_label("max_drawdown") == "max drawdown, daily closes"


def test_drawdown_begins_at_the_capital_and_not_at_the_first_bar() -> None:
    rows = [(100.0, 100.0, 100.0, 100.0), (100.0, 100.0, 90.0, 90.0), (90.0, 90.0, 90.0, 90.0)]
    result = run(spec_of(Script, bars(rows), capital=1_000.0, parameters={"plan": "0 BUY"}))
    assert output.metrics(result)["max_drawdown_bars"] == pytest.approx(-0.01)


def test_candles_of_many_bars_keep_days_highs_lows_and_volume() -> None:
    days = [MONDAY + timedelta(days=n) for n in range(4)]
    columns = bars_of(days, time(9, 15), 375, "1m", 60)
    columns.table[0], columns.table[3] = np.arange(1500.0), np.arange(1500.0) + 0.5
    columns.table[1], columns.table[2] = columns.table[3] + 1, columns.table[0] - 1
    found = group_candles(columns.start_ns, columns.span_ns, columns.table, most=320)
    assert (found.minutes, len(found.start_ns)) == (5, 300)
    assert found.open[:2].tolist() == [0.0, 5.0] and found.close[:2].tolist() == [4.5, 9.5]
    assert found.high[0] == 5.5 and found.low[1] == 4.0
    assert found.volume.sum() == columns.table[4].sum()
    begins = np.repeat([to_ns(day, time(9, 15)) for day in days], 75)
    assert set(((found.start_ns - begins) // 10**9 % 300).tolist()) == {0}, "each day begins its own at its open"
    assert group_candles(columns.start_ns, columns.span_ns, columns.table, most=4).minutes == 1440
    assert len(group_candles(columns.start_ns, columns.span_ns, columns.table, most=1).start_ns) == 1, "one week"


def test_bars_that_are_few_stay_as_they_are() -> None:
    columns = bars_of([MONDAY], time(9, 15), 75)
    found = group_candles(columns.start_ns, columns.span_ns, columns.table)
    assert (found.minutes, found.start_ns.tolist()) == (5, columns.start_ns.tolist())
