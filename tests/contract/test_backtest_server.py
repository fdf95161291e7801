"""`mytrading backtest --data openalgo`: bars over HTTP from a running simulator, walked as those of a file are."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mytrading.cli.shell.target import running_or_configured_stack
from mytrading.core.time import IST
from mytrading.runtime.host.clock import ClockFile, ClockSegment, machine_now, write_clock_file
from tests.kit.in_process_command import Command
from tests.kit.simulator_process import RunningSimulator

DAYS = ("--from", "2026-11-16", "--to", "2026-11-19")
TEST = ("backtest", "SMA_Crossover", "-i", "NSE:SBIN", "-p", "fast_period=5", "-p", "slow_period=15", "--json")


def figures(command: Command, *arguments: str) -> dict[str, Any]:
    code, out, err = command(*TEST, *arguments)
    assert code == 0, err
    found: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return found


def test_bars_of_the_server_lead_to_the_trades_that_the_same_bars_of_a_file_lead_to(
    command: Command, tmp_path: Path
) -> None:
    asked = figures(command, "--data", "openalgo", *DAYS)
    assert (asked["instruments"], asked["from"], asked["to"]) == (["NSE:SBIN"], DAYS[1], DAYS[3])
    assert (asked["bars"], asked["timeframe"]) == (4 * 72, "5m")
    assert asked["trades"] > 0
    sheet = tmp_path / "sbin.csv"
    assert command("history", "fetch", "NSE:SBIN", *DAYS, "-i", "5m", "-o", str(sheet))[0] == 0
    kept = figures(command, "--data", str(sheet))
    assert (kept["trade_hash"], kept["pnl"]) == (asked["trade_hash"], asked["pnl"])


def test_timeframe_that_is_asked_for_is_fetched(command: Command) -> None:
    assert figures(command, "--data", "openalgo", *DAYS, "--timeframe", "15m")["bars"] == 4 * 24


def test_what_the_strategy_watches_is_fetched_where_no_instrument_is_named(command: Command) -> None:
    code, out, err = command("backtest", "SMA_Crossover", "--data", "openalgo", *DAYS, "--json")
    assert code == 0, err
    assert json.loads(out.strip().splitlines()[-1])["instruments"] == ["NSE_INDEX:NIFTY"]


def test_month_up_to_now_is_fetched_where_no_day_is_named(command: Command) -> None:
    noon = int(datetime(2026, 11, 20, 12, tzinfo=IST).timestamp()) * 1_000_000_000
    write_clock_file(
        running_or_configured_stack("").config.clock_path, ClockFile(segments=(ClockSegment(machine_now(), noon, 1.0),))
    )
    found = figures(command, "--data", "openalgo", "--timeframe", "1h")
    assert (found["from"], found["to"]) == ("2026-10-21", "2026-11-20"), "the market's day, not the machine's"
    assert any("30 days" in note for note in found["notes"])


def test_answers_that_fail_once_are_asked_for_again(command: Command, shared_simulator: RunningSimulator) -> None:
    status, body = shared_simulator.call("/sim/fault", kind="rate_limited", route="history", count=1)
    assert status == 200, body
    assert figures(command, "--data", "openalgo", *DAYS)["trades"] > 0


@pytest.mark.parametrize(
    ("instrument", "said"),
    [("NSE:NOSUCH", "openalgo: NSE:NOSUCH 2026-11-16: history of NSE:NOSUCH: Symbol 'NOSUCH' not found")],
)
def test_what_the_server_does_not_know_is_said(command: Command, instrument: str, said: str) -> None:
    code, _, err = command("backtest", "SMA_Crossover", "-i", instrument, "--data", "openalgo", *DAYS)
    assert (code, said in err) == (2, True), err


def test_server_that_does_not_answer_is_said(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENALGO_API_HOST", "http://127.0.0.1:9")
    code, _, err = command(*TEST, "--data", "openalgo", *DAYS)
    assert (code, "openalgo: NSE:SBIN 2026-11-16" in err) == (2, True), err


def test_days_before_any_history_are_said(command: Command) -> None:
    code, _, err = command(*TEST, "--data", "openalgo", "--from", "2026-11-14", "--to", "2026-11-15")
    assert (code, "no bars" in err) == (2, True), err
