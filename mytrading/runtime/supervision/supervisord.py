"""`python -m mytrading.runtime.supervision.supervisord FILE`: supervisor under an instance lock.

It bounds crash loops, since it alone sees every end of every program. The holder of the lock is always the stack's
supervisor, and a second one never starts a program twice.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from supervisor import loggers
from supervisor.medusa import asyncore_25 as asyncore
from supervisor.options import ProcessConfig, ServerOptions
from supervisor.process import Subprocess
from supervisor.states import ProcessStates
from supervisor.supervisord import Supervisor

from mytrading.runtime.host.run_info import SUPERVISOR
from mytrading.runtime.supervision.control import EXIT_FULL, EXITS, FULL_WAIT_S, GAVE_UP, NOT_STARTED, WINDOW_S
from mytrading.runtime.supervision.instance_lock import AlreadyRunning, InstanceLock

EXIT_RUNNING = 75
RUNNING_WAIT_S = 5.0
"""Before the next try at a lock that another process holds, which may be in a call that the kernel does not end."""
_LONGEST_WAIT_S = 0.1
_SECOND_WAIT_S = 0.25


class _Process(Subprocess):  # type: ignore[misc]
    """A program whose unexpected ends are counted: restarted at once, then ever later, after the fifth no more."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._ends: deque[float] = deque(maxlen=EXITS)
        self._not_before = 0.0

    def finish(self, pid: int, sts: int) -> None:
        """The process ended."""
        super().finish(pid, sts)
        if self.state != ProcessStates.EXITED:
            return
        now = time.monotonic()
        if self.exitstatus in (EXIT_FULL, EXIT_RUNNING):
            self._not_before = now + (FULL_WAIT_S if self.exitstatus == EXIT_FULL else RUNNING_WAIT_S)
            return
        if self.exitstatus in self.config.exitcodes:
            return
        self._ends.append(now)
        recent = sum(now - end < WINDOW_S for end in self._ends)
        self._not_before = now + (_SECOND_WAIT_S * 2 ** (recent - 2) if recent > 1 else 0.0)
        if recent == EXITS:
            self._ends.clear()
            self.change_state(ProcessStates.BACKOFF)  # the only state from which supervisor gives up
            self.give_up()
            self.config.options.logger.warn(f"{GAVE_UP}{self.config.name}: {EXITS} ends within {WINDOW_S:.0f} s")

    def record_spawnerr(self, msg: str) -> None:
        """The process could not be started; supervisor's own line does not say which."""
        super().record_spawnerr(msg)
        self.config.options.logger.warn(f"{NOT_STARTED}{self.config.name}: {msg}")

    def transition(self) -> None:
        """Supervisor's look at the process: an ended one is started again when its wait is over."""
        if self.state != ProcessStates.EXITED or time.monotonic() >= self._not_before:
            super().transition()


class _Program(ProcessConfig):  # type: ignore[misc]
    """A program of the file, run by `_Process`."""

    stdout_logfile: str | None

    def make_process(self, group: Any = None) -> _Process:
        process = _Process(self)
        process.group = group
        return process

    def make_dispatchers(self, proc: Any) -> Any:
        """The pipes of a process; one whose console cannot be written runs without, rather than not at all."""
        console = self.stdout_logfile
        try:
            if console is not None:
                Path(console).parent.mkdir(parents=True, exist_ok=True)
                Path(console).open("ab").close()
        except OSError as error:
            self.options.logger.warn(f"{self.name} runs without a console: {console}: {error.strerror}")
            self.stdout_logfile = None
        try:
            return super().make_dispatchers(proc)
        finally:
            self.stdout_logfile = console


class _Quiet:
    """Standard error of a process that must outlive the disk that it is written to."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def _keep_logging() -> None:
    """Keep supervisor alive when a log cannot be written: its handlers print errors, and rotation may raise."""
    sys.stdout, sys.stderr = _Quiet(sys.stdout), _Quiet(sys.stderr)
    rotate = loggers.RotatingFileHandler.doRollover

    def rotated(handler: Any) -> None:
        try:
            rotate(handler)
        except (OSError, ValueError):  # the file before is closed already
            with suppress(OSError):
                handler.reopen()

    loggers.Handler.handleError = lambda _handler: None
    loggers.RotatingFileHandler.doRollover = rotated


class _Options(ServerOptions):  # type: ignore[misc]
    """Supervisor sleeps up to a second between looks at its children, which makes restarts and stops that late."""

    def __init__(self) -> None:
        super().__init__()
        wait = self.poller.poll
        self.poller.poll = lambda seconds: wait(min(seconds, _LONGEST_WAIT_S))

    def processes_from_section(self, parser: Any, section: str, group_name: str, klass: Any = None) -> Any:
        kind = _Program if klass in (None, ProcessConfig) else klass
        return super().processes_from_section(parser, section, group_name, kind)


def main(conf: str) -> int:
    """Run supervisor with config file `conf` until shut down; return its exit code, 75 if another one runs."""
    lock = InstanceLock(Path(os.environ["MYTRADING_STACK_DIR"]) / "lock" / "supervisord.lock")
    try:
        lock.acquire(wait_s=1.0)  # whoever asks for the holder takes the lock for a moment
    except AlreadyRunning as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_RUNNING
    os.environ[SUPERVISOR] = str(os.getpid())
    _keep_logging()
    options = _Options()
    options.realize(["-n", "-c", conf], doc=__doc__)
    options.first, options.test = True, False
    try:
        Supervisor(options).main()
    except asyncore.ExitNow:
        pass
    finally:
        options.close_httpservers()
        options.close_logger()
        lock.release()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
