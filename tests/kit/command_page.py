"""docs/commands.md, from the commands themselves: `python -m tests.kit.command_page` writes it, a test compares it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any

import typer.main

from mytrading.cli.app import app
from tests.kit.project import ROOT

DOCUMENT = ROOT / "docs" / "commands.md"
GROUPS = {
    "stack": ("Start, watch, stop", ("operations", "configuration")),
    "trading": ("Orders, positions, risk, brokers", ("orders", "limits", "exits", "operations")),
    "why": ("Why something happened", ("operations",)),
    "market": ("Instruments, chains, history, data, calendar", ("data", "options-backtest", "margin")),
    "legs": ("Option strategies without code", ("leg-strategies",)),
    "webhooks": ("Alerts over HTTP", ("webhooks",)),
    "console": ("The web console", ("console",)),
    "research": ("Strategies over history", ("backtest", "checks", "optimise", "parity", "strategies")),
    "accounts": ("Accounts", ("accounts",)),
    "brokers": ("Brokers", ("brokers", "accounts")),
    "doctor": ("Set-up", ("doctor",)),
    "state": ("State", ("recovery",)),
    "journal": ("Journals and streams", ("streams", "recovery")),
}
"""Folders of `mytrading/cli`, as chapters, with the pages behind them."""
HIDDEN = {"--json", "--help", "--profile", "--request-id"}
"""Options that the head of the page tells of."""
ELSEWHERE = {"simulator": "[simulator.md](simulator.md)"}
HEAD = """# Commands

Every command of `mytrading` with its options. `--help` behind any of them says the same. Tables take the width of the
terminal; in a pipe each row is one line, and `--json` prints all fields. `--profile` names the stack (paper, replay,
default); without it a command is about the one that runs. Written by `python -m tests.kit.command_page`.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the stack does not run, 4 configuration, 5 not in time.

A command that changes orders, positions, trading levels or switches takes `--request-id`: repeated with the same id,
also after a time-out or a restart of the stack, it is executed once and answered as the first time. `down` and
`strategies remove` take none: a repetition finds the work done.
"""


def leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with its words."""
    children = getattr(command, "commands", {})
    if words and (not children or command.invoke_without_command):
        yield words, command
    for name, child in sorted(children.items()):
        if not child.hidden:
            yield from leaves(child, (*words, name))


def chapter_of(command: Any) -> str:
    """The folder of a command's code."""
    module = inspect.unwrap(command.callback).__module__
    return module.split(".")[2] if module.startswith("mytrading.cli.") else "stack"


def page() -> str:
    """The whole document."""
    found: dict[str, list[str]] = {name: [] for name in GROUPS}
    for words, command in leaves(typer.main.get_command(app)):
        found[chapter_of(command)].append(section(words, command))
    text = HEAD
    for name, (title, pages) in GROUPS.items():
        more = ", ".join(f"[{page}.md]({page}.md)" for page in pages)
        text += f"\n## {title}\n\nMore: {more}.\n\n" + "\n".join(found[name])
    return text


def section(words: tuple[str, ...], command: Any) -> str:
    """One command: usage, help, and a line for each argument and option."""
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    usage = " ".join(["mytrading", *words, *(_usage(one) for one in arguments)])
    further = f" See {ELSEWHERE[words[-1]]}." if words[-1] in ELSEWHERE else ""
    lines = [f"### `{usage}`", "", " ".join((command.help or "").split()) + further, ""]
    options = [_line(one) for one in command.params if not (set(one.opts) & HIDDEN)]
    shown = [line for line in options if line]
    return "\n".join([*lines, *shown, *([""] if shown else [])])


def _usage(argument: Any) -> str:
    name = (argument.metavar or argument.name).strip("[]").upper()
    return name if argument.required else f"[{name}]"


def _line(one: Any) -> str:
    if one.param_type_name == "argument":
        name = (one.metavar or one.name).strip("[]").upper()
        return f"* `{name}`: {_text(one)}" if one.help else ""
    value = "" if one.is_flag else f" {one.metavar or one.name.upper()}"
    return f"* `{', '.join((*one.opts, *one.secondary_opts))}{value}`: {_text(one)}{_default(one)}"


def _text(one: Any) -> str:
    return " ".join((one.help or "").split()) or "…"


def _default(one: Any) -> str:
    value = one.default
    shown = isinstance(value, int | float | str) and not isinstance(value, bool) and value not in ("", 0, 0.0)
    return f" Default: {value}." if shown else ""


if __name__ == "__main__":
    DOCUMENT.write_text(page(), encoding="utf-8")
    sys.exit(0)
