"""A live stack: it starts only when wholly confirmed, and is ready only at a server that trades live."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.simulator_process import API_KEY, RunningSimulator, start_simulator
from tests.kit.stack import Stack
from tests.kit.waiting import eventually
from tests.kit.webhook_stack import AlertSender, make_home

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

CONFIRMED = {"TRADING_MODE": "live", "ENABLE_TRADE_EXECUTION": "true", "LIVE_CONFIRM": "main"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path_factory.mktemp("live"), personality="live", speed=60) as running:
        yield running


def at(server: RunningSimulator, **more: str) -> dict[str, str]:
    host, port = server.ws.rsplit("/", 1)[1].split(":")
    where = {"OPENALGO_API_HOST": server.rest, "OPENALGO_WS_HOST": host, "OPENALGO_WS_PORT": port}
    return {"OPENALGO_API_KEY": API_KEY, **where, **more}


def test_confirmed_live_stack_is_ready_at_a_live_server(tmp_path: Path, server: RunningSimulator) -> None:
    with Stack(tmp_path, **at(server, **CONFIRMED)) as stack:
        stack.up()
        body = stack.ask("status")
        assert body["mode"] == "live"
        assert eventually(lambda: [row.get("right_mode") for row in stack.ask("status")["accounts"]] == [True], 30)
        assert [row["code"] for row in stack.ask("alerts") if row["code"] == "WRONG_MODE"] == []
        eventually(lambda: stack.ask("risk")["known"], 20)


@pytest.mark.parametrize("missing", ["ENABLE_TRADE_EXECUTION", "LIVE_CONFIRM"])
def test_unconfirmed_live_stack_does_not_start(tmp_path: Path, server: RunningSimulator, missing: str) -> None:
    stack = Stack(tmp_path, **at(server, **{key: value for key, value in CONFIRMED.items() if key != missing}))
    done = stack.run("up", "--detach")
    assert done.returncode == 4
    assert missing in done.stderr
    assert not any(stack.base.glob("*/run.msgpack"))


def test_live_stack_in_a_simulators_market_time_trades_whatever_the_hour(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", **CONFIRMED)
    with start_simulator(tmp_path, personality="live", broker="zerodha", start="2026-11-20 10:00") as server:
        clock = tmp_path / "clock.json"
        with Stack(tmp_path, **{**home, **at(server), "SIMULATOR_CLOCK": str(clock)}) as stack:
            alerts = AlertSender(stack)
            alerts.add("Probe", "--map", "RELIANCE=NSE:RELIANCE,MIS,10")
            assert stack.run("webhook", "edit", "Probe", "--live").returncode == 0
            stack.up("--no-console")
            assert stack.market_time().startswith("10:0")
            body = stack.ask("status")
            assert (body["mode"], body["clock_of"]) == ("live", str(clock))
            assert "of a simulator's clock" in stack.run("status").stdout
            skew = next(row for row in stack.ask("doctor", "--quick")["findings"] if row["check"] == "clock skew")
            assert skew["verdict"] == "warning" and str(clock) in skew["found"]
            eventually(lambda: alerts.is_taken("Probe"), 20)
            eventually(lambda: stack.ask("status")["entries_closed"] == "", 30)
            answer = alerts.post("Probe", {"symbol": "RELIANCE", "action": "buy", "id": 1})
            assert answer.code == "accepted", answer
            assert eventually(lambda: stack.held(), 20) == {"Probe": 10}
            _, books = server.call("positionbook")
            assert [(row["symbol"], int(row["quantity"])) for row in books["data"]] == [("RELIANCE", 10)]
