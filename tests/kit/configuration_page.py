"""Writes `env_template.txt` and the tables of `docs/configuration.md` from the settings and the table of variables.

`python -m tests.kit.configuration_page` in the project folder brings both up to date.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from mytrading.config.sections import REMOVED_KEYS, RENAMED, SECTIONS, STRATEGY_PATH, UNUSED, VARIABLES, Variable
from mytrading.config.settings import format_value
from mytrading.config.strategies import StrategyConfig
from mytrading.config.validation import declarations

BEGIN, END = "<!-- written by tests.kit.configuration_page -->", "<!-- end -->"

_HEAD = """\
# Copy this file to .env and set what you want to change; a line that begins with # leaves the default in force.
# Defaults shown are the program's; config/settings.toml sets some others. `mytrading config show` prints every value
# and where it came from, docs/configuration.md says what each variable does.
# Any setting of a strategy can be set here as STRATEGY_<NAME>_<SETTING>, for example
#   STRATEGY_SMA_CROSSOVER_LOTS=2
#   STRATEGY_SMA_CROSSOVER_TRADE_LONG=NIFTY ATM CE nearest
"""
_OPEN = ("OPENALGO_API_KEY",)


def default_of(variable: Variable) -> str:
    """What counts when a variable is not set."""
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
    """What a variable means, and whether it may stand in `.env`."""
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
    rows = ["| key | default | meaning |", "| --- | --- | --- |"]
    shown = StrategyConfig(name="", parameters={})
    for name, declared in declarations(StrategyConfig).items():
        value = format_value(getattr(shown, name))
        rows.append(f"| `{name}` | {f'`{value}`' if value else ''} | {declared.note} |")
    return "\n".join(rows)


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
    """A document with its four tables, which stand between the marks, written again."""
    head, *parts = text.split(BEGIN)
    tables = (render_settings(), render_strategy(), render_besides(), render_unused())
    written = zip(tables, parts, strict=True)
    return head + "".join(f"{BEGIN}\n{table}\n{END}{part.partition(END)[2]}" for table, part in written)


def main() -> None:
    """Write both files of the project in the current folder."""
    Path("env_template.txt").write_text(render_template(), encoding="utf-8")
    document = Path("docs", "configuration.md")
    document.write_text(update_document(document.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
