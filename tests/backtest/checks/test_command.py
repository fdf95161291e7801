"""`mytrading check` as a person and a program use it, and the parts of checks that the corpus does not show."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mytrading.backtest.checks import lean_agreement, monte_carlo
from mytrading.backtest.checks.lookahead import mirror_after
from mytrading.backtest.checks.source_lint import check_source
from mytrading.backtest.data.columns import build_columns
from mytrading.backtest.run import LEAN, RunResult, Spec, run
from mytrading.cli.app import app
from mytrading.cli.shell.failures import Failure
from mytrading.messages.run_config import StopPlan
from tests.kit.backtest_specs import Cross, bars_of, begin_of, spec_of
from tests.kit.pages import report_of, titles
from tests.kit.project import ROOT

DATA = str(ROOT / "tests" / "data" / "bars-wild.csv.gz")
WITH = ["--data", DATA, "--instrument", "NSE:SBIN", "--timeframe", "1m", "--to", "2024-03-12"]


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYTRADING_HOME", str(ROOT))


def checked_with(name: str, *more: str) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(app, ["check", name, *WITH, "--json", *more])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, json.loads(done.stdout.strip().splitlines()[-1])


def test_good_strategy_passes_with_a_report_that_opens_offline(tmp_path: Path) -> None:
    only = [word for name in ("look-ahead", "speed", "chance") for word in ("--only", name)]
    code, found = checked_with("SMA_Crossover", *only, "--budget-us", "50000", "--report", str(tmp_path))
    assert (code, found["holds"], found["findings"]) == (0, True, [])
    assert [one["check"] for one in found["checks"]] == ["runs", "look-ahead", "speed", "chance"]
    assert "Drawdown in other orders" in titles(report_of(tmp_path))
    assert (tmp_path / "report.html").stat().st_size < 200_000


def test_bad_strategy_exits_with_one_and_says_where() -> None:
    file = ROOT / "tests" / "corpus" / "bad_habits.py"
    code, found = checked_with(str(file), "--only", "parameters")
    assert (code, found["holds"]) == (1, False)
    (finding,) = found["findings"]
    assert finding["where"] == "corpus/bad_habits.py:14"
    assert "thresold" in finding["what"]


def test_strategy_that_fails_before_its_first_bar_is_a_finding_with_its_place() -> None:
    code, found = checked_with("SMA_Crossover", "--param", "fast_period=60")
    (finding,) = (one for one in found["findings"] if one["check"] == "runs")
    assert (code, found["holds"]) == (1, False)
    assert "fast_period 60 must be below slow_period 50" in finding["what"]
    assert finding["where"].startswith("strategies/sma_crossover.py:")


def test_unknown_check_is_refused_with_those_there_are() -> None:
    done = CliRunner().invoke(app, ["check", "SMA_Crossover", *WITH, "--only", "everything"])
    assert isinstance(done.exception, Failure)
    assert "look-ahead or recursion" in str(done.exception)


def test_mirrored_bars_keep_the_past_and_stay_bars() -> None:
    columns = begin_of(bars_of("wild"), 300)
    end = int(columns.start_ns[99]) + columns.span_ns
    found = mirror_after(columns, end)
    assert np.array_equal(found.table[:, :100], columns.table[:, :100])
    assert not np.array_equal(found.table[:, 100:], columns.table[:, 100:])
    build_columns(found.instrument, found.start_ns, found.table, "mirrored")


def test_deepest_drawdown_of_a_row_of_trades() -> None:
    assert monte_carlo.max_drawdown(np.array([5.0, -3.0, -4.0, 6.0, -2.0])) == 7.0
    assert monte_carlo.max_drawdown(np.array([1.0, 2.0])) == 0.0


def test_effect_of_a_parameter_is_said_without_the_noise_of_binary_numbers() -> None:
    _, found = checked_with("BollingerBands_Breakout", "--only", "parameters")
    (effects,) = (one["figures"]["effects"] for one in found["checks"] if one["check"] == "parameters")
    assert effects["threshold"] == "0.102"


def test_seeded_generator_and_sorted_set_are_no_bad_habits(tmp_path: Path) -> None:
    file = tmp_path / "fine.py"
    file.write_text(
        "import numpy as np\nfrom mytrading.strategies import BaseStrategy\n\n"
        "class Fine(BaseStrategy):\n    def initialize(self):\n        self.draw = np.random.default_rng(7)\n"
        "        self.names = {}\n\n    def on_data(self, data):\n        self.names[data.instrument] = 1\n"
        "        for name in sorted({'a', 'b'}):\n            pass\n"
    )
    assert check_source(file).findings == []


def test_engines_that_differ_fail_the_check_and_the_machines_result_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    code, agreed = checked_with("SMA_Crossover", "--only", "engines")
    assert code == 0 and agreed["checks"][-1]["figures"]["fills"] > 2

    def run_worse(spec: Spec) -> RunResult:
        found = run(spec)
        assert found.engine == LEAN
        first, *others = found.ledger.fills
        found.ledger.fills[:] = [first._replace(price=first.price + 0.05), *others]
        return found

    monkeypatch.setattr(lean_agreement, "run", run_worse)
    code, found = checked_with("SMA_Crossover", "--only", "engines")
    (finding,) = found["findings"]
    assert (code, found["holds"], finding["check"]) == (1, False, "engines")
    assert re.match(
        r"fill 1 is \+\d+ at [\d.]+ at .* by the lean engine, \+\d+ at [\d.]+ at .* by the machines", finding["what"]
    )
    assert "the machines' result stands" in finding["cure"]
    assert found["checks"][0]["figures"]["trade_hash"] == agreed["checks"][0]["figures"]["trade_hash"]


@pytest.mark.parametrize("lost", ["fills", "events", "trades"])
def test_ledgers_that_lack_a_row_of_one_kind_differ(lost: str) -> None:
    spec = spec_of(Cross, begin_of(bars_of("wild"), 400), stop=StopPlan.BROKER, stop_loss_pct=0.003)
    lean, machines = run(spec).ledger, run(replace(spec, lean=False)).ledger
    assert lean.events and lean_agreement.ledger_difference(lean, machines) == ""
    del getattr(lean, lost)[-1]
    assert lean_agreement.ledger_difference(lean, machines)
