"""`mytrading optimize`: many sets of parameters, tried side by side, and what the best is worth.

A search that is stopped goes on where it was when the same command is given again.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mytrading.cli.research import search_options as given
from mytrading.cli.research.bundles import spread
from mytrading.cli.shell.output import ERROR, JSON_OPTION, PROFILE_OPTION, USAGE, fail, print_json, say

if TYPE_CHECKING:
    from mytrading.backtest.search.study import StudyPlan
    from mytrading.backtest.search.trials import Trial
    from mytrading.backtest.setup.prepare import Prepared

_SHOWN = 10


@spread
def optimize(
    asked: given.SearchOptions,
    screen: bool = typer.Option(
        False, "--screen", help="Sweep all points by the strategy's `positions`, then run the best."
    ),
    top: int = typer.Option(20, min=1, help="With --screen: so many of the best are run by the event engine."),
    fresh: bool = typer.Option(False, "--fresh", help="Forget the trials that the folder holds."),
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Search a strategy's parameters; local processes, or the workers of a Dask cluster. Resumable."""
    asked.check()
    found, space, payload = given.prepared(asked.asked(), asked.param, profile)
    plan, least = asked.plan(space), asked.min_trades
    folder = given.folder_of(asked.report, "optimize", asked.name)
    screened = _screen(found, plan, least, top, asked.workers, as_json) if screen else None
    if screened is not None:
        plan = replace(plan, method="grid", trials=len(screened[1]))
    only = screened[1] if screened is not None else None
    done = _search(found, payload.source, plan, least, folder, fresh, only, as_json,
                   lambda: given.workers(payload, asked.objective, least, asked.workers, asked.on))  # fmt: skip
    _end(found, plan, done, screened[0] if screened is not None else None, folder, as_json)


def _screen(
    found: Prepared, plan: StudyPlan, least: int, top: int, threads: int, as_json: bool
) -> tuple[list[Trial], list[Trial]]:
    """All points screened, and the best of them."""
    import os

    from mytrading.backtest.search.screen import ScreenError, sweep
    from mytrading.backtest.search.trials import ranked

    try:
        with given.progress("screened", len(plan.space), as_json) as shown:
            points = plan.space.points()
            all_of = sweep(found.spec, points, plan.objective, least, threads or os.cpu_count() or 1,
                           lambda done: None if done % 50 else shown(done, ""))  # fmt: skip
    except ScreenError as error:
        fail(USAGE, str(error))
    best = ranked(all_of, plan.objective)[:top]
    if not best:
        said = all_of[0].problem if all_of else "there was none"
        fail(ERROR, f"--screen: none of {len(all_of):,} sets of parameters gave a figure; the first: {said}")
    return all_of, best


def _search(
    found: Prepared,
    source: str,
    plan: StudyPlan,
    least: int,
    folder: Path,
    fresh: bool,
    only: list[Trial] | None,
    as_json: bool,
    opened: Any,
) -> list[Trial]:
    from mytrading.backtest.search.study import Record, StudyError, fingerprint, fitting, search
    from mytrading.backtest.search.trials import better, ranked

    points = [trial.parameters for trial in only] if only is not None else None
    record = Record(folder, fingerprint(found.spec, source, plan, least))
    with closing(record):
        try:
            before = fitting(plan, record.read(fresh), points)
        except StudyError as error:
            fail(USAGE, str(error))
        except OSError as error:
            fail(ERROR, f"{folder}: cannot be written: {error.strerror}; name another folder with --report")
        if before:
            say(f"{len(before):,} trials of before are kept ({folder}); --fresh forgets them")
        best = [trial.objective for trial in ranked(before, plan.objective)[:1]]
        sign = better(plan.objective)
        with given.progress("trials", plan.wanted, as_json) as shown, opened() as crew:

            def on_trial(done: int, _wanted: int, trial: Trial) -> None:
                if trial.counts and (not best or sign * trial.objective > sign * best[0]):
                    best[:] = [trial.objective]
                shown(done, f"best {plan.objective} {best[0]:.4f}" if best else "")

            try:
                return search(plan, crew, before, record.add, on_trial, points)
            except KeyboardInterrupt:
                say(f"stopped; what is done is kept in {folder}: the same command goes on")
                raise


def _end(
    found: Prepared, plan: StudyPlan, trials: list[Trial], screened: list[Trial] | None, folder: Path, as_json: bool
) -> None:
    from mytrading.backtest.search.report import write_search
    from mytrading.backtest.search.trials import deflated_sharpe, ranked, stability

    best = ranked(trials, plan.objective)
    everything = screened if screened is not None else trials
    worth = None
    if best:
        worth = (deflated_sharpe(best[0], everything), stability(best[0], everything, plan.space, plan.objective))
    title = f"{found.spec.run.name}: {len(everything):,} sets of parameters by {plan.objective}"
    write_search(folder / "report.html", title, found.notes, plan.space, everything, plan.objective, worth,
                 trials if screened is not None else None)  # fmt: skip
    if as_json:
        print_json(_body(found, plan, trials, best, screened, worth, folder))
    else:
        given.print_notes(found.notes)
        _print(plan, trials, best, worth, folder)
    if not best:
        said = trials[0].problem if trials else "there was none"
        fail(ERROR, "" if as_json else f"none of {len(trials):,} trials gave a figure; the first: {said}")


def _body(
    found: Prepared,
    plan: StudyPlan,
    trials: list[Trial],
    best: list[Trial],
    screened: list[Trial] | None,
    worth: Any,
    folder: Path,
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "strategy": found.spec.run.name,
        "objective": plan.objective,
        "method": plan.method,
        "trials": len(trials),
        "without_figure": sum(not trial.counts for trial in trials),
        "screened": len(screened) if screened is not None else 0,
        "best": [_plain(trial) for trial in best[:_SHOWN]],
        "notes": list(found.notes),
        "report": str(folder / "report.html"),
    }
    if worth is not None:
        deflated, stable = worth
        body["deflated_sharpe"] = _number(deflated.probability)
        body["luck"] = {"sharpe_by_day": _number(deflated.luck), "best_by_day": _number(deflated.sharpe)}
        body["stability"] = {
            "neighbours": stable.neighbours, "median": _number(stable.median), "rank": _number(stable.rank)
        }  # fmt: skip
    return body


def _plain(trial: Trial) -> dict[str, Any]:
    return {
        "parameters": trial.parameters, "objective": trial.objective, "net": trial.net, "trades": trial.trades,
        "trade_hash": trial.trade_hash,
    }  # fmt: skip


def _number(value: float) -> float | None:
    import math

    return round(value, 6) if math.isfinite(value) else None


def _print(plan: StudyPlan, trials: list[Trial], best: list[Trial], worth: Any, folder: Path) -> None:
    from mytrading.cli.shell.output import print_rows

    rows = [
        {**trial.parameters, plan.objective: round(trial.objective, 4), "net": round(trial.net), "trades": trial.trades}
        for trial in best[:_SHOWN]
    ]
    columns = tuple(dict.fromkeys((*(axis.name for axis in plan.space.axes), plan.objective, "net", "trades")))
    print_rows(rows, columns, False, "no trial gave a figure")
    if worth is not None:
        deflated, stable = worth
        print(f"\ndeflated Sharpe ratio  {deflated.probability:.3f}  (chance of merit after {deflated.trials:,} "
              "trials; under 0.95 is weak)")  # fmt: skip
        print(f"neighbours             {stable.neighbours}, their median ranks above {stable.rank:.0%} of all")
    without = [trial for trial in trials if not trial.counts]
    if best and without:
        say(f"{len(without):,} of {len(trials):,} trials gave no figure; the first: {without[0].problem}")
    say(f"{len(trials):,} trials in {folder}: report.html, trials.jsonl")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(optimize)
