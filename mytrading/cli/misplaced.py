"""What stands after `up` and is no option of it, and what was probably meant.

Used by `cli.main`, before typer parses: it would stop at an option of the other command and name only that. The one
rule: what `up` takes is never refused here.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from typing import Any


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
