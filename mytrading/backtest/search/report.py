"""The report of a search: one HTML file with a heat map of each pair of parameters, and what the best is worth.

Used by `mytrading optimize` and `mytrading walk-forward`. It opens without a network, like the report of a run. The one
rule: next to the best figure stands how many were tried, and what luck alone would have shown.
"""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from plotly import graph_objects as go

from mytrading.backtest import metric_words
from mytrading.backtest.report import chart, page_of, section, table, write_page
from mytrading.backtest.search import walk
from mytrading.backtest.search.overfit import Deflated, Stability
from mytrading.backtest.search.space import Axis, Space
from mytrading.backtest.search.trials import Trial, better, ranked
from mytrading.strategies.parameters import Parameter

_MOST_MAPS = 6
_ROWS = 50


def write_search(
    path: Path, title: str, notes: Sequence[str], space: Space, trials: Sequence[Trial], objective: str,
    worth: tuple[Deflated, Stability] | None, run: Sequence[Trial] | None = None,
) -> None:  # fmt: skip
    """The report of an optimisation; with `run`, the trials that the event engine made, `trials` are a screening's."""
    parts = [_head(title, notes)]
    if worth is not None:
        parts.append(section("What the best is worth", worth_table(*worth)))
    maps = [chart(heat_map(pair[0], pair[1], trials, objective)) for pair in _pairs(space)]
    parts += [section("Parameters", "".join(maps))] if maps else []
    if len(space.axes) == 1:
        parts.append(section("Parameters", chart(line(space.axes[0], trials, objective))))
    if run is not None:
        parts.append(section("Run by the event engine, the best first", trials_table(space, run, objective)))
    what = "Trials" if run is None else "Estimates of the screening"
    parts.append(section(f"{what}, the best first", trials_table(space, trials, objective)))
    write_page(page_of(title, parts), path)


def _pairs(space: Space) -> list[tuple[Axis, Axis]]:
    return list(itertools.combinations(space.axes, 2))[:_MOST_MAPS]


def _head(title: str, notes: Sequence[str]) -> str:
    listed = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    return f"<h1>{html.escape(title)}</h1><ul class='note'>{listed}</ul>"


def heat_map(across: Axis, up: Axis, trials: Sequence[Trial], objective: str) -> go.Figure:
    """The best objective found for each pair of values; empty where nothing gave a figure.

    Where some are above 0 and some below, the colours turn at 0: a loss is never green.
    """
    sign = better(objective)
    found: dict[tuple[Parameter, Parameter], float] = {}
    for trial in trials:
        key = (trial.parameters[across.name], trial.parameters[up.name])
        if trial.counts and (key not in found or sign * trial.objective > sign * found[key]):
            found[key] = trial.objective
    signs = {value > 0 for value in found.values()}
    cells = [[_rounded(found.get((x, y))) for x in across.values] for y in up.values]
    figure = go.Figure(
        go.Heatmap(
            x=[str(value) for value in across.values], y=[str(value) for value in up.values], z=cells,
            colorscale="RdYlGn", reversescale=sign < 0, colorbar={"title": objective}, hoverongaps=False,
            zmid=0.0 if len(signs) == 2 else None,
        )
    )  # fmt: skip
    figure.update_xaxes(title=across.name, type="category")
    figure.update_yaxes(title=up.name, type="category")
    figure.update_layout(height=480, title=f"{objective}, best over the other parameters")
    return figure


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def line(axis: Axis, trials: Sequence[Trial], objective: str) -> go.Figure:
    """The objective over the values of the one parameter that was searched."""
    found = {trial.parameters[axis.name]: trial.objective for trial in trials if trial.counts}
    figure = go.Figure()
    xs = [str(value) for value in axis.values]
    figure.add_scatter(x=xs, y=[_rounded(found.get(value)) for value in axis.values], mode="lines+markers")
    figure.update_xaxes(title=axis.name, type="category")
    figure.update_yaxes(title=objective)
    figure.update_layout(height=360)
    return figure


def worth_table(deflated: Deflated, stable: Stability) -> str:
    """The deflated Sharpe ratio and the neighbours, each with how to read it."""
    rows = [
        ["Sharpe ratio of the best, by day", _number(deflated.sharpe), ""],
        ["What the best of as many worthless trials would show", _number(deflated.luck), f"{deflated.trials:,} trials"],
        ["Deflated Sharpe ratio", _number(deflated.probability), "chance that merit is left; under 0.95 is weak"],
        ["Median of its neighbours", _number(stable.median), f"{stable.neighbours} one step away"],
        ["Rank of that median among all", _number(stable.rank), "near 1: a plateau; near 0.5 or less: a lone spike"],
    ]
    return table(("Measure", "Value", ""), rows, words=(2,))


def trials_table(space: Space, trials: Sequence[Trial], objective: str) -> str:
    """The best trials; all stand in trials.jsonl."""
    best = ranked(trials, objective)
    rows = [
        [*(html.escape(str(trial.parameters[axis.name])) for axis in space.axes), _number(trial.objective),
         f"{trial.net:,.2f}", f"{trial.trades:,}"]
        for trial in best[:_ROWS]
    ]  # fmt: skip
    failed = [trial for trial in trials if not trial.counts]
    said = f"<p class='note'>{len(best):,} gave a figure, {len(failed):,} did not"
    said += f" ({html.escape(failed[0].problem)}, …)" if failed else ""
    head = (*(axis.name for axis in space.axes), objective, "Net ₹", "Round trips")
    return f"{said}.</p>{table(head, rows)}"


def _number(value: float) -> str:
    return f"{value:,.4f}" if math.isfinite(value) else "–"


def write_walk(path: Path, title: str, notes: Sequence[str], steps: Sequence[walk.Step], objective: str) -> None:
    """The report of a walk-forward."""
    found = walk.summary(steps)
    rows = [metric_words.row(name, value) for name, value in found.items()]
    metrics = table(("Metric of the judged days", "Value", "Of"), rows, words=(2,))
    ratio = walk.efficiency(steps)
    parts = [
        _head(
            title, [*notes, f"walk-forward efficiency {_number(ratio)}: return after the choice over that before it"]
        ),
        section("Equity of the judged days", chart(_equity(steps))),
        section("Folds", folds_table(steps, objective)),
        section("Metrics", metrics),
    ]
    write_page(page_of(title, parts), path)


def _equity(steps: Sequence[walk.Step]) -> go.Figure:
    growth = np.cumprod(1.0 + walk.stitched(steps))
    figure = go.Figure()
    figure.add_scatter(y=((growth - 1) * 100).round(4).tolist(), name="return %", line={"color": "#1f5fa8"})
    at = 0
    for step in steps:
        figure.add_vline(x=at, line={"color": "#d8dee6", "width": 1})
        at += step.fold.judged_days
    figure.update_xaxes(title="judged days")
    figure.update_layout(height=360)
    return figure


def folds_table(steps: Sequence[walk.Step], objective: str) -> str:
    """One line a fold: what was chosen when, and what came of it."""
    rows = []
    for step in steps:
        fold, best = step.fold, step.best
        chosen = ", ".join(f"{key}={value}" for key, value in best.parameters.items()) if best else step.problem
        after = float(np.prod(1.0 + np.array(step.returns)) - 1.0)
        rows.append([
            f"{walk.day_text(fold.first)} – {walk.day_text(fold.chosen - 1)}",
            f"{walk.day_text(fold.chosen)} – {walk.day_text(fold.end - 1)}", html.escape(chosen),
            _number(best.objective) if best else "–", f"{after:.2%}", f"{step.net:,.2f}",
        ])  # fmt: skip
    head = ("Chosen on", "Judged on", "Parameters", f"{objective} then", "Return after", "Net ₹ after")
    return table(head, rows, words=(1, 2))
