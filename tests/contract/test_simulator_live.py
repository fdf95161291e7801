"""The simulator's live personality against the shapes of a recorded live server, and brokers that are unlike it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.golden.openalgo.live.make import SHAPES
from tests.golden.openalgo.make import shape
from tests.kit.simulator_process import RunningSimulator, refused_simulator, start_simulator
from tests.kit.waiting import eventually

RECORDED = json.loads(SHAPES.read_text())
ELEVEN = {
    "action", "exchange", "order_status", "orderid", "price", "pricetype", "product", "quantity", "symbol",
    "timestamp", "trigger_price",
}  # fmt: skip


@pytest.fixture(scope="module")
def zerodha(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path_factory.mktemp("zerodha"), personality="live", broker="zerodha") as running:
        running.push("SBIN", 985.0)
        yield running


@pytest.fixture(scope="module")
def dhan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path_factory.mktemp("dhan"), personality="live", broker="dhan") as running:
        running.push("SBIN", 985.0)
        yield running


@pytest.fixture(scope="module")
def motilal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path_factory.mktemp("motilal"), personality="live", broker="motilal") as running:
        running.push("SBIN", 985.0)
        yield running


def patient(simulator: RunningSimulator, **order: Any) -> str:
    """The id of an order, placed as soon as the rate limit allows."""
    answers: list[dict[str, Any]] = []
    eventually(lambda: answers.append(simulator.place(**order)[1]) or answers[-1].get("orderid"), 5)
    return str(answers[-1]["orderid"])


def orders(simulator: RunningSimulator) -> dict[str, dict[str, Any]]:
    _, body = simulator.call("orderbook")
    return {row["orderid"]: row for row in body["data"]["orders"]}


def held_to(name: str, answer: tuple[int, dict[str, Any]]) -> None:
    """Fail unless an answer has the recorded one's status and shape."""
    status, body = answer
    assert (status, shape(body)) == (RECORDED[name]["status"], RECORDED[name]["shape"]), name


def test_live_answers_have_the_recorded_shapes(zerodha: RunningSimulator) -> None:
    held_to("placeorder MARKET", zerodha.place())
    filled = patient(zerodha)
    resting = patient(zerodha, pricetype="LIMIT", price=900.0)
    one = {"strategy": "T", "orderid": filled}
    held_to("orderstatus MARKET", zerodha.call("orderstatus", **one))
    held_to("orderstatus unknown", zerodha.call("orderstatus", strategy="T", orderid="nope"))
    for name in ("orderbook", "tradebook", "positionbook", "funds"):
        held_to(name, zerodha.call(name))
    position = {"strategy": "T", "symbol": "SBIN", "exchange": "NSE", "product": "MIS"}
    held_to("openposition", zerodha.call("openposition", **position))
    change = {
        **position, "orderid": resting, "action": "BUY", "pricetype": "LIMIT", "price": 901.0, "quantity": 10,
        "disclosed_quantity": 0, "trigger_price": 0,
    }  # fmt: skip
    held_to("modifyorder LIMIT", zerodha.call("modifyorder", **change))
    held_to("modifyorder completed", zerodha.call("modifyorder", **{**change, "orderid": filled}))
    held_to("cancelorder LIMIT", zerodha.call("cancelorder", strategy="T", orderid=resting))
    held_to("cancelorder again", zerodha.call("cancelorder", strategy="T", orderid=resting))
    held_to("cancelorder unknown", zerodha.call("cancelorder", strategy="T", orderid="nope"))
    patient(zerodha, pricetype="LIMIT", price=900.0)
    held_to("cancelallorder", zerodha.call("cancelallorder", strategy="T"))
    held_to("closeposition", zerodha.call("closeposition", strategy="T"))
    held_to("positionbook after", zerodha.call("positionbook"))
    status, body = zerodha.call("analyzer")
    assert (status, body["data"]["mode"], body["data"]["analyze_mode"]) == (200, "live", False)


def test_live_row_tells_neither_strategy_nor_fills_and_comes_oldest_first(zerodha: RunningSimulator) -> None:
    first, second = patient(zerodha), patient(zerodha, pricetype="LIMIT", price=900.0)
    rows = orders(zerodha)
    assert [name for name in rows if name in (first, second)] == [first, second]
    assert set(rows[first]) == ELEVEN
    assert (rows[first]["pricetype"], rows[first]["price"], rows[first]["order_status"]) == ("MARKET", 0.0, "complete")
    assert re.fullmatch(r"2026-11-20 \d\d:\d\d:\d\d", rows[first]["timestamp"])
    _, body = zerodha.call("ping")
    assert body["data"]["broker"] == "zerodha"


def test_protecting_broker_makes_a_limit_of_a_market_order(motilal: RunningSimulator) -> None:
    name = patient(motilal)
    row = orders(motilal)[name]
    assert (row["pricetype"], row["order_status"]) == ("LIMIT", "complete")
    assert row["price"] == pytest.approx(985.0 * 1.005, abs=0.05)
    stop = patient(motilal, action="SELL", pricetype="SL-M", trigger_price=980.0)
    row = orders(motilal)[stop]
    assert (row["pricetype"], row["order_status"], row["trigger_price"]) == ("SL", "open", 980.0)
    assert row["price"] == pytest.approx(980.0 * 0.995, abs=0.05)


def test_partly_filled_order_shows_in_the_brokers_word_only(dhan: RunningSimulator) -> None:
    dhan.call("/sim/pause", paused=True)
    dhan.call("/sim/fault", kind="partial_fill")
    name = patient(dhan, symbol="INFY")
    row = orders(dhan)[name]
    assert row["order_status"] == "PART_TRADED"
    assert "filled_quantity" not in row
    dhan.call("/sim/pause", paused=False)
    eventually(lambda: orders(dhan)[name]["order_status"] == "complete")


def test_analyzer_switched_on_answers_in_its_own_shapes(dhan: RunningSimulator) -> None:
    name = patient(dhan, strategy="mine")
    dhan.call("analyzer/toggle", mode=True)
    _, body = dhan.call("orderbook")
    dhan.call("analyzer/toggle", mode=False)
    row = next(row for row in body["data"]["orders"] if row["orderid"] == name)
    assert (body["mode"], row["strategy"], row["filled_quantity"]) == ("analyze", "mine", 10)
    assert "mode" not in dhan.call("orderbook")[1]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"personality": "banana"}, "expected one of paper, sandbox, live"),
        ({"personality": "live", "broker": "banana"}, "expected one of aliceblue"),
        ({"personality": "sandbox", "broker": "dhan"}, "only with --personality live"),
    ],
)
def test_unknown_personality_is_refused_with_those_there_are(
    tmp_path: Path, given: dict[str, object], words: str
) -> None:
    code, problem = refused_simulator(tmp_path, **given)
    assert code == 2
    assert words in problem


def test_sandbox_fills_by_the_last_price_and_keeps_stops_on_cancelall(tmp_path: Path) -> None:
    with start_simulator(tmp_path, personality="sandbox") as sandbox:
        sandbox.push("SBIN", 985.0, bid=984.0, ask=986.0)
        limit = patient(sandbox, pricetype="LIMIT", price=985.013)
        resting = patient(sandbox, pricetype="LIMIT", price=900.0)
        stop = patient(sandbox, pricetype="SL-M", trigger_price=990.0)
        rows = orders(sandbox)
        assert (rows[limit]["order_status"], rows[limit]["average_price"]) == ("complete", 985.0)
        _, body = sandbox.call("cancelallorder", strategy="T")
        assert body["canceled_orders"] == [resting]
        assert orders(sandbox)[stop]["order_status"] == "trigger pending"
        assert sandbox.call("cancelallorder", strategy="T")[1]["message"] == "No open orders to cancel"


def test_live_in_semi_automatic_mode_changes_and_ends_nothing(dhan: RunningSimulator) -> None:
    order = {"strategy": "T", "orderid": patient(dhan, pricetype="LIMIT", price=900.0)}
    change = {
        "symbol": "SBIN",
        "exchange": "NSE",
        "action": "BUY",
        "product": "MIS",
        "pricetype": "LIMIT",
        "price": 901,
    }
    dhan.call("/sim/fault", kind="semi_auto", count=-1)
    asked = {
        "modifyorder": {**order, **change, "quantity": 1, "disclosed_quantity": 0, "trigger_price": 0},
        "cancelorder": order,
        "cancelallorder": {"strategy": "T"},
        "closeposition": {"strategy": "T"},
    }
    answers = {route: dhan.call(route, **fields) for route, fields in asked.items()}
    dhan.call("/sim/fault", kind="clear")
    assert {status for status, _ in answers.values()} == {403}
    assert all("not allowed in Semi-Auto mode" in body["message"] for _, body in answers.values())
    assert orders(dhan)[order["orderid"]]["order_status"] == "open"
    assert dhan.call("cancelorder", **order)[0] == 200
