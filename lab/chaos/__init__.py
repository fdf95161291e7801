"""The machine that breaks the stack, to prove that no order is doubled, none lost and no position left bare.

It starts a stack of its own on a simulator of its own, kills, stops and starves its processes, lets the simulator
misbehave, and judges by the simulator's records. It touches no process that it did not start.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple


class ChaosOptions(NamedTuple):
    """Options of the command line."""

    minutes: float
    seed: int
    runs: int = 1
    as_json: bool = False
    keep: Path | None = None
    real_windows: bool = False
    personality: str = "paper"
    stop: str = "broker"
    report: Path | None = None
    disk: int = 0


def run_chaos(options: ChaosOptions) -> int:
    """Run `options.runs` times, seed after seed; the last line is one object with `--json`. 1 if any run failed.

    SIGTERM and SIGINT end it, with 128 and the signal's number, after the stack of the run has been stopped.
    """
    from lab.chaos.campaign import new_folder, run
    from lab.chaos.disk_filler import in_own_namespace
    from lab.chaos.environment import PERSONALITIES, Wanted
    from lab.chaos.summary import summed, table, write_report
    from lab.unwind_on_signal import unwound_by_signals

    if options.disk and (problem := in_own_namespace(sys.argv[1:])):
        _progress(problem)
        return 1
    roles = PERSONALITIES[1:] if options.personality == "all" else (options.personality,)
    reports = []
    for number in range(options.runs):
        seed = options.seed + number
        folder = new_folder(seed, options.keep)
        wanted = Wanted(folder, seed, roles[number % len(roles)], options.real_windows, options.stop, disk=options.disk)
        with unwound_by_signals():
            report = run(wanted, options.minutes / options.runs, options.keep is not None, _progress)
        reports.append(report.body)
        if options.report is not None:
            write_report(report.body, options.report)
        if not report.good:
            _progress(f"seed {seed} FAILED, kept in {report.kept}; the first of {len(report.findings)} findings:")
            for line in report.findings[:10]:
                _progress(f"  {line}")
    body = summed(reports)
    body.pop("samples", None)
    print(json.dumps(body) if options.as_json else table(reports), flush=True)
    return 0 if body["good"] else 1


def show_summary(folder: Path, as_json: bool) -> int:
    """Bring the page of a folder of reports up to date and print the totals; 1 if a run failed or there is none."""
    from lab.chaos.summary import summed, table, write_page

    reports = write_page(folder)
    if not reports:
        _progress(f"{folder}: expected reports of mytrading chaos, found none; run it with --report {folder}")
        return 1
    body = summed(reports)
    print(json.dumps(body) if as_json else table(reports), flush=True)
    return 0 if body["good"] else 1


def _progress(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)
