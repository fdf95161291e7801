"""`mytrading walk-forward`: parameters chosen on one stretch of days, judged on the next, over all the data.

What is shown of the judged days was chosen without them.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mytrading.cli.research import search_options as given
from mytrading.cli.research.bundles import spread
from mytrading.cli.shell.output import ERROR, JSON_OPTION, PROFILE_OPTION, USAGE, fail, print_json, print_rows, say

if TYPE_CHECKING:
    from mytrading.backtest.search.study import Progress, StudyPlan
    from mytrading.backtest.search.trials import Trial
    from mytrading.backtest.search.walk_forward import Fold, WalkForwardStep
    from mytrading.backtest.setup.prepare import Prepared


@spread
def walk_forward(
    asked: given.SearchOptions,
    train: int = typer.Option(60, min=1, help="Days to choose on."),
    test: int = typer.Option(20, min=1, help="Days that the choice is then judged on."),
    anchored: bool = typer.Option(False, "--anchored", help="Choose on all days so far, not on the last ones only."),
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Choose parameters on a stretch of days, judge them on the next, and again to the end of the data."""
    from mytrading.backtest.search.walk_forward import WalkError, days_of, folds

    asked.check()
    found, space, _ = given.prepared(asked.asked(), asked.param, profile)
    try:
        stretches = folds(days_of(found.spec), train, test, anchored)
    except WalkError as error:
        fail(USAGE, str(error))
    plan = asked.plan(space)
    folder = given.folder_of(asked.report, "walk-forward", asked.name)
    given.writable(folder)
    steps = _walk(found, asked.name, plan, stretches, (asked.min_trades, asked.workers, asked.on), as_json)
    _end(found, plan, steps, folder, as_json)


def _walk(
    found: Prepared, name: str, plan: StudyPlan, stretches: list[Fold], how: tuple[int, int, str], as_json: bool
) -> list[WalkForwardStep]:
    from mytrading.backtest.search.trials import ranked
    from mytrading.backtest.search.walk_forward import WalkForwardStep

    steps: list[WalkForwardStep] = []
    with given.progress("trials", len(stretches) * plan.wanted, as_json) as shown:
        for number, fold in enumerate(stretches):

            def on_trial(ran: int, _all: int, _trial: Trial, before: int = number) -> None:
                shown(before * plan.wanted + ran, f"fold {before + 1} of {len(stretches)}")

            trials = _chosen(found, name, plan, fold, how, on_trial)
            best = ranked(trials, plan.objective)
            steps.append(
                _judged(found, fold, best[0]) if best else WalkForwardStep(fold, None, (), problem=_why(trials))
            )
    return steps


def _chosen(
    found: Prepared, name: str, plan: StudyPlan, fold: Fold, how: tuple[int, int, str], on_trial: Progress
) -> list[Trial]:
    """The trials of a fold, on its days for choosing."""
    from mytrading.backtest.search.study import search
    from mytrading.backtest.search.walk_forward import part
    from mytrading.backtest.search.workers import packed
    from mytrading.backtest.setup.prepare import source_file
    from mytrading.runtime.host.paths import project_home

    least, count, on = how
    payload = packed(part(found.spec, fold.first, fold.chosen), source_file(project_home(), name))
    with given.workers(payload, plan.objective, least, count, on) as crew:
        return search(plan, crew, (), lambda _trial: None, on_trial)


def _why(trials: list[Trial]) -> str:
    return trials[0].problem if trials else "no trial"


def _judged(found: Prepared, fold: Fold, best: Trial) -> WalkForwardStep:
    """The choice, run over both stretches; only the days after it count."""
    from mytrading.backtest.results.output import daily_returns
    from mytrading.backtest.run import run
    from mytrading.backtest.search.walk_forward import WalkForwardStep, part

    spec = part(found.spec, fold.first, fold.end)
    result = run(spec.with_parameters(best.parameters))
    days, equity = result.curve.daily()
    after = days >= fold.chosen
    returns = daily_returns(result)[after]
    begin = float(equity[~after][-1]) if (~after).any() else spec.capital
    net = float(equity[-1]) - begin if len(equity) else 0.0
    problem = result.fault.error if result.fault is not None else ""
    return WalkForwardStep(fold, best, tuple(returns.tolist()), round(net, 2), problem)


def _end(found: Prepared, plan: StudyPlan, steps: list[WalkForwardStep], folder: Path, as_json: bool) -> None:
    from mytrading.backtest.results import output
    from mytrading.backtest.search import walk_forward as walk
    from mytrading.backtest.search.report import write_walk
    from mytrading.core.time import iso_day_of

    title = f"{found.spec.run.name}: walk-forward by {plan.objective}, {len(steps)} folds"
    try:
        write_walk(folder / "report.html", title, found.notes, steps, plan.objective)
    except OSError as error:
        fail(ERROR, f"{folder}: cannot be written: {error.strerror}; name another folder with --report")
    rows = [_row(step) for step in steps]
    metrics = {name: value if math.isfinite(value) else None for name, value in walk.summary(steps).items()}
    ratio = walk.efficiency(steps)
    if as_json:
        print_json(
            {"strategy": found.spec.run.name, "objective": plan.objective, "folds": rows, "metrics": metrics,
             "efficiency": ratio if math.isfinite(ratio) else None, "notes": list(found.notes),
             "report": str(folder / "report.html")}
        )  # fmt: skip
        return
    given.print_notes(found.notes)
    for step in steps:
        if step.problem:
            say(f"{iso_day_of(step.fold.chosen)}: nothing judged from here: {step.problem}")
    shown = [
        {
            **row,
            "parameters": ", ".join(f"{k}={v}" for k, v in row["parameters"].items()),
            "return": f"{row['return']:.2%}",
        }
        for row in rows
    ]
    print_rows(shown, ("judged_from", "judged_to", "parameters", "objective", "return", "net"), False, "no folds")
    for key in ("total_return", "sharpe", "max_drawdown"):
        if metrics.get(key) is not None:
            print(f"{key.replace('_', ' '):<24}{output.shown(key, metrics[key])}")
    said = f"{ratio:.3f}" if math.isfinite(ratio) else "–"
    print(f"{'efficiency':<24}{said}  (return after the choice over that before it)")
    say(f"written to {folder}: report.html")


def _row(step: WalkForwardStep) -> dict[str, Any]:
    from mytrading.core.time import iso_day_of

    fold, best = step.fold, step.best
    return {
        "chosen_from": iso_day_of(fold.first), "chosen_to": iso_day_of(fold.chosen - 1),
        "judged_from": iso_day_of(fold.chosen), "judged_to": iso_day_of(fold.end - 1), "days": fold.judged_days,
        "parameters": best.parameters if best is not None else {}, "objective": best.objective if best else None,
        "return": round(math.prod(1.0 + value for value in step.returns) - 1.0, 8), "net": step.net,
        "problem": step.problem,
    }  # fmt: skip


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("walk-forward")(walk_forward)
