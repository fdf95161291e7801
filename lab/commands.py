"""`mytrading bench` and `mytrading chaos`: registered as entry points, so that the package does not import the lab."""

from __future__ import annotations

from pathlib import Path

import typer

from mytrading.cli.shell.failures import USAGE, exit_on_errors, fail
from mytrading.cli.shell.options import AsJson
from mytrading.messages.run_config import StopPlan


def bench(
    names: list[str] = typer.Argument(None, help="Names of the figures; default: all."),  # noqa: B008
    as_json: AsJson = False,
) -> None:
    """Measure latency, start and memory against their goals, on this machine."""
    with exit_on_errors():
        from lab.bench import run_bench

        raise typer.Exit(run_bench(names or [], as_json))


def chaos(
    minutes: float = typer.Option(2.0, min=0.2, help="Minutes of faults, over all runs."),
    seed: int = typer.Option(1, min=0, help="Seed of the schedule and the market; each further run adds one."),
    runs: int = typer.Option(1, min=1, help="Number of stacks that share the minutes, one after the other."),
    as_json: AsJson = False,
    keep: Path = typer.Option(None, help="Keep journals and logs of all runs below this folder."),  # noqa: B008
    real_windows: bool = typer.Option(
        False, "--real-windows", help="Use the waiting times of trading, not shortened ones."
    ),
    personality: str = typer.Option("paper", help="Behaviour of the simulator: paper, sandbox, live, or all in turn."),
    stop: str = typer.Option("broker", help="Stop plan of the strategies: broker, engine or none."),
    disk: int = typer.Option(
        0, min=0, help="Size in MB of a file system for state and logs; it is filled up at times."
    ),
    report: Path = typer.Option(None, help="Write reports and their page into this folder."),  # noqa: B008
    summary: Path = typer.Option(None, help="Sum up the reports in this folder; run nothing."),  # noqa: B008
) -> None:
    """Break a stack of its own, with kills and faults, and judge what became of its orders and positions."""
    expected = {"personality": (personality, ("paper", "sandbox", "live", "all")), "stop": (stop, tuple(StopPlan))}
    for name, (value, known) in expected.items():
        if value not in known:
            fail(USAGE, f"--{name}: expected {', '.join(known)}, found {value!r}")
    with exit_on_errors():
        from lab.chaos import ChaosOptions, run_chaos, show_summary

        if summary is not None:
            raise typer.Exit(show_summary(summary, as_json))

        raise typer.Exit(
            run_chaos(ChaosOptions(minutes, seed, runs, as_json, keep, real_windows, personality, stop, report, disk))
        )
