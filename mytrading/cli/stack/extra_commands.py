"""The rest: simulator, perf, bench, chaos, version."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mytrading.cli.output import (
    JSON_OPTION,
    NOT_RUNNING,
    PROFILE_OPTION,
    USAGE,
    fail,
    failures,
    print_json,
    print_rows,
    stack,
)
from mytrading.messages.runconfig import StopPlan

if TYPE_CHECKING:
    from mytrading.simulator.fault_command import Server


def simulator(context: typer.Context) -> None:
    """Serve an OpenAlgo-compatible paper exchange; see `mytrading simulator --help`, and `simulator fault --help`."""
    if context.args[:1] == ["fault"]:
        from mytrading.simulator.fault_command import fault_main

        with failures():
            raise typer.Exit(fault_main(context.args[1:], _running_simulator))
    from mytrading.simulator.__main__ import main

    sys.argv = ["mytrading simulator", *context.args]
    raise typer.Exit(main())


def _running_simulator() -> Server:
    from mytrading.orchestrator import TradingOrchestrator
    from mytrading.simulator.fault_command import Server

    found = TradingOrchestrator.find()
    config = found.config
    if not found.is_running():
        fail(NOT_RUNNING, f"the {config.profile} stack does not run; start it with `mytrading up --simulator`")
    if not config.simulator.runs:
        fail(USAGE, "the stack trades at another server: expected its own simulator; name one with --url and --api-key")
    return Server(config.venue.rest_url, config.venue.api_key)


def perf(
    operation: str = typer.Argument("", help="Only operations whose name contains this."),
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """How long operations take: count, mean, p50, p95, p99 and max in milliseconds."""
    with stack(profile) as found:
        from mytrading.runtime.metrics import read_snapshots, summarize

        report = summarize(read_snapshots(found.config.metrics_dir))
    if as_json and not operation:
        print_json(report)
        return
    measured = {name: figures for name, figures in report.items() if isinstance(figures, dict) and "p99" in figures}
    chosen = {name: figures for name, figures in sorted(measured.items()) if operation in name}
    if measured and not chosen:
        fail(USAGE, f"no operation has {operation!r} in its name; `mytrading perf` lists all")
    if as_json:
        print_json(chosen)
        return
    columns = ("operation", "count", *(f"{key}_ms" for key in _TIMES), "errors")
    print_rows([_shown(name, figures) for name, figures in chosen.items()], columns, False, "nothing measured yet")


_TIMES = ("mean", "p50", "p95", "p99", "max")


def _shown(name: str, figures: dict[str, Any]) -> dict[str, Any]:
    times = {f"{key}_ms": f"{figures[key]:.4f}" for key in _TIMES}
    return {"operation": name, "count": figures["count"], **times, "errors": figures["errors"]}


def bench(
    names: list[str] = typer.Argument(None, help="Which figures; all if none is named."),  # noqa: B008
    as_json: bool = JSON_OPTION,
) -> None:
    """Measure latency, start and memory against their goals, on this machine."""
    with failures():
        from mytrading.bench import run_bench

        raise typer.Exit(run_bench(names or [], as_json))


def chaos(
    minutes: float = typer.Option(2.0, min=0.2, help="How long it is broken, all runs together."),
    seed: int = typer.Option(1, min=0, help="Of the schedule and the market; runs after the first count on."),
    runs: int = typer.Option(1, min=1, help="How many stacks, one after the other, share the minutes."),
    as_json: bool = JSON_OPTION,
    keep: Path = typer.Option(None, help="Keep journals and logs of all runs below this folder."),  # noqa: B008
    real_windows: bool = typer.Option(False, "--real-windows", help="Windows and polls as in trading, not shortened."),
    personality: str = typer.Option("paper", help="Whom the simulator plays: paper, sandbox, live, or all in turn."),
    stop: str = typer.Option("broker", help="The stop plan of its strategies: broker, engine or none."),
    disk: int = typer.Option(0, min=0, help="State and logs on a file system of so many MB, filled up now and then."),
    report: Path = typer.Option(None, help="Write reports and their page into this folder."),  # noqa: B008
    summary: Path = typer.Option(None, help="Break nothing: add up the reports in this folder."),  # noqa: B008
) -> None:
    """Break a stack of its own, with kills and faults, and judge what became of its orders and positions."""
    expected = {"personality": (personality, ("paper", "sandbox", "live", "all")), "stop": (stop, tuple(StopPlan))}
    for name, (value, known) in expected.items():
        if value not in known:
            fail(USAGE, f"--{name}: expected {', '.join(known)}, found {value!r}")
    with failures():
        from mytrading.chaos import Asked, run_chaos, show_summary

        if summary is not None:
            raise typer.Exit(show_summary(summary, as_json))

        raise typer.Exit(
            run_chaos(Asked(minutes, seed, runs, as_json, keep, real_windows, personality, stop, report, disk))
        )


def version(as_json: bool = JSON_OPTION) -> None:
    """The version of this program."""
    from mytrading import __version__

    print_json({"version": __version__}) if as_json else print(f"mytrading {__version__}")


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    raw = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
    app.command(context_settings=raw)(simulator)
    app.command()(perf)
    app.command()(bench)
    app.command()(chaos)
    app.command()(version)
