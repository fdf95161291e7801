"""`mytrading check`: what can be wrong with a strategy that its backtest does not show.

The one rule: it exits 1 when something that must hold does not, and says where.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mytrading.cli.backtest import day, expect, prepare_run, read_parameters
from mytrading.cli.output import ERROR, JSON_OPTION, PROFILE_OPTION, USAGE, fail, failures, print_json, say

if TYPE_CHECKING:
    from mytrading.backtest.check.examine import Examined
    from mytrading.backtest.setup import Prepared


def check(
    name: str = typer.Argument(..., help="A strategy of `strategies/`, or a file that holds one."),
    data: list[str] = typer.Option(  # noqa: B008
        ..., "--data", "-d", help="A .csv, .csv.gz, .parquet or .duckdb file, or `openalgo`; or INSTRUMENT=FILE, often."
    ),
    first: str = typer.Option("", "--from", metavar="DAY", help="The first day, say 2024-01-01."),
    last: str = typer.Option("", "--to", metavar="DAY", help="The last day, included."),
    instrument: str = typer.Option("", "--instrument", "-i", help="What the data is of, and what is watched."),
    timeframe: str = typer.Option("", "--timeframe", "-t", help="Of the bars it sees; default: as it trades."),
    capital: float = typer.Option(1_000_000.0, min=1.0, help="Rupees at the start."),
    lots: int = typer.Option(0, min=0, help="Lots an entry; default: as the strategy trades."),
    costs: str = typer.Option("india", help="none, or india: brokerage, taxes and charges of the day."),
    slippage_ticks: float = typer.Option(0.0, "--slippage-ticks", min=0.0, help="Ticks that a market order pays."),
    product: str = typer.Option("", help="MIS, NRML or CNC; default: as the strategy trades."),
    stop: str = typer.Option("", help="Who holds stops: broker, engine or none; default: as the strategy trades."),
    session: str = typer.Option("auto", help="exchange: its hours; data: all; auto: all if most bars lie outside."),
    risk: str = typer.Option("capital", help="capital: no limits in rupees but the capital; config: as they trade."),
    param: list[str] = typer.Option([], "--param", "-p", metavar="K=V", help="A parameter of the strategy; often."),  # noqa: B008
    only: list[str] = typer.Option([], "--only", metavar="CHECK", help="Make this check alone; often."),  # noqa: B008
    budget_us: float = typer.Option(
        500.0, "--budget-us", min=1.0, envvar="CHECK_BUDGET_US", help="Microseconds a call of on_data may take (p99)."
    ),
    report: Path | None = typer.Option(None, help="Write report.html here."),  # noqa: B008
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Look for what a backtest hides: look-ahead, memory of the past, chance, restarts, slowness, idle parameters."""
    from mytrading.backtest.check.examine import CHECKS
    from mytrading.backtest.setup import Asked

    expect("--costs", costs, ("none", "india"))
    expect("--risk", risk, ("capital", "config"))
    expect("--session", session, ("auto", "exchange", "data"))
    expect("--stop", stop or "none", ("broker", "engine", "none"))
    for one in only:
        expect("--only", one, CHECKS)
    asked = Asked(
        name, tuple(data), day("--from", first), day("--to", last), instrument, timeframe, capital, lots, costs,
        slippage_ticks, product=product, risk=risk, parameters=read_parameters(param), session=session, stop=stop,
    )  # fmt: skip
    prepared = prepare_run(asked, profile)
    found = _examine(prepared, name, tuple(only) or CHECKS, budget_us, as_json)
    if report is not None:
        _write(found, prepared, report)
    _show(found, prepared, report, as_json)
    if not found.holds:
        raise typer.Exit(ERROR)


def _examine(prepared: Prepared, name: str, only: tuple[str, ...], budget_us: float, quiet: bool) -> Examined:
    from mytrading.backtest.check.elsewhere import Elsewhere
    from mytrading.backtest.check.examine import Asked, examine
    from mytrading.backtest.columns import DataError
    from mytrading.backtest.setup import strategy_file
    from mytrading.runtime.places import project_home

    with failures():
        file = strategy_file(project_home(), name)
        try:
            with Elsewhere() as elsewhere, _progress(len(only), quiet) as told:
                return examine(prepared.spec, Asked(file, only, budget_us), elsewhere, told)
        except DataError as error:
            fail(USAGE, str(error))


@contextmanager
def _progress(checks: int, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A bar on the terminal with the check at work, if there is one to look at."""
    if quiet or not sys.stderr.isatty():
        yield lambda _check: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("checks", total=checks)
        yield lambda name: shown.update(task, advance=1, description=name)


def _write(found: Examined, prepared: Prepared, folder: Path) -> None:
    from mytrading.backtest.check.page import write_report

    try:
        write_report(found, prepared.notes, folder / "report.html")
    except OSError as error:
        fail(ERROR, f"--report {folder}: cannot be written: {error.strerror}")


def _show(found: Examined, prepared: Prepared, report: Path | None, as_json: bool) -> None:
    from mytrading.backtest.check.examine import body
    from mytrading.backtest.check.page import figures_of, word_of

    if as_json:
        notes = list(prepared.notes)
        print_json({**body(found), "notes": notes, "report": str(report / "report.html") if report else None})
        return
    for outcome in found.outcomes:
        print(f"{outcome.check:<12}{word_of(outcome):<12}{outcome.skipped or figures_of(outcome)}".rstrip())
        for finding in outcome.findings:
            where = f"{finding.where}: " if finding.where else ""
            print(f"  {'!' if finding.must else '·'} {where}{finding.what}")
            if finding.cure:
                print(f"    → {finding.cure}")
    for note in prepared.notes:
        say(f"note: {note}")
    if report is not None:
        say(f"written to {report}: report.html")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(check)
