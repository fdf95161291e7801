"""Rows of topics made of the gateway's replies."""

from __future__ import annotations

from pathlib import Path

import pytest

from mytrading.core.gateway.read_model import StackView
from mytrading.daemons.console.views import order_rows
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
