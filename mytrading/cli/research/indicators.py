"""`mytrading indicators`: what `add_indicator` knows, with inputs, parameters and outputs."""

from __future__ import annotations

from typing import Any

import typer

from mytrading.cli.shell.output import JSON_OPTION, USAGE, fail, print_rows


def names(incomplete: str) -> list[str]:
    """Names for completion."""
    from mytrading.core.indicators import BUILT_IN

    return [name for name in BUILT_IN if name.lower().startswith(incomplete.lower())]


def indicators(
    name: str = typer.Argument("", help="One of them, or the beginning of its name.", autocompletion=names),
    group: str = typer.Option("", "--group", help="Only those of a group, such as momentum or volume."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Indicators by name, with their inputs, parameters and defaults."""
    from difflib import get_close_matches

    from mytrading.core.indicators import BUILT_IN

    rows = [_row(BUILT_IN[known]) for known in BUILT_IN if known.upper().startswith(name.upper())]
    rows = [row for row in rows if group.lower() in row["group"].lower()]
    if not rows:
        groups = ", ".join(sorted({BUILT_IN[known].group for known in BUILT_IN}))
        near = get_close_matches(name.upper(), list(BUILT_IN), 3)
        hint = f"; did you mean {', '.join(near)}?" if near else f"; groups are {groups}"
        fail(USAGE, f"no indicator begins with {name!r}" + (f" in group {group!r}" if group else "") + hint)
    columns = ("name", "group", "about", "inputs", "parameters", "lookback")
    shown = [{**row, "inputs": ", ".join(row["inputs"]), "parameters": _settings(row["parameters"])} for row in rows]
    print_rows(rows if as_json else shown, columns, as_json, "no indicators")


def _row(item: Any) -> dict[str, Any]:
    return {
        "name": item.name,
        "group": item.group,
        "about": item.about,
        "inputs": list(item.inputs),
        "parameters": dict(item.parameters),
        "lookback": item.lookback(**item.parameters),
    }


def _settings(parameters: dict[str, float]) -> str:
    return ", ".join(f"{name}={value:g}" for name, value in parameters.items())


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(indicators)
