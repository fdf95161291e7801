"""Runs over history that pages asked for: one at a time, as processes of the lowest priority, with progress and an end.

Each is a command of the shell (`mytrading backtest …`) whose report lies below `runs`. A run that is under way when the
console ends is ended too; what it wrote stays.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from mytrading.daemons.console.shell_commands import shell_environment, shell_words
from mytrading.messages.console_api import ResearchJob
from mytrading.messages.run_config import RunConfig
from mytrading.messages.text import plain

KEPT, MOST_WAITING = 50, 20
ENDS_S = 5.0
_SHARE = re.compile(r"\((\d+)%\)")
_LAST = 300


@dataclass
class _Run:
    """A run: what was asked, and how far it is. Changed under the queue's lock alone."""

    job: ResearchJob
    words: tuple[str, ...]
    process: subprocess.Popen[str] | None = field(default=None, repr=False)


class ResearchQueue:
    """The runs of this process, the oldest first; a thread works them off while there are any."""

    def __init__(self, config: RunConfig, wall_ms: Callable[[], int]) -> None:
        self._config, self._wall_ms = config, wall_ms
        self._lock = threading.Condition()
        self._runs: dict[str, _Run] = {}
        self._thread: threading.Thread | None = None
        self._stops = False

    def add(self, job: ResearchJob, words: tuple[str, ...]) -> bool:
        """Queue a run of `mytrading WORDS`; false if too many wait. A job of an id that is known is that one."""
        with self._lock:
            if job.id in self._runs:
                return True
            if self._stops or sum(one.job.state == "waiting" for one in self._runs.values()) >= MOST_WAITING:
                return False
            self._runs[job.id] = _Run(job, words)
            for name in [name for name, one in self._runs.items() if one.job.ended_wall_ms is not None][:-KEPT]:
                del self._runs[name]
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="console.research", daemon=True)
                self._thread.start()
            self._lock.notify_all()
            return True

    def jobs(self) -> list[ResearchJob]:
        """Return all runs, the newest first."""
        with self._lock:
            return [replace(one.job) for one in self._runs.values()][::-1]

    def cancel(self, name: str) -> bool:
        """End a run, or take it out of the queue; false if there is none that waits or runs."""
        with self._lock:
            run = self._runs.get(name)
            if run is None or run.job.ended_wall_ms is not None:
                return False
            self._note(run, state="cancelled", ended_wall_ms=self._wall_ms())
            process = run.process
        if process is not None:
            _end(process)
        return True

    def stop(self) -> None:
        """End what runs, and take no more."""
        with self._lock:
            self._stops = True
            names = [name for name, one in self._runs.items() if one.job.ended_wall_ms is None]
            self._lock.notify_all()
        for name in names:
            self.cancel(name)
        if self._thread is not None:
            self._thread.join(ENDS_S)

    def _note(self, run: _Run, **fields: object) -> None:
        for name, value in fields.items():
            setattr(run.job, name, value)

    def _work(self) -> None:
        while True:
            with self._lock:
                while not self._stops and (run := self._next()) is None:
                    self._lock.wait()
                if self._stops:
                    return
                assert run is not None
                self._note(run, state="running", began_wall_ms=self._wall_ms())
            self._run(run)

    def _next(self) -> _Run | None:
        return next((one for one in self._runs.values() if one.job.state == "waiting"), None)

    def _run(self, run: _Run) -> None:
        try:
            process = subprocess.Popen(
                shell_words(*run.words, priority="19", bound=True), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                stdin=subprocess.DEVNULL, cwd=self._config.home, env=shell_environment(self._config), text=True,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            with self._lock:
                self._note(run, state="failed", error=str(error), ended_wall_ms=self._wall_ms())
            return
        with self._lock:
            run.process = process
            unwanted = run.job.state == "cancelled"
        if unwanted:
            _end(process)
        last = ""
        assert process.stderr is not None
        for line in process.stderr:
            if not (text := plain(line).strip()):
                continue
            last = text[:_LAST]
            found = _SHARE.search(last)
            with self._lock:
                self._note(run, progress=last, **({"share": int(found[1]) / 100} if found else {}))
        code = process.wait()
        written = (Path(self._config.home) / "runs" / run.job.report / "report.json").exists()
        with self._lock:
            run.process = None
            if run.job.state == "cancelled":
                return
            failed = code != 0 and not written
            self._note(
                run,
                state="failed" if failed else "done",
                share=run.job.share if failed else 1.0,
                error=last.removeprefix("mytrading: ") if code else "",
                has_report=written,
                ended_wall_ms=self._wall_ms(),
            )


def _end(process: subprocess.Popen[str]) -> None:
    """End a process and its workers."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    until = time.monotonic() + ENDS_S
    while process.poll() is None and time.monotonic() < until:
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
