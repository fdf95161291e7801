"""Checks of `up` before it starts the processes: no output if all is in order, else cause and cure on stderr."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from mytrading.cli.doctor.command import check_before_start
from mytrading.messages.run_config import SimulatorRules
from mytrading.orchestrator import TradingOrchestrator
from tests.kit.run_configs import run_config
from tests.kit.simulator_process import API_KEY, start_simulator


def test_simulated_stack_in_order_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = run_config(tmp_path)
    config.state.chmod(0o700)
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
