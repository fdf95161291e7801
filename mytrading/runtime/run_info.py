"""When this run of the stack began: the moment `up` wrote the run file, in machine time."""

from __future__ import annotations

import time
from pathlib import Path

from mytrading.messages.runconfig import RUN_FILE, RunConfig
from mytrading.runtime.clock import machine_now


def run_started_machine_ns(config: RunConfig) -> int:
    """Machine time of the run's start; 0 if the run file is gone."""
    try:
        written = Path(config.state_dir, RUN_FILE).stat().st_mtime_ns
    except OSError:
        return 0
    return machine_now() - (time.time_ns() - written)
