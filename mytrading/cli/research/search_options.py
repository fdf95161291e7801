"""What `mytrading optimize` and `mytrading walk-forward` ask alike, and how they get from there to trials.

What both ask is asked here once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mytrading.cli.research.backtest import fetched
from mytrading.cli.research.run_options import RunOptions, expect
from mytrading.cli.shell.output import CONFIGURATION, ERROR, USAGE, fail, failures, say
from mytrading.cli.shell.terminal import screen_of

if TYPE_CHECKING:
    from mytrading.backtest.search.space import Space
    from mytrading.backtest.search.study import StudyPlan
    from mytrading.backtest.search.workers import Payload, Workers
    from mytrading.backtest.setup.prepare import Prepared, RunRequest

Param = Annotated[
    list[str],
    typer.Option("--param", "-p", metavar="K=LOW:HIGH:STEP", help="Or K=A,B,C, or K=V to keep it fixed; often."),
]
Objective = Annotated[str, typer.Option(help="A metric of the report, or net (rupees after costs).")]
Method = Annotated[str, typer.Option(help="grid, random, tpe or nsga.")]
Trials = Annotated[int, typer.Option(min=0, help="How many; default: the whole grid, or 100 of another method.")]
WorkersOption = Annotated[int, typer.Option("--workers", "-w", min=0, help="Processes; default: one a core.")]
On = Annotated[
    str, typer.Option("--on", metavar="ADDRESS", help="A Dask scheduler, tcp://HOST:8786; or local-cluster.")
]
MinTrades = Annotated[int, typer.Option("--min-trades", min=0, help="Fewer round trips give no figure.")]
Seed = Annotated[int, typer.Option(help="Of the sampler.")]
Report = Annotated[Path | None, typer.Option(help="Folder for report.html and trials.jsonl; default: runs/…")]


@dataclass(frozen=True, kw_only=True)
class SearchOptions(RunOptions):
    """A run over history, the sets of parameters to try on it, by what they are judged, and where."""

    param: Param
    objective: Objective = "sharpe"
    method: Method = "grid"
    trials: Trials = 0
    workers: WorkersOption = 0
    on: On = ""
    min_trades: MinTrades = 1
    seed: Seed = 1
    report: Report = None

    def check(self) -> None:
        """End the command unless objective and method are known."""
        from mytrading.backtest.search.study import METHODS
        from mytrading.backtest.search.trials import OBJECTIVES

        expect("--objective", self.objective, OBJECTIVES)
        expect("--method", self.method, METHODS)

    def plan(self, space: Space) -> StudyPlan:
        """How to search a space."""
        from mytrading.backtest.search.study import StudyPlan

        return StudyPlan(space, self.objective, self.method, self.trials, self.seed)


def prepared(given: RunRequest, params: list[str], profile: str) -> tuple[Prepared, Space, Payload]:
    """The run, the space of its parameters, and what its workers need."""
    from mytrading.backtest.search.space import SpaceError, parse, parse_legs
    from mytrading.backtest.search.workers import packed
    from mytrading.backtest.setup.prepare import AskedWrongly, prepare, source_file
    from mytrading.config.symbols import UnknownSymbol
    from mytrading.runtime.host.paths import project_home
    from mytrading.strategies.errors import StrategyError

    with failures():
        home = project_home()
        try:
            found = prepare(home, given, lambda *what: fetched(profile, *what))
            space = parse_legs(found.spec.legs, params) if found.spec.legs else parse(found.spec.strategy, params)
            return found, space, packed(found.spec, source_file(home, given.name))
        except (AskedWrongly, SpaceError, StrategyError, UnknownSymbol, ValueError) as error:
            fail(USAGE, str(error))


@contextmanager
def workers(payload: Payload, objective: str, least: int, count: int, on: str) -> Iterator[Workers]:
    """Those that were asked for."""
    from mytrading.backtest.search.workers import PayloadError, WorkersError, local, on_cluster

    try:
        opened = on_cluster(payload, objective, least, on, count) if on else local(payload, objective, least, count)
        with opened as found:
            yield found
    except (WorkersError, PayloadError) as error:
        fail(CONFIGURATION if on else ERROR, str(error))


def folder_of(report: Path | None, what: str, name: str) -> Path:
    """Where a search is kept, so that the same command goes on with it."""
    return report if report is not None else Path("runs") / f"{what}-{Path(name).stem}"


def print_notes(notes: Sequence[str]) -> None:
    """What a reader of the results has to know, as a backtest says it."""
    for note in notes:
        say(f"note: {note}")


def writable(folder: Path) -> None:
    """See that a folder takes files, before hours of work are done for it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(ERROR, f"{folder}: cannot be written: {error.strerror}; name another folder with --report")
    if not os.access(folder, os.W_OK | os.X_OK):
        fail(ERROR, f"{folder}: cannot be written: no permission; name another folder with --report")


@contextmanager
def progress(what: str, total: int, quiet: bool) -> Iterator[Callable[[int, str], None]]:
    """A bar on the terminal with a word on the best so far, if there is a terminal to look at."""
    if quiet or not sys.stderr.isatty():
        yield lambda _done, _best: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[best]}"),
    )
    with Progress(*columns, console=Console(file=screen_of(sys.stderr)), transient=True) as shown:
        task = shown.add_task(what, total=total, best="")
        yield lambda done, best: shown.update(task, completed=done, best=best)
