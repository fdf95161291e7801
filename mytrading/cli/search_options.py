"""What `mytrading optimize` and `mytrading walk-forward` ask alike, and how they get from there to trials.

The one rule: an option that `mytrading backtest` has too is called the same and means the same.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mytrading.cli.backtest import day, expect, fetched
from mytrading.cli.output import CONFIGURATION, ERROR, USAGE, fail, failures

if TYPE_CHECKING:
    from mytrading.backtest.search.payload import Payload
    from mytrading.backtest.search.space import Space
    from mytrading.backtest.search.workers import Workers
    from mytrading.backtest.setup import Asked, Prepared

Name = Annotated[str, typer.Argument(help="A strategy of `strategies/`, or a file that holds one.")]
Data = Annotated[
    list[str], typer.Option("--data", "-d", help="A .csv, .parquet or .duckdb file, or `openalgo`; or INSTRUMENT=FILE.")
]
Param = Annotated[
    list[str],
    typer.Option("--param", "-p", metavar="K=LOW:HIGH:STEP", help="Or K=A,B,C, or K=V to keep it fixed; often."),
]
First = Annotated[str, typer.Option("--from", metavar="DAY", help="The first day, say 2024-01-01.")]
Last = Annotated[str, typer.Option("--to", metavar="DAY", help="The last day, included.")]
InstrumentOption = Annotated[str, typer.Option("--instrument", "-i", help="What the data is of, and what is watched.")]
Timeframe = Annotated[str, typer.Option("--timeframe", "-t", help="Of the bars it sees; default: as it trades.")]
Capital = Annotated[float, typer.Option(min=1.0, help="Rupees at the start.")]
Lots = Annotated[int, typer.Option(min=0, help="Lots an entry; default: as the strategy trades.")]
Costs = Annotated[str, typer.Option(help="none, or india: brokerage, taxes and charges of the day.")]
Ticks = Annotated[float, typer.Option("--slippage-ticks", min=0.0, help="Ticks that a market order pays.")]
ProductOption = Annotated[str, typer.Option("--product", help="MIS, NRML or CNC; default: as the strategy trades.")]
Stop = Annotated[str, typer.Option(help="Who holds stops: broker, engine or none; default: as the strategy trades.")]
SessionOption = Annotated[str, typer.Option("--session", help="exchange: its hours; data: all; auto: by the data.")]
Risk = Annotated[str, typer.Option(help="capital: no limits in rupees but the capital; config: as they trade.")]
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
Fresh = Annotated[bool, typer.Option("--fresh", help="Forget the trials that the folder holds.")]


def asked(
    name: str, data: list[str], first: str, last: str, instrument: str, timeframe: str, capital: float, lots: int,
    costs: str, ticks: float, product: str, stop: str, session: str, risk: str,
) -> Asked:  # fmt: skip
    """The options as a backtest takes them."""
    from mytrading.backtest.setup import Asked

    expect("--costs", costs, ("none", "india"))
    expect("--risk", risk, ("capital", "config"))
    expect("--session", session, ("auto", "exchange", "data"))
    expect("--stop", stop or "none", ("broker", "engine", "none"))
    return Asked(
        name, tuple(data), day("--from", first), day("--to", last), instrument, timeframe, capital, lots, costs,
        slippage_ticks=ticks, product=product, risk=risk, session=session, stop=stop,
    )  # fmt: skip


def prepared(given: Asked, params: list[str], profile: str) -> tuple[Prepared, Space, Payload]:
    """The run, the space of its parameters, and what its workers need."""
    from mytrading.backtest.search.payload import packed
    from mytrading.backtest.search.space import SpaceError, parse
    from mytrading.backtest.setup import AskedWrongly, prepare, strategy_file
    from mytrading.config.symbols import UnknownSymbol
    from mytrading.runtime.places import project_home
    from mytrading.strategies.errors import StrategyError

    with failures():
        home = project_home()
        try:
            found = prepare(home, given, lambda *what: fetched(profile, *what))
            space = parse(found.spec.strategy, params)
            return found, space, packed(found.spec, strategy_file(home, given.name))
        except (AskedWrongly, SpaceError, StrategyError, UnknownSymbol, ValueError) as error:
            fail(USAGE, str(error))


@contextmanager
def workers(payload: Payload, objective: str, least: int, count: int, on: str) -> Iterator[Workers]:
    """Those that were asked for."""
    from mytrading.backtest.search.payload import PayloadError
    from mytrading.backtest.search.workers import WorkersError, local, on_cluster

    try:
        opened = on_cluster(payload, objective, least, on, count) if on else local(payload, objective, least, count)
        with opened as found:
            yield found
    except (WorkersError, PayloadError) as error:
        fail(CONFIGURATION if on else ERROR, str(error))


def folder_of(report: Path | None, what: str, name: str) -> Path:
    """Where a search is kept, so that the same command goes on with it."""
    return report if report is not None else Path("runs") / f"{what}-{Path(name).stem}"


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
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=total, best="")
        yield lambda done, best: shown.update(task, completed=done, best=best)
