"""Checks of `up` before it starts the processes: no output if all is in order, else cause and cure on stderr."""

from __future__ import annotations

import shutil
from datetime import date, time
from pathlib import Path

import msgspec
import pytest

from mytrading.cli.doctor.command import check_before_start
from mytrading.core.time import to_ns
from mytrading.messages.run_config import SimulatorRules
from mytrading.orchestrator import TradingOrchestrator
from mytrading.runtime.host.clock import ClockSegment, MarketClock, machine_now
from tests.kit.project import ROOT
from tests.kit.run_configs import run_config, trading_config
from tests.kit.simulator_process import API_KEY, start_simulator


def test_simulated_stack_in_order_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = trading_config(tmp_path)
    config.state.chmod(0o700)
    (tmp_path / "config").mkdir()
    shutil.copy(ROOT / "config" / "calendar.toml", tmp_path / "config")
    check_before_start(TradingOrchestrator(msgspec.structs.replace(config, home=str(tmp_path))))
    assert capsys.readouterr().err == ""


def test_full_disk_is_said_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = run_config(tmp_path)
    rules = msgspec.structs.replace(config.process, min_free_bytes=1 << 60)
    check_before_start(TradingOrchestrator(msgspec.structs.replace(config, process=rules)))
    said = capsys.readouterr().err
    assert "doctor: disk:" in said and "→ free space" in said


def test_server_that_is_down_is_said_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = run_config(tmp_path)
    venue = msgspec.structs.replace(config.venue, rest_url="http://127.0.0.1:1", ws_url="ws://127.0.0.1:1")
    check_before_start(TradingOrchestrator(msgspec.structs.replace(config, venue=venue, simulator=SimulatorRules())))
    assert "doctor: server: cannot connect to 127.0.0.1:1" in capsys.readouterr().err


def test_server_whose_socket_and_margin_fail_is_said_before_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = run_config(tmp_path)
    (tmp_path / "simulator").mkdir()
    with start_simulator(tmp_path / "simulator") as running:
        running.call("/sim/fault", kind="rate_limited", route="margin", count=1)
        venue = msgspec.structs.replace(config.venue, rest_url=running.rest, ws_url="ws://127.0.0.1:1", api_key=API_KEY)
        check_before_start(
            TradingOrchestrator(msgspec.structs.replace(config, venue=venue, simulator=SimulatorRules()))
        )
        placed = running.get("/sim/state")[1]["data"]["orders"]
    said = capsys.readouterr().err
    assert "doctor: WebSocket: ws://127.0.0.1:1" in said and "doctor: margin: " in said
    assert "doctor: funds" not in said and placed == {}


@pytest.mark.parametrize(("month", "day", "years"), [(11, 30, ()), (12, 1, ("2027",))])
def test_start_in_december_does_not_say_that_next_year_has_no_holidays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], month: int, day: int, years: tuple[str, ...]
) -> None:
    """The calendar ended in five weeks, and neither doctor nor a start had a word of it."""
    config = run_config(tmp_path)
    config.state.chmod(0o700)
    begin = ClockSegment(machine_now(), to_ns(date(2026, month, day), time(11, 0)), 1.0)
    MarketClock((begin,), config.clock_path).mark_seen()
    check_before_start(TradingOrchestrator(config))
    said = capsys.readouterr().err
    assert [year for year in ("2026", "2027") if f"lists no holiday of {year}" in said] == list(years)
    if years:
        assert "doctor: calendar:" in said and "`mytrading calendar write --year 2027`" in said
        assert "[holidays.NSE]" in said and "[holidays.MCX]" in said and "[holidays.CDS]" in said


def test_start_with_a_calendar_that_cannot_be_read_is_not_ended_by_the_look_at_its_years(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = trading_config(tmp_path)
    config.state.chmod(0o700)
    check_before_start(TradingOrchestrator(msgspec.structs.replace(config, home=str(tmp_path))))
    assert "doctor: calendar: config/calendar.toml" in capsys.readouterr().err
