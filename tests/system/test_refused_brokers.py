"""A live stack at a broker that cannot keep a stop, and at a server that was logged in to another broker meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.simulator_process import API_KEY, RunningSimulator, start_simulator
from tests.kit.stack import Stack
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]
LIVE = {"TRADING_MODE": "live", "ENABLE_TRADE_EXECUTION": "true", "LIVE_CONFIRM": "main", "OPENALGO_PING_SECONDS": "1"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningSimulator]:
    place = tmp_path / "server"
    place.mkdir()
    with start_simulator(place, personality="live", broker="paytm") as running:
        yield running


def at(server: RunningSimulator, **more: str) -> dict[str, str]:
    host, port = server.ws.rsplit("/", 1)[1].split(":")
    where = {"OPENALGO_API_HOST": server.rest, "OPENALGO_WS_HOST": host, "OPENALGO_WS_PORT": port}
    return {"OPENALGO_API_KEY": API_KEY, **where, **LIVE, **more}


def alerts(stack: Stack) -> dict[str, dict[str, Any]]:
    return {row["code"]: row for row in stack.ask("alerts") if not row.get("cleared")}


def test_up_ends_at_once_at_a_refused_broker_with_nothing_held(tmp_path: Path, server: RunningSimulator) -> None:
    stack = Stack(tmp_path, **at(server, ACCEPTED_BROKERS="groww"))
    done = stack.run("up", "--detach")
    assert done.returncode == 4, done.stderr
    assert "ACCEPTED_BROKERS=paytm" in done.stderr and "market order" in done.stderr.lower()
    assert not any(stack.base.glob("*/run.msgpack"))


def test_name_of_no_broker_is_no_consent_but_an_error(tmp_path: Path, server: RunningSimulator) -> None:
    done = Stack(tmp_path, **at(server, ACCEPTED_BROKERS="paytn")).run("up", "--detach")
    assert done.returncode == 4
    assert "ACCEPTED_BROKERS" in done.stderr and "did you mean paytm" in done.stderr


def test_stack_starts_at_a_refused_broker_where_units_are_held_and_enters_nothing(
    tmp_path: Path, server: RunningSimulator
) -> None:
    assert server.place(product="MIS", pricetype="MARKET", price=0)[0] == 200
    eventually(lambda: [row["quantity"] for row in server.call("positionbook")[1]["data"]] == [10], 20)
    with Stack(tmp_path, **at(server)) as stack:
        stack.up()
        eventually(lambda: "where entries are refused" in stack.ask("status")["entries_closed"], 60)
        assert "main" in alerts(stack)["BROKER_REFUSED"]["subject"]


@pytest.mark.long
def test_accepted_broker_is_traded_and_every_screen_hears_who_holds_the_stops(
    tmp_path: Path, server: RunningSimulator
) -> None:
    with Stack(tmp_path, **at(server, ACCEPTED_BROKERS="paytm")) as stack:
        stack.up()
        found = eventually(lambda: alerts(stack).get("STOPS_IN_ENGINE"), 30)
        assert "paytm" in found["message"] and "the engine holds all stops" in found["message"]
        assert "refused" not in stack.ask("status")["entries_closed"]


def test_server_that_was_logged_in_to_another_broker_gets_no_entries(tmp_path: Path) -> None:
    place = tmp_path / "server"
    place.mkdir()
    with start_simulator(place, personality="live", broker="zerodha") as server:
        stack = Stack(tmp_path, **at(server))
        ports = {"rest_port": server.rest.rsplit(":", 1)[1], "ws_port": server.ws.rsplit(":", 1)[1]}
        with stack:
            stack.up()
            account = eventually(lambda: (row := stack.ask("status")["accounts"][0]).get("broker") and row, 30)
            assert account["broker"] == "zerodha"
            server.process.close()
            with start_simulator(place, personality="live", broker="upstox", **ports):
                found = eventually(lambda: alerts(stack).get("BROKER_CHANGED"), 60)
                assert found["severity"] == "critical" and "upstox" in found["message"]
                # the feed, which lost its server too, is named before it until it is back
                eventually(lambda: "zerodha" in (stack.ask("status")["entries_closed"] or ""), 30)
                assert stack.run("resume", "--account", "main").returncode == 0
                eventually(lambda: "BROKER_CHANGED" not in alerts(stack), 30)
