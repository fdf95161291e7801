"""`mytrading backtest` as a person and a program use it."""

from __future__ import annotations

import csv
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mytrading.cli.app import app
from mytrading.cli.shell.failures import Failure
from tests.kit.pages import column_of, report_of, tables_of, titles
from tests.kit.project import ROOT

DATA = str(ROOT / "tests" / "data" / "bars-wild.csv.gz")
RUN = ["backtest", "SMA_Crossover", "--data", DATA, "--instrument", "NSE:SBIN"]
BASE = [*RUN, "--timeframe", "1m", "--to", "2024-03-12"]


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYTRADING_HOME", str(ROOT))


def json_of(*more: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*BASE, "--json", *more])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def problem_of(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["backtest", *arguments])
    assert isinstance(done.exception, Failure)
    return str(done.exception)


def test_json_ends_with_one_object_of_figures() -> None:
    found = json_of()
    assert found["bars"] == 750
    assert found["trades"] > 0
    assert len(found["trade_hash"]) == 16
    assert found["pnl"]["net"] == pytest.approx(found["pnl"]["gross"] - found["costs"], abs=0.011)
    assert found["bars_per_second"] > 0
    assert found["metrics"]["win_rate"] is not None
    assert json_of()["trade_hash"] == found["trade_hash"]


def test_costs_none_leaves_gross_and_a_parameter_changes_the_trades() -> None:
    free, other = json_of("--costs", "none"), json_of("--param", "fast_period=10")
    assert free["costs"] == 0
    assert free["trade_hash"] == json_of()["trade_hash"] != other["trade_hash"]
    assert other["parameters"]["fast_period"] == 10


def test_report_writes_three_files_that_agree(tmp_path: Path) -> None:
    found = json_of("--report", str(tmp_path / "run"))
    with (tmp_path / "run" / "trades.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == found["trades"]
    assert {"entry_time", "exit_time", "side", "quantity", "gross", "costs"} <= set(rows[0])
    money = sum(float(row["costs"]) for row in rows)
    assert money == pytest.approx(found["costs"], abs=0.01 * len(rows))
    saved = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert saved["trade_hash"] == found["trade_hash"]
    report = report_of(tmp_path / "run")
    shown = titles(report)
    for title in ("Equity and drawdown", "Trades on price", "Days", "Months", "Drawdowns", "Distribution", "Exposure",
                  "Excursions of trades", "By strategy and instrument", "Costs", "Risk events", "Trades"):  # fmt: skip
        assert title in shown
    (trades,) = tables_of(report, "Trades")
    assert sum(float(str(net)) for net in column_of(trades, "Net")) == pytest.approx(
        sum(float(row["net"]) for row in rows), abs=0.01
    )
    assert found["trade_hash"] in report.subtitle


def test_no_lots_are_not_taken_for_those_of_the_strategy() -> None:
    done = CliRunner().invoke(app, ["backtest", *BASE[1:], "--lots", "0"])
    assert done.exit_code == 2
    assert "--lots" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["SMA_Crossovr", "--data", DATA], "did you mean SMA_Crossover"),
        (["SMA_Crossover", "--data", "none.csv"], "no such file"),
        ([*BASE[1:], "--param", "fast=3"], "no parameter fast"),
        ([*BASE[1:], "--param", "fast"], "NAME=VALUE"),
        ([*BASE[1:], "--costs", "us"], "none or india"),
        ([*BASE[1:], "--from", "soon"], "a day like"),
        ([*BASE[1:], "--product", "BO"], "MIS, NRML or CNC"),
        ([*BASE[1:], "--slippage", "0.001", "--slippage-ticks", "1"], "one of them"),
        ([*RUN[1:], "--timeframe", "2m"], "expected one of 1m"),
    ],
)
def test_option_that_cannot_be_met_says_what_was_expected(arguments: list[str], said: str) -> None:
    assert said in problem_of(*arguments)


def test_strategy_that_faults_ends_with_exit_1_and_its_place(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text(
        "from mytrading.strategies import BaseStrategy\n\n\nclass Bad(BaseStrategy):\n"
        "    def on_data(self, data):\n        return 1 / 0\n"
    )
    done = CliRunner().invoke(app, ["backtest", str(path), "--data", DATA, "--instrument", "NSE:SBIN"])
    assert done.exit_code == 1
    said = [line for line in done.stderr.splitlines() if not line.endswith(" so far")]  # progress of a slow machine
    assert "bad.py:6" in said[0]
    assert "sharpe" not in done.stdout


def test_data_of_all_hours_is_traded_in_all_hours_and_said_so(tmp_path: Path) -> None:
    lines = ["timestamp,open,high,low,close"]
    for minute in range(3000):
        price = 100.0 + 0.5 * ((minute // 40) % 2)
        lines.append(f"{1_700_000_000 // 60 * 60 + 60 * minute},{price},{price},{price},{price}")
    path = tmp_path / "all.csv"
    path.write_text("\n".join(lines) + "\n")
    run = ["backtest", "SMA_Crossover", "--data", str(path), "-i", "NSE:SBIN", "-t", "1m", "--product", "CNC", "--json"]

    def found(*more: str) -> dict[str, Any]:
        done = CliRunner().invoke(app, [*run, *more])
        assert done.exit_code == 0, done.output
        body: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return body

    whole, hours = found(), found("--session", "exchange")
    assert whole["trades"] > 2 * hours["trades"]
    assert any("midnight" in note for note in whole["notes"])
    assert set(whole["events"]) <= {"SQUARE_OFF"}, "MIS ends with the day, at midnight"


def test_parameter_in_another_spelling_is_the_strategys_own() -> None:
    assert json_of("--param", "FastPeriod=10")["trade_hash"] == json_of("--param", "fast_period=10")["trade_hash"]


def test_hole_in_a_session_and_a_missing_day_are_named(tmp_path: Path) -> None:
    lines = ["timestamp,open,high,low,close"]
    for day in ("2024-03-04", "2024-03-06"):
        for minute in [*range(105), *range(165, 375)]:
            at = datetime.fromisoformat(f"{day}T09:15:00") + timedelta(minutes=minute)
            lines.append(f"{at:%Y-%m-%d %H:%M:%S},100,100.5,99.5,100")
    path = tmp_path / "holes.csv"
    path.write_text("\n".join(lines) + "\n")
    run = ["backtest", "SMA_Crossover", "--data", f"NSE:SBIN={path}", "-i", "NSE:SBIN", "-t", "1m"]
    done = CliRunner().invoke(app, run)
    assert "NSE:SBIN has no bars 2024-03-04 11:00–12:00, 2024-03-06 11:00–12:00: what" in done.stderr
    assert "NSE:SBIN has no bars of 1 trading day: 2024-03-05" in done.stderr


def test_index_traded_for_its_option_says_so_without_a_contradiction() -> None:
    index = str(ROOT / "tests" / "data" / "index-1m.csv.gz")
    done = CliRunner().invoke(app, ["backtest", "SMA_Crossover", "--data", f"NIFTY={index}", "--to", "2024-01-30"])
    notes = [line for line in done.stderr.splitlines() if "traded" in line]
    assert [note[:75] for note in notes] == [
        "note: what is watched is traded in place of the options that its rules name",
        "note: NSE_INDEX:NIFTY is traded as its nearest future, at the price of the ",
    ]
