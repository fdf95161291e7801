"""`mytrading indicators`."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from mytrading.cli.app import app
from mytrading.cli.shell.failures import USAGE, Failure


def test_indicators_are_listed_with_inputs_parameters_and_lookback() -> None:
    found = CliRunner().invoke(app, ["indicators", "MACD.", "--json"])
    rows = {row["name"]: row for row in json.loads(found.stdout)}
    assert sorted(rows) == ["MACD.macd", "MACD.macdhist", "MACD.macdsignal"]
    assert rows["MACD.macd"]["parameters"] == {"fastperiod": 12, "slowperiod": 26, "signalperiod": 9}
    assert (rows["MACD.macd"]["inputs"], rows["MACD.macd"]["lookback"]) == (["close"], 33)
    table = CliRunner().invoke(app, ["indicators", "ATR"]).stdout
    assert "high, low, close" in table
    assert "period=14" in table


def test_unknown_indicator_names_the_nearest() -> None:
    found = CliRunner().invoke(app, ["indicators", "SMAA"])
    assert isinstance(found.exception, Failure)
    assert found.exception.code == USAGE
    assert "did you mean SMA" in str(found.exception)
