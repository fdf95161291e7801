"""Simulator processes that are forked from one that has loaded the simulator, since loading it takes far longer than
what most tests do with it.

Used by `tests.support.start_simulator`. Each run of the tests (each worker of a run side by side) has one such process,
made when the first simulator is wanted; it does nothing but fork. The one rule: what is forked is a process like any
other, with a folder, an environment and books of its own, which can be killed and stopped; that the command line starts
the same is tested with `launch_simulator`.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1


class ForkedSimulator:
    """As far as tests use it, what `subprocess.Popen` is for a started one."""

    def __init__(self, arguments: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["mytrading.simulator.__main__", __name__])
        output, errors = context.Pipe(duplex=False), context.Pipe(duplex=False)
        self._process = context.Process(
            target=_serve, args=(arguments, str(folder), dict(environment), output[1], errors[1]), daemon=True
        )
        self._process.start()
        output[1].close()
        errors[1].close()
        self.stdout = _reading(output[0])
        self.stderr = _reading(errors[0])
        self.pid = self._process.pid or 0

    def poll(self) -> int | None:
        """The exit code, minus the number of the signal that ended it; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code once it has ended; `TimeoutError` if it has not within so many seconds."""
        self._process.join(timeout)
        if (code := self._process.exitcode) is None:
            raise TimeoutError(f"simulator {self.pid} did not end within {timeout} s")
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal; to one that has ended, nothing."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it as the machine would."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """Kill it, wait for its end and give back what it held here."""
        self.kill()
        self.wait()
        self.stdout.close()
        self.stderr.close()
        self._process.close()


def _reading(end: Connection) -> IO[str]:
    """What arrives at this end of a pipe, as text."""
    stream = os.fdopen(os.dup(end.fileno()), encoding="utf-8")
    end.close()
    return stream


def _serve(
    arguments: list[str], folder: str, environment: dict[str, str], output: Connection, errors: Connection
) -> None:
    """The forked process: `python -m mytrading.simulator ARGUMENTS`, begun where the modules are there already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # a run that is killed leaves no simulators behind
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(output.fileno(), 1)
    os.dup2(errors.fileno(), 2)
    output.close()
    errors.close()
    from mytrading.simulator.__main__ import main

    sys.argv = ["mytrading.simulator", *arguments]
    sys.exit(main())
