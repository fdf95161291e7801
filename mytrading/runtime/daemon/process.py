"""A daemon as a process: run file, logs, loop, and the exit code by which supervisor knows whether a start may help."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mytrading.messages.run_config import RunConfig, RunConfigError, decode_run_config
from mytrading.runtime.daemon.daemon import EXIT_FORKED, Daemon
from mytrading.runtime.daemon.disk_space import is_full
from mytrading.runtime.host.clock import MarketClock, machine_now
from mytrading.runtime.host.run_key import OPENERS, open_keys, take_run_key
from mytrading.runtime.journal.journal import JournalDamaged, JournalFull, JournalOfAnotherVersion, JournalUnavailable
from mytrading.runtime.observability.logging import configure_for_run, get_logger
from mytrading.runtime.recovery.journal_rebuild import JournalSetAside
from mytrading.runtime.supervision.instance_lock import AlreadyRunning

CLOCK_WAIT_NS = 30_000_000_000
EXIT_CONFIG = 78
EXIT_BROKEN = 70
EXIT_RUNNING = 75
EXIT_FULL = 74
_ENDS: tuple[tuple[type[Exception], str, int], ...] = (
    (JournalUnavailable, "journal.unavailable", EXIT_FULL),
    (JournalDamaged, "journal.damaged", EXIT_BROKEN),  # the next start moves the file aside and goes on
    (JournalSetAside, "journal.set_aside", EXIT_BROKEN),
    (JournalOfAnotherVersion, "journal.of_another_version", EXIT_CONFIG),
    (JournalFull, "journal.full", EXIT_FULL),
)
NICENESS = {"gateway": 5}
"""Daemons that give way to the path of a quote where cores are few."""
FIRST_TO_GO = {"engine": 500}
"""`oom_score_adj` of daemons that the kernel is to end first: author code may take all memory there is."""


def set_priority(name: str, score: Path = Path("/proc/self/oom_score_adj")) -> None:
    """Set this process's priority for cores and (in the file `score`) for memory, by the daemon's name."""
    os.nice(NICENESS.get(name, 0))
    if name in FIRST_TO_GO:
        with suppress(OSError):  # not every system has it
            score.write_text(str(FIRST_TO_GO[name]), encoding="ascii")


def await_clock(config: RunConfig) -> None:
    """Wait until the embedded simulator has written its market clock; `TimeoutError` after 30 s."""
    deadline = machine_now() + CLOCK_WAIT_NS
    while config.simulator.embedded and not MarketClock.load(config.clock_path).segments:
        if machine_now() > deadline:
            raise TimeoutError(f"{config.clock_path}: expected the simulator's clock within 30 s; see its log")
        time.sleep(0.01)


def end_fork() -> None:
    """Hook run in each forked copy of this process: end it, or it would decide, journal and lock as the daemon does.

    A fork by `subprocess`, which becomes another program, goes on: author code may start programs.
    """
    if sys._getframe(1).f_code is subprocess.Popen._execute_child.__code__:  # type: ignore[attr-defined]
        return
    os.write(2, b"a fork of this process was ended: use subprocess, or multiprocessing with the method spawn\n")
    os._exit(EXIT_FORKED)


def main(daemon: Callable[[RunConfig], Daemon], name: str) -> int:
    """Start a daemon as a process: `MYTRADING_RUN` names the run file. Returns the exit code."""
    sys.setswitchinterval(0.0005)
    os.register_at_fork(after_in_child=end_fork)
    set_priority(name)
    run_key = take_run_key(name)
    try:
        config = decode_run_config(Path(os.environ.get("MYTRADING_RUN", "run.msgpack")))
        config = open_keys(config, run_key) if name in OPENERS else config
    except RunConfigError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return EXIT_CONFIG
    configure_for_run(name, config)
    log = get_logger(name)
    try:
        await_clock(config)
        made = daemon(config)
        made.run_key = run_key
        return made.run()
    except AlreadyRunning as error:
        log.error("daemon.refused", problem=str(error))
        return EXIT_RUNNING
    except RunConfigError as error:
        log.critical("daemon.refused", problem=str(error))
        return EXIT_CONFIG
    except Exception as error:
        event, code = next(((event, code) for kind, event, code in _ENDS if isinstance(error, kind)), ("", EXIT_BROKEN))
        if event:
            log.critical(event, problem=str(error))
        else:
            log.critical("daemon.crashed", exc_info=error)
        return EXIT_FULL if is_full(error, config) else code
