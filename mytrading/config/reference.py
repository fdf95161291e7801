"""Writes `env_template.txt` and the tables of `docs/configuration.md` from the table of variables and the settings.

`python -m mytrading.config.reference` in the project folder brings both up to date. The one rule: nobody edits by hand
what this writes.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from mytrading.config.settings import SECTIONS, TradingSettings, show
from mytrading.config.strategies import StrategyConfig
from mytrading.config.variables import FOREIGN, VARIABLES, State, Variable, reserved_keys

BEGIN, END = "<!-- written by mytrading.config.reference -->", "<!-- end -->"

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
    """What holds when a variable is not given."""
    section, _, name = variable.path.partition(".")
    if section not in SECTIONS:
        return variable.default
    value = getattr(getattr(TradingSettings(), section), name)
    return "" if variable.path == "openalgo.api_key" else show(value)


def render_template() -> str:
    """The text of `env_template.txt`."""
    parts = [_HEAD]
    for group, variables in groupby(VARIABLES.values(), key=lambda variable: variable.group):
        lines = [_template_line(variable) for variable in variables]
        parts.append(f"\n# {group}\n" + "".join(lines))
    return "".join(parts)


def _template_line(variable: Variable) -> str:
    mark = "" if variable.name in _OPEN else "# "
    said = variable.note if variable.state is State.HONOURED else f"{variable.state}: {variable.note}"
    note = f"#   {said}\n" if said else ""
    return f"{note}{mark}{variable.name}={default_of(variable)}\n"


def render_variables() -> str:
    """The table of all variables, in Markdown."""
    rows = ["| variable | default | state | meaning |", "| --- | --- | --- | --- |"]
    for variable in VARIABLES.values():
        target = variable.path.replace("STRATEGY:", "strategies.")
        meaning = "; ".join(part for part in (f"`{target}`" if target else "", variable.note) if part)
        default = f"`{default_of(variable)}`" if default_of(variable) else ""
        rows.append(f"| `{variable.name}` | {default} | {variable.state} | {meaning} |")
    return "\n".join(rows)


def render_settings() -> str:
    """The table of settings.toml's keys and of a strategy's, in Markdown."""
    rows = ["| key | default | state |", "| --- | --- | --- |"]
    for section in SECTIONS:
        for name, value in getattr(TradingSettings(), section):
            rows.append(f"| `{section}.{name}` | `{show(value)}` | {state_of(f'{section}.{name}')} |")
    for name, field in StrategyConfig.model_fields.items():
        if name not in ("name", "parameters"):
            rows.append(f"| strategy: `{name}` | `{show(field.default)}` | {state_of(f'strategy.{name}')} |")
    return "\n".join(rows)


def state_of(key: str) -> str:
    """Whether a key of the files does something, and why not if it does nothing."""
    if why := reserved_keys().get(key):
        return f"{State.RESERVED}: {why}"
    return State.HONOURED


def render_foreign() -> str:
    """The table of other programs' variables, in Markdown."""
    rows = ["| variable | instead |", "| --- | --- |"]
    return "\n".join([*rows, *(f"| `{name}` | {instead} |" for name, instead in FOREIGN.items())])


def update_document(text: str) -> str:
    """A document with its three tables, which stand between the marks, written again."""
    head, *parts = text.split(BEGIN)
    tables = (render_settings(), render_variables(), render_foreign())
    written = zip(tables, parts, strict=True)
    return head + "".join(f"{BEGIN}\n{table}\n{END}{part.partition(END)[2]}" for table, part in written)


def main() -> None:
    """Write both files of the project in the current folder."""
    Path("env_template.txt").write_text(render_template(), encoding="utf-8")
    document = Path("docs", "configuration.md")
    document.write_text(update_document(document.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
