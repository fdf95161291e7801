"""How long the simulator's own work takes, left where the daemons leave theirs: for `mytrading perf` and the log.

A step or a request costs a microsecond more for being measured, and writing happens between them.
"""

from __future__ import annotations

import asyncio

from mytrading.messages.run_config import RunConfig
from mytrading.runtime.observability.logging import configure_for_run
from mytrading.runtime.observability.metrics import get_performance_monitor, write_performance

NAME = "simulator"
SNAPSHOT_S = 1.0
LINES_EVERY = 60
"""Snapshots from one round of log lines to the next, which makes it a minute, as with the daemons."""


class PerformanceReport:
    """Writes the snapshot each second and the log's lines each minute and at the end, unless monitoring is off."""

    def __init__(self, config: RunConfig) -> None:
        self._path = config.metrics_dir / f"{NAME}.json"
        self._wanted = config.process.monitoring
        self._monitor = get_performance_monitor()
        configure_for_run(NAME, config)

    async def run(self) -> None:
        """Write until cancelled."""
        rounds = 0
        while True:
            await asyncio.sleep(SNAPSHOT_S)
            rounds += 1
            if self._wanted:
                self._monitor.write_snapshot(self._path)
                if rounds % LINES_EVERY == 0:
                    write_performance(NAME, self._monitor)

    def close(self) -> None:
        """The last lines, which are the whole run."""
        if self._wanted:
            write_performance(NAME, self._monitor)
