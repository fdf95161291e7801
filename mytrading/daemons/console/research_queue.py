"""Runs over history that pages asked for: one at a time, as processes of the lowest priority, with progress and an end.

Each is a command of the shell (`mytrading backtest …`) whose report lies below `runs`. The queue is kept in a file: a
run under way when the console ends is ended too and comes back as interrupted, what waits is run after the start.
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

import msgspec
from msgspec.structs import replace

from mytrading.daemons.console.refusals import ApiRefused
from mytrading.daemons.console.research_words import research_words
from mytrading.daemons.console.shell_commands import shell_environment, shell_words
from mytrading.messages.console_api import ResearchJob
from mytrading.messages.run_config import RunConfig
from mytrading.messages.text import plain
from mytrading.runtime.host.file_versions import write_whole
from mytrading.runtime.observability.logging import get_logger

KEPT, MOST_WAITING = 50, 20
ENDS_S = 5.0
_SHARE = re.compile(r"\((\d+)%\)")
_LAST = 300


@dataclass
class _Run:
    """A run: its request and its progress. Changed under the queue's lock alone."""

    job: ResearchJob
    process: subprocess.Popen[str] | None = field(default=None, repr=False)


class ResearchQueue:
    """The runs of this console, the oldest first, kept in `path`; a thread works them off while there are any."""

    def __init__(self, config: RunConfig, path: Path, wall_ms: Callable[[], int]) -> None:
        self.config, self.path, self._wall_ms = config, path, wall_ms
        self._lock = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stops = False
        self._runs = {job.id: _Run(job) for job in _read(path)}
        for run in self._runs.values():
            if run.job.state == "running":  # the process died with its console
                run.job.state, run.job.ended_wall_ms = "interrupted", wall_ms()

    def start(self) -> None:
        """Work off what waits since before."""
        with self._lock:
            self._keep()
            if self._next() is not None:
                self._work_on()

    def add(self, job: ResearchJob) -> bool:
        """Queue a run; false if too many wait. A job of an id that is known is that one."""
        with self._lock:
            if job.id in self._runs:
                return True
            if self._stops or sum(one.job.state == "waiting" for one in self._runs.values()) >= MOST_WAITING:
                return False
            self._runs[job.id] = _Run(job)
            for name in [name for name, one in self._runs.items() if one.job.ended_wall_ms is not None][:-KEPT]:
                del self._runs[name]
            self._keep()
            self._work_on()
            return True

    def _work_on(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="console.research", daemon=True)
            self._thread.start()
        self._lock.notify_all()

    def jobs(self) -> list[ResearchJob]:
        """Return all runs, the newest first."""
        with self._lock:
            return [replace(one.job) for one in self._runs.values()][::-1]

    def cancel(self, name: str) -> bool:
        """End a run, or take it out of the queue; false if there is none that waits or runs."""
        return self._end(name, "cancelled")

    def stop(self) -> None:
        """End what runs, which is interrupted then, and take no more; what waits is kept for the next start."""
        with self._lock:
            self._stops = True
            names = [name for name, one in self._runs.items() if one.job.state == "running"]
            self._lock.notify_all()
        for name in names:
            self._end(name, "interrupted")
        if self._thread is not None:
            self._thread.join(ENDS_S)

    def _end(self, name: str, state: str) -> bool:
        with self._lock:
            run = self._runs.get(name)
            if run is None or run.job.ended_wall_ms is not None:
                return False
            self._note(run, state=state, ended_wall_ms=self._wall_ms())
            process = run.process
        if process is not None:
            _terminate(process)
        return True

    def _note(self, run: _Run, **fields: object) -> None:
        for name, value in fields.items():
            setattr(run.job, name, value)
        if "state" in fields:
            self._keep()

    def _keep(self) -> None:
        try:
            write_whole(self.path, msgspec.json.encode([one.job for one in self._runs.values()]))
        except OSError as error:  # a full disk ends no run
            get_logger("console").warning("research.not_kept", path=str(self.path), error=str(error))

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
        home = Path(self.config.home)
        try:
            words = research_words(run.job.request, home, run.job.report, self.config.profile)
            process = subprocess.Popen(
                shell_words(*words, priority="19", bound=True), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                stdin=subprocess.DEVNULL, cwd=self.config.home, env=shell_environment(self.config), text=True,
                start_new_session=True,
            )  # fmt: skip
        except (OSError, ApiRefused) as error:
            with self._lock:
                text = error.error if isinstance(error, ApiRefused) else str(error)
                self._note(run, state="failed", error=text, ended_wall_ms=self._wall_ms())
            return
        with self._lock:
            run.process = process
            unwanted = run.job.ended_wall_ms is not None
        if unwanted:
            _terminate(process)
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
        written = (home / "runs" / run.job.report / "report.json").exists()
        with self._lock:
            run.process = None
            if run.job.ended_wall_ms is not None:
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


def _read(path: Path) -> list[ResearchJob]:
    """The runs of a file; none if there is none, or another program has written it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[ResearchJob])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError) as error:
        get_logger("console").warning("research.unreadable", path=str(path), error=str(error))
        return []


def _terminate(process: subprocess.Popen[str]) -> None:
    """End a process and its workers."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    until = time.monotonic() + ENDS_S
    while process.poll() is None and time.monotonic() < until:
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
