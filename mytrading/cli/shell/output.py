"""What commands print, and how they fail: exit codes, JSON or a table, IST times.

Used by every command. The one rule: this loads nothing but the standard library and typer, since `--help` loads it.
"""

from __future__ import annotations

import json
import select
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import typer

from mytrading.cli.complete import profile_names

if TYPE_CHECKING:
    from mytrading.orchestrator import TradingOrchestrator

OK, ERROR, USAGE, NOT_RUNNING, CONFIGURATION, TIMED_OUT = 0, 1, 2, 3, 4, 5

IST_SECONDS = 19_800
JSON_OPTION = typer.Option(False, "--json", help="Print JSON.")
PROFILE_OPTION = typer.Option(
    "", "--profile", help="Which stack: paper, replay, default; else the one that runs.", autocompletion=profile_names
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
    from mytrading.messages.runconfig import RunConfigError
    from mytrading.orchestrator import NotRunning, SeveralRun, StackFailed, TimedOut
    from mytrading.runtime.journal import JournalDamaged
    from mytrading.runtime.lock import AlreadyRunning
    from mytrading.runtime.ops import OpsRefused, OpsTimedOut
    from mytrading.runtime.places import BadProfile, NoProject
    from mytrading.runtime.supervision import SupervisorFailed

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
    except (AlreadyRunning, JournalDamaged, StackFailed, SupervisorFailed) as error:
        fail(ERROR, str(error))


@contextmanager
def stack(profile: str = "") -> Iterator[TradingOrchestrator]:
    """The stack a command is about; what goes wrong with it ends the command."""
    from mytrading.orchestrator import TradingOrchestrator

    with failures():
        yield TradingOrchestrator.find(profile or None)


def say(text: str) -> None:
    """A line for the person, never for a program: on stderr."""
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
    cells = [[cell(column, row.get(column)) for column in columns] for row in rows]
    widths = [max(len(name), *(len(row[n]) for row in cells)) for n, name in enumerate(columns)]
    print(
        "  ".join(name.removesuffix("_ns").ljust(width) for name, width in zip(columns, widths, strict=True)).rstrip()
    )
    for row in cells:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def cell(column: str, value: Any) -> str:
    """A value as a table shows it: times of day in India for `…_ns`, two decimals for money."""
    if value is None or value == "":
        return "–"
    if column.endswith("_ns"):
        return clock_time(value)
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    return str(value)


def clock_time(ns: int, pattern: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A time in India."""
    return time.strftime(pattern, time.gmtime(ns // 1_000_000_000 + IST_SECONDS))
