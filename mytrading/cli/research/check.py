"""`mytrading check`: what can be wrong with a strategy that its backtest does not show.

It exits 1 when something that must hold does not, and says where.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mytrading.cli.research.backtest import prepare_run
from mytrading.cli.research.bundles import spread
from mytrading.cli.research.run_options import Parameters, RunOptions, expect, read_parameters
from mytrading.cli.shell.output import ERROR, JSON_OPTION, PROFILE_OPTION, USAGE, fail, failures, print_json, say
from mytrading.cli.shell.terminal import screen_of

if TYPE_CHECKING:
    from mytrading.backtest.checks.run_all import Examined
    from mytrading.backtest.setup.prepare import Prepared


@spread
def check(
    asked: RunOptions,
    param: Parameters = [],  # noqa: B006
    only: list[str] = typer.Option([], "--only", metavar="CHECK", help="Make this check alone; often."),  # noqa: B008
    budget_us: float = typer.Option(
        500.0, "--budget-us", min=1.0, envvar="CHECK_BUDGET_US", help="Microseconds a call of on_data may take (p99)."
    ),
    report: Path | None = typer.Option(None, help="Write report.html here."),  # noqa: B008
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Look for what a backtest hides: look-ahead, memory of the past, chance, restarts, slowness, idle parameters."""
    from mytrading.backtest.checks.run_all import CHECKS

    for one in only:
        expect("--only", one, CHECKS)
    prepared = prepare_run(asked.asked(parameters=read_parameters(param)), profile)
    found = _examine(prepared, asked.name, tuple(only) or CHECKS, budget_us, as_json)
    if report is not None:
        _write(found, prepared, report)
    _show(found, prepared, report, as_json)
    if not found.holds:
        raise typer.Exit(ERROR)


def _examine(prepared: Prepared, name: str, only: tuple[str, ...], budget_us: float, quiet: bool) -> Examined:
    from mytrading.backtest.checks.run_all import CheckRequest, examine
    from mytrading.backtest.checks.subprocess_run import Elsewhere
    from mytrading.backtest.data.columns import DataError
    from mytrading.backtest.setup.prepare import strategy_file
    from mytrading.runtime.host.paths import project_home

    with failures():
        file = strategy_file(project_home(), name)
        try:
            with Elsewhere() as elsewhere, _progress(len(only), quiet) as progress:
                return examine(prepared.spec, CheckRequest(file, only, budget_us), elsewhere, progress)
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

    with Progress(console=Console(file=screen_of(sys.stderr)), transient=True) as shown:
        task = shown.add_task("checks", total=checks)
        yield lambda name: shown.update(task, advance=1, description=name)


def _write(found: Examined, prepared: Prepared, folder: Path) -> None:
    from mytrading.backtest.checks.report import write_report

    try:
        write_report(found, prepared.notes, folder / "report.html")
    except OSError as error:
        fail(ERROR, f"--report {folder}: cannot be written: {error.strerror}")


def _show(found: Examined, prepared: Prepared, report: Path | None, as_json: bool) -> None:
    from mytrading.backtest.checks.report import figures_of, word_of
    from mytrading.backtest.checks.run_all import body

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
