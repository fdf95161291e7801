"""The rest: simulator, perf, version, and the commands of `lab/` where the project folder has one."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import mytrading
from mytrading.cli.shell.failures import NOT_RUNNING, USAGE, exit_on_errors, fail, find_stack
from mytrading.cli.shell.options import AsJson, Profile
from mytrading.cli.shell.output import print_json, print_result, print_rows

if TYPE_CHECKING:
    from mytrading.simulator.faults.command import Server


def simulator(context: typer.Context) -> None:
    """Serve an OpenAlgo-compatible paper exchange; see `mytrading simulator --help`, and `simulator fault --help`."""
    if context.args[:1] == ["fault"]:
        from mytrading.simulator.faults.command import fault_main

        with exit_on_errors():
            raise typer.Exit(fault_main(context.args[1:], _running_simulator))
    from mytrading.simulator.__main__ import main

    sys.argv = ["mytrading simulator", *context.args]
    raise typer.Exit(main())


def _running_simulator() -> Server:
    from mytrading.orchestrator import TradingOrchestrator
    from mytrading.simulator.faults.command import Server

    found = TradingOrchestrator.find()
    config = found.config
    if not found.is_running():
        fail(NOT_RUNNING, f"the {config.profile} stack does not run; start it with `mytrading up --simulator`")
    if not config.simulator.runs_simulator:
        fail(USAGE, "the stack trades at another server: expected its own simulator; name one with --url and --api-key")
    return Server(config.venue.rest_url, config.venue.api_key)


def perf(
    operation: str = typer.Argument("", help="Show only operations whose name contains this text."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Durations of operations: count, mean, p50, p95, p99 and max in milliseconds."""
    with find_stack(profile) as found:
        from mytrading.runtime.observability.metrics import read_snapshots, summarize

        report = summarize(read_snapshots(found.config.metrics_dir))
    if as_json and not operation:
        return print_json(report)
    measured = {name: figures for name, figures in report.items() if isinstance(figures, dict) and "p99" in figures}
    chosen = {name: figures for name, figures in sorted(measured.items()) if operation in name}
    if measured and not chosen:
        fail(USAGE, f"no operation has {operation!r} in its name; `mytrading perf` lists all")
    if as_json:
        return print_json(chosen)
    times = ("mean", "p50", "p95", "p99", "max")
    rows = [
        {"operation": name, **figures, **{f"{key}_ms": f"{figures[key]:.4f}" for key in times}}
        for name, figures in chosen.items()
    ]
    columns = ("operation", "count", *(f"{key}_ms" for key in times), "errors")
    return print_rows(rows, columns, False, "nothing measured yet")


def version(as_json: AsJson = False) -> None:
    """The version of this program."""
    from mytrading import __version__

    print_result({"version": __version__}, as_json, f"mytrading {__version__}")


LAB = ("bench", "chaos")
GROUP = "mytrading_commands"
"""Entry points that are commands; those of `lab/` are in the metadata of every installation, their modules are not."""


def add_lab_command(app: typer.Typer, name: str) -> None:
    """Register the command `name` of `lab/` with `app`, or if there is no `lab/` one that says where to get it."""
    project = Path(mytrading.__file__).resolve().parent.parent
    if (project / "lab").is_dir():
        if str(project) not in sys.path:
            sys.path.append(str(project))
        for point in entry_points(group=GROUP, name=name):
            app.command(name)(point.load())
            return

    def missing() -> None:
        what = f"`mytrading {name}` is a tool of the repository"
        fail(USAGE, f"{what}: expected {project / 'lab'}; clone it, `make {name}`")

    missing.__doc__ = "A tool of the repository, not of this installation."
    raw = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command(name, context_settings=raw, hidden=True)(missing)
