"""The shipped examples say what they are for and what they made, and the first one of README does not ruin anyone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mytrading.backtest.results.output import summary
from mytrading.backtest.run import run
from mytrading.backtest.setup.prepare import RunRequest, prepare
from tests.kit.example_results import FOLDER, SAMPLE, sample_line
from tests.kit.readme_strategy import follow_readme


@pytest.mark.parametrize("file", sorted(path.name for path in FOLDER.glob("*.toml")))
def test_file_says_what_it_is_for_and_what_the_sample_makes_of_it(file: str) -> None:
    text = (FOLDER / file).read_text(encoding="utf-8")
    name = re.search(r'^name = "(\w+)"', text, re.MULTILINE)
    assert name is not None
    assert re.search(r"^# For \w.*\.$", text, re.MULTILINE)
    assert sample_line(name[1]) in text.splitlines(), "run: python -m tests.kit.example_results"


def test_first_strategy_of_the_readme_trades_what_its_file_names_and_keeps_its_capital(tmp_path: Path) -> None:
    follow_readme(tmp_path / "home")
    prepared = prepare(tmp_path / "home", RunRequest("Breakout", (f"NIFTY={SAMPLE}",), options=("model",)))
    result = run(prepared.spec)
    body = summary(result)
    days = body["metrics"]["days"]
    assert 0 < body["trades"] <= days, "once a day at most"
    assert all(re.search(r"\d+CE$", fill.instrument) for fill in result.ledger.fills)
    assert not [note for note in prepared.notes if "in place of" in note]
    assert body["pnl"]["net"] > -0.02 * body["capital"]
    assert [stop["text"] for stop in body["stops"]] == ["broker, 30 % of premium: stop_loss_percent of the strategy"]
