"""`mytrading bench` and `mytrading chaos`: registered as entry points, so that the package does not import the lab."""

from __future__ import annotations

from pathlib import Path

import typer

from mytrading.cli.shell.failures import USAGE, exit_on_errors, fail
from mytrading.cli.shell.options import AsJson
from mytrading.messages.run_config import StopPlan


def bench(
    names: list[str] = typer.Argument(None, help="Which figures; all if none is named."),  # noqa: B008
    as_json: AsJson = False,
) -> None:
    """Measure latency, start and memory against their goals, on this machine."""
    with exit_on_errors():
        from lab.bench import run_bench

        raise typer.Exit(run_bench(names or [], as_json))


def chaos(
    minutes: float = typer.Option(2.0, min=0.2, help="How long it is broken, all runs together."),
    seed: int = typer.Option(1, min=0, help="Of the schedule and the market; runs after the first count on."),
    runs: int = typer.Option(1, min=1, help="How many stacks, one after the other, share the minutes."),
    as_json: AsJson = False,
    keep: Path = typer.Option(None, help="Keep journals and logs of all runs below this folder."),  # noqa: B008
    real_windows: bool = typer.Option(False, "--real-windows", help="Windows and polls as in trading, not shortened."),
    personality: str = typer.Option("paper", help="Behaviour of the simulator: paper, sandbox, live, or all in turn."),
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
    with exit_on_errors():
        from lab.chaos import Asked, run_chaos, show_summary

        if summary is not None:
            raise typer.Exit(show_summary(summary, as_json))

        raise typer.Exit(
            run_chaos(Asked(minutes, seed, runs, as_json, keep, real_windows, personality, stop, report, disk))
        )
