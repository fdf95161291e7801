"""Output of all commands: JSON or a table, IST times, failures and their exit codes.

`--help` loads this module: nothing but the standard library and typer at its top.
"""

from __future__ import annotations

import json
import select
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import typer

from mytrading.cli.shell.completion import profile_names
from mytrading.cli.shell.table_layout import Column, aligned_lines, draw
from mytrading.core.time import format_ist

if TYPE_CHECKING:
    from mytrading.orchestrator import TradingOrchestrator

OK, ERROR, USAGE, NOT_RUNNING, CONFIGURATION, TIMED_OUT = 0, 1, 2, 3, 4, 5

JSON_OPTION = typer.Option(False, "--json", help="Print JSON.")
PROFILE_OPTION = typer.Option(
    "", "--profile", help="Which stack: paper, replay, default; else the one that runs.", autocompletion=profile_names
)

REQUEST_ID_OPTION = typer.Option(
    "", "--request-id", help="Your own id of this request: repeated with it, it is executed once."
)


class Failure(Exception):
    """A command cannot go on: what to say on stderr, and the exit code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def fail(code: int, message: str) -> NoReturn:
    """End the command with a message and an exit code."""
    raise Failure(code, message)


@contextmanager
def failures() -> Iterator[None]:
    """Turn what the stack raises into exit codes."""
    from mytrading.config.problems import ConfigurationError
    from mytrading.messages.run_config import RunConfigError
    from mytrading.orchestrator import NotRunning, SeveralRun, StackFailed, TimedOut
    from mytrading.runtime.host.paths import BadProfile, NoProject
    from mytrading.runtime.journal.journal import JournalDamaged, JournalOfAnotherVersion
    from mytrading.runtime.streams.ops_client import OpsRefused, OpsTimedOut
    from mytrading.runtime.supervision.control import SupervisorFailed
    from mytrading.runtime.supervision.instance_lock import AlreadyRunning

    try:
        yield
    except (ConfigurationError, NoProject, RunConfigError) as error:
        fail(CONFIGURATION, str(error))
    except NotRunning as error:
        fail(NOT_RUNNING, str(error))
    except (TimedOut, OpsTimedOut) as error:
        fail(TIMED_OUT, str(error))
    except (BadProfile, OpsRefused, SeveralRun) as error:
        fail(USAGE, str(error))
    except (AlreadyRunning, JournalDamaged, JournalOfAnotherVersion, StackFailed, SupervisorFailed) as error:
        fail(ERROR, str(error))


@contextmanager
def stack(profile: str = "") -> Iterator[TradingOrchestrator]:
    """The stack a command is about; what goes wrong with it ends the command."""
    from mytrading.orchestrator import TradingOrchestrator

    with failures():
        yield TradingOrchestrator.find(profile or None)


def request_id(given: str) -> str:
    """The id that a command line was given for its request, or a new one."""
    from mytrading.runtime.streams.ops_client import new_request_id

    return given or new_request_id()


def say(text: str) -> None:
    """A line for the operator, on stderr: programs read stdout."""
    print(text, file=sys.stderr, flush=True)


def nobody_reads(stream: TextIO) -> bool:
    """True once the reader of a pipe is gone; a file or a terminal always has one."""
    poll = select.poll()
    poll.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def print_json(body: Any) -> None:
    """One line of JSON on stdout."""
    print(json.dumps(body, ensure_ascii=False, default=str), flush=True)


def print_rows(rows: Sequence[dict[str, Any]], columns: Sequence[str], as_json: bool, nothing: str) -> None:
    """A table of the named columns, or all of it as JSON."""
    if as_json:
        print_json(list(rows))
        return
    if not rows:
        print(nothing)
        return
    _print_table([_column(name, [row.get(name) for row in rows]) for name in columns])


def _column(name: str, values: list[Any]) -> Column:
    texts = [cell(name, value).replace("\n", " ") for value in values]
    return Column(name.removesuffix("_ns"), texts, _numbers(name, values))


def _numbers(name: str, values: list[Any]) -> bool:
    """True if a column holds numbers alone."""
    there = [value for value in values if value is not None and value != ""]
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in there)
    return bool(there) and numbers and not name.endswith("_ns")


def _print_table(columns: list[Column]) -> None:
    if not sys.stdout.isatty():
        print("\n".join(aligned_lines(columns)))
        return
    from rich.console import Console

    draw(columns, Console(file=sys.stdout, markup=False, emoji=False, highlight=False))


def cell(column: str, value: Any) -> str:
    """A value as a table shows it: times of day in India for `…_ns`, two decimals for money."""
    if value is None or value == "":
        return "–"
    if column.endswith("_ns"):
        return format_ist(value)
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    return str(value)
