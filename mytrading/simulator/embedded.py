"""The simulator as a program of the stack, started by supervisord.conf with options from the run file.

An orphan ends itself within a second, so that its ports are free for the simulator that a new supervisor starts.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

from mytrading.messages.run_config import RunConfig, RunConfigError, decode_run_config
from mytrading.messages.streams import ALL
from mytrading.runtime.daemon.disk_space import is_full
from mytrading.runtime.host.run_info import supervisor_of_this
from mytrading.runtime.host.run_key import take_run_key
from mytrading.runtime.streams.endpoints import endpoint_of
from mytrading.runtime.supervision.instance_lock import AlreadyRunning, InstanceLock
from mytrading.simulator.main import run
from mytrading.simulator.settings.options import BadOption, SimulatorOptions

EXIT_CONFIG = 78
EXIT_RUNNING = 75
EXIT_FULL = 74
_LOOK_SECONDS = 0.5


def simulator_options_of_run(config: RunConfig) -> SimulatorOptions:
    """Return the simulator's options for a run: a market of its own, or this stack's quotes in real time."""
    rules = config.simulator
    options = SimulatorOptions(
        api_key=config.venue.api_key,
        prints_key=False,
        rest_port=rules.rest_port,
        ws_port=rules.ws_port,
        seed=rules.seed,
        tick_seconds=rules.tick_seconds,
        state_dir=config.state,
        clock=config.clock_path,
        config_dir=Path(config.home) / "config",
        capital=rules.capital,
        personality=rules.personality,
        broker=rules.broker,
        record=rules.record,
    )
    if rules.followed:
        return replace(options, follow=endpoint_of(config, "market"), master=config.state)
    daemons = {name: endpoint_of(config, "status", name) for name in ALL}
    return replace(options, speed=rules.speed, daemons=daemons, replay=Path(rules.replay) if rules.replay else None)


def _end_when_orphaned(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    """Run the embedded simulator until stopped; returns exit code 78 for options that cannot work."""
    parent = supervisor_of_this()
    take_run_key("simulator")  # it opens keys of servers, which an exchange must not have
    os.nice(5)  # an exchange elsewhere would take no core from the stack
    try:
        config = decode_run_config(Path(os.environ["MYTRADING_RUN"]))
    except RunConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CONFIG
    try:
        lock = InstanceLock(config.lock_dir / "simulator.lock")
        lock.acquire(wait_s=6.0)
        threading.Thread(target=_end_when_orphaned, args=(parent,), daemon=True).start()
        run(simulator_options_of_run(config), config)
    except (AlreadyRunning, RunConfigError, ValueError, OSError, sqlite3.Error) as error:
        sys.stderr.write(f"{error}\n")
        if isinstance(error, AlreadyRunning):
            return EXIT_RUNNING
        if not isinstance(error, RunConfigError | BadOption) and is_full(error, config):
            return EXIT_FULL
        if not isinstance(error, RunConfigError | ValueError):
            raise
        return EXIT_CONFIG
    return 0


if __name__ == "__main__":
    sys.exit(main())
