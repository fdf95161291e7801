"""Metrics in words: each has its unit, in the printed lines and in the report."""

from __future__ import annotations

import numpy as np
import pytest

from mytrading.backtest.results import output
from mytrading.backtest.run import run
from mytrading.core.accounting import performance
from tests.kit.backtest_specs import Cross, bars_of, begin_of, spec_of


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("total_return", 0.0033, "0.33%"),
        ("annual_volatility", 0.0499, "4.99%"),
        ("value_at_risk", -0.0046, "-0.46%"),
        ("downside_risk", 0.0314, "3.14%"),
        ("average_trade", -2643.8772, "₹-2,643.88"),
        ("sharpe", 0.2332, "0.233"),
        ("win_rate", 0.463, "46.30%"),
        ("days", 79.0, "79"),
        ("average_holding", 135.2, "2 h 15 min"),
        ("longest_losing_streak", 7.0, "7"),
        ("calmar", None, "–"),
        ("omega", float("nan"), "–"),
    ],
)
def test_value_is_shown_with_its_unit(name: str, value: float | None, text: str) -> None:
    assert output.format_metric(name, value) == text


def test_every_metric_of_returns_and_round_trips_is_known() -> None:
    found = output.metrics(run(spec_of(Cross, begin_of(bars_of("trend"), 60))))
    assert {
        *performance.return_figures(np.array([0.01, -0.02])), *performance.trade_figures(np.array([1.0])), "exposure",
    } < set(found)  # fmt: skip
    assert set(output.NAMES) == set(found)
    assert all(output.describe_metric(name) for name in found)


def test_row_of_a_table_says_what_the_figure_is_of() -> None:
    rows = output.metric_rows({"annual_volatility": 0.05, "sharpe": None})
    assert rows == [{"metric": "annual volatility", "value": "5.00%", "meaning": "a year"}]
