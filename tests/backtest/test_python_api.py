"""`from mytrading import backtest, optimize, load_bars`: frames in and out as the commands; the notebook runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mytrading.backtest.run  # the package is callable also once a module of it was imported
from mytrading import backtest, load_bars, optimize
from mytrading.backtest.api.functions import BacktestResults
from mytrading.backtest.data.columns import DataError
from mytrading.backtest.data.load import RequestError
from mytrading.backtest.data.load import load_bars as load_columns
from mytrading.backtest.data.store import open_store
from mytrading.strategies import Bar, BaseStrategy, Signal
from mytrading.strategies.errors import StrategyError
from tests.kit.in_process_command import asked
from tests.kit.project import ROOT

SAMPLE = ROOT / "tests" / "data" / "index-1m.csv.gz"
NIFTY = "NSE_INDEX:NIFTY"
FAST = {"fast_period": 5, "slow_period": 20}


class Channel(BaseStrategy):
    """Long above the highs of some bars, flat below their lows."""

    period: int = 20

    def initialize(self) -> None:
        self.add_indicator("MAX", period=self.period, source="high", name="top")
        self.add_indicator("MIN", period=self.period, source="low", name="bottom")

    def on_data(self, data: Bar) -> Signal | None:
        if data.close > self.get_indicator_value("top", back=1):
            return self.create_signal("BUY")
        return self.create_signal("EXIT") if data.close < self.get_indicator_value("bottom", back=1) else None


class Failing(BaseStrategy):
    """Fails at its first bar."""

    def on_data(self, data: Bar) -> Signal | None:
        raise RuntimeError(f"no idea at {data.close}")


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYTRADING_HOME", str(ROOT))


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    return load_bars(SAMPLE, NIFTY)


@pytest.fixture(scope="module")
def results(bars: pd.DataFrame) -> BacktestResults:
    found: BacktestResults = backtest("SMA_Crossover", bars, FAST, timeframe="5m", slippage_ticks=1)
    return found


def test_frame_of_bars_has_what_the_file_has(bars: pd.DataFrame) -> None:
    columns = load_columns(SAMPLE, NIFTY)
    assert bars.index[0] == pd.Timestamp("2024-01-29 09:15", tz="Asia/Kolkata")
    assert bars["close"].tolist() == columns.close.tolist()
    assert bars.attrs == {"instrument": NIFTY, "timeframe": "1m"}


def test_backtest_of_a_frame_equals_the_command(results: BacktestResults) -> None:
    called = asked(
        {**os.environ, "MYTRADING_HOME": str(ROOT)},
        "backtest", "SMA_Crossover", "--data", str(SAMPLE), "-i", "NIFTY", "-p", "fast_period=5",
        "-p", "slow_period=20", "--timeframe", "5m", "--slippage-ticks", "1", "--json",
    )  # fmt: skip
    body = json.loads(called.stdout.splitlines()[-1])
    mine = json.loads(json.dumps(results.summary))
    for key in ("seconds", "bars_per_second"):
        body.pop(key), mine.pop(key)
    assert {name: body[name] for name in mine} == mine
    assert body["trades"] > 5


def test_frames_of_a_result_agree_with_one_another(results: BacktestResults) -> None:
    trades, equity = results.trades, results.equity
    assert len(trades) == results.summary["trades"]
    assert (trades["exit_time"] > trades["entry_time"]).all()
    assert trades["net"].to_numpy() == pytest.approx((trades["gross"] - trades["costs"]).to_numpy())
    assert equity["equity"].iloc[-1] == pytest.approx(1_000_000 + results.summary["pnl"]["net"], abs=0.01)
    peak = equity["equity"].cummax().clip(lower=1_000_000)
    assert equity["drawdown"].to_numpy() == pytest.approx((equity["equity"] / peak - 1).to_numpy())
    assert results.metrics["max_drawdown_bars"] == equity["drawdown"].min()
    closes = equity["equity"].groupby(equity.index.date).last()
    assert results.daily_returns.to_numpy() == pytest.approx(
        closes.pct_change().fillna(closes.iloc[0] / 1_000_000 - 1).to_numpy()
    )
    assert f"{len(trades)} trades" in repr(results)


def test_chart_and_report_are_of_the_result(results: BacktestResults, tmp_path: Path) -> None:
    equity, drawdown = results.plot().data
    assert equity.y[-1] == pytest.approx(results.equity["equity"].iloc[-1])
    assert min(drawdown.y) == pytest.approx(100 * results.metrics["max_drawdown_bars"])
    page = results.report(tmp_path / "out")
    assert "SMA_Crossover" in page.read_text(encoding="utf-8")
    assert len(pd.read_csv(tmp_path / "out" / "trades.csv")) == len(results.trades)


@pytest.mark.parametrize("shape", ["naive index", "column", "upper case, another zone"])
def test_frame_may_come_in_any_usual_shape(bars: pd.DataFrame, shape: str) -> None:
    frame = bars.iloc[:1500].copy()
    frame.attrs.clear()
    if shape == "naive index":
        frame.index = frame.index.tz_localize(None)
    elif shape == "column":
        frame = frame.rename_axis("timestamp").reset_index()
    else:
        frame = frame.rename(columns=str.upper)
        frame.index = frame.index.tz_convert("UTC")
    found = backtest(Channel, frame, instrument="NIFTY", stop="none")
    assert found.summary["trade_hash"] == backtest(Channel, bars.iloc[:1500], stop="none").summary["trade_hash"]
    assert found.summary["trades"] > 5


def test_several_frames_are_given_by_instrument(bars: pd.DataFrame) -> None:
    found = backtest(Channel, {"NSE:SBIN": bars / 20, "NSE:INFY": bars / 10}, stop="none", costs="none")
    assert set(found.trades["instrument"]) == {"NSE:SBIN", "NSE:INFY"}


def test_store_is_read_by_name(bars: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MYTRADING_DATA_DIR", str(tmp_path))
    columns = load_columns(SAMPLE, NIFTY)
    open_store(ROOT).add(NIFTY, "1m", columns.start_ns, columns.table)
    assert load_bars(NIFTY).equals(bars) and load_bars("store", "NIFTY").equals(bars)
    day = load_bars(NIFTY, first="2024-01-30", last="2024-01-30")
    assert (len(day), set(day.index.date)) == (375, {pd.Timestamp("2024-01-30").date()})
    stored = backtest("SMA_Crossover", "store", FAST, instrument="NIFTY")
    assert stored.summary["trade_hash"] == backtest("SMA_Crossover", bars, FAST).summary["trade_hash"]
    with pytest.raises(DataError, match="expected bars of 5m, found those of 1m"):
        load_bars(NIFTY, timeframe="5m")


def test_search_equals_separate_backtests_and_ranks_them(bars: pd.DataFrame, tmp_path: Path) -> None:
    found = optimize(Channel, bars, {"period": range(5, 25, 5)}, objective="net", timeframe="15m", stop="none")
    nets = {
        period: backtest(Channel, bars, {"period": period}, timeframe="15m", stop="none").summary["pnl"]["net"]
        for period in range(5, 25, 5)
    }
    assert dict(zip(found.trials["period"], found.trials["net"], strict=True)) == pytest.approx(nets, abs=0.01)
    assert found.trials["net"].is_monotonic_decreasing
    assert found.best == {"period": max(nets, key=lambda period: nets[period])}
    assert found.backtest().summary["pnl"]["net"] == max(nets.values())
    assert sorted(found.plot().data[0].x) == [5, 10, 15, 20]
    assert "4 sets of parameters" in found.report(tmp_path).read_text(encoding="utf-8")


def test_search_by_processes_comes_to_the_same(bars: pd.DataFrame) -> None:
    space = {"fast_period": [3, 5], "slow_period": [20, 30]}
    alone, several = (optimize("SMA_Crossover", bars, space, timeframe="15m", workers=count) for count in (1, 2))
    assert alone.trials.drop(columns="problem").equals(several.trials.drop(columns="problem"))
    assert several.plot().data[0].z.shape == (2, 2)


def test_fault_of_a_class_is_in_the_result(bars: pd.DataFrame) -> None:
    found = backtest(Failing, bars)
    assert "no idea at" in found.summary["fault"] and "it stopped" in repr(found)
    assert found.trades.empty and found.events["code"].tolist() == ["FAULT"]


def test_what_cannot_be_run_is_said(bars: pd.DataFrame) -> None:
    bare = pd.DataFrame(bars.to_numpy(), columns=bars.columns, index=bars.index)
    with pytest.raises(DataError, match="whose bars are they"):
        backtest("SMA_Crossover", bare)
    with pytest.raises(DataError, match="expected open, high, low, close too"):
        backtest("SMA_Crossover", bars[["close"]], instrument="NIFTY")
    with pytest.raises(DataError, match="expected times in its index"):
        backtest("SMA_Crossover", bare.reset_index(drop=True), instrument="NIFTY")
    with pytest.raises(DataError, match="bar 3 has a price that is missing"):
        backtest(
            "SMA_Crossover",
            bare.where(pd.Series(np.arange(len(bare)) != 2, index=bare.index), axis=0),
            instrument="NIFTY",
        )
    with pytest.raises(RequestError, match="no strategy is called"):
        backtest("Nothing", bars)
    with pytest.raises(StrategyError, match="has no parameter fast"):
        backtest("SMA_Crossover", bars, {"fast": 5})
    with pytest.raises(TypeError, match="leverage"):
        backtest("SMA_Crossover", bars, leverage=5)


def test_import_loads_pandas_only_when_a_function_is_used() -> None:
    code = "import mytrading, sys; print('pandas' in sys.modules); mytrading.load_bars; print('pandas' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.split() == ["False", "True"]


def test_package_is_callable_before_and_after_a_module_of_it_is_imported() -> None:
    assert callable(backtest) and callable(mytrading.backtest)
    code = "from mytrading import backtest as a; import mytrading.backtest.run; from mytrading import backtest as b; " \
           "print(a is b, callable(a))"  # fmt: skip
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.split() == ["True", "True"]


def test_cells_of_the_notebook_run_one_after_the_other(tmp_path: Path) -> None:
    """As a kernel runs them, each cell's last expression shown; the report is written to the project's `runs`."""
    notebook = json.loads((ROOT / "docs" / "examples" / "research.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) > 5 and not any(cell.get("outputs") for cell in notebook["cells"])
    program = tmp_path / "cells.py"
    program.write_text(
        "import ast, json, sys\n"
        "names = {'__name__': '__main__'}\n"
        "for number, cell in enumerate(json.load(open(sys.argv[1])), 1):\n"
        "    tree = ast.parse(cell)\n"
        "    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None\n"
        "    exec(compile(tree, f'cell {number}', 'exec'), names)\n"
        "    if last is not None:\n"
        "        shown = eval(compile(ast.Expression(last.value), f'cell {number}', 'eval'), names)\n"
        "        print(f'[{number}]', type(shown).__name__, str(shown)[:2000])\n",
        encoding="utf-8",
    )
    (tmp_path / "cells.json").write_text(json.dumps([cell.replace("../../runs", str(tmp_path)) for cell in cells]))
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "cells.json")],
        cwd=ROOT / "docs" / "examples", capture_output=True, text=True, check=False,
        env={name: value for name, value in os.environ.items() if name != "MYTRADING_HOME"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    kinds = re.findall(r"^\[\d+\] (\w+)", done.stdout, re.MULTILINE)
    assert len(kinds) == len(cells) and kinds.count("Figure") == 2, done.stdout
    assert (tmp_path / "notebook" / "report.html").exists()
