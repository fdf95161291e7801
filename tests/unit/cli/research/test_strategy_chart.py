"""The picture of a strategy's combined premium: its legs, the Supertrend of the golden vector, and the page."""

from __future__ import annotations

from typing import Any

import pytest

from mytrading.cli.research.charts import (
    chart_rule,
    leg_charts,
    premium_legs,
    strategy_report,
    supertrend_rows,
    with_own_range,
)
from mytrading.core.bars.premium import HeldLeg
from mytrading.core.time import MINUTE
from mytrading.messages.exit_rules import StrategyRules, TrendExit, TrendRule
from mytrading.messages.market import Bar
from mytrading.messages.run_config import StrategyRun
from tests.kit.pages import charts_of, titles

CLOSES = [100, 101, 102, 101, 103, 106, 110, 113, 112, 108, 103, 99, 96, 97, 101, 106]
LINES = [None, None, 105.5, 104.5, 104.5, 101.0833, 104.1389, 107.0093, 107.0093, 107.0093, 110.0898, 106.3932,
         103.0955, 102.8970, 102.8970, 98.3513]  # fmt: skip


def rows() -> list[dict[str, Any]]:
    bars = [
        Bar("NFO:PREMIUM", "5m", k * 5 * MINUTE, (k + 1) * 5 * MINUTE, close, close + 1, close - 1.5, close)
        for k, close in enumerate(CLOSES)
    ]
    return supertrend_rows(bars, 3, 1.5)


def test_line_is_that_of_the_golden_vector_and_tells_a_signal() -> None:
    assert [row["line"] for row in rows()] == [
        line if line is None else pytest.approx(line, abs=0.006) for line in LINES
    ]
    assert [row["signal"] for row in rows()][1:6] == ["NEUTRAL", "SELL", "SELL", "SELL", "BUY"]


def strategy(*timeframes: str, trend: TrendRule | None = None) -> StrategyRun:
    rules = StrategyRules(trend=trend or TrendRule())
    return StrategyRun(
        name="Mine", file="mine.py", symbols=("NSE:SBIN",), long=None, short=None, timeframes=timeframes, rules=rules
    )


def test_chart_has_the_bars_and_the_supertrend_of_its_strategy_and_no_others() -> None:
    none = {"period": 0, "multiplier": 0.0}
    plain = strategy("15m", "1m")
    assert chart_rule(plain, "") == {"timeframe": "15m", **none}, "neither 5m nor Supertrend 7, 3"
    assert chart_rule(plain, "NSE:SBIN", "3m") == {"timeframe": "3m", **none}
    assert chart_rule(plain, "", period=10) == {"timeframe": "15m", "period": 10, "multiplier": 3.0}
    assert chart_rule(plain, "", multiplier=2.0) == {"timeframe": "15m", "period": 7, "multiplier": 2.0}
    own = {"timeframe": "3m", "period": 9, "multiplier": 2.5}
    premium = strategy("1m", trend=TrendRule(exit=TrendExit.BREAKDOWN, period=9, multiplier=2.5, minutes=3))
    assert chart_rule(premium, "") == own
    assert chart_rule(premium, "NSE:SBIN") == {"timeframe": "3m", **none}, "its exit looks at the premium"
    assert chart_rule(premium, "NSE:SBIN", period=20) == {**own, "period": 20}
    watched = strategy(
        "1m",
        trend=TrendRule(exit=TrendExit.BREAKOUT, period=9, multiplier=2.5, minutes=3, instrument="NSE:SBIN"),
    )
    assert chart_rule(watched, "NSE:SBIN") == own and chart_rule(watched, "")["period"] == 0


def test_chart_without_a_supertrend_draws_and_names_none() -> None:
    bars = [Bar("NFO:A", "15m", k * MINUTE, (k + 1) * MINUTE, 100.0, 101.0, 99.0, 100.5) for k in range(20)]
    drawn = supertrend_rows(bars, 0, 0.0)
    assert {(row["line"], row["direction"], row["signal"]) for row in drawn} == {(None, 0, "NEUTRAL")}
    leg = {"instrument": "NFO:A", "quantity": -65, "price": 100.0}
    reported = {"strategy": "Mine", "timeframe": "15m", "period": 0, "multiplier": 0.0, "open": True, "legs": [leg],
            "entered_ns": 0, "bars": drawn}  # fmt: skip
    report = strategy_report(reported)
    assert "15m bars." in report.subtitle and "Supertrend" not in report.subtitle
    assert [one.name for one in charts_of(report, "NFO:A")[0].series] == ["premium"]


def position(instrument: str, quantity: int, price: float = 100.0) -> dict[str, Any]:
    return {"instrument": instrument, "quantity": quantity, "average_price": price, "opened_ns": 5}


def trade(run: str, side: str, closed_ns: int) -> dict[str, Any]:
    return {"run": run, "side": side, "quantity": 65, "instrument": f"NFO:{side}", "entry_price": 50.0,
            "closed_ns": closed_ns, "opened_ns": 1}  # fmt: skip


def test_legs_are_those_held_or_else_those_of_the_last_run() -> None:
    held = {"positions": [position("NFO:A", -65), position("NFO:B", 0)], "trades": [trade("r1", "SELL", 9)]}
    assert premium_legs(held) == ([HeldLeg("NFO:A", -65, 100.0)], True)
    trades = [trade("r1", "SELL", 9), trade("r2", "BUY", 20), trade("r2", "SELL", 19)]
    assert premium_legs({"positions": [], "trades": trades}) == (
        [HeldLeg("NFO:BUY", 65, 50.0), HeldLeg("NFO:SELL", -65, 50.0)],
        False,
    )
    assert premium_legs({"positions": [], "trades": []}) == ([], False)


def test_candles_of_an_only_leg_have_its_own_highs_lows_and_volume() -> None:
    own = [Bar("NFO:A", "5m", 5 * MINUTE, 10 * MINUTE, 100.0, 105.0, 95.0, 101.0, 7.0)]
    drawn = with_own_range(rows(), own)
    assert [drawn[1][key] for key in ("high", "low", "volume")] == [105.0, 95.0, 7.0]
    assert [row for number, row in enumerate(drawn) if number != 1] == [*rows()[:1], *rows()[2:]]
    assert [row["line"] for row in drawn] == [row["line"] for row in rows()]


def test_report_shows_premium_trend_and_entry() -> None:
    reported = {"strategy": "My <one>", "timeframe": "5m", "period": 3, "multiplier": 1.5, "open": False,
            "legs": [{"instrument": "NFO:A", "quantity": -65, "price": 100.0}], "entered_ns": 4 * 5 * MINUTE,
            "bars": rows()}  # fmt: skip
    report = strategy_report(reported)
    assert (report.title, titles(report)) == ("My <one>", ["NFO:A"]), "one leg alone is no combined premium"
    assert "-65 NFO:A at 100.00" in report.subtitle and "; closed" in report.subtitle
    (chart,) = charts_of(report, "NFO:A")
    assert [one.name for one in chart.series] == ["premium", "Supertrend up", "Supertrend down"]
    assert [(line.value, line.text) for line in chart.lines] == [(4 * 5 * 60_000, "entry")]
    reported["legs"] *= 2
    assert titles(strategy_report(reported)) == ["combined premium"]


def test_legs_that_have_a_stop_are_drawn_by_themselves_with_it() -> None:
    bars = [Bar("NFO:A", "5m", k * 5 * MINUTE, (k + 1) * 5 * MINUTE, 9.0, 10.0, 8.0, 9.0) for k in range(4)]
    leg = {"quantity": -65, "average_price": 9.0, "opened_ns": 5 * MINUTE}
    held = [{**leg, "instrument": "NFO:A", "stop": 12.5}, {**leg, "instrument": "NFO:B", "stop": None}]
    body = {"strategy": "S", "name": "S", "positions": held, "trades": []}
    (drawn,) = leg_charts(body, {"NFO:A": bars, "NFO:B": bars}, "5m", {})
    assert drawn.title == "NFO:A"
    (stop,) = [one for one in drawn.series if one.name == "stop"]
    assert {price for price in stop.y if price is not None} == {12.5}
    assert leg_charts(body, {"NFO:B": bars}, "5m", {}) == []
