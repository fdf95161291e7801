"""The entry point: `mytrading …`, `python -m mytrading …` and `python main.py …`; turns failures into exit codes.

Nothing loads at the top, and `version` never reaches typer, which loads pydantic for any command it runs.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

_INTERRUPTED = 130
"""Exit code of an interrupt as in shells: 128 and the number of SIGINT."""
_OBJECTS_BETWEEN_LOOKS = 50_000
"""Made before Python looks for cycles again: modules that load leave none, and to look took a fifth of a command."""


def run(arguments: Sequence[str] | None = None) -> None:
    """Run a command line (`sys.argv` by default) and exit the process with its code, of `cli.shell.failures`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS)
    os.umask(os.umask(0o077) | 0o022)  # nobody else writes what we make, however loose the shell is
    code: int | str | None = 0
    try:
        if given in (["version"], ["--version"]):
            from mytrading import __version__

            print(f"mytrading {__version__}")
        else:
            code = _code(given)
    except KeyboardInterrupt:  # also while modules load, where nothing else would catch it
        code = _INTERRUPTED
    except SystemExit as ending:
        code = ending.code
    except BrokenPipeError:
        _drop_output()
    except OSError as error:  # a full disk, a folder that is none, a missing permission
        code = _refused(error)
    try:
        with suppress(AttributeError, ValueError):  # there is no output, or it is closed
            sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
    except OSError as error:
        code = code or _refused(error)
    sys.exit(code)


def _code(arguments: Sequence[str]) -> int:
    from mytrading.cli.app import app_of
    from mytrading.cli.shell.failures import OK, USAGE, Failure
    from mytrading.cli.shell.output import strip_control_sequences

    strip_control_sequences()
    if refusal := misplaced_argument(arguments):
        print(f"mytrading: {refusal}", file=sys.stderr)
        return USAGE
    try:
        app_of(arguments[0] if arguments else "")(args=arguments, prog_name="mytrading")
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
    """Print what the machine refused, with the file unless it is the output; the exit code."""
    from mytrading.cli.shell.failures import ERROR

    text = error.strerror or str(error) or type(error).__name__
    if error.filename:
        text = f"{error.filename}: {text}"
    elif error.errno == errno.ENOSPC:
        text += ": free some MB where state, logs and this output go, and try again"
    else:
        text = f"cannot write the output: {text}"
    print(f"mytrading: {text}", file=sys.stderr)
    _drop_output()
    return ERROR


def _drop_output() -> None:
    """Send what is still to be flushed nowhere, instead of failing again."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def misplaced_argument(arguments: Sequence[str]) -> str:
    """Return why a stray word in an `up` command line is refused, with what to type instead; "" if it is fine."""
    if not arguments or arguments[0] != "up":
        return ""
    import shlex

    from typer.main import get_command

    from mytrading.cli.app import app

    commands: dict[str, Any] = getattr(get_command(app), "commands", {})
    options = (option for option in commands["up"].params if not getattr(option, "is_flag", False))
    with_value = {name for option in options for name in option.opts}
    before = ""
    for at, word in enumerate(arguments[1:], 1):
        if word in ("--", "--help"):
            return ""
        if word and not word.startswith("-") and before not in with_value:
            if word not in commands:
                return f"up: expected options only, found {word!r}; see `mytrading up --help`"
            return (
                f"up: expected options only, found the command {word!r}; `up` and main.py start the stack, type "
                f"`mytrading {shlex.join(arguments[at:])}`"
            )
        before = "" if before in with_value else word
    return ""


if __name__ == "__main__":
    run()
