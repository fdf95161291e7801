"""Stormy days at brokers whose trade books count orders, bear other ids or name no price: nothing doubled or bare."""

from __future__ import annotations

from typing import Any

import pytest

from mytrading.messages.brokers import UNLISTED, BrokerRules, PositionScope, TradeOrderId, TradeQuantity
from tests.kit.hypothesis_budget import cases
from tests.kit.oms_storms import Storm

WHOLE = PositionScope.NET
FORMS: dict[str, tuple[BrokerRules, dict[str, Any]]] = {
    "order's quantity": (
        BrokerRules(
            name="rows", trade_quantity=TradeQuantity.ORDER, trade_order_id=TradeOrderId.ORDER, positions=WHOLE
        ),
        {"trade_rows": "order"},
    ),
    "exchange's id": (
        BrokerRules(
            name="ids", trade_quantity=TradeQuantity.FILL, trade_order_id=TradeOrderId.EXCHANGE, positions=WHOLE
        ),
        {"exchange_ids": True},
    ),
    "no quantity": (UNLISTED, {"trade_rows": "none"}),
    "no price": (UNLISTED, {"names_price": False}),
}


@pytest.mark.parametrize("seed", cases(range(1, 4)))
@pytest.mark.parametrize("form", FORMS)
def test_storm_at_a_broker_with_a_doubtful_trade_book_leaves_nothing_doubled_lost_or_bare(form: str, seed: int) -> None:
    rules, broker = FORMS[form]
    storm = Storm(seed, rules=rules, broker=broker)
    storm.run(90)
    storm.calm(120)
    storm.judge()
    assert len(storm.bench.machine.orders()) > 10, "the storm was none"
