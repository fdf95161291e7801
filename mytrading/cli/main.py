"""The entry point: `mytrading …`, `python -m mytrading …` and `python main.py …`; turns failures into exit codes.

Nothing loads at the top, and `version` never reaches typer, which loads pydantic for any command it runs.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any

_INTERRUPTED = 130
"""As shells have it: 128 and the number of SIGINT."""


def run(arguments: Sequence[str] | None = None) -> None:
    """Run a command line (`sys.argv` by default) and exit with its code: 0, or as in `cli.output`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    os.umask(os.umask(0o077) | 0o022)  # nobody else writes what we make, however loose the shell is
    code: int | str | None
    try:
        code = _version() if given in (["version"], ["--version"]) else _code(given)
    except KeyboardInterrupt:  # also while modules load, where nothing else would catch it
        code = _INTERRUPTED
    except SystemExit as ending:
        code = ending.code
    except BrokenPipeError:
        _write_no_more()
        code = 0
    except OSError as error:  # the machine's: a full disk, a folder that is none, a right that is lacking
        code = _refused(error)
    sys.exit(_all_said(code))


def _version() -> int:
    from mytrading import __version__

    print(f"mytrading {__version__}")
    return 0


def _all_said(code: int | str | None) -> int | str | None:
    """`code`, once what was printed is written; a success that could not be told is none."""
    try:
        with suppress(AttributeError, ValueError):  # there is no output, or it is closed
            sys.stdout.flush()
    except BrokenPipeError:
        _write_no_more()
    except OSError as error:
        refused = _refused(error)
        return code or refused
    return code


def _code(arguments: Sequence[str]) -> int:
    from mytrading.cli.app import app
    from mytrading.cli.shell.failures import OK, USAGE, Failure
    from mytrading.cli.shell.output import guard

    guard()
    if refusal := misplaced(arguments):
        print(f"mytrading: {refusal}", file=sys.stderr)
        return USAGE
    try:
        app(args=arguments, prog_name="mytrading")
        return OK
    except Failure as failure:
        if str(failure):
            print(f"mytrading: {failure}", file=sys.stderr)
        return failure.code
    except SystemExit:
        if type(sys.stdout).__name__ == "PacifyFlushWrapper":  # how click ends when nobody reads any more: no error
            return OK
        raise


def _refused(error: OSError) -> int:
    """Say what the machine refused; the exit code."""
    from mytrading.cli.shell.failures import ERROR

    print(f"mytrading: {_named(error)}", file=sys.stderr)
    _write_no_more()
    return ERROR


def _named(error: OSError) -> str:
    """What the machine refused, and about which file; what is printed has no name."""
    what = error.strerror or str(error) or type(error).__name__
    if error.filename:
        return f"{error.filename}: {what}"
    if error.errno == errno.ENOSPC:
        return f"{what}: free some MB where state, logs and this output go, and try again"
    return f"cannot write the output: {what}"


def _write_no_more() -> None:
    """What is still to be flushed at the end goes nowhere, instead of failing again."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def misplaced(arguments: Sequence[str]) -> str:
    """Why a line that begins with `up` is refused, with what to type; empty if nothing is known to be wrong."""
    if not arguments or arguments[0] != "up":
        return ""
    commands = _commands()
    at = _first_word(arguments, _with_value(commands["up"]))
    if not at:
        return ""
    word = arguments[at]
    if word not in commands:
        return f"up: expected options only, found {word!r}; see `mytrading up --help`"
    import shlex

    return (
        f"up: expected options only, found the command {word!r}; `up` and main.py start the stack, type "
        f"`mytrading {shlex.join(arguments[at:])}`"
    )


def _first_word(arguments: Sequence[str], with_value: Collection[str]) -> int:
    """Where the first word stands that is neither an option nor its value; 0 if there is none, or help is asked for."""
    before = ""
    for at, word in enumerate(arguments[1:], 1):
        if word in ("--", "--help"):
            return 0
        if word and not word.startswith("-") and before not in with_value:
            return at
        before = "" if before in with_value else word
    return 0


def _with_value(up: Any) -> frozenset[str]:
    return frozenset(name for option in up.params if not getattr(option, "is_flag", False) for name in option.opts)


def _commands() -> dict[str, Any]:
    from typer.main import get_command

    from mytrading.cli.app import app

    return dict(getattr(get_command(app), "commands", {}))


if __name__ == "__main__":
    run()
