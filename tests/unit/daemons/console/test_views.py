"""Rows of topics made of the gateway's replies."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from mytrading.core.gateway.read_model import StackView
from mytrading.daemons.console.views import order_rows, position_rows
from mytrading.messages.enums import OrderState
from mytrading.messages.ops import ListQuery
from mytrading.messages.orders import OrderChanged
from tests.kit.gateway_queries import ask
from tests.kit.sliced_orders import order


@pytest.mark.parametrize(("second", "live"), [(OrderState.ACCEPTED, True), (OrderState.REJECTED, False)])
def test_sliced_order_is_live_while_a_slice_is(second: OrderState, live: bool, tmp_path: Path) -> None:
    view = StackView()
    for one in (order(1, OrderState.FILLED, 99), order(2, second)):
        view.apply(OrderChanged(order=one, event="changed", machine_ns=1))
    parent, *parts = order_rows(ask(view, tmp_path, ListQuery(name="orders"))["rows"]).values()
    assert (parent.state, parent.live) == ("PARTIALLY_FILLED", live)
    assert [part.live for part in parts] == [False, live]


def test_position_says_that_its_contract_expires_today() -> None:
    row = {"version": 1, "account": "a", "strategy": "S", "product": "NRML", "quantity": -65, "confidence": "CONFIRMED"}
    names = ("NFO:NIFTY24MAR2623000CE", "NFO:NIFTY31MAR2623000CE", "NSE:SBIN")
    found = position_rows([row | {"instrument": name} for name in names], date(2026, 3, 24))
    assert [one.expires_today for one in found.values()] == [True, False, False]
