"""`mytrading optimize`: sets of parameters tried side by side; `walk-forward`: chosen on some days, judged on later.

A search that is stopped goes on where it was when the same command is given again. The days that a walk-forward judges
on had no part in the choice.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from errno import EACCES
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from mytrading.cli.research.backtest import WRITING, prepare_run
from mytrading.cli.research.run_options import RunOptions, expand_options, require_choice
from mytrading.cli.shell.failures import CONFIGURATION, ERROR, USAGE, exit_on_write_error, fail
from mytrading.cli.shell.options import AsJson, Profile
from mytrading.cli.shell.output import print_json, print_note, print_notes, print_rows, progress_bar
from mytrading.core.time import iso_day_of
from mytrading.runtime.host.paths import project_home

if TYPE_CHECKING:
    from mytrading.backtest.search.study import StudyPlan
    from mytrading.backtest.search.trials import Trial
    from mytrading.backtest.search.walk_forward import Fold, WalkForwardStep
    from mytrading.backtest.search.workers import Payload, Workers
    from mytrading.backtest.setup.prepare import Prepared

_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class SearchOptions(RunOptions):
    """A run over history, the sets of parameters to try on it, their objective, and where they are run."""

    param: Annotated[
        list[str],
        Option("--param", "-p", metavar="K=LOW:HIGH:STEP", help="Values: a range, K=A,B,C, or K=V; repeatable."),
    ]
    objective: Annotated[str, Option(help="A metric of the report, or net (rupees after costs).")] = "sharpe"
    method: Annotated[str, Option(help="grid, random, tpe or nsga.")] = "grid"
    trials: Annotated[int, Option(min=0, help="Number of trials; default: the whole grid, else 100.")] = 0
    workers: Annotated[int, Option("--workers", "-w", min=0, help="Worker processes; default: one per core.")] = 0
    on: Annotated[
        str, Option("--on", metavar="ADDRESS", help="A Dask scheduler, tcp://HOST:8786; or local-cluster.")
    ] = ""
    min_trades: Annotated[int, Option("--min-trades", min=0, help="Fewer trades give no figure.")] = 1
    seed: Annotated[int, Option(help="Seed of the sampler.")] = 1
    report: Annotated[Path | None, Option(help="Folder of the report and trials.jsonl; default: runs/…")] = None

    def prepare_search(self, profile: str) -> tuple[Prepared, StudyPlan, Payload]:
        """Return the prepared run, the search plan and the workers' payload; a wrong option ends the command."""
        from mytrading.backtest.search.space import SpaceError, parse_leg_space, parse_space
        from mytrading.backtest.search.study import METHODS, StudyPlan
        from mytrading.backtest.search.trials import OBJECTIVES
        from mytrading.backtest.search.workers import pack_spec
        from mytrading.backtest.setup.prepare import source_file

        require_choice("--objective", self.objective, OBJECTIVES)
        require_choice("--method", self.method, METHODS)
        found = prepare_run(self.run_request(), profile)
        legs = found.spec.legs
        try:
            space = parse_leg_space(legs, self.param) if legs else parse_space(found.spec.strategy, self.param)
            plan = StudyPlan(space, self.objective, self.method, self.trials, self.seed)
            return found, plan, pack_spec(found.spec, source_file(project_home(), self.name))
        except (SpaceError, ValueError) as error:
            fail(USAGE, str(error))

    def folder(self, command: str) -> Path:
        """Return the folder of this search's trials: `--report`, else `runs/COMMAND-NAME`, found again to resume."""
        return self.report if self.report is not None else Path("runs") / f"{command}-{Path(self.name).stem}"

    @contextmanager
    def open_workers(self, payload: Payload) -> Iterator[Workers]:
        """Start worker processes, or use the Dask cluster of `--on`; they stop when the `with` block ends."""
        from mytrading.backtest.search.workers import PayloadError, WorkersError, cluster_workers, local_workers

        least, count = self.min_trades, self.workers
        try:
            with (
                cluster_workers(payload, self.objective, least, self.on, count)
                if self.on
                else local_workers(payload, self.objective, least, count)
            ) as found:
                yield found
        except (WorkersError, PayloadError) as error:
            fail(CONFIGURATION if self.on else ERROR, str(error))


# optimize
@expand_options
def optimize(
    settings: SearchOptions,
    screen: bool = Option(False, "--screen", help="Sweep all points by the strategy's `positions`, then run the best."),
    top: int = Option(20, min=1, help="With --screen: number of best points that the event engine runs."),
    fresh: bool = Option(False, "--fresh", help="Forget the trials that the folder holds."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Search a strategy's parameters; local processes, or the workers of a Dask cluster. Resumable."""
    found, plan, payload = settings.prepare_search(profile)
    folder = settings.folder("optimize")
    screened, only = None, None
    if screen:
        screened, best = _screen(found, plan, settings, top, as_json)
        plan = replace(plan, method="grid", trials=len(best))
        only = [trial.parameters for trial in best]
    done = _search(found, payload, plan, settings, folder, fresh, only, as_json)
    _end(found, plan, done, screened, folder, as_json)


def _screen(
    found: Prepared, plan: StudyPlan, settings: SearchOptions, top: int, as_json: bool
) -> tuple[list[Trial], list[Trial]]:
    from mytrading.backtest.search.screen import ScreenError, screen_all
    from mytrading.backtest.search.trials import rank_trials

    try:
        with progress_bar("screened", len(plan.space), as_json) as update:
            all_of = screen_all(found.spec, plan.space.points(), plan.objective, settings.min_trades,
                           settings.workers or os.cpu_count() or 1,
                           lambda done: None if done % 50 else update(completed=done))  # fmt: skip
    except ScreenError as error:
        fail(USAGE, str(error))
    best = rank_trials(all_of, plan.objective)[:top]
    if not best:
        problem = all_of[0].problem if all_of else "there was none"
        fail(ERROR, f"--screen: none of {len(all_of):,} sets of parameters gave a figure; the first: {problem}")
    return all_of, best


def _search(
    found: Prepared, payload: Payload, plan: StudyPlan, settings: SearchOptions, folder: Path, fresh: bool,
    points: list[dict[str, Any]] | None, as_json: bool,
) -> list[Trial]:  # fmt: skip
    from mytrading.backtest.search.study import StudyError, TrialsFile, fingerprint, known_trials, search
    from mytrading.backtest.search.trials import objective_sign, rank_trials

    record = TrialsFile(folder, fingerprint(found.spec, payload.source, plan, settings.min_trades))
    with closing(record):
        try:
            with exit_on_write_error(folder):
                before = known_trials(plan, record.read(fresh), points)
        except StudyError as error:
            fail(USAGE, str(error))
        if before:
            print_note(f"{len(before):,} trials of before are kept ({folder}); --fresh forgets them")
        best = [trial.objective for trial in rank_trials(before, plan.objective)[:1]]
        sign = objective_sign(plan.objective)
        with progress_bar("trials", plan.trial_count, as_json) as update, settings.open_workers(payload) as crew:

            def on_trial(done: int, _wanted: int, trial: Trial) -> None:
                if trial.has_value and (not best or sign * trial.objective > sign * best[0]):
                    best[:] = [trial.objective]
                update(completed=done, note=f"best {plan.objective} {best[0]:.4f}" if best else "")

            try:
                return search(plan, crew, before, record.add, on_trial, points)
            except KeyboardInterrupt:
                print_note(f"stopped; what is done is kept in {folder}: the same command goes on")
                raise


def _end(
    found: Prepared, plan: StudyPlan, trials: list[Trial], screened: list[Trial] | None, folder: Path, as_json: bool
) -> None:
    from mytrading.backtest.search.overfitting import overfitting_of
    from mytrading.backtest.search.report import SearchWorth, write_search
    from mytrading.backtest.search.trials import deflated_sharpe, rank_trials, stability_of

    best = rank_trials(trials, plan.objective)
    everything = screened if screened is not None else trials
    worth = None
    title = f"{found.spec.run.name}: {len(everything):,} sets of parameters by {plan.objective}"
    with progress_bar(WRITING, None, as_json):
        if best:
            worth = SearchWorth(
                deflated_sharpe(best[0], everything),
                stability_of(best[0], everything, plan.space, plan.objective),
                overfitting_of(everything),
            )
        write_search(folder / "report.html", title, found.notes, plan.space, everything, plan.objective, worth,
                     trials if screened is not None else None)  # fmt: skip
    if as_json:
        print_json(_body(found, plan, trials, best, screened, worth, folder))
    else:
        print_notes(found.notes)
        _print(plan, trials, best, worth, folder)
    if not best:
        problem = trials[0].problem if trials else "there was none"
        fail(ERROR, "" if as_json else f"none of {len(trials):,} trials gave a figure; the first: {problem}")


def _body(
    found: Prepared, plan: StudyPlan, trials: list[Trial], best: list[Trial], screened: list[Trial] | None, worth: Any,
    folder: Path,
) -> dict[str, Any]:  # fmt: skip
    names = ("parameters", "objective", "net", "trades", "trade_hash")
    body: dict[str, Any] = {
        "strategy": found.spec.run.name, "objective": plan.objective, "method": plan.method, "trials": len(trials),
        "without_figure": sum(not trial.has_value for trial in trials), "screened": len(screened or ()),
        "best": [{name: getattr(trial, name) for name in names} for trial in best[:_SHOWN]],
        "notes": list(found.notes), "report": str(folder / "report.html"),
    }  # fmt: skip
    if worth is not None:
        deflated, stable, over = worth
        body["overfitting"] = {
            "probability": _number(over.probability), "loss": _number(over.loss), "choices": over.choices,
            "blocks": over.blocks, "days": over.days, "trials": over.trials, "problem": over.problem,
        }  # fmt: skip
        body["deflated_sharpe"] = _number(deflated.probability)
        body["luck"] = {"sharpe_by_day": _number(deflated.luck), "best_by_day": _number(deflated.sharpe)}
        body["stability"] = {
            "neighbours": stable.neighbours, "median": _number(stable.median), "rank": _number(stable.rank)
        }  # fmt: skip
    return body


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def _print(plan: StudyPlan, trials: list[Trial], best: list[Trial], worth: Any, folder: Path) -> None:
    rows = [
        {**trial.parameters, plan.objective: round(trial.objective, 4), "net": round(trial.net), "trades": trial.trades}
        for trial in best[:_SHOWN]
    ]
    columns = tuple(dict.fromkeys((*(axis.name for axis in plan.space.axes), plan.objective, "net", "trades")))
    print_rows(rows, columns, False, "no trial gave a figure")
    if worth is not None:
        deflated, stable, over = worth
        print(f"\ndeflated Sharpe ratio  {deflated.probability:.3f}  (chance of merit after {deflated.trials:,} "
              "trials; under 0.95 is weak)")  # fmt: skip
        chance = f"{over.probability:.3f}  (of {over.choices:,} ways to halve the days; above 0.5 is overfitted)"
        print(f"overfitting            {chance if over.choices else f'–  ({over.problem})'}")
        print(f"neighbours             {stable.neighbours}, their median ranks above {stable.rank:.0%} of all")
    without = [trial for trial in trials if not trial.has_value]
    if best and without:
        print_note(f"{len(without):,} of {len(trials):,} trials gave no figure; the first: {without[0].problem}")
    print_note(f"{len(trials):,} trials in {folder}: report.html, report.json, trials.jsonl")


# walk-forward
@expand_options
def walk_forward(
    settings: SearchOptions,
    train: int = Option(60, min=1, help="Days to choose on."),
    test: int = Option(20, min=1, help="Days that the choice is then judged on."),
    anchored: bool = Option(False, "--anchored", help="Choose on all days so far, not on the last ones only."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Choose parameters on a stretch of days, judge them on the next, and again to the end of the data."""
    from mytrading.backtest.search.walk_forward import WalkError, days_with_bars, split_days

    found, plan, _ = settings.prepare_search(profile)
    try:
        stretches = split_days(days_with_bars(found.spec), train, test, anchored)
    except WalkError as error:
        fail(USAGE, str(error))
    folder = settings.folder("walk-forward")
    with exit_on_write_error(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(EACCES, "no permission")
    _end_walk(found, plan, _walk(found, settings, plan, stretches, as_json), folder, as_json)


def _walk(
    found: Prepared, settings: SearchOptions, plan: StudyPlan, stretches: list[Fold], as_json: bool
) -> list[WalkForwardStep]:
    from mytrading.backtest.search.study import search
    from mytrading.backtest.search.trials import rank_trials
    from mytrading.backtest.search.walk_forward import WalkForwardStep, restrict_to_days
    from mytrading.backtest.search.workers import pack_spec
    from mytrading.backtest.setup.prepare import source_file

    steps: list[WalkForwardStep] = []
    with progress_bar("trials", len(stretches) * plan.trial_count, as_json) as update:
        for number, fold in enumerate(stretches):

            def on_trial(ran: int, _all: int, _trial: Trial, before: int = number) -> None:
                update(completed=before * plan.trial_count + ran, note=f"fold {before + 1} of {len(stretches)}")

            spec = restrict_to_days(found.spec, fold.first, fold.split)
            payload = pack_spec(spec, source_file(project_home(), settings.name))
            with settings.open_workers(payload) as crew:
                trials = search(plan, crew, (), lambda _trial: None, on_trial)
            if best := rank_trials(trials, plan.objective):
                steps.append(_judged(found, fold, best[0]))
            else:
                problem = trials[0].problem if trials else "no trial"
                steps.append(WalkForwardStep(fold, None, (), problem=problem))
    return steps


def _judged(found: Prepared, fold: Fold, best: Trial) -> WalkForwardStep:
    """The choice, run over both stretches; only the days after it count."""
    from mytrading.backtest.results.output import daily_returns
    from mytrading.backtest.run import run
    from mytrading.backtest.search.walk_forward import WalkForwardStep, restrict_to_days

    spec = restrict_to_days(found.spec, fold.first, fold.end)
    result = run(spec.with_parameters(best.parameters))
    days, equity = result.curve.daily()
    after = days >= fold.split
    returns = daily_returns(result)[after]
    begin = float(equity[~after][-1]) if (~after).any() else spec.capital
    net = float(equity[-1]) - begin if len(equity) else 0.0
    problem = result.fault.error if result.fault is not None else ""
    return WalkForwardStep(fold, best, tuple(returns.tolist()), round(net, 2), problem)


def _end_walk(found: Prepared, plan: StudyPlan, steps: list[WalkForwardStep], folder: Path, as_json: bool) -> None:
    from mytrading.backtest.results import output
    from mytrading.backtest.search import walk_forward as walk
    from mytrading.backtest.search.report import write_walk_forward

    title = f"{found.spec.run.name}: walk-forward by {plan.objective}, {len(steps)} folds"
    with exit_on_write_error(folder):
        write_walk_forward(folder / "report.html", title, found.notes, steps, plan.objective)
    rows = [_row(step) for step in steps]
    metrics = {name: value if math.isfinite(value) else None for name, value in walk.summary(steps).items()}
    ratio, why = walk.walk_forward_efficiency(steps), walk.efficiency_problem(steps)
    if as_json:
        print_json(
            {"strategy": found.spec.run.name, "objective": plan.objective, "folds": rows, "metrics": metrics,
             "efficiency": ratio if math.isfinite(ratio) else None, "efficiency_problem": why,
             "notes": list(found.notes), "report": str(folder / "report.html")}
        )  # fmt: skip
        return
    print_notes(found.notes)
    for step in steps:
        if step.problem:
            print_note(f"{iso_day_of(step.fold.split)}: nothing judged from here: {step.problem}")
    for row in rows:
        row["parameters"] = ", ".join(f"{key}={value}" for key, value in row["parameters"].items())
        row["return"] = f"{row['return']:.2%}"
    print_rows(rows, ("judged_from", "judged_to", "parameters", "objective", "return", "net"), False, "no folds")
    table = output.metric_rows({name: metrics.get(name) for name in ("total_return", "sharpe", "max_drawdown")})
    shown_ratio = f"{ratio:.3f}" if math.isfinite(ratio) else "–"
    meaning = why or "return after the choice over that before it"
    table.append({"metric": "efficiency", "value": shown_ratio, "meaning": meaning})
    print()
    print_rows(table, output.METRIC_COLUMNS, False, "")
    print_note(f"written to {folder}: report.html, report.json")


def _row(step: WalkForwardStep) -> dict[str, Any]:
    fold, best = step.fold, step.best
    return {
        "chosen_from": iso_day_of(fold.first), "chosen_to": iso_day_of(fold.split - 1),
        "judged_from": iso_day_of(fold.split), "judged_to": iso_day_of(fold.end - 1), "days": fold.out_of_sample_days,
        "parameters": best.parameters if best is not None else {}, "objective": best.objective if best else None,
        "return": round(math.prod(1.0 + value for value in step.returns) - 1.0, 8), "net": step.net,
        "problem": step.problem,
    }  # fmt: skip
