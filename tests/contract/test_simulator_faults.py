"""Faults over HTTP, by file and by command, on a running simulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from mytrading.simulator.faults.command import Server, fault_main
from mytrading.simulator.faults.registry import FAULTS
from tests.kit.simulator_process import RunningSimulator, refused_simulator, start_simulator
from tests.kit.waiting import eventually

FILE = """
[[fault]]
kind = "delay_ms"
ms = 1
probability = 0.5
seed = 9

[[fault]]
kind = "partial_fill"
count = 1
"""


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    folder = tmp_path_factory.mktemp("simulator")
    (folder / "faults.toml").write_text(FILE, encoding="utf-8")
    with start_simulator(folder, faults=folder / "faults.toml", fault="book_500:x3") as running:
        yield running


def on(simulator: RunningSimulator) -> dict[str, dict[str, Any]]:
    _, body = simulator.get("/sim/fault")
    return {row["kind"]: row for row in body["data"]["on"]}


def delete(simulator: RunningSimulator, kind: str) -> tuple[int, Any]:
    body = json.dumps({"apikey": simulator.api_key, "kind": kind}).encode()
    headers = {"Content-Type": "application/json"}
    request = Request(f"{simulator.rest}/sim/fault", data=body, headers=headers, method="DELETE")
    try:
        with urlopen(request, timeout=20) as response:
            return response.status, json.loads(response.read())
    except HTTPError as error:
        return error.code, json.loads(error.read())


def rows(simulator: RunningSimulator) -> list[dict[str, Any]]:
    status, body = simulator.call("orderbook")
    assert status == 200, body
    found: list[dict[str, Any]] = body["data"]["orders"]
    return found


def test_faults_are_set_by_file_option_and_request_and_ended_by_name(simulator: RunningSimulator) -> None:
    found = on(simulator)
    assert set(found) == {"delay_ms", "partial_fill", "book_500"}
    assert (found["delay_ms"]["probability"], found["delay_ms"]["seed"], found["delay_ms"]["ms"]) == (0.5, 9, 1.0)
    assert found["book_500"]["left"] == 3
    assert delete(simulator, "book_500") == (200, {"status": "success", "data": {"delay_ms": -1, "partial_fill": 1}})
    simulator.call("/sim/fault", kind="reject", count=2)
    assert on(simulator)["reject"]["left"] == 2
    status, body = delete(simulator, "banana")
    assert status == 400
    assert "book_500" in body["message"]["kind"][0]
    _, body = simulator.get("/sim/fault")
    assert [row["kind"] for row in body["data"]["known"]] == list(FAULTS)


def test_refusal_of_one_side_of_one_instrument_leaves_all_else(simulator: RunningSimulator) -> None:
    simulator.call("/sim/fault", kind="reject", count=-1, side="BUY", instrument="NSE:SBIN")
    order = {"exchange": "NSE", "product": "MIS", "pricetype": "MARKET", "quantity": "1", "strategy": "t"}
    found = [
        simulator.call("placeorder", symbol=symbol, action=action, **order)[0]
        for symbol, action in (("SBIN", "BUY"), ("SBIN", "SELL"), ("INFY", "BUY"))
    ]
    simulator.call("/sim/fault", kind="reject", count=0)
    assert found == [400, 200, 200]


def test_command_switches_shows_and_refuses(simulator: RunningSimulator, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = fault_main(list(arguments), lambda: Server(simulator.rest, simulator.api_key))
        return code, *capsys.readouterr()

    assert run("--clear") == (0, "no fault is on\n", "")
    code, out, _ = run("semi_auto:x4", "update_delayed:0.5,seconds=2", "--json")
    assert code == 0
    assert {row["kind"]: row["left"] for row in json.loads(out)} == {"semi_auto": 4, "update_delayed": -1}
    assert run("--off", "semi_auto")[1].startswith("update_delayed: for good, acted 0; probability=0.5 seed=1")
    code, _, err = run("banana")
    assert code == 2
    assert "Must be one of" in err
    code, _, err = run("reject:colour=red")
    assert code == 2
    assert "Unknown field. reject has: count, probability, seed, late, reason, side, instrument, pricetype." in err
    assert fault_main(["--url", "http://127.0.0.1:9"], lambda: Server("", "")) == 1
    assert "is it running?" in capsys.readouterr().err
    run("--clear")


def test_route_that_the_server_lacks_is_refused(simulator: RunningSimulator) -> None:
    status, body = simulator.call("/sim/fault", kind="rate_limited", route="banana")
    assert status == 400
    assert "positionbook" in body["message"]["route"][0]


@pytest.mark.parametrize(
    ("fault", "words"), [("banana:x2", "--list-faults"), ("delay_ms:route=banana", "positionbook")]
)
def test_unusable_fault_ends_the_start(tmp_path: Path, fault: str, words: str) -> None:
    code, problem = refused_simulator(tmp_path, fault=fault)
    assert code == 2
    assert words in problem


def test_partial_fill_leaves_the_rest_for_the_next_tick(simulator: RunningSimulator) -> None:
    delete(simulator, "")
    simulator.call("/sim/pause", paused=True)
    simulator.call("/sim/fault", kind="partial_fill", fraction=0.3)
    _, body = simulator.place()
    row = next(row for row in rows(simulator) if row["orderid"] == body["orderid"])
    assert (row["order_status"], row["filled_quantity"], row["pending_quantity"]) == ("open", 3, 7)
    simulator.call("/sim/pause", paused=False)
    eventually(lambda: simulator.status(body["orderid"]) == "complete")
    _, trades = simulator.call("tradebook")
    assert [t["quantity"] for t in trades["data"] if t["orderid"] == body["orderid"]] == [7, 3]


def test_leaked_status_shows_an_open_order_as_its_neighbour_or_fails_the_book(simulator: RunningSimulator) -> None:
    delete(simulator, "")
    _, resting = simulator.place(pricetype="LIMIT", price=900.0)
    simulator.call("/sim/fault", kind="status_leak")
    assert simulator.call("orderbook")[0] == 500
    _, filled = simulator.place()
    reported = {row["orderid"]: row["order_status"] for row in rows(simulator)}
    assert (reported[filled["orderid"]], reported[resting["orderid"]]) == ("complete", "complete")
    delete(simulator, "status_leak")
    assert simulator.status(resting["orderid"]) == "open"


def test_flapping_status_shows_an_ended_order_open_every_other_read(simulator: RunningSimulator) -> None:
    delete(simulator, "")
    _, body = simulator.place()
    simulator.call("/sim/fault", kind="status_flap")
    seen = []
    for _ in range(4):
        row = next(row for row in rows(simulator) if row["orderid"] == body["orderid"])
        seen.append((row["order_status"], row["filled_quantity"]))
    assert seen == [("open", 0), ("complete", 10)] * 2
    delete(simulator, "status_flap")
