"""Orders beyond what stands at the best price, and beyond the day's price band, over plain HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.simulator_process import RunningSimulator, start_simulator

OPTION = {"symbol": "NIFTY23NOV2626000CE", "exchange": "NFO"}


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path_factory.mktemp("depth")) as running:
        running.call("/sim/pause", paused=True)
        yield running


def row(simulator: RunningSimulator, order_id: str) -> dict[str, Any]:
    _, body = simulator.call("orderstatus", strategy="T", orderid=order_id)
    data: dict[str, Any] = body["data"]
    return data


def placed(simulator: RunningSimulator, **fields: Any) -> str:
    status, body = simulator.place(**{**OPTION, "product": "NRML", **fields})
    assert status == 200, body
    return str(body["orderid"])


def test_order_takes_what_stands_there_and_waits_for_the_rest(simulator: RunningSimulator) -> None:
    simulator.push(**OPTION, ltp=200.0, depth=150)
    order = placed(simulator, quantity=5 * 65)
    found = row(simulator, order)
    assert (found["order_status"], found["filled_quantity"], found["average_price"]) == ("open", 130, 200.05)
    simulator.push(**OPTION, ltp=210.0, depth=150)
    assert row(simulator, order)["filled_quantity"] == 260
    simulator.push(**OPTION, ltp=210.0, depth=650)
    found = row(simulator, order)
    assert (found["order_status"], found["filled_quantity"]) == ("complete", 325)
    assert found["average_price"] == pytest.approx((130 * 200.05 + 195 * 210.05) / 325, abs=0.01)


def test_limit_order_of_shares_fills_in_parts_at_its_price(simulator: RunningSimulator) -> None:
    simulator.push("SBIN", 985.0, depth=30)
    share = {"symbol": "SBIN", "exchange": "NSE", "product": "MIS", "pricetype": "LIMIT", "price": 980}
    order = placed(simulator, **share, quantity=70)
    simulator.push("SBIN", 979.0, depth=30)
    assert row(simulator, order)["filled_quantity"] == 30
    simulator.call("cancelorder", strategy="T", orderid=order)
    found = row(simulator, order)
    assert (found["order_status"], found["filled_quantity"], found["average_price"]) == ("cancelled", 30, 980.0)


def test_depth_that_is_shown_takes_a_usual_order_whole(simulator: RunningSimulator) -> None:
    _, body = simulator.call("depth", symbol="NIFTY23NOV2625900PE", exchange="NFO")
    shown = body["data"]["asks"][0]["quantity"]
    assert shown >= 20 * 65
    order = placed(simulator, symbol="NIFTY23NOV2625900PE", quantity=20 * 65)
    assert row(simulator, order)["order_status"] == "complete"


@pytest.mark.parametrize(
    ("symbol", "exchange", "price"), [("SBIN", "NSE", 500.0), ("SBIN", "NSE", 1300.0), ("NIFTY29DEC26FUT", "NFO", 3e4)]
)
def test_price_outside_the_band_is_refused(
    simulator: RunningSimulator, symbol: str, exchange: str, price: float
) -> None:
    product, quantity = ("MIS", 1) if exchange == "NSE" else ("NRML", 65)
    order = {"symbol": symbol, "exchange": exchange, "product": product, "quantity": quantity}
    status, body = simulator.place(**order, pricetype="LIMIT", price=price)
    assert status == 400
    assert "must be inside the price band" in body["message"]


def test_cheap_option_may_be_asked_for_at_a_tick(simulator: RunningSimulator) -> None:
    order = placed(simulator, quantity=65, pricetype="LIMIT", price=0.05)
    assert row(simulator, order)["order_status"] == "open"
