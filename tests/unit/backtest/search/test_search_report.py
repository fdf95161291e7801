"""Reports of searches: what stands beside the best trial, and why a figure is missing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from mytrading.backtest.search import walk_forward
from mytrading.backtest.search.overfitting import overfitting_of
from mytrading.backtest.search.report import SearchWorth, trial_drawdown, write_search, write_walk_forward
from mytrading.backtest.search.space import Axis, Space
from mytrading.backtest.search.trials import Trial, deflated_sharpe, stability_of
from mytrading.backtest.search.walk_forward import Fold, WalkForwardStep, efficiency_problem, walk_forward_efficiency
from mytrading.core.accounting import performance
from tests.kit.pages import charts_of, column_of, report_of, series_of, tables_of, titles

SPACE = Space((Axis("fast", (2, 3, 4)), Axis("slow", (10, 20))), {})


def trials() -> list[Trial]:
    draw = np.random.default_rng(11)
    return [
        Trial(number=number, parameters=dict(point), objective=float(number) - 3.0, net=100.0 * number - 300.0,
              trades=5, returns=tuple(draw.normal(0.0, 0.01, 30).tolist()),
              metrics={"max_drawdown_bars": -0.01 * number})
        for number, point in enumerate(SPACE.points())
    ]  # fmt: skip


def written(folder: Path, objective: str = "net") -> None:
    found = trials()
    worth = SearchWorth(deflated_sharpe(found[-1], found), stability_of(found[-1], found, SPACE, objective),
                        overfitting_of(found))  # fmt: skip
    write_search(folder / "report.html", "a search", (), SPACE, found, objective, worth)


def test_best_trial_stands_with_its_equity_drawdown_and_surroundings(tmp_path: Path) -> None:
    written(tmp_path)
    report, found = report_of(tmp_path), trials()
    (equity,) = charts_of(report, "Equity of the best")
    growth, deepest = 1.0, 0.0
    peak = 1.0
    for value in found[-1].returns:
        growth *= 1 + value
        peak = max(peak, growth)
        deepest = min(deepest, growth / peak - 1)
    assert series_of(equity, "return").y[-1] == pytest.approx(growth - 1, abs=1e-6)
    assert min(float(str(value)) for value in series_of(equity, "drawdown").y) == pytest.approx(deepest, abs=1e-6)
    fast, slow = charts_of(report, "Around the best, one parameter at a time")
    assert (fast.title, series_of(fast, "net").y) == ("fast, with slow=20", [-2.0, 0.0, 2.0])
    assert (slow.title, slow.lines[0].value) == ("slow, with fast=4", "20")
    (table,) = tables_of(report, "Trials, the best first")
    assert column_of(table, "Max drawdown") == [-0.05, -0.04, -0.03, -0.02, -0.01, 0.0]
    (heat,) = charts_of(report, "Parameters")
    assert heat.diverging and not heat.reverse


def test_probability_of_overfitting_is_shown_with_its_distribution(tmp_path: Path) -> None:
    written(tmp_path)
    report = report_of(tmp_path)
    (table,) = tables_of(report, "What the best is worth")
    found = overfitting_of(trials())
    row = column_of(table, "Measure").index("Probability of backtest overfitting")
    assert column_of(table, "Value")[row] == pytest.approx(found.probability)
    assert "12,870 ways to halve 30 days in 14 blocks".replace("12,870", f"{found.choices:,}") in str(
        column_of(table, "Meaning")[row]
    )
    (chart,) = charts_of(report, "What the best is worth")
    assert sum(int(str(count)) for count in chart.series[0].y) == found.choices


def test_drawdown_of_an_estimate_is_that_of_its_days() -> None:
    plain = Trial(number=0, parameters={}, objective=1.0, returns=(0.1, -0.5, 0.2))
    assert trial_drawdown(plain) == pytest.approx(-0.5)
    assert trial_drawdown(Trial(number=0, parameters={}, objective=1.0)) is None


def step(best: tuple[float, ...] | None, after: tuple[float, ...], problem: str = "") -> WalkForwardStep:
    chosen = None if best is None else Trial(number=0, parameters={"n": 1}, objective=1.0, returns=best)
    return WalkForwardStep(Fold(10, 20, 25, 5), chosen, after, 0.0, problem)


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([step((0.01, 0.02), (0.01, 0.0))], ""),
        ([step(None, (), "0 trades")], "no fold chose parameters and was judged on more than one day"),
        ([step((0.01,), (0.01,))], "no fold chose parameters and was judged on more than one day"),
        ([step((-0.01, 0.005), (0.01, 0.0))], "the choices lost on their own days (-0.2500% a day)"),
        ([step((), (0.01, 0.0))], "no choice has returns by day"),
    ],
)
def test_walk_forward_says_why_its_efficiency_is_missing(
    tmp_path: Path, steps: list[WalkForwardStep], problem: str
) -> None:
    assert efficiency_problem(steps).startswith(problem)
    assert bool(problem) is math.isnan(walk_forward_efficiency(steps))
    write_walk_forward(tmp_path / "report.html", "a walk", (), steps, "sharpe")
    (note,) = report_of(tmp_path).notes
    assert (f"has no figure ({problem}" in note) is bool(problem)


def test_walk_forward_says_why_a_metric_is_missing(tmp_path: Path) -> None:
    write_walk_forward(tmp_path / "report.html", "a walk", (), [step((0.01, 0.02), (0.01, 0.02))], "sharpe")
    report = report_of(tmp_path)
    assert titles(report) == ["Out-of-sample equity", "Folds", "Metrics"]
    (table,) = tables_of(report, "Metrics")
    meanings = dict(zip(column_of(table, "Out-of-sample metric"), column_of(table, "Meaning"), strict=True))
    assert str(meanings["omega"]).endswith("no figure: no day lost")
    assert str(meanings["calmar"]).endswith("no figure: there was no drawdown, or all of the capital was lost")
    assert "no figure" not in str(meanings["sharpe"])


@pytest.mark.parametrize(
    "returns", [[], [0.01], [0.01, 0.01], [0.0, 0.0], [0.01, 0.02], [-0.5, 0.1], [-1.0, 0.1], [0.0, 0.1]]
)
def test_every_missing_figure_has_a_reason_and_no_other(returns: list[float]) -> None:
    values = np.array(returns)
    for name, value in performance.return_figures(values).items():
        assert math.isfinite(value) or performance.missing_reason(name, values), (name, returns)
        if math.isfinite(value) and len(returns) > 1:
            assert not performance.missing_reason(name, values), (name, returns)
    assert walk_forward.summary([]).keys() == performance.return_figures(values).keys()
