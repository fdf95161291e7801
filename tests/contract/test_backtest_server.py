"""`mytrading backtest --data openalgo`: bars over HTTP from a running simulator, walked as those of a file are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mytrading.cli.main import run as main
from tests.support import API_KEY, ROOT, RunningSimulator, start_simulator

Run = Callable[..., tuple[int, str, str]]
DAYS = ("--from", "2026-11-16", "--to", "2026-11-19")
TEST = ("backtest", "SMA_Crossover", "-i", "NSE:SBIN", "-p", "fast_period=5", "-p", "slow_period=15", "--json")


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path_factory.mktemp("simulator")) as running:
        yield running


@pytest.fixture
def run(
    simulator: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    for name, value in {
        "MYTRADING_HOME": str(ROOT), "MYTRADING_STATE_DIR": str(tmp_path / "state"),
        "OPENALGO_API_HOST": simulator.rest, "OPENALGO_API_KEY": API_KEY,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([*arguments])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return command


def figures(run: Run, *arguments: str) -> dict[str, Any]:
    code, out, err = run(*TEST, *arguments)
    assert code == 0, err
    found: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return found


def test_bars_of_the_server_lead_to_the_trades_that_the_same_bars_of_a_file_lead_to(run: Run, tmp_path: Path) -> None:
    asked = figures(run, "--data", "openalgo", *DAYS)
    assert (asked["instruments"], asked["from"], asked["to"]) == (["NSE:SBIN"], DAYS[1], DAYS[3])
    assert (asked["bars"], asked["timeframe"]) == (4 * 72, "5m")
    assert asked["trades"] > 0
    sheet = tmp_path / "sbin.csv"
    assert run("history", "fetch", "NSE:SBIN", *DAYS, "-i", "5m", "-o", str(sheet))[0] == 0
    kept = figures(run, "--data", str(sheet))
    assert (kept["trade_hash"], kept["pnl"]) == (asked["trade_hash"], asked["pnl"])


def test_timeframe_that_is_asked_for_is_fetched(run: Run) -> None:
    assert figures(run, "--data", "openalgo", *DAYS, "--timeframe", "15m")["bars"] == 4 * 24


def test_what_the_strategy_watches_is_fetched_where_no_instrument_is_named(run: Run) -> None:
    code, out, err = run("backtest", "SMA_Crossover", "--data", "openalgo", *DAYS, "--json")
    assert code == 0, err
    assert json.loads(out.strip().splitlines()[-1])["instruments"] == ["NSE_INDEX:NIFTY"]


def test_month_up_to_now_is_fetched_where_no_day_is_named(run: Run) -> None:
    found = figures(run, "--data", "openalgo", "--timeframe", "1h")
    assert found["from"] <= "2026-10-23" and found["to"] == "2026-11-20", "the market's day, not the machine's"
    assert any("30 days" in note for note in found["notes"])


def test_answers_that_fail_once_are_asked_for_again(run: Run, simulator: RunningSimulator) -> None:
    status, body = simulator.call("/sim/fault", kind="rate_limited", route="history", count=1)
    assert status == 200, body
    assert figures(run, "--data", "openalgo", *DAYS)["trades"] > 0


@pytest.mark.parametrize(
    ("instrument", "said"),
    [("NSE:NOSUCH", "openalgo: NSE:NOSUCH 2026-11-16: history of NSE:NOSUCH: Symbol 'NOSUCH' not found")],
)
def test_what_the_server_does_not_know_is_said(run: Run, instrument: str, said: str) -> None:
    code, _, err = run("backtest", "SMA_Crossover", "-i", instrument, "--data", "openalgo", *DAYS)
    assert (code, said in err) == (2, True), err


def test_server_that_does_not_answer_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENALGO_API_HOST", "http://127.0.0.1:9")
    code, _, err = run(*TEST, "--data", "openalgo", *DAYS)
    assert (code, "openalgo: NSE:SBIN 2026-11-16" in err) == (2, True), err


def test_days_before_any_history_are_said(run: Run) -> None:
    code, _, err = run(*TEST, "--data", "openalgo", "--from", "2026-11-14", "--to", "2026-11-15")
    assert (code, "no bars" in err) == (2, True), err
