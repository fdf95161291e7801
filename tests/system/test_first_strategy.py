"""README's first strategy trades: its files and its command on a real stack."""

from __future__ import annotations

from pathlib import Path

from tests.kit.readme_strategy import follow_readme
from tests.kit.stack import Stack
from tests.kit.waiting import eventually


def test_first_strategy_of_the_readme_trades(tmp_path: Path) -> None:
    environment = follow_readme(tmp_path / "home")
    with Stack(tmp_path, MYTRADING_HOME=str(tmp_path / "home"), **environment) as stack:
        stack.up("--simulator")
        rows = eventually(lambda: [row for row in stack.ask("orders") if row["state"] == "FILLED"], 90)
        assert {row["strategy"] for row in rows} == {"Breakout"}
