"""Shares sold for delivery beyond what is held are named as that, whoever sold them."""

from __future__ import annotations

from typing import Any

import pytest

from mytrading.messages.enums import Product, Severity
from tests.kit.fake_broker import SECOND, OrderBench

PLAN: dict[str, Any] = {"stop_trigger": 90.0, "stop_limit": 87.0}


def short_deliveries(bench: OrderBench) -> list[str]:
    found = [alert for alert in bench.alerts if alert.code == "SHORT_DELIVERY"]
    assert all(alert.severity is Severity.CRITICAL for alert in found)
    assert all("another sale of the same shares for one: they cannot" in alert.message for alert in found)
    return [alert.message for alert in found]


def apart(bench: OrderBench, times: int = 3) -> None:
    for _ in range(times):
        bench.tick(40 * SECOND)
        bench.read()


@pytest.mark.parametrize(("product", "instrument", "named"), [
    (Product.CNC, "NSE:SBIN", True), (Product.MIS, "NSE:SBIN", False), (Product.NRML, "NFO:A", False),
])  # fmt: skip
def test_shares_sold_by_hand_and_by_their_stop_are_a_short_delivery(
    product: Product, instrument: str, named: bool
) -> None:
    """They were units of nobody, minus 50; the auction that follows was found in the contract note."""
    bench = OrderBench()
    bench.hold("e1", product=product, instrument=instrument, **PLAN)
    stop = bench.accept()
    bench.read()
    bench.broker.by_hand(0, instrument, product)
    bench.broker.trigger(stop)
    bench.broker.trade(stop, 50, 88.0)
    bench.report(stop)
    apart(bench)
    assert bench.broker.net[instrument, product] == -50
    told = short_deliveries(bench)
    assert len(told) == int(named)
    if named:
        assert told[0].startswith(f"50 of {instrument} were sold") and "buy them back at the broker" in told[0]


def test_stop_that_filled_beyond_the_shares_held_is_a_short_delivery_that_is_bought_back() -> None:
    bench = OrderBench()
    bench.hold("e1", product=Product.CNC, instrument="NSE:SBIN", **PLAN)
    stop = bench.accept()
    bench.read()
    stop.quantity = 60
    bench.broker.trigger(stop)
    bench.broker.trade(stop, 60, 88.0)
    bench.report(stop)
    apart(bench)
    assert "POSITION_REVERSED" in bench.codes()
    assert any(text.startswith("10 of NSE:SBIN") and "being bought back" in text for text in short_deliveries(bench))


def test_shares_sold_by_hand_alone_are_no_short_delivery() -> None:
    bench = OrderBench()
    bench.hold("e1", product=Product.CNC, instrument="NSE:SBIN", **PLAN)
    bench.accept()
    bench.read()
    bench.broker.by_hand(0, "NSE:SBIN", Product.CNC)
    apart(bench)
    assert short_deliveries(bench) == []
