"""The trial order of doctor: a limit order of its own owner at paper venues, withdrawn alone, and nothing elsewhere."""

from __future__ import annotations

from typing import Any

from mytrading.core.oms import OmsLimits
from mytrading.messages.control import ProbeRequested
from mytrading.messages.enums import Call, OrderState, OrderType, Side
from tests.kit.fake_broker import ACCOUNT, OrderBench


def probe(name: str = "doctor-1", **fields: Any) -> ProbeRequested:
    return ProbeRequested(id=name, account=ACCOUNT, instrument="NFO:A", at_ns=1, **fields)


def test_trial_order_is_a_limit_buy_that_is_placed_once_and_withdrawn_alone() -> None:
    bench = OrderBench(OmsLimits(probes=True))
    bench.read()
    bench.enter("e1")
    bench.accept()
    bench.step(probe(quantity=65, price=70.0))
    bench.step(probe(quantity=65, price=70.0))
    placed = bench.accept()
    order = bench.order("doctor-1")
    assert (order.order_type, order.side, order.quantity, order.price) == (OrderType.LIMIT, Side.BUY, 65, 70.0)
    assert (order.strategy, bench.broker.placements["doctor-1"]) == ("doctor", 1)
    bench.step(probe(withdraw=True))
    assert [call.order.client_order_id for call in bench.calls if call.call is Call.CANCEL] == ["doctor-1"]
    bench.cancel()
    bench.report(placed)
    bench.read()
    bench.read()
    assert bench.order("doctor-1").state is OrderState.CANCELLED
    assert bench.order("e1").state is OrderState.ACCEPTED


def test_venue_that_is_not_paper_gets_no_trial_order() -> None:
    bench = OrderBench(OmsLimits())
    bench.read()
    assert bench.step(probe(quantity=65, price=70.0)) == []
    assert bench.calls == [] and bench.machine.state.orders.get("doctor-1") is None
