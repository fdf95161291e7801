"""Of this run of the stack: when `up` wrote the run file, and which supervisor a process belongs to."""

from __future__ import annotations

import os
import time
from pathlib import Path

from mytrading.messages.run_config import RUN_FILE, RunConfig
from mytrading.runtime.host.clock import machine_now

SUPERVISOR = "SUPERVISORD_PID"
"""The pid of supervisor, in the environment of all that it starts."""


def supervisor_of_this() -> int:
    """The pid of this process's supervisor; its parent's if none started it.

    Supervisor may be dead before a process can ask for its parent, which is then another.
    """
    told = os.environ.get(SUPERVISOR, "")
    return int(told) if told.isdigit() else os.getppid()


def is_supervised() -> bool:
    """True if a supervisor started this process."""
    return os.environ.get(SUPERVISOR, "").isdigit()


def run_started_machine_ns(config: RunConfig) -> int:
    """Machine time of the run's start; 0 if the run file is gone."""
    try:
        written = Path(config.state_dir, RUN_FILE).stat().st_mtime_ns
    except OSError:
        return 0
    return machine_now() - (time.time_ns() - written)
