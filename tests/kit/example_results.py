"""Writes what each shipped strategy makes of the shipped sample into its file of `config/strategies`.

`python -m tests.kit.example_results` in the project folder brings all of them up to date.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mytrading.backtest.results.output import summary
from mytrading.backtest.run import run
from mytrading.backtest.setup.prepare import RunRequest, prepare
from tests.kit.project import ROOT

SAMPLE = ROOT / "tests" / "data" / "index-1m.csv.gz"
FOLDER = ROOT / "config" / "strategies"
_LINE = re.compile(r"^# Sample: .*$", re.MULTILINE)


def sample_line(name: str) -> str:
    """The line of a strategy: what `mytrading backtest NAME --data NIFTY=SAMPLE --options model` ends with."""
    body = summary(run(prepare(ROOT, RunRequest(name, (f"NIFTY={SAMPLE}",), options=("model",))).spec))
    return f"# Sample: {describe(body)}"


def describe(body: dict[str, Any]) -> str:
    """A result in one sentence."""
    days = f"NIFTY, {body['from']} to {body['to']}, options modelled, ₹{body['capital'] / 1e5:g} lakh"
    if not body["trades"]:
        return f"{days}: no trade."
    money = f"₹{body['pnl']['net']:,.0f} after costs of ₹{body['costs']:,.0f}".replace("₹-", "−₹")
    return f"{days}: {body['trades']} trades, {money}."


def with_line(text: str, line: str) -> str:
    """The text of a strategy's file with its line written again."""
    return _LINE.sub(line, text, count=1)


def main() -> None:
    """Write the line of every file."""
    for path in sorted(FOLDER.glob("*.toml")):
        text = path.read_text(encoding="utf-8")
        name = re.search(r'^name = "(\w+)"', text, re.MULTILINE)
        assert name is not None, path
        Path(path).write_text(with_line(text, sample_line(name[1])), encoding="utf-8")


if __name__ == "__main__":
    main()
