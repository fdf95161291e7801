"""The report of a search: a heat map of each pair of parameters, and what the best result is worth.

Written by `mytrading optimize` and `mytrading walk-forward`. Beside the best figure stand the number of trials and what
luck alone would have shown.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from mytrading.backtest.results import output
from mytrading.backtest.search import walk_forward
from mytrading.backtest.search.overfitting import Overfitting
from mytrading.backtest.search.space import Axis, Space
from mytrading.backtest.search.trials import NET, Deflated, Stability, Trial, objective_sign, rank_trials
from mytrading.core.accounting import performance
from mytrading.core.time import iso_day_of
from mytrading.reports import charts
from mytrading.reports.document import (
    VERSION,
    Block,
    Cell,
    ChartLine,
    ChartPanel,
    Report,
    ReportChart,
    ReportNote,
    ReportSection,
    ReportTable,
    ReportValue,
    TableColumn,
    Tone,
    Unit,
)
from mytrading.reports.page import write_report_files
from mytrading.strategies.parameters import Parameter

_MOST_MAPS = 6
_ROWS = 50


def write_search(
    path: Path, title: str, notes: Sequence[str], space: Space, trials: Sequence[Trial], objective: str,
    worth: SearchWorth | None, run: Sequence[Trial] | None = None,
) -> None:  # fmt: skip
    """Write the HTML page and the data of a search; `worth` judges the best trial (None: left out). With `run`
    (backtested trials), `trials` are the screening's estimates."""
    sections: list[ReportSection] = []
    if worth is not None:
        blocks: list[Block] = [worth_table(worth)]
        if worth.overfitting.logits:
            blocks.append(logit_chart(worth.overfitting))
        sections.append(ReportSection("What the best is worth", blocks))
        best = rank_trials(trials if run is None else run, objective)[0]
        if best.returns:
            sections.append(ReportSection("Equity of the best", [best_equity_chart(best)]))
        if len(space.axes) > 1:
            curves = slice_charts(space, rank_trials(trials, objective)[0], trials, objective)
            sections += [ReportSection("Around the best, one parameter at a time", curves)] if curves else []
    pairs = list(itertools.combinations(space.axes, 2))[:_MOST_MAPS]
    figures = [heat_map(across, up, trials, objective) for across, up in pairs]
    if len(pairs) == 1:  # there are no other parameters
        figures = [replace(one, title=objective) for one in figures]
    figures += [objective_curve(axis, trials, objective) for axis in space.axes if len(space.axes) == 1]
    sections += [ReportSection("Parameters", figures)] if figures else []
    if run is not None:
        sections.append(ReportSection("Run by the event engine, the best first", trial_blocks(space, run, objective)))
    what = "Trials" if run is None else "Estimates of the screening"
    sections.append(ReportSection(f"{what}, the best first", trial_blocks(space, trials, objective)))
    report = Report(version=VERSION, kind="optimize", title=title, notes=notes, sections=sections)
    write_report_files(report, path)


def heat_map(across: Axis, up: Axis, trials: Sequence[Trial], objective: str) -> ReportChart:
    """Chart the best objective for each pair of values of two parameters; empty cells have no result."""
    sign = objective_sign(objective)
    found: dict[tuple[Parameter, Parameter], float] = {}
    for trial in trials:
        key = (trial.parameters[across.name], trial.parameters[up.name])
        if trial.has_value and (key not in found or sign * trial.objective > sign * found[key]):
            found[key] = trial.objective
    cells = [[_rounded(found.get((x, y))) for x in across.values] for y in up.values]
    xs, ys = ([str(value) for value in axis.values] for axis in (across, up))
    return charts.heat_map((across.name, xs), (up.name, ys), cells, objective, reverse=sign < 0)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def objective_curve(axis: Axis, trials: Sequence[Trial], objective: str) -> ReportChart:
    """Chart the objective over the values of the only searched parameter."""
    found = {trial.parameters[axis.name]: trial.objective for trial in trials if trial.has_value}
    values = [_rounded(found.get(value)) for value in axis.values]
    names = [str(value) for value in axis.values]
    series = [
        charts.line_series(objective, names, values, "subject"),
        charts.line_series("a trial", names, values, "subject", draw="marks", shape="circle"),
    ]
    return ReportChart(
        x="category", x_title=axis.name, panels=[ChartPanel(objective, objective_unit(objective))], series=series
    )


def objective_unit(objective: str) -> Unit:
    """Return the unit in which a report shows an objective."""
    return "rupees" if objective == NET else output.metric_value(objective, 0.0).unit


class SearchWorth(NamedTuple):
    """Three judgements of a search's best trial."""

    deflated: Deflated
    stable: Stability
    overfitting: Overfitting


def worth_table(worth: SearchWorth) -> ReportTable:
    """Build the table of deflated Sharpe ratio, overfitting and the neighbours' results, each explained."""
    deflated, stable, over = worth
    split = (
        f"{over.choices:,} ways to halve {over.days} days in {over.blocks} blocks; above 0.5 is worse than a coin"
        if over.choices
        else over.problem
    )
    rows: list[list[Cell]] = [
        ["Sharpe ratio of the best, by day", _number(deflated.sharpe), ""],
        ["What the best of as many worthless trials would show", _number(deflated.luck), f"{deflated.trials:,} trials"],
        ["Deflated Sharpe ratio", _number(deflated.probability, good_above=0.95),
         "chance that merit is left; under 0.95 is weak"],
        ["Probability of backtest overfitting", _number(over.probability, bad_above=0.5), split],
        ["Best of one half lost on the other", _number(over.loss), "share of those ways"],
        ["Median of its neighbours", _number(stable.median), f"{stable.neighbours} one step away"],
        ["Rank of that median among all", _number(stable.rank), "near 1: a plateau; near 0.5 or less: a lone spike"],
    ]  # fmt: skip
    return ReportTable((TableColumn("Measure"), TableColumn("Value"), TableColumn("Meaning")), rows)


def logit_chart(over: Overfitting) -> ReportChart:
    """Chart how the best of one half did among all on the other: left of 0 below the middle."""
    title = "log odds of the best of one half to beat another trial on the other half"
    return charts.histogram_chart(over.logits, title, "ways to halve the days", own=0.0, own_name="the middle")


def best_equity_chart(best: Trial) -> ReportChart:
    """Chart growth and drawdown of the best trial by day."""
    returns = np.array(best.returns)
    growth = np.cumprod(1.0 + returns) - 1.0
    at = list(range(1, len(returns) + 1))
    series = [
        charts.line_series("return", at, charts.chart_values(growth, 6), "subject"),
        charts.line_series(
            "drawdown", at, charts.chart_values(performance.drawdowns(returns), 6), "loss", draw="area", panel=1
        ),
    ]
    panels = [ChartPanel("return", "percent", 0.65), ChartPanel("drawdown", "percent", 0.35)]
    named = ", ".join(f"{key}={value}" for key, value in best.parameters.items())
    return ReportChart(title=named, x="number", x_title="trading days", panels=panels, series=series, height=420)


def slice_charts(space: Space, best: Trial, trials: Sequence[Trial], objective: str) -> list[Block]:
    """Chart the objective along each parameter while the others stay as in the best trial."""
    found: list[Block] = []
    for axis in space.axes:
        others = [other.name for other in space.axes if other.name != axis.name]
        mine = [one for one in trials if all(one.parameters[name] == best.parameters[name] for name in others)]
        if len(mine) > 1:
            chart = objective_curve(axis, mine, objective)
            fixed = ", ".join(f"{name}={best.parameters[name]}" for name in others)
            chosen = ChartLine("x", str(best.parameters[axis.name]), "best")
            found.append(replace(chart, title=f"{axis.name}, with {fixed}", lines=[chosen], height=300))
    return found


def trial_blocks(space: Space, trials: Sequence[Trial], objective: str) -> list[Block]:
    """Build a note on how many trials gave a figure, and the table of the best ones."""
    best = rank_trials(trials, objective)
    rows: list[list[Cell]] = [
        [*(trial.parameters[axis.name] for axis in space.axes), trial.objective, trial_drawdown(trial), trial.net,
         trial.trades]
        for trial in best[:_ROWS]
    ]  # fmt: skip
    failed = [trial for trial in trials if not trial.has_value]
    note = f"{len(best):,} gave a figure, {len(failed):,} did not" + (f" ({failed[0].problem}, …)." if failed else ".")
    columns = (
        *(TableColumn(axis.name) for axis in space.axes),
        TableColumn(objective, objective_unit(objective), signed=True),
        TableColumn("Max drawdown", "percent", signed=True), TableColumn("Net", "rupees", signed=True),
        TableColumn("Trades", "integer"),
    )  # fmt: skip
    return [ReportNote(note), ReportTable(columns, rows)]


def trial_drawdown(trial: Trial) -> float | None:
    """Return the max drawdown of a trial: of bars, of days where only those are known; None without returns."""
    found = trial.metrics.get("max_drawdown_bars", math.nan)
    if not math.isfinite(found):
        found = performance.max_drawdown(np.array(trial.returns))
    return found if math.isfinite(found) else None


def _number(value: float, *, good_above: float | None = None, bad_above: float | None = None) -> ReportValue:
    if not math.isfinite(value):
        return ReportValue(None, "number")
    tone: Tone = ""
    if good_above is not None:
        tone = "good" if value >= good_above else "warn"
    if bad_above is not None:
        tone = "bad" if value > bad_above else ""
    return ReportValue(value, "number", 4, tone)


def write_walk_forward(
    path: Path, title: str, notes: Sequence[str], steps: Sequence[walk_forward.WalkForwardStep], objective: str
) -> None:
    """Write the HTML report of a walk-forward optimisation."""
    returns = walk_forward.out_of_sample_returns(steps)
    metrics = []
    for name, value in walk_forward.summary(steps).items():
        label, shown, meaning = output.metric_cells(name, value if math.isfinite(value) else None)
        why = "" if math.isfinite(value) else performance.missing_reason(name, returns)
        metrics.append([label, shown, f"{meaning}; no figure: {why}" if why else meaning])
    efficiency, why = walk_forward.walk_forward_efficiency(steps), walk_forward.efficiency_problem(steps)
    ratio = f"{efficiency:,.4f}" if math.isfinite(efficiency) else f"has no figure ({why})"
    heads = ("Out-of-sample metric", "Value", "Meaning")
    sections = [
        ReportSection("Out-of-sample equity", [equity_chart(steps)]),
        ReportSection("Folds", [folds_table(steps, objective)]),
        ReportSection("Metrics", [ReportTable(tuple(map(TableColumn, heads)), metrics)]),
    ]
    notes = [*notes, f"walk-forward efficiency {ratio}: return after the choice over that before it"]
    report = Report(version=VERSION, kind="walk-forward", title=title, notes=notes, sections=sections)
    write_report_files(report, path)


def equity_chart(steps: Sequence[walk_forward.WalkForwardStep]) -> ReportChart:
    """Chart the out-of-sample return by day, with a line where each fold begins."""
    growth = np.cumprod(1.0 + walk_forward.out_of_sample_returns(steps)) - 1.0
    lines, at = [], 0
    for step in steps:
        lines.append(ChartLine("x", at))
        at += step.fold.out_of_sample_days
    series = charts.line_series("return", list(range(len(growth))), charts.chart_values(growth, 6), "subject")
    return ReportChart(
        x="number", x_title="out-of-sample days", panels=[ChartPanel("return", "percent")], series=[series],
        lines=lines,
    )  # fmt: skip


def folds_table(steps: Sequence[walk_forward.WalkForwardStep], objective: str) -> ReportTable:
    """Build a table with a row for each fold: days, chosen parameters and out-of-sample result."""
    rows: list[list[Cell]] = []
    for step in steps:
        fold, best = step.fold, step.best
        chosen = ", ".join(f"{key}={value}" for key, value in best.parameters.items()) if best else step.problem
        after = float(np.prod(1.0 + np.array(step.returns)) - 1.0)
        rows.append([
            f"{iso_day_of(fold.first)} – {iso_day_of(fold.split - 1)}",
            f"{iso_day_of(fold.split)} – {iso_day_of(fold.end - 1)}", chosen,
            best.objective if best else None, after, step.net,
        ])  # fmt: skip
    columns = (
        TableColumn("In-sample"), TableColumn("Out-of-sample"), TableColumn("Parameters"),
        TableColumn(f"{objective} in-sample", objective_unit(objective), signed=True),
        TableColumn("Return after", "percent", signed=True), TableColumn("Net after", "rupees", signed=True),
    )  # fmt: skip
    return ReportTable(columns, rows)
