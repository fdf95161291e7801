"""Trying what strategies say of their parameters before a start, in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from mytrading.cli.stack.strategy_trial import try_strategies
from mytrading.messages.enums import Side
from mytrading.messages.run_config import Direction, StrategyRun, TradeKind, TradeRule

HEAD = "from mytrading.strategies import BaseStrategy, StrategyError\nprint('a word of the author')\n"


def tried(folder: Path, patience_s: float = 120.0, **bodies: str) -> list[str]:
    """Return the refusals of strategies whose `initialize` has these bodies."""
    for name, body in bodies.items():
        text = f"class {name}(BaseStrategy):\n    fast: int = 5\n    def initialize(self):\n        {body}\n"
        (folder / f"{name.lower()}.py").write_text(HEAD + text, encoding="utf-8")
    runs = [
        StrategyRun(
            name=name, file=f"{name.lower()}.py", symbols=("NSE:SBIN",), timeframes=("1m",), direction=Direction.BOTH,
            long=TradeRule(kind=TradeKind.SAME, side=Side.BUY), short=None, parameters={"fast": 60},
        )
        for name in bodies
    ]  # fmt: skip
    return [str(item) for item in try_strategies(folder, runs, patience_s)]


def test_strategy_that_refuses_its_parameters_is_reported_with_file_and_line(tmp_path: Path) -> None:
    found = tried(
        tmp_path,
        Good="self.add_indicator('SMA', period=self.fast)",
        Bad="if self.fast > 50: raise StrategyError(f'fast {self.fast} must be below 50')",
    )
    (text,) = found
    assert text.startswith("Bad cannot run: ") and "bad.py:6: fast 60 must be below 50" in text


@pytest.mark.parametrize(
    ("body", "patience_s", "word"),
    [("import os; os._exit(9)", 120.0, "ended with 9"), ("\n        while True: pass", 0.5, "within 0.5 s")],
)
def test_strategy_that_ends_or_holds_the_trial_is_reported(
    tmp_path: Path, body: str, patience_s: float, word: str
) -> None:
    (text,) = tried(tmp_path, patience_s, Wild=body)
    assert text.startswith("Wild cannot run") and word in text


def test_no_strategy_needs_no_process(tmp_path: Path) -> None:
    assert tried(tmp_path, 0.0) == []
