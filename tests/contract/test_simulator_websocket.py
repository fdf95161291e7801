"""The simulator's WebSocket side, with a plain WebSocket client: frames, errors, ticks, order updates, slow clients."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import websocket

from tests.kit.project import ROOT
from tests.kit.simulator_process import API_KEY, RunningSimulator, start_simulator
from tests.kit.waiting import PATIENCE, eventually

TICKS = ROOT / "tests" / "data" / "ticks-2024-03-13.csv.gz"
NIFTY = {"symbol": "NIFTY", "exchange": "NSE_INDEX"}
SBIN = {"symbol": "SBIN", "exchange": "NSE"}

Frame = dict[str, Any]


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path_factory.mktemp("simulator"), speed=10) as running:
        yield running


class Listener:
    """A connection that speaks JSON."""

    def __init__(self, url: str) -> None:
        self.socket = websocket.create_connection(url, timeout=10)

    def ask(self, **message: Any) -> Frame:
        """Send a message; the next frame that is not market data or an order update."""
        self.socket.send(json.dumps(message))
        return self.until(lambda frame: frame.get("type") not in ("market_data", "order_update"))

    def until(self, wanted: Callable[[Frame], bool]) -> Frame:
        """The next frame that is wanted; others may come for a while."""
        until = time.monotonic() + 40 * PATIENCE
        while time.monotonic() < until:
            frame: Frame = json.loads(self.socket.recv())
            if wanted(frame):
                return frame
        raise AssertionError(f"no such frame came; the last one was {frame}")

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def listener(simulator: RunningSimulator) -> Iterator[Listener]:
    with closing(Listener(simulator.ws)) as connected:
        assert connected.ask(action="authenticate", api_key=API_KEY)["type"] == "auth"
        yield connected


def test_nothing_but_ping_works_before_authentication(simulator: RunningSimulator) -> None:
    with closing(Listener(simulator.ws)) as foreign:
        refused = {"status": "error", "code": "NOT_AUTHENTICATED", "message": "You must authenticate first"}
        assert foreign.ask(action="subscribe", symbols=[SBIN], mode=1) == refused
        assert foreign.ask(action="ping", timestamp=5)["client_timestamp"] == 5
        assert foreign.ask(action="authenticate")["message"] == "API key is required"
        assert foreign.ask(action="authenticate", api_key="wrong")["code"] == "AUTHENTICATION_ERROR"
        assert foreign.ask(type="auth", apikey=API_KEY)["status"] == "success"


def test_each_mode_has_its_frame(listener: Listener) -> None:
    reply = listener.ask(action="subscribe", symbols=[SBIN], mode="LTP", request_id="r-1")
    assert (reply["status"], reply["request_id"], reply["subscriptions"][0]["mode"]) == ("success", "r-1", "LTP")
    ltp = listener.until(lambda frame: frame["mode"] == 1)
    assert set(ltp["data"]) == {"symbol", "exchange", "mode", "ltp", "ltt", "timestamp"}
    assert listener.ask(action="subscribe", **SBIN, mode=2)["subscriptions"][0]["mode"] == "Quote"
    quote = listener.until(lambda frame: frame["mode"] == 2)["data"]
    assert {"volume", "open", "high", "low", "close", "average_price", "bid", "ask"} <= set(quote)
    assert quote["bid"] < quote["ltp"] < quote["ask"]
    assert listener.ask(action="subscribe", symbols=[SBIN], mode="depth")["subscriptions"][0]["mode"] == "Depth"
    depth = listener.until(lambda frame: frame["mode"] == 3)["data"]
    assert (len(depth["depth"]["buy"]), len(depth["depth"]["sell"]), depth["mode"]) == (5, 5, "full")


def test_ticks_carry_ascending_market_time(listener: Listener) -> None:
    listener.ask(action="subscribe", symbols=[NIFTY], mode=2)
    times = [listener.until(lambda frame: frame["type"] == "market_data")["data"]["timestamp"] for _ in range(5)]
    assert times == sorted(times)
    assert {b - a for a, b in pairwise(times[1:])} == {1000}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"action": "dance"}, "INVALID_ACTION"),
        ({"action": "subscribe", "symbols": [SBIN], "mode": 4}, "INVALID_MODE"),
        ({"action": "subscribe", "symbols": [SBIN], "mode": "1"}, "INVALID_MODE"),
        ({"action": "subscribe", "symbols": [], "mode": 1}, "INVALID_PARAMETERS"),
        ({"action": "subscribe", "symbols": ["SBIN"], "mode": 1}, "SERVER_ERROR"),
        ({"action": "unsubscribe"}, "INVALID_PARAMETERS"),
    ],
)
def test_bad_message_gets_an_error_without_a_type(listener: Listener, message: Frame, code: str) -> None:
    reply = listener.ask(**message)
    assert (reply["status"], reply["code"]) == ("error", code)
    assert "type" not in reply


def test_garbage_is_answered_and_the_connection_stays(listener: Listener) -> None:
    listener.socket.send("this is not json")
    assert json.loads(listener.socket.recv())["code"] == "INVALID_JSON"
    assert listener.ask(action="get_broker_info")["adapter_status"] == "connected"


def test_unknown_symbol_makes_a_partial_reply(listener: Listener) -> None:
    reply = listener.ask(action="subscribe", symbols=[SBIN, {"symbol": "NO", "exchange": "NSE"}], mode=1)
    assert reply["status"] == "partial"
    assert [row["status"] for row in reply["subscriptions"]] == ["success", "error"]


def test_unsubscribe_counts_modes(listener: Listener) -> None:
    listener.ask(action="subscribe", symbols=[SBIN], mode=1)
    reply = listener.ask(action="unsubscribe", symbols=[{**SBIN, "mode": 1}], request_id="u")
    assert (reply["type"], reply["request_id"]) == ("unsubscribe", "u")
    assert listener.ask(action="unsubscribe_all")["successful"] == []


def test_order_updates_follow_an_order(simulator: RunningSimulator, listener: Listener) -> None:
    assert listener.ask(action="subscribe_orders", request_id="o")["request_id"] == "o"
    _, body = simulator.place()

    def mine(frame: Frame) -> bool:
        return frame.get("orderid") == body["orderid"]

    first, last = listener.until(mine), listener.until(mine)
    assert [first["order_status"], last["order_status"]] == ["open", "complete"]
    assert last["filled_quantity"] == 10
    assert last["price"] == last["average_price"] > 0
    assert not {"timestamp", "strategy"} & set(last)


def test_pushed_quote_reaches_listeners_at_once(simulator: RunningSimulator, listener: Listener) -> None:
    listener.ask(action="subscribe", symbols=[{"symbol": "INFY", "exchange": "NSE"}], mode=2)
    simulator.push("INFY", 1234.5)
    assert listener.until(lambda frame: frame["data"]["ltp"] == 1234.5)["symbol"] == "INFY"


def test_muted_feed_sends_nothing_and_dropped_feed_closes(simulator: RunningSimulator) -> None:
    with closing(Listener(simulator.ws)) as listener:
        listener.ask(action="authenticate", api_key=API_KEY)
        listener.ask(action="subscribe", symbols=[NIFTY], mode=1)
        simulator.call("/sim/fault", kind="ws_drop")
        with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
            listener.until(lambda frame: frame["type"] == "nothing")
    simulator.call("/sim/fault", kind="ws_mute")
    with closing(Listener(simulator.ws)) as listener:
        listener.ask(action="authenticate", api_key=API_KEY)
        listener.ask(action="subscribe", symbols=[NIFTY], mode=1)
        listener.socket.settimeout(0.5)
        with pytest.raises(websocket.WebSocketTimeoutException):
            listener.socket.recv()
    simulator.call("/sim/fault", kind="ws_mute", count=0)


@pytest.mark.slow
def test_client_that_reads_nothing_blocks_nobody_and_then_gets_the_newest(tmp_path: Path) -> None:
    with start_simulator(tmp_path, speed=400) as running:
        rows = running.get("/api/v1/instruments", "&exchange=NFO")[1]["data"]
        near = [{"symbol": row["symbol"], "exchange": "NFO"} for row in rows[10:40]]
        with closing(Listener(running.ws)) as slow, closing(Listener(running.ws)) as quick:
            slow.socket.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            for one, wanted, mode in ((slow, near, 3), (quick, [NIFTY], 1)):
                one.ask(action="authenticate", api_key=API_KEY)
                one.socket.send(json.dumps({"action": "subscribe", "symbols": wanted, "mode": mode}))
            eventually(lambda: running.get("/sim/state")[1]["data"]["frames"] > 12_000, 30)
            state = running.get("/sim/state")[1]["data"]
            running.call("/sim/pause", paused=True)
            last = eventually(lambda: running.get("/sim/state")[1]["data"])["market_ns"] // 1_000_000
            assert quick.until(lambda frame: _time(frame) > state["market_ns"] // 1_000_000 - 60_000)
            read = 0
            while _time(slow.until(lambda frame: "data" in frame)) < last - 300_000:
                read += 1
            assert read < 10_000


def _time(frame: Frame) -> int:
    return int(frame["data"]["timestamp"]) if "data" in frame else 0


@pytest.mark.slow
def test_replay_sends_every_tick_of_the_file_in_order(tmp_path: Path) -> None:
    with gzip.open(TICKS, "rt") as stream:
        rows = [line.strip().split(",") for line in stream][1:]
    prices = [float(price) for _, price in rows]
    enough = sum("09:15:00" < at[11:] <= "09:20:00" for at, _ in rows)
    with start_simulator(tmp_path, replay=TICKS, start="2024-03-13 09:14:00", speed=120) as running:
        with closing(Listener(running.ws)) as listener:
            listener.ask(action="authenticate", api_key=API_KEY)
            listener.ask(action="subscribe", symbols=[NIFTY], mode=1)
            seen: dict[int, float] = {}
            while len(seen) < enough:
                data = listener.until(lambda frame: frame["type"] == "market_data")["data"]
                seen[data["timestamp"]] = data["ltp"]
        times = list(seen)
        assert times == sorted(times)
        reported = list(seen.values())[5:]  # what is sent to a new subscriber may be older than the next tick
        offset = next(i for i in range(len(prices)) if prices[i : i + 40] == reported[:40])
        assert prices[offset : offset + len(reported)] == reported
        assert running.call("symbol", symbol="NIFTY14MAR2422400CE", exchange="NFO")[1]["data"]["lotsize"] == 50


def test_connection_count_returns_to_zero_when_clients_leave(simulator: RunningSimulator) -> None:
    def clients() -> int:
        return int(simulator.get("/sim/state")[1]["data"]["clients"])

    eventually(lambda: clients() == 0)
    with closing(Listener(simulator.ws)):
        assert eventually(lambda: clients() == 1)
    assert eventually(lambda: clients() == 0)
