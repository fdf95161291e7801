"""Failures of commands and their exit codes; the stack that a command needs, and its answer.

`--help` loads this module: what is heavy is imported where it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from mytrading.messages.ops import Query
    from mytrading.orchestrator import TradingOrchestrator

OK, ERROR, USAGE, NOT_RUNNING, CONFIGURATION, TIMED_OUT = 0, 1, 2, 3, 4, 5


class Failure(Exception):
    """A command cannot go on: what to say on stderr, and the exit code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def fail(code: int, message: str) -> NoReturn:
    """Raise `Failure`: the command prints `message` to stderr and exits with `code`."""
    raise Failure(code, message)


@contextmanager
def exit_on_errors() -> Iterator[None]:
    """End the command on an error of the stack in this `with` block: its text printed, the exit code of its kind."""
    try:
        yield
    except Failure:
        raise
    except Exception as error:
        if code := _exit_code(error):
            fail(code, str(error))
        raise


def _exit_code(error: Exception) -> int:
    """The exit code of an error of the stack; 0 of any other."""
    from mytrading.config.problems import ConfigurationError
    from mytrading.messages.run_config import RunConfigError
    from mytrading.orchestrator import NotRunning, SeveralRun, StackFailed, TimedOut
    from mytrading.runtime.host.paths import BadProfile, NoProject
    from mytrading.runtime.journal.journal import JournalDamaged, JournalOfAnotherVersion
    from mytrading.runtime.streams.ops_client import OpsRefused, OpsTimedOut
    from mytrading.runtime.supervision.control import SupervisorFailed
    from mytrading.runtime.supervision.instance_lock import AlreadyRunning

    kinds: dict[int, tuple[type[Exception], ...]] = {
        CONFIGURATION: (ConfigurationError, NoProject, RunConfigError),
        NOT_RUNNING: (NotRunning,),
        TIMED_OUT: (TimedOut, OpsTimedOut),
        USAGE: (BadProfile, OpsRefused, SeveralRun),
        ERROR: (AlreadyRunning, JournalDamaged, JournalOfAnotherVersion, StackFailed, SupervisorFailed),
    }
    return next((code for code, kind in kinds.items() if isinstance(error, kind)), OK)


@contextmanager
def exit_on_write_error(folder: Path | None) -> Iterator[None]:
    """End the command with a reason on an `OSError` while files are written to `folder`."""
    try:
        yield
    except OSError as error:
        fail(ERROR, f"{folder}: cannot be written: {error.strerror}; name another folder with --report")


@contextmanager
def find_stack(profile: str = "") -> Iterator[TradingOrchestrator]:
    """Yield the profile's running or last started stack; its errors in the `with` block end the command."""
    from mytrading.orchestrator import TradingOrchestrator

    with exit_on_errors():
        yield TradingOrchestrator.find(profile or None)


@contextmanager
def find_running_stack(profile: str) -> Iterator[TradingOrchestrator]:
    """Yield the profile's stack as `find_stack` does; ends the command if it does not run."""
    with find_stack(profile) as found:
        if not found.is_running():
            fail(NOT_RUNNING, f"the {found.config.profile} stack is not running; `{found.start_command}` starts it")
        yield found


def ask_gateway(profile: str, query: Query[Any]) -> Any:
    """Return the gateway's reply to a query, decoded; ends the command if the stack does not run."""
    with find_stack(profile) as found:
        return found.ask(query)


def project_folder() -> Path:
    """Return the project's folder; ends the command if the current folder is in no project."""
    from mytrading.runtime.host.paths import project_home

    with exit_on_errors():
        return project_home()
