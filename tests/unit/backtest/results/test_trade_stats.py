"""Figures of trades, runs and days, beside what other code makes of the same trades: loops over days and bars in plain
Python, nothing of the package's own arithmetic."""

from __future__ import annotations

import math
import statistics
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import pytest

from mytrading.backtest.engine.ledger import Trade
from mytrading.backtest.results import output
from mytrading.backtest.results.report import build_report
from mytrading.backtest.results.trade_stats import (
    drawdown_spells,
    longest_streaks,
    run_drawdowns,
    trade_excursions,
    traded_runs,
)
from mytrading.backtest.run import RunResult, run
from mytrading.core.time import MINUTE
from mytrading.messages.run_config import StopPlan
from tests.kit.backtest_specs import DAY, SBIN, Cross, Script, bars, bars_of, fees, flat, spec_of
from tests.kit.pages import charts_of, column_of, series_of, tables_of

IST = timedelta(hours=5, minutes=30)
NEAR = 1e-6


@cache
def traded(temper: str = "trend") -> RunResult:
    """The average's crossing on the shipped bars, with costs."""
    return run(spec_of(Cross, bars_of(temper), lots=400, fees=fees()))


def day_of(ns: int) -> str:
    return (datetime.fromtimestamp(ns / 1e9, UTC) + IST).date().isoformat()


def day_equities(result: RunResult) -> dict[str, float]:
    """The equity at the end of each day: capital, money of every fill until then, and what is held at the close."""
    (columns,) = result.spec.data
    last: dict[str, tuple[int, float]] = {}
    for start, close in zip(columns.start_ns.tolist(), columns.close.tolist(), strict=True):
        last[day_of(start)] = (start + columns.span_ns, close)
    found = {}
    for day, (end, close) in last.items():
        cash, units = result.spec.capital, 0
        for fill in result.ledger.fills:
            if fill.at_ns <= end:
                cash -= fill.units * fill.price + fill.cost
                units += fill.units
        found[day] = cash + units * close
    return found


@pytest.mark.parametrize("temper", ["trend", "range"])
def test_figures_of_trades_are_those_of_a_plain_loop(temper: str) -> None:
    result = traded(temper)
    nets = [trade.gross - trade.costs for trade in result.ledger.trades]
    assert len(nets) > 20
    found = output.metrics(result)
    losses = [net for net in nets if net < 0]
    assert found["expectancy"] == pytest.approx(statistics.fmean(nets) / -statistics.fmean(losses), abs=NEAR)
    assert found["sqn"] == pytest.approx(
        math.sqrt(len(nets)) * statistics.fmean(nets) / statistics.stdev(nets), abs=NEAR
    )
    minutes = [(trade.exit_ns - trade.entry_ns) / 6e10 for trade in result.ledger.trades]
    assert found["average_holding"] == pytest.approx(statistics.fmean(minutes), abs=NEAR)
    assert found["longest_holding"] == pytest.approx(max(minutes), abs=NEAR)
    word = "".join("w" if net > 0 else "l" if net < 0 else "-" for net in nets)
    assert found["longest_winning_streak"] == max(map(len, word.replace("-", "l").split("l")))
    assert found["longest_losing_streak"] == max(map(len, word.replace("-", "w").split("w")))


@pytest.mark.parametrize("temper", ["trend", "range"])
def test_excursions_are_those_of_a_loop_over_the_bars_between(temper: str) -> None:
    result = traded(temper)
    (columns,) = result.spec.data
    worst, best = [], []
    for trade in result.ledger.trades:
        way = 1 if trade.side == "BUY" else -1
        seen = [trade.entry_price, trade.exit_price]
        for row, start in enumerate(columns.start_ns.tolist()):
            if trade.entry_ns <= start and start + columns.span_ns <= trade.exit_ns:
                seen += [float(columns.table[1, row]), float(columns.table[2, row])]
        profits = [way * (price - trade.entry_price) * trade.quantity for price in seen]
        worst.append(min(profits))
        best.append(max(profits))
    found = output.metrics(result)
    assert found["average_mae"] == pytest.approx(statistics.fmean(worst), abs=NEAR)
    assert found["average_mfe"] == pytest.approx(statistics.fmean(best), abs=NEAR)
    (table,) = tables_of(build_report(result, ()), "Trades")
    assert column_of(table, "MAE") == pytest.approx(worst, abs=0.006)
    assert column_of(table, "MFE") == pytest.approx(best, abs=0.006)


def test_excursion_of_a_bar_that_the_trade_left_half_way_is_not_counted() -> None:
    rows = [*flat(100.0, 3), (100.0, 109.0, 95.0, 96.0), (96.0, 96.0, 50.0, 60.0), *flat(60.0, 3)]
    columns = bars(rows)
    begin = int(columns.start_ns[0])
    inside = begin + 4 * MINUTE + MINUTE // 2
    trade = Trade(begin + 2 * MINUTE, inside, SBIN, "X", "BUY", 10, 100.0, 90.0, -100.0, 0.0)
    found = trade_excursions([trade], {SBIN: columns})
    assert (found.adverse.tolist(), found.favourable.tolist()) == ([-100.0], [90.0])
    short = trade._replace(side="SELL", exit_ns=begin + 5 * MINUTE)
    found = trade_excursions([short], {SBIN: columns})
    assert (found.adverse.tolist(), found.favourable.tolist()) == ([-90.0], [500.0])
    assert math.isnan(trade_excursions([trade], {}).adverse[0])


@pytest.mark.parametrize("temper", ["trend", "range"])
def test_figures_of_days_are_those_of_a_loop_over_the_fills(temper: str) -> None:
    result = traded(temper)
    equities = list(day_equities(result).values())
    changes = [after - before for before, after in zip([result.spec.capital, *equities], equities, strict=False)]
    found = output.metrics(result)
    moved = [change for change in changes if abs(change) > 1e-9]
    assert found["win_days"] == pytest.approx(sum(change > 0 for change in moved) / len(moved), abs=NEAR)
    assert found["best_day"] == pytest.approx(max(changes), abs=NEAR * 100)
    assert found["worst_day"] == pytest.approx(min(changes), abs=NEAR * 100)
    report = build_report(result, ())
    weekdays, days = tables_of(report, "Days")
    assert sum(map(float, map(str, column_of(weekdays, "Profit")))) == pytest.approx(sum(changes), abs=0.05)
    assert column_of(days, "Change of equity") == pytest.approx(
        [change for change in changes if abs(change) > 1e-9], abs=0.006
    )
    (chart,) = charts_of(report, "Days")
    assert series_of(chart, "profit").y == pytest.approx(changes, abs=0.006)
    by_weekday: dict[int, float] = {}
    for day, change in zip(day_equities(result), changes, strict=True):
        number = datetime.fromisoformat(day).weekday()
        by_weekday[number] = by_weekday.get(number, 0.0) + change
    assert column_of(weekdays, "Profit") == pytest.approx(
        [by_weekday[number] for number in sorted(by_weekday)], abs=0.006
    )


@pytest.mark.parametrize("temper", ["trend", "range"])
def test_benchmark_buys_at_the_first_open_and_holds(temper: str) -> None:
    result = traded(temper)
    (columns,) = result.spec.data
    first, closes = float(columns.table[0, 0]), columns.close.tolist()
    found = output.metrics(result)
    assert found["benchmark_return"] == pytest.approx(closes[-1] / first - 1, abs=NEAR)
    peak, deepest = first, 0.0
    for close in closes:
        peak = max(peak, close)
        deepest = min(deepest, close / peak - 1)
    assert found["benchmark_max_drawdown"] == pytest.approx(deepest, abs=NEAR)


def test_drawdowns_are_those_of_a_loop_over_the_equity() -> None:
    result = traded()
    curve, capital = result.curve, result.spec.capital
    peak, at, spells, inside = capital, int(curve.start_ns[0]), [], None
    for end, equity in zip(curve.end_ns.tolist(), curve.equity.tolist(), strict=True):
        if equity < peak:
            inside = inside or [at, end, equity]
            if equity < inside[2]:
                inside[1:] = [end, equity]
        else:
            if inside:
                spells.append((inside[2] / peak - 1, inside[0], inside[1], end))
            peak, at, inside = equity, end, None
    if inside:
        spells.append((inside[2] / peak - 1, inside[0], inside[1], 0))
    found = run_drawdowns(result)
    assert len(found) == len(spells) > 2
    spells.sort()
    assert [spell.depth for spell in found] == pytest.approx([spell[0] for spell in spells], abs=1e-12)
    deepest = found[0]
    assert (deepest.peak_ns, deepest.trough_ns, deepest.recovered_ns) == spells[0][1:]
    last = int(curve.end_ns[-1])
    longest = max(((recovered or last) - begun) / 864e11 for _, begun, _, recovered in spells)
    assert output.metrics(result)["longest_drawdown"] == pytest.approx(longest, abs=NEAR)
    assert deepest.depth == pytest.approx(output.metrics(result)["max_drawdown_bars"], abs=1e-12)
    (table,) = tables_of(build_report(result, ()), "Drawdowns")
    assert column_of(table, "Depth") == pytest.approx([spell[0] for spell in spells[:10]], abs=1e-12)


def test_drawdown_that_never_recovers_lasts_to_the_end() -> None:
    ends = np.array([10, 20, 30], dtype=np.int64)
    (spell,) = drawdown_spells(ends, np.array([90.0, 80.0, 99.0]), 100.0, 5)
    assert (spell.peak_ns, spell.trough_ns, spell.recovered_ns, spell.end_ns) == (5, 20, 0, 30)
    assert (spell.depth, spell.rupees) == (pytest.approx(-0.2), -20.0)
    assert drawdown_spells(ends, np.array([100.0, 100.0, 101.0]), 100.0, 5) == []


def trade(strategy: str, entry: int, exits: int, net: float = 1.0) -> Trade:
    return Trade(entry, exits, SBIN, strategy, "BUY", 1, 1.0, 1.0, net, 0.0)


def test_runs_are_trades_whose_times_overlap_and_a_reversal_begins_another() -> None:
    trades = [trade("A", 1, 9, 5.0), trade("A", 1, 4, -2.0), trade("A", 5, 12, 1.0), trade("A", 12, 15, -7.0),
              trade("B", 2, 3, 0.5)]  # fmt: skip
    found = traded_runs(trades)
    assert [(one.strategy, one.opened_ns, one.closed_ns, len(one.trades), one.net) for one in found] == [
        ("B", 2, 3, 1, 0.5), ("A", 1, 12, 3, 4.0), ("A", 12, 15, 1, -7.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("nets", "streaks"), [([1, 2, -1, 3, 4, 5], (3, 1)), ([-1, 0, -1, -2], (0, 2)), ([], (0, 0)), ([0.0], (0, 0))]
)
def test_streaks_end_with_a_trade_of_nothing(nets: list[float], streaks: tuple[int, int]) -> None:
    assert longest_streaks(np.array(nets, dtype=float)) == streaks


def test_costs_by_kind_are_those_of_the_fee_file_and_sum_to_all_costs() -> None:
    result = traded()
    body = output.summary(result)
    kinds = dict.fromkeys(("brokerage", "stt", "exchange", "sebi", "gst", "stamp"), 0.0)
    rates = fees().file
    segment = rates.segments["equity_intraday"]
    day = DAY

    def on_day(rows: Any) -> float:
        known = [row.rate for row in rows if row.since <= day]
        return known[-1] if known else 0.0

    for fill in result.ledger.fills:
        turnover = abs(fill.units) * fill.price
        brokerage = min(segment.brokerage * turnover, segment.brokerage_most)
        parts = {
            "brokerage": brokerage, "exchange": on_day(segment.exchange) * turnover,
            "sebi": on_day(rates.sebi) * turnover,
            "stt": on_day(segment.stt_buy if fill.units > 0 else segment.stt_sell) * turnover,
            "stamp": on_day(segment.stamp_buy) * turnover if fill.units > 0 else 0.0,
        }  # fmt: skip
        parts["gst"] = on_day(rates.gst) * (parts["brokerage"] + parts["exchange"] + parts["sebi"])
        for kind, amount in parts.items():
            kinds[kind] += amount
    assert body["costs_by_kind"] == pytest.approx(kinds, abs=0.011)
    assert sum(body["costs_by_kind"].values()) == pytest.approx(body["costs"], abs=0.04)


def test_exits_are_distinguished_and_marked() -> None:
    rows = [*flat(100.0, 3), (100.0, 100.0, 90.0, 91.0), *flat(91.0, 3), *flat(95.0, 4)]
    columns = bars(rows)
    plan = "1 BUY/95, 6 BUY/80, 8 EXIT"
    for machines in (False, True):
        spec = spec_of(Script, columns, parameters={"plan": plan}, stop=StopPlan.BROKER, lean=not machines)
        result = run(spec)
        assert result.ledger.exit_words == ["stop", ""], result.note
        (chart,) = charts_of(build_report(result, ()), "Trades on price")
        stops = series_of(chart, "stopped")
        assert (stops.x, stops.shape) == ([result.ledger.trades[0].exit_ns // 10**6], "cross")


def test_chart_has_the_indicators_of_the_strategy_at_their_bars() -> None:
    result = traded()
    (chart,) = charts_of(build_report(result, ()), "Trades on price")
    fast = series_of(chart, "fast")
    closes = result.spec.data[0].close.tolist()
    assert fast.panel == 0 and fast.y[:4] == [None] * 4
    for row in (4, 100, 700):
        assert fast.y[row] == pytest.approx(statistics.fmean(closes[row - 4 : row + 1]), abs=1e-4)
        assert fast.x[row] == int(result.spec.data[0].start_ns[row]) // 10**6


def test_run_without_a_trade_has_figures_and_a_report() -> None:
    result = run(spec_of(Script, bars(flat(100.0, 30)), parameters={"plan": ""}))
    found = output.metrics(result)
    assert (found["runs"], found["longest_losing_streak"]) == (0.0, 0.0)
    assert math.isnan(found["sqn"]) and math.isnan(found["expectancy"])
    assert build_report(result, ()).kind == "backtest"
