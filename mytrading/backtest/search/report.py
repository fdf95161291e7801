"""The report of a search: a heat map of each pair of parameters, and what the best result is worth.

Written by `mytrading optimize` and `mytrading walk-forward`. Beside the best figure stand the number of trials and what
luck alone would have shown.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from plotly import graph_objects as go

from mytrading.backtest.results import output
from mytrading.backtest.search import walk_forward
from mytrading.backtest.search.space import Axis, Space
from mytrading.backtest.search.trials import Deflated, Stability, Trial, objective_sign, rank_trials
from mytrading.core.time import iso_day_of
from mytrading.reports import charts
from mytrading.reports.charts import BLUE, PALE, figure_html
from mytrading.reports.page import Page, PageSection, PageTable, render_page, write_page
from mytrading.strategies.parameters import Parameter

_MOST_MAPS = 6
_ROWS = 50


def write_search(
    path: Path, title: str, notes: Sequence[str], space: Space, trials: Sequence[Trial], objective: str,
    worth: tuple[Deflated, Stability] | None, run: Sequence[Trial] | None = None,
) -> None:  # fmt: skip
    """Write the HTML report of a search; `worth` judges the best trial (None: left out). With `run` (backtested
    trials), `trials` are the screening's estimates."""
    sections = [PageSection("What the best is worth", [worth_table(*worth)])] if worth is not None else []
    pairs = list(itertools.combinations(space.axes, 2))[:_MOST_MAPS]
    figures = [heat_map(across, up, trials, objective) for across, up in pairs]
    figures += [objective_curve(axis, trials, objective) for axis in space.axes if len(space.axes) == 1]
    sections += [PageSection("Parameters", [figure_html(figure) for figure in figures])] if figures else []
    if run is not None:
        sections.append(PageSection("Run by the event engine, the best first", trial_blocks(space, run, objective)))
    what = "Trials" if run is None else "Estimates of the screening"
    sections.append(PageSection(f"{what}, the best first", trial_blocks(space, trials, objective)))
    write_page(render_page(Page(title=title, notes=notes, sections=sections)), path)


def heat_map(across: Axis, up: Axis, trials: Sequence[Trial], objective: str) -> go.Figure:
    """Chart the best objective for each pair of values of two parameters; empty cells have no result."""
    sign = objective_sign(objective)
    found: dict[tuple[Parameter, Parameter], float] = {}
    for trial in trials:
        key = (trial.parameters[across.name], trial.parameters[up.name])
        if trial.has_value and (key not in found or sign * trial.objective > sign * found[key]):
            found[key] = trial.objective
    cells = [[_rounded(found.get((x, y))) for x in across.values] for y in up.values]
    xs, ys = ([str(value) for value in axis.values] for axis in (across, up))
    figure = charts.heat_map(xs, ys, cells, objective, reverse=sign < 0)
    figure.update_xaxes(title=across.name)
    figure.update_yaxes(title=up.name)
    return figure


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def objective_curve(axis: Axis, trials: Sequence[Trial], objective: str) -> go.Figure:
    """Chart the objective over the values of the only searched parameter."""
    found = {trial.parameters[axis.name]: trial.objective for trial in trials if trial.has_value}
    values = [_rounded(found.get(value)) for value in axis.values]
    figure = charts.line_chart([str(value) for value in axis.values], {objective: (values, BLUE)}, height=360)
    figure.update_traces(mode="lines+markers")
    figure.update_xaxes(title=axis.name, type="category")
    figure.update_yaxes(title=objective)
    return figure


def worth_table(deflated: Deflated, stable: Stability) -> PageTable:
    """Build the table of the deflated Sharpe ratio and the neighbours' results, each explained."""
    rows = [
        ["Sharpe ratio of the best, by day", _number(deflated.sharpe), ""],
        ["What the best of as many worthless trials would show", _number(deflated.luck), f"{deflated.trials:,} trials"],
        ["Deflated Sharpe ratio", _number(deflated.probability), "chance that merit is left; under 0.95 is weak"],
        ["Median of its neighbours", _number(stable.median), f"{stable.neighbours} one step away"],
        ["Rank of that median among all", _number(stable.rank), "near 1: a plateau; near 0.5 or less: a lone spike"],
    ]
    return PageTable(("Measure", "Value", ""), rows, words=(2,))


def trial_blocks(space: Space, trials: Sequence[Trial], objective: str) -> list[PageTable | str]:
    """Build a note on how many trials gave a figure, and the table of the best ones."""
    best = rank_trials(trials, objective)
    rows = [
        [*(str(trial.parameters[axis.name]) for axis in space.axes), _number(trial.objective), f"{trial.net:,.2f}",
         f"{trial.trades:,}"]
        for trial in best[:_ROWS]
    ]  # fmt: skip
    failed = [trial for trial in trials if not trial.has_value]
    note = f"{len(best):,} gave a figure, {len(failed):,} did not" + (f" ({failed[0].problem}, …)." if failed else ".")
    return [note, PageTable((*(axis.name for axis in space.axes), objective, "Net ₹", "Trades"), rows)]


def _number(value: float) -> str:
    return f"{value:,.4f}" if math.isfinite(value) else "–"


def write_walk_forward(
    path: Path, title: str, notes: Sequence[str], steps: Sequence[walk_forward.WalkForwardStep], objective: str
) -> None:
    """Write the HTML report of a walk-forward optimisation."""
    metrics = [output.metric_row(name, value) for name, value in walk_forward.summary(steps).items()]
    ratio = _number(walk_forward.walk_forward_efficiency(steps))
    sections = [
        PageSection("Out-of-sample equity", [figure_html(_equity(steps))]),
        PageSection("Folds", [folds_table(steps, objective)]),
        PageSection("Metrics", [PageTable(("Out-of-sample metric", "Value", "Of"), metrics, words=(2,))]),
    ]
    notes = [*notes, f"walk-forward efficiency {ratio}: return after the choice over that before it"]
    write_page(render_page(Page(title=title, notes=notes, sections=sections)), path)


def _equity(steps: Sequence[walk_forward.WalkForwardStep]) -> go.Figure:
    growth = np.cumprod(1.0 + walk_forward.out_of_sample_returns(steps))
    figure = charts.line_chart(None, {"return %": (((growth - 1) * 100).round(4).tolist(), BLUE)}, height=360)
    at = 0
    for step in steps:
        figure.add_vline(x=at, line={"color": PALE, "width": 1})
        at += step.fold.out_of_sample_days
    figure.update_xaxes(title="out-of-sample days")
    return figure


def folds_table(steps: Sequence[walk_forward.WalkForwardStep], objective: str) -> PageTable:
    """Build a table with a row for each fold: days, chosen parameters and out-of-sample result."""
    rows = []
    for step in steps:
        fold, best = step.fold, step.best
        chosen = ", ".join(f"{key}={value}" for key, value in best.parameters.items()) if best else step.problem
        after = float(np.prod(1.0 + np.array(step.returns)) - 1.0)
        rows.append([
            f"{iso_day_of(fold.first)} – {iso_day_of(fold.split - 1)}",
            f"{iso_day_of(fold.split)} – {iso_day_of(fold.end - 1)}", chosen,
            _number(best.objective) if best else "–", f"{after:.2%}", f"{step.net:,.2f}",
        ])  # fmt: skip
    head = ("In-sample", "Out-of-sample", "Parameters", f"{objective} in-sample", "Return after", "Net ₹ after")
    return PageTable(head, rows, words=(1, 2))
