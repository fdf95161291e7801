"""For authors: `mytrading new-strategy` writes a working strategy, `mytrading indicators` lists what it may use."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import typer

from mytrading.cli.shell.failures import ERROR, USAGE, fail, project_folder
from mytrading.cli.shell.options import AsJson, completion
from mytrading.cli.shell.output import print_result, print_rows

_STRATEGY = '''"""{title}: say here in one line when it is long, and when it is out."""

from mytrading.strategies import Bar, BaseStrategy, Signal


class {cls}(BaseStrategy):
    """Long while the close is above its average."""

    name = "{name}"

    period: int = 20
    """Public attributes are parameters: set them under [parameters] or as STRATEGY_{upper}_PERIOD."""

    def initialize(self) -> None:
        self.add_indicator("SMA", period=self.period, name="mean")

    def on_data(self, data: Bar) -> Signal | None:
        mean = self.get_indicator_value("mean")
        if data.close > mean and self.position.is_flat:
            return self.create_signal("BUY", confidence=0.8, reason=f"close {{data.close:.2f}} above mean {{mean:.2f}}")
        if data.close < mean and self.position.is_long:
            return self.create_signal("EXIT", reason=f"close {{data.close:.2f}} below mean {{mean:.2f}}")
        return None
'''
_CONFIG = """# How {name} runs once ENABLED_STRATEGIES names it. What it watches and what it trades are two things:
# an index cannot be bought, so a long signal buys a call here. direction: long, short (SELL signals alone) or both.
# The stop rests at the broker, 25 % below the premium paid; a signal's stop_price comes first.
# docs/strategies.md has all keys.
name = "{name}"
symbols = ["NIFTY"]
timeframes = ["1m"]
direction = "long"
product = "MIS"
lots = 1
stop = "broker"
stop_loss_percent = 25

[trade]
long = "NIFTY ATM CE nearest"
short = "NIFTY ATM PE nearest"

[parameters]
period = 20
"""
_TEST = '''"""{name}, tried on closes."""

from pathlib import Path

from mytrading.runtime.host.author_files import load_file
from mytrading.strategies import BaseStrategy
from mytrading.strategies.testing import StrategyTester

FILE = Path(__file__).parents[2] / "strategies" / "{file}.py"
(STRATEGY,) = load_file(FILE, BaseStrategy).classes


def test_buys_above_the_mean_and_leaves_below():
    tester = StrategyTester(STRATEGY, period=3)
    tester.feed(10, 10, 10, 12, 9)
    assert tester.actions == [(3, "BUY"), (4, "EXIT")]
'''


def new_strategy(
    name: str = typer.Argument(..., help="Name of the strategy, such as Opening_Range."),
    with_test: bool = typer.Option(True, "--test/--no-test", help="Write a test of it, too."),
    as_json: AsJson = False,
) -> None:
    """Write a strategy that works, with its configuration and a test; then make it yours."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{1,60}", name):
        fail(USAGE, f"expected a name of letters, digits and _ that begins with a letter, found {name!r}")
    from mytrading.cli.shell.target import refuse_taken_name

    home = project_folder()
    refuse_taken_name(home, name)
    files = [str(path.relative_to(home)) for path in _write(home, name, with_test)]
    lines = [*(f"wrote {file}" for file in files), f"try it:  mytrading backtest {name} --data BARS.csv"]
    lines.append(f"run it:  ENABLED_STRATEGIES={name} mytrading up --simulator")
    if with_test:
        lines.append(f"test it: python -m pytest {files[-1]}")
    print_result({"name": name, "files": files}, as_json, *lines)


def _write(home: Path, name: str, with_test: bool) -> list[Path]:
    from mytrading.cli.shell.target import file_stem, name_words

    words, file = name_words(name), file_stem(name)
    names = {"name": name, "file": file, "title": name.replace("_", " "), "upper": name.upper()}
    names["cls"] = "".join(word.capitalize() for word in words)
    wanted = {home / f"strategies/{file}.py": _STRATEGY, home / f"config/strategies/{file}.toml": _CONFIG}
    if with_test:
        wanted[home / "tests" / "strategies" / f"test_{file}.py"] = _TEST
    if existing := [str(path.relative_to(home)) for path in wanted if path.exists()]:
        fail(ERROR, f"{', '.join(existing)} exists; nothing was written, choose another name or remove it first")
    for path, template in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(template.format(**names), encoding="utf-8")
    return list(wanted)


# indicators
@completion
def indicator_names() -> list[str]:
    """Names of the built-in indicators, for completion in the shell."""
    from mytrading.core.indicators import BUILT_IN

    return list(BUILT_IN)


def indicators(
    name: str = typer.Argument("", help="Name of an indicator, or its beginning.", autocompletion=indicator_names),
    group: str = typer.Option("", "--group", help="Group of indicators, such as momentum or volume."),
    as_json: AsJson = False,
) -> None:
    """Indicators by name, with their inputs, parameters and defaults."""
    from mytrading.core.indicators import BUILT_IN

    rows: list[dict[str, Any]] = [
        {"name": item.name, "group": item.group, "about": item.about, "inputs": list(item.inputs),
         "parameters": dict(item.parameters), "lookback": item.lookback(**item.parameters)}
        for known, item in BUILT_IN.items()
        if known.upper().startswith(name.upper()) and group.lower() in item.group.lower()
    ]  # fmt: skip
    if not rows:
        groups = ", ".join(sorted({BUILT_IN[known].group for known in BUILT_IN}))
        near = get_close_matches(name.upper(), list(BUILT_IN), 3)
        hint = f"; did you mean {', '.join(near)}?" if near else f"; groups are {groups}"
        fail(USAGE, f"no indicator begins with {name!r}" + (f" in group {group!r}" if group else "") + hint)
    columns = ("name", "group", "about", "inputs", "parameters", "lookback")
    if not as_json:
        for row in rows:
            row["parameters"] = ", ".join(f"{key}={value:g}" for key, value in row["parameters"].items())
    print_rows(rows, columns, as_json, "no indicators")
