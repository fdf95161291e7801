"""Paper money on live quotes: one server gives prices, contracts and history, the stack's own exchange takes orders."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mytrading.cli.shell.start import StartOptions, prepare_stack
from mytrading.messages.run_config import RunConfig
from mytrading.orchestrator import TradingOrchestrator
from mytrading.runtime.host.clock import ClockFile, read_clock_file, write_clock_file
from tests.kit.project import ROOT
from tests.kit.simulator_process import API_KEY, RunningSimulator, start_simulator
from tests.kit.stack import Stack
from tests.kit.stack_project import HEAD, LONG, make_project, named
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

SETTINGS = """
name = "Holder"
symbols = ["NIFTY"]
timeframes = ["1m"]
direction = "long"
product = "NRML"
lots = 1
signal_cooldown = 0

[trade]
long = "NIFTY ATM CE nearest"
"""
LOT = 75
"""Of the server; the stack's own table of contracts has another."""

SPEED = 10.0
READS = {"history", "instruments", "quotes", "multiquotes", "ping", "symbol", "search", "expiry", "/api/v1", "other"}
"""All that may be asked of the server: no order, no book, no mode. `/api/v1` tells its clock, and one of them
counts it as `other`, being no route of its; orders and books are routes of both."""


AS_SERVED = {"personality": "live", "broker": "zerodha"}
"""A live server whose quotes have no bid, ask or open interest, as zerodha's."""
WHOLE = {"personality": "paper"}
"""One whose quotes have them all."""


@pytest.fixture(scope="module", params=[AS_SERVED, pytest.param(WHOLE, marks=pytest.mark.long)], ids=["live", "paper"])
def kind(request: pytest.FixtureRequest) -> dict[str, str]:
    """Kind of the server that gives the quotes."""
    chosen: dict[str, str] = request.param
    return chosen


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, kind: dict[str, str]) -> Path:
    """The folder of the server, one for each kind."""
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def clock(place: Path, server: RunningSimulator) -> Path:
    """The server's clock."""
    return place / "clock.json"


@pytest.fixture(scope="module")
def server(place: Path, kind: dict[str, str]) -> Iterator[RunningSimulator]:
    """A simulator that stands for the real server: at ten in the morning, with lots of its own."""
    shutil.copytree(ROOT / "config", place / "config")
    facts = place / "config" / "instruments.toml"
    reported = facts.read_text(encoding="utf-8")
    changed = reported.replace("value = 65 }", f"value = {LOT} }}")
    assert changed != reported
    facts.write_text(changed, encoding="utf-8")
    with start_simulator(place, config_dir=place / "config", speed=SPEED, **kind) as running:
        yield running


@pytest.fixture
def stack(tmp_path: Path, server: RunningSimulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """A stack that is described and not started; this process sees its environment too."""
    host, port = server.ws.rsplit("/", 1)[1].split(":")
    where = {"OPENALGO_API_HOST": server.rest, "OPENALGO_WS_HOST": host, "OPENALGO_WS_PORT": port}
    chosen = {"PAPER_VENUE": "simulator", "ENABLED_SYMBOLS": "NIFTY"}
    patience = {"STALE_QUOTE_SECONDS": "120", "AVOID_FIRST_MINUTES": "0", "AVOID_LAST_MINUTES": "0"}
    project = make_project(tmp_path / "home", HEAD + LONG + named("Long", "Holder"), {"Holder": SETTINGS})
    environment = {**project, "OPENALGO_API_KEY": API_KEY, **where, **chosen, **patience}
    with Stack(tmp_path, **environment) as made:
        for name in ("MYTRADING_HOME", "MYTRADING_STATE_DIR", "MYTRADING_LOG_DIR", *environment):
            monkeypatch.setenv(name, made.environment[name])
        yield made


def begin(clock: Path) -> TradingOrchestrator:
    """Start as `up` does, on the clock of the server instead of the wall's, which may be outside of a session."""

    def same_time(config: RunConfig) -> None:
        segments = read_clock_file(clock).segments
        write_clock_file(config.clock_path, ClockFile(segments=segments, last_seen_machine_ns=0))

    started = prepare_stack(StartOptions())
    started.start(same_time)
    started.wait_ready(90)
    return started


def held(stack: Stack) -> dict[str, int]:
    """Positions of our books."""
    return {row["instrument"]: row["quantity"] for row in stack.ask("positions") if row["quantity"]}


def asked_of(server: RunningSimulator) -> set[str]:
    """The routes of the server that were called, tests' own left out."""
    requests = server.get("/sim/state")[1]["data"]["requests"]
    return {key.split()[0] for key in requests if not key.startswith(("sim", "/sim"))}


def test_stack_on_live_quotes_trades_at_its_own_exchange_and_sends_the_server_no_order(
    stack: Stack, server: RunningSimulator, clock: Path
) -> None:
    running = begin(clock)
    assert stack.state.name == "default-simulator"
    assert API_KEY.encode() not in (stack.state / "run.msgpack").read_bytes()
    eventually(
        lambda: stack.run("instruments", "accept", "NIFTY", "--yes").returncode == 0, 60
    )  # its lot is not our table's
    ours = eventually(lambda: held(stack), 90)
    ((instrument, quantity),) = ours.items()
    assert quantity == LOT, "the lot is that of the server's list"
    assert stack.broker_net() == ours
    chain_is_whole(stack)
    follows_a_price(stack, server, instrument)
    shown = stack.ask("status")
    assert shown["quotes_of"] == "main"
    assert {row["account"]: row["role"] for row in shown["accounts"]} == {"simulator": "orders", "main": "quotes"}
    findings = json.loads(stack.run("doctor", "--json").stdout)["findings"]
    assert [row for row in findings if row["verdict"] == "failed"] == []
    assert {row["check"]: row["verdict"] for row in findings}["paper order"] == "ok"
    running.stop()

    begin(clock)
    eventually(lambda: held(stack) == ours, 20)
    assert stack.broker_net() == ours
    chain_is_whole(stack)
    watched = stack.run("chain", "NIFTY", "--strikes", "5", "--watch", "--for", "3")
    assert " of 0 of" not in watched.stdout.splitlines()[0]
    assert asked_of(server) >= {"history", "instruments", "quotes"}
    assert asked_of(server) <= READS
    assert server.get("/sim/state")[1]["data"]["orders"] == {}


def chain_is_whole(stack: Stack) -> None:
    """Every strike has a price, bid and ask, and the open interest that no frame of this server brings."""
    body = json.loads(stack.run("chain", "NIFTY", "--strikes", "10", "--wait", "30", "--json").stdout)
    sides = [row[side] for row in body["rows"] for side in ("call", "put")]
    assert (body["without_quote"], len(sides)) == (0, 42)
    assert [side for side in sides if not (side.get("bid") and side.get("ask"))] == []
    assert [side for side in sides if side.get("open_interest") is None] == []
    assert body["pcr_open_interest"] > 0
    assert body["max_pain"]


def follows_a_price(stack: Stack, server: RunningSimulator, instrument: str) -> None:
    """A price of the server is that of the stack's exchange a moment later."""
    exchange, symbol = instrument.split(":")
    asked = {"symbol": symbol, "exchange": exchange}
    price = round(float(server.call("quotes", **asked)[1]["data"]["ltp"]) * 1.02 * 20) / 20
    server.push(symbol, price, exchange)
    eventually(lambda: stack.rest("quotes", **asked)["ltp"] == price, 20)


def test_wrong_key_of_the_source_of_quotes_is_named(stack: Stack) -> None:
    stack.environment["OPENALGO_API_KEY"] = "another"
    done = stack.run("doctor", "--quick", "--json")
    found = {row["check"]: row for row in json.loads(done.stdout)["findings"] if row["account"] == "main"}
    assert done.returncode == 1
    assert (found["server"]["verdict"], found["key"]["verdict"]) == ("ok", "failed")
    assert "OPENALGO_API_KEY" in found["key"]["cure"]
