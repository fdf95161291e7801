"""A run of chaos from beginning to end: ground, schedule, breaking, settling, verdict, report; and several in a row.

Whatever happens, the stack that was started here is stopped, and what a failed run left behind stays where the report
says.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from lab.chaos import records
from lab.chaos.alerts import NAME, AlertSource, wrong_alerts
from lab.chaos.environment import Ground, Wanted, prepare
from lab.chaos.evidence import Evidence, concerning
from lab.chaos.heartbeat_log import Beats
from lab.chaos.host_pauses import Pauses
from lab.chaos.injector import Breaker
from lab.chaos.quiescence import holding, unsettled
from lab.chaos.schedule import plan
from lab.chaos.verdict import Bounds, Verdict, judge, with_alerts
from mytrading.messages.ops import HaltCommand
from mytrading.messages.run_config import RunConfig, StopPlan
from mytrading.operations.journal_verify import verify_journals
from mytrading.orchestrator import NotRunning, StackFailed, TimedOut
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.host.paths import project_home
from mytrading.runtime.streams.ops_client import OpsRefused, OpsTimedOut, new_request_id
from mytrading.runtime.supervision import control
from mytrading.runtime.supervision.control import SupervisorFailed

Progress = Callable[[str], None]

_LOOK_S = 1.0
_SHOWN = 10
"""Findings that the report itself holds; all of them stand in findings.txt."""
_EXITS_S = 30.0
"""Once all is settled the strategies' own exits are waited for so long: one of them would be on its way at the end."""
_CALM_S = 60.0
"""Beside twice the longest window: what recovery and the reads of a loaded machine take."""


class Report(NamedTuple):
    """The result of a run: the printed body, and whether it is good. `kept` is the folder of its journals and logs."""

    body: dict[str, Any]
    good: bool
    kept: Path | None
    findings: tuple[str, ...]


def run(wanted: Wanted, minutes: float, keep: bool, progress: Progress) -> Report:
    """Make a run in `wanted.folder`, which is removed afterwards unless it failed or is to be kept."""
    wanted.folder.mkdir(parents=True, exist_ok=True)
    ground = prepare(wanted)
    acts = plan(wanted.seed, minutes * 60.0, ground.trouble)
    progress(f"seed {wanted.seed}: {len(acts)} acts in {minutes:g} min, {wanted.personality}, in {wanted.folder}")
    breaker = Breaker(ground, wanted.folder / "broken.jsonl", progress)
    pauses = Pauses(breaker.note_pause)
    alerts = AlertSource(ground.config, ground.alerted)
    problems: list[str] = []
    try:
        ground.start()
        pauses.start()
        beats = Beats(ground.config, wanted.folder / "beats.jsonl")
        alerts.start()
        breaker.run(acts, minutes * 60.0)
        alerts.stop()
        problems = _settle(ground, breaker, progress)
        beats.stop()
    except (StackFailed, TimedOut, SupervisorFailed) as error:
        problems = [f"the stack did not come up: {error}"]
    finally:
        end_ns = machine_now()
        pauses.stop()
        _stop(ground, breaker, progress)
        ground.end()
    verdict = judge(_evidence(ground, wanted.folder, end_ns), bounds_of(ground))
    verdict = with_alerts(verdict, len(alerts.answers), wrong_alerts(ground.config, alerts.answers))
    if ground.disk is not None:
        ground.disk.take_off(keep=keep or bool(problems) or not verdict.good)
    return _report(wanted, minutes, verdict, problems, keep)


def bounds_of(ground: Ground) -> Bounds:
    """Return the bounds of this run."""
    config = ground.config
    guarded = frozenset(run.name for run in config.strategies if run.stop is StopPlan.BROKER)
    guarded |= {NAME} if guarded else frozenset()
    return Bounds(
        poll=config.windows.orders_every,
        most_positions=config.risk.max_total_positions,
        guarded=guarded,
        order_value=config.risk.max_order_size,
        position_value=config.risk.max_position_size,
    )


def _settle(ground: Ground, breaker: Breaker, progress: Progress) -> list[str]:
    """Mend, stop all entries, and wait until nothing is on its way; what still is, if it does not end."""
    progress("faults are off; waiting for the stack to settle")
    windows = ground.config.windows
    given_up = breaker.mend()
    until = time.monotonic() + _CALM_S + 2 * windows.lost_after
    halted = False
    left = ["the stack did not answer"]
    flat_by = until
    while time.monotonic() < until:
        with suppress(OpsTimedOut, OpsRefused, NotRunning, StackFailed):
            if not halted:
                ground.stack.ask(HaltCommand(request_id=new_request_id(), reason="chaos is over"))
                halted = True
        breaker.decide()
        time.sleep(_LOOK_S)
        given_up += breaker.mend()
        left = unsettled(ground) if halted else left
        flat_by = min(flat_by, time.monotonic() + _EXITS_S) if not left else until
        if not left and (not holding(ground) or time.monotonic() >= flat_by):
            break
    return [*(f"gave up: {line}" for line in given_up), *(f"not settled: {line}" for line in left)]


def _stop(ground: Ground, breaker: Breaker, progress: Progress) -> None:
    breaker.close()
    try:
        ground.stack.stop(progress)
    except NotRunning:
        return
    except StackFailed as error:
        progress(f"{error}; its processes are ended")
        control.stop_programs(ground.config, control.PROGRAMS)


def _evidence(ground: Ground, folder: Path, end_ns: int) -> dict[str, Evidence]:
    """By account; the journals are verified once."""
    broken = records.read_broken(folder / "broken.jsonl")
    beats = records.read_beats(folder / "beats.jsonl")
    verified, crashes = _verified(ground.config), records.read_crashes(Path(ground.config.log_dir) / "error.log")
    found = {}
    for account, ours in records.read_ours(ground.config).items():
        broker = records.read_broker(ground.books[account])
        done = concerning(account, broken, broker.events)
        found[account] = Evidence(broker, ours, done, beats, verified, end_ns, crashes)
    return found


def _verified(config: RunConfig) -> tuple[str, ...]:
    return tuple(f"{finding.daemon}: {finding.problem}" for finding in verify_journals(config) if finding.problem)


def _report(wanted: Wanted, minutes: float, verdict: Verdict, problems: list[str], keep: bool) -> Report:
    good = verdict.good and not problems
    findings = (*problems, *verdict.findings)
    kept = None if good and not keep else wanted.folder
    body = {
        "seed": wanted.seed,
        "minutes": minutes,
        "personality": wanted.personality,
        "real_windows": wanted.real_windows,
        "stop": wanted.stop,
        "disk_mb": wanted.disk,
        "commit": _commit(),
        "must_be_zero": verdict.must_be_zero,
        **verdict.figures,
        "problems": problems,
        "findings": len(findings),
        "found": list(findings[:_SHOWN]),
        "kept": str(kept) if kept is not None else "",
    }
    if kept is not None:
        (kept / "findings.txt").write_text("\n".join(findings) + "\n", encoding="utf-8")
        (kept / "report.json").write_text(json.dumps(body, indent=2), encoding="utf-8")
    else:
        shutil.rmtree(wanted.folder, ignore_errors=True)
    return Report(body, good, kept, findings)


def _commit() -> str:
    """The commit that ran, as far as git tells."""
    with suppress(OSError, subprocess.SubprocessError):
        command = ["git", "-C", str(project_home()), "describe", "--always", "--dirty"]
        return subprocess.run(command, capture_output=True, text=True, timeout=10.0, check=False).stdout.strip()
    return ""


def new_folder(seed: int, under: Path | None) -> Path:
    """A folder for a run: below `under`, or a temporary one."""
    if under is None:
        return Path(tempfile.mkdtemp(prefix=f"mtc-{seed}-"))
    folder = under / f"seed-{seed}"
    if folder.exists():
        folder = under / f"seed-{seed}-{machine_now()}"
    return folder
