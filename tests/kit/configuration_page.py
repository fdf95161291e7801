"""Writes `env_template.txt` and the tables of settings in `docs` from the settings and the table of variables.

`python -m tests.kit.configuration_page` in the project folder brings the template and both pages up to date.
"""

from __future__ import annotations

import re
from enum import Enum
from itertools import groupby
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mytrading.config.sections import REMOVED_KEYS, RENAMED, SECTIONS, STRATEGY_PATH, UNUSED, VARIABLES, Variable
from mytrading.config.settings import format_value
from mytrading.config.strategies import StrategyConfig
from mytrading.config.validation import declarations
from mytrading.messages.run_config import BAR_TIMEFRAMES, check_timeframes
from mytrading.messages.run_settings import Setting

BEGIN, END = "<!-- written by tests.kit.configuration_page -->", "<!-- end -->"

_HEAD = """\
# Copy this file to .env and set what you want to change; a line that begins with # leaves the default in force.
# Defaults shown are the program's; config/settings.toml sets some others. `mytrading config show` prints every value
# and where it came from, docs/configuration.md says what each variable does.
# Any setting of a strategy can be set here as STRATEGY_<NAME>_<SETTING>, for example
#   STRATEGY_SMA_CROSSOVER_LOTS=2
#   STRATEGY_SMA_CROSSOVER_TRADE_LONG=NIFTY ATM CE nearest
"""
_TABLES = re.compile(r"^(risk|trade)_(?!per_trade)")
"""Keys that stand in a table of the file: `risk.max_loss` is `max_loss` under `[risk]`."""
_BOUNDS = {"ge": "from", "le": "to", "gt": "above", "lt": "below"}
_OPEN = ("OPENALGO_API_KEY",)


def default_of(variable: Variable) -> str:
    """Return the default of a variable."""
    section, _, name = variable.path.partition(".")
    if section not in SECTIONS:
        return variable.default
    return "" if variable.path == "openalgo.api_key" else format_value(getattr(SECTIONS[section](), name))


def render_template() -> str:
    """The text of `env_template.txt`."""
    parts = [_HEAD]
    for group, variables in groupby(VARIABLES.values(), key=lambda variable: variable.group):
        lines = [_template_line(variable) for variable in variables]
        parts.append(f"\n# {group}\n" + "".join(lines))
    return "".join(parts)


def _template_line(variable: Variable) -> str:
    mark = "" if variable.name in _OPEN else "# "
    note = f"#   {note_of(variable)}\n" if note_of(variable) else ""
    return f"{note}{mark}{variable.name}={default_of(variable)}\n"


def note_of(variable: Variable) -> str:
    """Return the meaning of a variable, and whether it may stand in `.env`."""
    return f"only in the environment: {variable.note}" if variable.outside else variable.note


def render_settings() -> str:
    """The settings of settings.toml with their variables, in Markdown."""
    rows = ["| key | variable | default | meaning |", "| --- | --- | --- | --- |"]
    for section, kind in SECTIONS.items():
        for name, declared in declarations(kind).items():
            names = " ".join(f"`{word}`" for word in (declared.variable, declared.alias) if word)
            value = format_value(getattr(kind(), name))
            rows.append(f"| `{section}.{name}` | {names} | {f'`{value}`' if value else ''} | {declared.note} |")
    return "\n".join(rows)


def render_strategy() -> str:
    """The settings of a strategy, in Markdown."""
    rows = ["| key | values | default | meaning |", "| --- | --- | --- | --- |"]
    shown, kinds = StrategyConfig(name="", parameters={}), get_type_hints(StrategyConfig)
    for name, declared in declarations(StrategyConfig).items():
        value = format_value(getattr(shown, name))
        key = _TABLES.sub(r"\1.", name)
        rows.append(
            f"| `{key}` | {values_of(kinds[name], declared)} | {f'`{value}`' if value else ''} | {declared.note} |"
        )
    return "\n".join(rows)


def values_of(kind: Any, declared: Setting) -> str:
    """The values that a field takes, in words: `long, short, both`, `0 or more`, `time of day`."""
    choices = [item for item in get_args(kind) if item is not type(None)]
    if get_origin(kind) is UnionType and len(choices) == 1:
        (kind,) = choices
    if kind is bool:
        return "true, false"
    if get_origin(kind) is Literal or (isinstance(kind, type) and issubclass(kind, Enum)):
        words = get_args(kind) if get_origin(kind) is Literal else [item.value for item in kind]
        return ", ".join(map(str, words))
    if kind in (int, float):
        number = "whole number" if kind is int else "number"
        return " ".join([number, *(f"{_BOUNDS[name]} {bound:g}" for name, bound in declared.bounds)])
    if declared.check is check_timeframes:
        return f"list of {', '.join(BAR_TIMEFRAMES)}"
    if kind is str:
        return "time of day, 15:10" if declared.read is not None else "text"
    return "list of texts"


def render_besides() -> str:
    """The variables that are no keys of settings.toml, in Markdown."""
    rows = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for row in VARIABLES.values():
        if row.path.partition(".")[0] not in SECTIONS:
            target = row.path.replace(STRATEGY_PATH, "strategies.")
            meaning = f"`{target}`" if target else note_of(row)
            rows.append(f"| `{row.name}` | {f'`{row.default}`' if row.default else ''} | {meaning} |")
    return "\n".join(rows)


def render_unused() -> str:
    """The variables and keys that nothing reads, with what to set instead, in Markdown."""
    rows = ["| variable or key | instead |", "| --- | --- |"]
    rows += [f"| `{name}` | set {instead} |" for name, instead in RENAMED.items()]
    rows += [f"| `{name}` | {instead} |" for name, instead in UNUSED.items()]
    rows += [f"| `{name.replace('strategy.', 'strategy: ')}` | {why} |" for name, why in REMOVED_KEYS.items()]
    return "\n".join(rows)


def update_document(text: str) -> str:
    """The page of settings with its three tables, which stand between the marks, written again."""
    return _with_tables(text, render_settings(), render_besides(), render_unused())


def update_guide(text: str) -> str:
    """The guide of strategies with the table of their keys written again."""
    return _with_tables(text, render_strategy())


def _with_tables(text: str, *tables: str) -> str:
    head, *parts = text.split(BEGIN)
    written = zip(tables, parts, strict=True)
    return head + "".join(f"{BEGIN}\n{table}\n{END}{part.partition(END)[2]}" for table, part in written)


def main() -> None:
    """Write the files of the project in the current folder."""
    Path("env_template.txt").write_text(render_template(), encoding="utf-8")
    for name, update in (("configuration.md", update_document), ("strategies.md", update_guide)):
        document = Path("docs", name)
        document.write_text(update(document.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
