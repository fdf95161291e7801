"""The simulator against what a recorded server did after a switch, at its limits, by the clock and over WebSocket."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import websocket

from mytrading.core.time import SECOND
from tests.golden.openalgo.make import shape
from tests.golden.openalgo.sequences.make import MAKERS, WORDS, reported
from tests.kit.simulator_process import API_KEY, RunningSimulator, start_simulator
from tests.kit.waiting import PATIENCE, eventually

FOLDER = Path(__file__).parents[1] / "golden" / "openalgo" / "sequences"
RECORDED: dict[str, Any] = {name: json.loads((FOLDER / f"{name}.json").read_text()) for name in MAKERS}
SHARE = {"symbol": "SBIN", "exchange": "NSE"}
INDEX = {"symbol": "NIFTY", "exchange": "NSE_INDEX"}
CONTRACT = {"symbol": "NIFTY29DEC2626200CE", "exchange": "NFO"}
OF_KIND = {"share": SHARE, "index": INDEX, "contract": CONTRACT}
UNTOUCHED = {"symbol": "RELIANCE", "exchange": "NSE"}
"""Nobody held it in several modes: the broker sends what is asked for."""
ORDER = {**SHARE, "strategy": "T", "action": "BUY", "quantity": 1, "pricetype": "MARKET", "product": "MIS"}

HERE = {"<API_KEY>": API_KEY, "<WRONG_API_KEY>": "wrong", "TCS": "INFY"}

Body = dict[str, Any]


class Call(NamedTuple):
    """One of many: machine times around it, and the answer."""

    path: str
    sent: int
    ended: int
    status: int
    body: Body
    headers: dict[str, str]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    folder = tmp_path_factory.mktemp("sequences")
    with start_simulator(folder, personality="sandbox", speed=10, capital=10_000_000) as running:
        yield running


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    folder = tmp_path_factory.mktemp("sequences-live")
    with start_simulator(folder, personality="live", broker="zerodha", speed=10, capital=10_000_000) as running:
        yield running


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningSimulator, list[Call]]]:
    """A simulator of which every call is known."""
    with start_simulator(tmp_path_factory.mktemp("sequences-limits"), personality="sandbox") as running:
        yield running, []


@pytest.fixture(autouse=True)
def without_faults(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    for name in {"sandbox", "live"} & set(request.fixturenames):
        request.getfixturevalue(name).call("/sim/fault", kind="clear")


def filled(value: Any) -> Any:
    """A recorded request with this server's key, and with shares that it lists."""
    if isinstance(value, dict):
        return {key: filled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item) for item in value]
    return HERE.get(value, value) if isinstance(value, str) else value


def answered(simulator: RunningSimulator, call: Body) -> tuple[int, Any]:
    """Status and body of a recorded call, asked once the rate allows it."""
    request = call["request"]
    fields = filled(request["json"])
    replies: list[tuple[int, Any]] = []
    eventually(lambda: replies.append(simulator.call(request["path"], **fields)) or replies[-1][0] != 429)
    return replies[-1]


def held_to(simulator: RunningSimulator, calls: list[Body]) -> None:
    """Fail unless every call has the recorded status and shape."""
    found = {}
    for call in calls:
        status, body = answered(simulator, call)
        if (status, shape(body)) != (call["status"], call["shape"]):
            found[call["name"]] = (status, body, call["status"], call["shape"])
    assert not found


# after a switch


def test_server_without_a_broker_session_answers_as_recorded(sandbox: RunningSimulator) -> None:
    before, *after = (call for call in RECORDED["session"] if "request" in call)
    held_to(sandbox, [before])
    sandbox.call("/sim/fault", kind="session_lost", count=-1)
    held_to(sandbox, after)
    assert [call["name"] for call in after if call["status"] == 200] == ["logged out of the broker: search"]


def test_socket_without_a_broker_session_is_reported_and_stays_open(sandbox: RunningSimulator) -> None:
    (recorded,) = (call["frame"] for call in RECORDED["session"] if "frame" in call)
    assert recorded["code"] == "BROKER_ERROR"
    sandbox.call("/sim/fault", kind="session_lost", count=-1)
    with closing(Listener(sandbox)) as listener:
        assert reported(listener.ask({"action": "authenticate", "api_key": API_KEY})) == recorded
        sandbox.call("/sim/login")
        assert listener.ask({"action": "authenticate", "api_key": API_KEY})["type"] == "auth"


def test_semi_automatic_server_parks_single_and_composed_orders_as_recorded(sandbox: RunningSimulator) -> None:
    calls = RECORDED["semi-auto"]
    back = next(number for number, call in enumerate(calls) if "back to auto" in call["name"])
    parked = [call for call in calls[:back] if "pending_order_id" in call["shape"]]
    routes = {call["request"]["path"].rpartition("/")[2] for call in parked}
    assert routes == {"placeorder", "placesmartorder", "basketorder", "splitorder", "optionsorder"}
    sandbox.call("/sim/fault", kind="semi_auto", count=-1)
    held_to(sandbox, calls[:back])
    assert sandbox.call("orderbook")[1]["data"]["orders"] == []
    sandbox.call("/sim/fault", kind="semi_auto", count=0)
    held_to(sandbox, calls[back:])


def test_parked_requests_count_once_and_only_on_the_side_they_are_asked_for(sandbox: RunningSimulator) -> None:
    sandbox.call("/sim/fault", kind="semi_auto", count=2, side="SELL")
    legs = [{**ORDER, "action": side} for side in ("BUY", "SELL", "SELL")]
    rows = [{key: leg[key] for key in leg if key != "strategy"} for leg in legs]
    assert sandbox.call("basketorder", strategy="T", orders=rows)[1]["mode"] == "semi_auto"
    assert sandbox.call("splitorder", **ORDER, splitsize=1)[1]["results"][0]["status"] == "success"
    sold = {**ORDER, "action": "SELL"}
    assert sandbox.call("splitorder", **sold, splitsize=1)[1]["mode"] == "semi_auto"
    assert sandbox.call("splitorder", **sold, splitsize=1)[1]["mode"] == "analyze"


# a live server

LIVE_DIFFERENCES = {
    "placeorder broker token expired": "the recorded broker was made to fail",
    "placeorder broker 429": "the recorded broker was made to fail",
    "placeorder broker 500": "the recorded broker was made to fail",
    "placeorder LIMIT without price": "the stand-in for the broker took what brokers refuse",
    "placeorder SL without trigger": "the stand-in for the broker took what brokers refuse",
    "holdings": "nothing was bought on an earlier day",
    "gttorderbook": "the stand-in for the broker has no triggers",
}
"""Calls of the recorded live server that are answered otherwise, with the reason; one that differs no more must go."""


def test_live_server_answers_each_call_as_recorded(live: RunningSimulator) -> None:
    live.push("SBIN", 985.0)
    known: dict[str, str] = {}
    found = {}
    for call in RECORDED["live"]:
        named = {**call, "request": {**call["request"], "json": renamed(call["request"]["json"], known)}}
        status, body = answered(live, named)
        if isinstance(body.get("orderid"), str):
            known.setdefault(f"<ORDER {call['name']}>", body["orderid"])
        if (status, shape(body)) != (call["status"], call["shape"]):
            found[call["name"]] = (status, body, call["status"], call["shape"])
    live.push("SBIN", 985.0, release=True)
    assert {name: reported for name, reported in found.items() if name not in LIVE_DIFFERENCES} == {}
    assert set(LIVE_DIFFERENCES) <= set(found), "differs no more"


def renamed(value: Any, known: dict[str, str]) -> Any:
    """A request with this server's ids of the orders that were placed before."""
    if isinstance(value, dict):
        return {key: renamed(item, known) for key, item in value.items()}
    return known.get(value, value) if isinstance(value, str) else value


# at the limits


BURSTS: dict[tuple[str, int], Body] = {
    ("placeorder", 200): {**ORDER, "pricetype": "LIMIT", "price": 900},
    ("placeorder", 400): {**ORDER, "quantity": -1},
    ("cancelorder", 404): {"strategy": "T", "orderid": "nope"},
    ("placesmartorder", 200): {**ORDER, "quantity": 0, "position_size": 0},
    ("basketorder", 200): {"strategy": "T", "orders": [{**SHARE, "action": "BUY", "quantity": 1, "price": 900}]},
    ("quotes", 200): SHARE,
    ("ping", 200): {},
    ("optiongreeks", 200): {"symbol": "NIFTY29DEC2626000CE", "exchange": "NFO"},
}


def at_once(simulator: RunningSimulator, path: str, fields: Body, count: int) -> list[Call]:
    """Many calls of one route, one after the other over one connection."""
    address = urlsplit(simulator.rest)
    body = json.dumps({"apikey": API_KEY, **fields})
    calls = []
    with closing(http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)) as connection:
        for _ in range(count):
            sent = time.monotonic_ns()
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            reply = json.loads(response.read())
            calls.append(Call(path, sent, time.monotonic_ns(), response.status, reply, dict(response.getheaders())))
    return calls


@pytest.mark.parametrize("burst", RECORDED["rates"], ids=lambda burst: f"{burst['path'][8:]}-{min(burst['codes'])}")
def test_limits_are_those_that_were_recorded(limited: tuple[RunningSimulator, list[Call]], burst: Body) -> None:
    simulator, known = limited
    route, usual = burst["path"].rpartition("/")[2], int(min(burst["codes"]))
    most = burst["codes"][str(usual)]
    window = 60 * SECOND if "minute" in burst["refusal"]["message"] else SECOND
    calls: list[Call] = []
    fields = BURSTS[route, usual]

    def both() -> bool:
        calls.extend(at_once(simulator, burst["path"], fields, burst["requests"]))
        return {call.status for call in calls} >= {usual, 429}

    eventually(both, 30)
    known += calls
    assert {call.status for call in calls} == {usual, 429}
    taken = [call for call in known if call.path == burst["path"] and call.status != 429]
    assert all(later.ended - first.sent >= window for first, later in zip(taken, taken[most:], strict=False))
    for call in _refused(calls):
        assert call.body == burst["refusal"]
        assert "Retry-After" not in call.headers
        assert sum(call.sent - window < other.ended < call.ended for other in taken) >= most


def _refused(calls: list[Call]) -> list[Call]:
    return [call for call in calls if call.status == 429]


# by the clock


def test_square_off_ends_orders_and_positions_of_the_day_as_recorded(tmp_path: Path) -> None:
    recorded = RECORDED["square-off"]
    calls = recorded["calls"]
    after = next(number for number, call in enumerate(calls) if call["name"] == "orderbook after")
    options = {"start": "2026-11-20 15:14:20", "speed": 10, "personality": "sandbox", "capital": 10_000_000}
    with start_simulator(tmp_path, **options) as running:
        held_to(running, calls[:after])
        assert states(running) == recorded["before"]
        eventually(lambda: len(running.call("tradebook")[1]["data"]) > 4, 20)
        assert states(running) == recorded["after"]
        held_to(running, calls[after:])


def states(simulator: RunningSimulator) -> dict[str, str]:
    """Statuses of the three orders that rested."""
    names = {("LIMIT", "MIS"): "MIS LIMIT", ("SL-M", "MIS"): "MIS SL-M", ("LIMIT", "CNC"): "CNC LIMIT"}
    rows = simulator.call("orderbook")[1]["data"]["orders"]
    named = ((names.get((row["pricetype"], row["product"])), row["order_status"]) for row in rows)
    return {name: status for name, status in named if name is not None}


# over WebSocket


class Listener:
    """A connection that speaks JSON."""

    def __init__(self, simulator: RunningSimulator, *, admitted: bool = False) -> None:
        self.socket = websocket.create_connection(simulator.ws, timeout=10)
        if admitted:
            assert self.ask({"action": "authenticate", "api_key": API_KEY})["type"] == "auth"

    def ask(self, message: Any) -> Body:
        """Send a message; the next frame that is neither market data nor an order update."""
        self.socket.send(message if isinstance(message, str) else json.dumps(message))
        return self.until(lambda frame: frame.get("type") not in ("market_data", "order_update"))

    def until(self, wanted: Callable[[Body], bool]) -> Body:
        """The next frame that is wanted; others may come for a while."""
        until = time.monotonic() + 40 * PATIENCE
        while time.monotonic() < until:
            frame: Body = json.loads(self.socket.recv())
            if wanted(frame):
                return frame
        raise AssertionError(f"no such frame came; the last one was {frame}")

    def close(self) -> None:
        self.socket.close()


def test_request_forms_are_answered_as_recorded(sandbox: RunningSimulator) -> None:
    for name in ("ws-forms", "ws-docs-form"):
        with closing(Listener(sandbox)) as listener:
            for said in RECORDED[name]:
                answer = listener.ask(filled(said["send"]))
                assert reported(answer) == said["answer"], said["send"]


@pytest.mark.parametrize("kind", ["share", "index", "contract"])
@pytest.mark.parametrize("role", ["sandbox", "live"])
def test_quotes_tell_what_a_running_server_tells_and_no_more(
    request: pytest.FixtureRequest, role: str, kind: str
) -> None:
    simulator: RunningSimulator = request.getfixturevalue(role)
    recorded, named = RECORDED["ws-quotes"], {**OF_KIND, "share": UNTOUCHED}[kind]
    for name in [name for name in recorded if name.startswith(kind)]:
        mode, beside = name.removeprefix(f"{kind} ").partition(" ")[::2]
        with closing(Listener(simulator, admitted=True)) as listener:
            for held in (["Depth"] if beside else []) + [mode]:
                listener.ask({"action": "subscribe", "symbols": [named], "mode": held})
            number = ("LTP", "Quote", "Depth").index(mode) + 1
            frame = listener.until(lambda found, number=number: found["mode"] == number)
            assert shape(frame) == recorded[name], name


def test_bid_and_ask_come_with_the_book_alone() -> None:
    for name, found in RECORDED["ws-quotes"].items():
        assert not {"bid", "ask", "bid_price", "ask_price"} & set(found["data"]), name
        assert ("depth" in found["data"]) == (name in ("share Depth", "contract Depth"))


@pytest.mark.parametrize(("role", "name"), [("sandbox", "ws-updates"), ("live", "ws-updates-live")])
def test_order_updates_have_the_recorded_shape_in_each_state(
    request: pytest.FixtureRequest, role: str, name: str
) -> None:
    simulator: RunningSimulator = request.getfixturevalue(role)
    recorded = RECORDED[name]
    simulator.push("SBIN", 985.0)
    with closing(Listener(simulator, admitted=True)) as listener:
        listener.ask({"action": "subscribe_orders"})
        orders = [
            {},
            {"pricetype": "LIMIT", "price": 950},
            {"pricetype": "SL-M", "action": "SELL", "trigger_price": 950},
        ]
        for order in orders:
            eventually(lambda order=order: simulator.place(**order)[0] == 200)
        simulator.call("/sim/fault", kind="reject", late=True)
        eventually(lambda: simulator.place(pricetype="LIMIT", price=951)[0] == 200)
        resting = [row for row in simulator.call("orderbook")[1]["data"]["orders"] if row["order_status"] == "open"]
        simulator.call("cancelorder", strategy="T", orderid=resting[-1]["orderid"])
        wanted = set(recorded)
        while wanted:
            frame = listener.until(lambda frame: frame["type"] == "order_update")
            expected = recorded.get(frame["order_status"], recorded["open"])
            assert shape(frame) == expected, frame["order_status"]
            wanted.discard(frame["order_status"])


def test_words_kept_of_a_frame_are_those_a_client_must_know() -> None:
    assert reported({"status": "error", "code": "X", "message": "text"}) == {
        "status": "error",
        "code": "X",
        "shape": {"status": "text", "code": "text", "message": "text"},
    }
    assert set(WORDS) == {"status", "code", "type"}
