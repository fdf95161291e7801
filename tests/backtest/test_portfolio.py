"""Several strategies over one capital: each trades as it does alone while the capital lasts; what they share counts."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from msgspec.structs import replace

from mytrading.backtest.data.load import RequestError
from mytrading.backtest.portfolio.runs import (
    PortfolioResult,
    portfolio_summary,
    prepare_portfolio,
    read_portfolio,
    split_result,
)
from mytrading.backtest.run import RunResult, run
from mytrading.backtest.setup.prepare import RunRequest, prepare
from tests.kit.in_process_command import asked
from tests.kit.project import ROOT, copy_project

SAMPLE = ROOT / "tests" / "data" / "index-1m.csv.gz"
DATA = (f"NIFTY={SAMPLE}",)
LAST = date(2024, 2, 1)
PAIR = ("SMA_Crossover", "Supertrend_Trend")
TRIO = ("SMA_Crossover", "RSI_MeanReversion", "Options_Straddle")
CODE = '''
from mytrading.strategies import Bar, BaseStrategy, Signal


class Failing(BaseStrategy):
    def on_data(self, data: Bar) -> Signal | None:
        if self.time_of_day >= "11:00":
            raise RuntimeError("no idea")
        return self.create_signal("BUY")


class Turning(BaseStrategy):
    """In and out, minute by minute."""

    def on_data(self, data: Bar) -> Signal | None:
        return self.create_signal("EXIT" if self.position.is_long else "BUY")


class Up(BaseStrategy):
    def on_data(self, data: Bar) -> Signal | None:
        return self.create_signal("BUY" if "10:00" <= self.time_of_day < "14:00" else "EXIT")


class Down(BaseStrategy):
    def on_data(self, data: Bar) -> Signal | None:
        return self.create_signal("SELL" if "11:00" <= self.time_of_day < "13:00" else "EXIT")


class Holding(BaseStrategy):
    """Buys at one o'clock, from where the price falls."""

    def on_data(self, data: Bar) -> Signal | None:
        return self.create_signal("BUY") if self.time_of_day == "13:00" else None
'''


def together(names: tuple[str, ...], home: Path = ROOT, **given: Any) -> PortfolioResult:
    request = RunRequest("", DATA, **{"capital": 1e8, "last": LAST, **given})
    return split_result(run(prepare_portfolio(home, names, request).spec))


def alone(name: str, home: Path = ROOT, **given: Any) -> RunResult:
    return run(prepare(home, RunRequest(name, DATA, machines=True, **{"capital": 1e8, "last": LAST, **given})).spec)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_project(tmp_path_factory.mktemp("home"))
    (folder / "strategies" / "mine.py").write_text(CODE, encoding="utf-8")
    settings = 'symbols = ["NIFTY"]\ntimeframes = ["1m"]\ndirection = "both"\n'
    (folder / "config" / "strategies" / "down.toml").write_text(f'name = "Down"\n{settings}', encoding="utf-8")
    return folder


def portfolio_file(folder: Path, text: str) -> Path:
    path = folder / "portfolio.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_file_names_strategies_twice_with_their_own_terms(tmp_path: Path) -> None:
    path = portfolio_file(
        tmp_path,
        """
[[strategies]]
strategy = "SMA_Crossover"
name = "Fast"
lots = 2
parameters = { fast_period = 5 }

[[strategies]]
strategy = "sma_crossover"
stop = "none"
instrument = "NSE:SBIN"
timeframe = "15m"
""",
    )
    data = (*DATA, f"NSE:SBIN={SAMPLE}")
    request = RunRequest("", data, capital=1e9, last=LAST, parameters={"Fast.slow_period": "30"})
    found = split_result(run(prepare_portfolio(ROOT, read_portfolio(path), request).spec))
    fast, other = found.parts
    assert [part.spec.run.name for part in found.parts] == ["Fast", "SMA_Crossover"]
    assert (fast.spec.run.parameters["fast_period"], fast.spec.run.parameters["slow_period"]) == (5, 30)
    own = alone("SMA_Crossover", lots=2, parameters={"fast_period": "5", "slow_period": "30"}).ledger.fills
    assert len(own) > 2 and [fill._replace(strategy="") for fill in fast.ledger.fills] == [
        fill._replace(strategy="") for fill in own
    ]
    assert {fill.instrument for fill in other.ledger.fills} == {"NSE:SBIN"}
    assert (other.spec.run.timeframes, other.spec.run.stop.value) == (("15m",), "none")
    assert found.whole.engine == "machines" and "several strategies share the capital" in found.whole.note
    body = portfolio_summary(found)
    assert all(sum(one["costs_by_kind"].values()) == pytest.approx(one["costs"], abs=0.04) for one in
               (body, *body["strategies"]))  # fmt: skip
    assert all(one["costs"] > 1 for one in body["strategies"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "missing required field `strategies`"),
        ("strategies = []", "expected at least one table [[strategies]], found none"),
        ("[[strategies]]\nlots = 2", "missing required field `strategy`"),
        ('[[strategies]]\nstrategy = "SMA_Crossover"\nweight = 1', "unknown field `weight`"),
        ('[[strategies]]\nstrategy = "SMA_Crossover"\nstop = "hard"', "stop"),
        ("[[strategies]", "expected tables [[strategies]]"),
    ],
)
def test_file_that_is_wrong_is_refused_with_what_was_expected(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(RequestError, match=re.escape(words)):
        read_portfolio(portfolio_file(tmp_path, text))


def test_note_that_is_not_of_all_names_those_it_is_of() -> None:
    notes = prepare_portfolio(ROOT, ("SMA_Crossover", "Options_Straddle"), RunRequest("", DATA)).notes
    begins = ("SMA_Crossover: what is watched is traded in place", "Options_Straddle: unrecorded options are priced",
              "limits in rupees are not applied")  # fmt: skip
    assert [sum(note.startswith(one) for note in notes) for one in begins] == [1, 1, 1]


@pytest.mark.parametrize("names", [PAIR, ("Up", "Options_Straddle")])
def test_each_strategy_trades_as_it_does_alone_while_the_capital_lasts(names: tuple[str, ...], home: Path) -> None:
    found = together(names, home, options=("model",))
    assert [part.spec.run.name for part in found.parts] == list(names)
    for part in found.parts:
        own = alone(part.spec.run.name, home, options=("model",))
        assert len(own.ledger.fills) > 2
        assert part.ledger.fills == own.ledger.fills
        assert part.ledger.trades == own.ledger.trades
        assert part.curve.equity.tolist() == pytest.approx(own.curve.equity.tolist(), abs=0.01)
    assert found.whole.gross == pytest.approx(sum(part.gross for part in found.parts), abs=0.01)
    assert len(found.whole.ledger.fills) == sum(len(part.ledger.fills) for part in found.parts)


@pytest.mark.parametrize("stop", ["none", "broker"])
def test_two_strategies_never_hold_opposite_sides_as_in_live_trading(home: Path, stop: str) -> None:
    assert alone("Down", home, stop=stop).ledger.fills
    up, down = together(("Up", "Down"), home, stop=stop).parts
    assert up.ledger.fills == alone("Up", home, stop=stop).ledger.fills
    assert down.ledger.counts["OPPOSED"] > 0
    for short in down.ledger.trades:
        assert not any(long.entry_ns < short.exit_ns and short.entry_ns < long.exit_ns for long in up.ledger.trades)


def test_capital_is_shared_so_that_not_all_entries_are_made() -> None:
    singles = [alone(name, capital=300_000.0, stop="none") for name in PAIR]
    found = together(PAIR, capital=300_000.0, stop="none")
    assert len(found.whole.ledger.fills) < sum(len(one.ledger.fills) for one in singles)


def test_daily_loss_of_one_strategy_stops_the_other_for_the_day(home: Path) -> None:
    request = RunRequest("", DATA, capital=1e7, stop="none", last=pd.Timestamp("2024-01-29").date())
    spec = prepare_portfolio(home, ("Turning", "Holding"), request).spec
    limits = replace(spec.limits, max_daily_loss=3_000.0)
    single = run(dataclasses.replace(spec, partners=(), limits=limits))
    assert len(single.ledger.fills) > 300 and not single.ledger.counts["DAILY_LOSS"]
    turning, _ = split_result(run(dataclasses.replace(spec, limits=limits))).parts
    assert turning.ledger.counts["DAILY_LOSS"] > 10
    assert turning.ledger.fills == single.ledger.fills[: len(turning.ledger.fills)]


def test_correlations_and_shares_are_those_of_daily_profits() -> None:
    found = together(TRIO, options=("model",))
    daily = pd.DataFrame({part.spec.run.name: np.diff(part.curve.daily()[1], prepend=1e8) for part in found.parts})
    assert found.correlations == pytest.approx(daily.corr().to_numpy(), abs=1e-9)
    total = daily.sum(axis=1)
    shares = [total.cov(daily[name]) / total.var() for name in daily]
    assert found.risk_shares.tolist() == pytest.approx(shares, abs=1e-9)
    body = portfolio_summary(found)
    assert sum(one["risk_share"] for one in body["strategies"]) == pytest.approx(1.0, abs=1e-5)
    net = body["pnl"]["net"]
    parts = [pytest.approx(one["pnl"]["net"] / net, abs=1e-5) if net > 0 else None for one in body["strategies"]]
    assert [one["profit_share"] for one in body["strategies"]] == parts
    assert sum(one["pnl"]["net"] for one in body["strategies"]) == pytest.approx(body["pnl"]["net"], abs=0.05)
    assert body["correlations"][TRIO[0]][TRIO[0]] == 1.0


def test_fault_of_one_strategy_leaves_the_other_to_trade(home: Path) -> None:
    found = together(("SMA_Crossover", "Failing"), home, stop="none")
    good, bad = found.parts
    assert good.fault is None and bad.fault is not None and "no idea" in bad.fault.error
    assert good.ledger.fills == alone("SMA_Crossover", home, stop="none").ledger.fills
    assert list(portfolio_summary(found)["faults"]) == ["Failing"]


def test_command_shows_the_whole_and_each_and_writes_their_reports(tmp_path: Path) -> None:
    called = asked(
        {**os.environ, "MYTRADING_HOME": str(ROOT)}, "backtest", *PAIR, "--data", DATA[0],
        "-p", "SMA_Crossover.fast_period=5", "--report", str(tmp_path / "out"), "--json",
    )  # fmt: skip
    assert called.returncode == 0, called.stderr
    body = json.loads(called.stdout.splitlines()[-1])
    assert body["strategy"] == "SMA_Crossover + Supertrend_Trend"
    assert [one["strategy"] for one in body["strategies"]] == list(PAIR)
    assert body["strategies"][0]["parameters"]["fast_period"] == 5
    assert body["trades"] == sum(one["trades"] for one in body["strategies"]) > 2
    assert (body["engine"], body["engine_note"]) == ("machines", "several strategies share the capital")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Correlations of daily profits" in page and "Supertrend_Trend" in page
    for name in PAIR:
        assert (tmp_path / "out" / name / "report.html").exists()
    rows = pd.read_csv(tmp_path / "out" / "trades.csv")
    assert len(rows) == body["trades"] and set(rows["strategy"]) <= set(PAIR)
    path = portfolio_file(tmp_path, "".join(f'[[strategies]]\nstrategy = "{name}"\n' for name in PAIR))
    shown = asked(
        {**os.environ, "MYTRADING_HOME": str(ROOT)}, "backtest", "--portfolio", str(path), "-d", DATA[0]
    ).stdout
    assert re.search(r"^Supertrend_Trend +\d+ +[\d,.-]+ .* \d+%$", shown, re.MULTILINE), shown
    assert "correlation of daily profits, SMA_Crossover and Supertrend_Trend: " in shown


def test_command_ends_with_1_if_one_strategy_fails(home: Path) -> None:
    called = asked(
        {**os.environ, "MYTRADING_HOME": str(home)},
        "backtest",
        "SMA_Crossover",
        "Failing",
        "--data",
        DATA[0],
        "--stop",
        "none",
    )
    assert (called.returncode, "Failing stopped: " in called.stdout) == (1, True), called.stdout


@pytest.mark.parametrize(
    ("names", "given", "words"),
    [
        (("SMA_Crossover", "sma_crossover"), {}, "expected each strategy once"),
        (PAIR, {"parameters": {"fast_period": "5"}}, "expected STRATEGY.PARAMETER"),
        (PAIR, {"parameters": {"Other.fast_period": "5"}}, "expected STRATEGY.PARAMETER"),
        (("SMA_Crossover", "Nothing"), {}, "no strategy is called Nothing"),
    ],
)
def test_what_cannot_run_together_is_said(names: tuple[str, ...], given: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=re.escape(words)):
        prepare_portfolio(ROOT, names, RunRequest("", DATA, **given))
