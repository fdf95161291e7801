"""A pytest plugin: a run whose tests left processes of ours behind fails, names them and ends them.

Used by `conftest`. What a test starts inherits this run's mark in its environment, whatever pid it has and whoever its
parent became. Rule: only what carries the mark is ended, so that a stack of the person who tests is left alone.
"""

from __future__ import annotations

import os
import signal
import uuid
from pathlib import Path

import psutil
import pytest

MARK = "PYTEST_RUN_OF_MYTRADING"
"""Not `MYTRADING_…`: tests take those out of the environment of what they start."""
GRACE_S = 3.0
"""A process may be on its way out: one that lost its parent looks for it twice a second."""


def left_behind(mark: str) -> list[psutil.Process]:
    """Processes of ours that carry the mark, supervisors first, since they would start the others anew."""
    found = [process for process in psutil.process_iter() if _is_ours(process, mark)]
    return sorted(found, key=lambda process: "supervisord" not in _words(process))


def end(processes: list[psutil.Process]) -> None:
    """Kill them one by one, and see them gone."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=GRACE_S)


def _is_ours(process: psutil.Process, mark: str) -> bool:
    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        ours = any(word.startswith("mytrading.") or Path(word).name == "mytrading" for word in process.cmdline())
        return ours and process.environ().get(MARK) == mark
    except psutil.Error:
        return False


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return "gone"


def pytest_configure(config: pytest.Config) -> None:
    """Mark the run, and have SIGTERM end it as Ctrl-C does; workers of a run side by side have its mark already."""
    if not hasattr(config, "workerinput"):
        os.environ[MARK] = uuid.uuid4().hex
        signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """After the last fixture, and after the workers ended."""
    if hasattr(session.config, "workerinput"):
        return
    found = left_behind(os.environ[MARK])
    _, found = psutil.wait_procs(found, timeout=GRACE_S)
    if not found:
        return
    said = [f"left running by the tests: pid {process.pid}: {_words(process)}" for process in found]
    end(found)
    end(left_behind(os.environ[MARK]))
    session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if (reporter := session.config.pluginmanager.get_plugin("terminalreporter")) is not None:
        for line in ("", *said):
            reporter.write_line(line, red=True)
