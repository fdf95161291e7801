"""Triggers that wait for days, over plain HTTP: set, changed, cancelled, fired, kept over a kill."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.simulator_process import RunningSimulator, start_simulator
from tests.kit.waiting import eventually

SHARE = {"strategy": "T", "exchange": "NSE", "symbol": "SBIN", "product": "CNC", "quantity": 5}
BELOW = {**SHARE, "action": "BUY", "trigger_type": "SINGLE", "price": 975, "triggerprice_sl": 976}
BOTH = {
    **SHARE, "action": "SELL", "trigger_type": "OCO", "price": 0,
    "triggerprice_sl": 960, "triggerprice_tg": 1010, "stoploss": 959, "target": 1010,
}  # fmt: skip


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path_factory.mktemp("gtt")) as running:
        running.call("/sim/pause", paused=True)
        yield running


@pytest.fixture(autouse=True)
def _fresh(simulator: RunningSimulator) -> None:
    simulator.push("SBIN", 985.0)
    for row in book(simulator).values():
        if row["status"] == "active":
            asked(simulator, "cancelgttorder", strategy="T", trigger_id=row["trigger_id"])


def asked(simulator: RunningSimulator, route: str, **fields: Any) -> tuple[int, dict[str, Any]]:
    answers: list[tuple[int, dict[str, Any]]] = []
    eventually(lambda: answers.append(simulator.call(route, **fields)) or answers[-1][0] != 429, 5)
    return answers[-1]


def placed(simulator: RunningSimulator, **fields: Any) -> str:
    status, body = asked(simulator, "placegttorder", **fields)
    assert status == 200, body
    return str(body["trigger_id"])


def book(simulator: RunningSimulator) -> dict[str, dict[str, Any]]:
    return {row["trigger_id"]: row for row in simulator.call("gttorderbook")[1]["data"]}


def orders(simulator: RunningSimulator) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = simulator.call("orderbook")[1]["data"]["orders"]
    return rows


def test_gtt_waits_then_places_its_order_once(simulator: RunningSimulator) -> None:
    before = len(orders(simulator))
    trigger = placed(simulator, **BELOW)
    simulator.push("SBIN", 976.05)
    assert (book(simulator)[trigger]["status"], len(orders(simulator))) == ("active", before)
    simulator.push("SBIN", 976.0)
    simulator.push("SBIN", 975.9)
    assert book(simulator)[trigger]["status"] == "triggered"
    newest, count = orders(simulator)[0], len(orders(simulator))
    assert count == before + 1
    assert (newest["action"], newest["price"], newest["quantity"]) == ("BUY", 975.0, 5)
    assert simulator.status(newest["orderid"]) == "open"
    simulator.call("cancelorder", strategy="T", orderid=newest["orderid"])


def test_gtt_of_two_legs_fires_one_of_them(simulator: RunningSimulator) -> None:
    future = {**BOTH, "symbol": "NIFTY23NOV2626000CE", "exchange": "NFO", "product": "NRML", "quantity": 65}
    levels = {"triggerprice_sl": 20, "triggerprice_tg": 400, "stoploss": 19.5, "target": 400}
    simulator.push("NIFTY23NOV2626000CE", 200.0, exchange="NFO")
    trigger = placed(simulator, **{**future, **levels})
    row = book(simulator)[trigger]
    assert (row["trigger_type"], row["trigger_prices"]) == ("two-leg", [20.0, 400.0])
    assert [leg["price"] for leg in row["legs"]] == [19.5, 400.0]
    simulator.push("NIFTY23NOV2626000CE", 401.0, exchange="NFO")
    simulator.push("NIFTY23NOV2626000CE", 19.0, exchange="NFO")
    sold = [row for row in orders(simulator) if row["symbol"] == "NIFTY23NOV2626000CE"]
    assert [(row["action"], row["order_status"]) for row in sold] == [("SELL", "complete")]
    assert book(simulator)[trigger]["status"] == "triggered"


def test_gtt_that_cannot_place_its_order_is_rejected(simulator: RunningSimulator) -> None:
    trigger = placed(simulator, **BOTH)
    simulator.push("SBIN", 1011.0)
    assert book(simulator)[trigger]["status"] == "rejected"


def test_gtt_modified_waits_for_its_new_price(simulator: RunningSimulator) -> None:
    trigger = placed(simulator, **BELOW)
    change = {**BELOW, "price": 960, "triggerprice_sl": 961, "quantity": 7, "trigger_id": trigger}
    assert asked(simulator, "modifygttorder", **change)[0] == 200
    row = book(simulator)[trigger]
    assert (row["trigger_prices"], row["legs"][0]["quantity"], row["legs"][0]["price"]) == ([961.0], 7, 960.0)
    simulator.push("SBIN", 970.0)
    assert book(simulator)[trigger]["status"] == "active"


def test_gtt_past_its_end_expires_without_an_order(simulator: RunningSimulator) -> None:
    before = len(orders(simulator))
    trigger = placed(simulator, **BELOW, expires_at="2026-11-20T09:30:00")
    simulator.push("SBIN", 970.0)
    assert (book(simulator)[trigger]["status"], len(orders(simulator))) == ("expired", before)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"product": "MIS"}, "GTT supports only CNC"),
        ({"triggerprice_sl": 0}, "requires a positive triggerprice_sl or triggerprice_tg"),
        ({"triggerprice_tg": 990}, "not both"),
        ({"trigger_type": "OCO"}, "the first below the other"),
        ({"symbol": "NOSUCH"}, "Symbol NOSUCH not found on NSE"),
        ({"product": "NRML"}, "NRML product not allowed for NSE equity"),
        ({"price": 975.03}, "multiple of tick size"),
        ({"quantity": 0}, "Quantity must be a positive number"),
    ],
)
def test_gtt_that_makes_no_sense_is_refused(simulator: RunningSimulator, change: dict[str, Any], text: str) -> None:
    status, body = asked(simulator, "placegttorder", **{**BELOW, **change})
    assert (status, body["mode"]) == (400, "analyze")
    assert text in body["message"]


def test_gtt_survives_a_kill_and_then_fires(tmp_path: Path) -> None:
    with start_simulator(tmp_path) as first:
        trigger = placed(first, **BELOW)
    with start_simulator(tmp_path) as second:
        assert book(second)[trigger]["status"] == "active"
        second.push("SBIN", 970.0)
        assert book(second)[trigger]["status"] == "triggered"
        assert len(orders(second)) == 1
