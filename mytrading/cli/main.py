"""The entry point: `mytrading …`, `python -m mytrading …` and `python main.py …`; turns failures into exit codes.

The one rule: nothing loads at the top, and `version` never reaches typer, which loads pydantic for any command it runs.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

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
    from mytrading.cli.misplaced import misplaced
    from mytrading.cli.output import OK, USAGE, Failure
    from mytrading.cli.terminal import guard

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
    from mytrading.cli.output import ERROR

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


if __name__ == "__main__":
    run()
