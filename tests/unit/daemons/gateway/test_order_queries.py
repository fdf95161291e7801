"""Replies of the gateway on orders with slices, and on the rate budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mytrading.core.gateway.read_model import StackView
from mytrading.messages.control import CallBudget
from mytrading.messages.enums import OrderState
from mytrading.messages.ops import OpsRequest, OrdersQuery, StatusQuery
from mytrading.messages.orders import Order, OrderChanged
from tests.kit.gateway_queries import ops_server
from tests.kit.run_configs import run_config
from tests.kit.sliced_orders import order


def ask(view: StackView, request: OpsRequest, folder: Path) -> Any:
    return ops_server(run_config(folder), view).answer(request)


def reported(*orders: Order) -> StackView:
    view = StackView()
    for each in orders:
        view.apply(OrderChanged(event=each.state.value.lower(), order=each, machine_ns=1))
    return view


def test_orders_show_a_parent_with_its_slices(tmp_path: Path) -> None:
    view = reported(order(1, OrderState.FILLED, 99), order(2, OrderState.ACCEPTED))
    (row,) = ask(view, OrdersQuery(), tmp_path)
    assert (row["client_order_id"], row["quantity"], row["filled"], row["state"]) == ("p", 197, 99, "PARTIALLY_FILLED")
    assert [part["slice"] for part in row["slices"]] == [1, 2]


def test_live_orders_hold_a_parent_while_one_slice_lives(tmp_path: Path) -> None:
    living = reported(order(1, OrderState.FILLED, 99), order(2, OrderState.ACCEPTED))
    assert [row["quantity"] for row in ask(living, OrdersQuery(live=True), tmp_path)] == [197]
    ended = reported(order(1, OrderState.FILLED, 99), order(2, OrderState.REJECTED))
    assert ask(ended, OrdersQuery(live=True), tmp_path) == []


def test_status_shows_the_rate_budget_of_each_account(tmp_path: Path) -> None:
    view = StackView()
    view.apply(CallBudget(account="main", limit=8, used=7, waiting={"entry": 3}, oldest_wait_s=0.4, refused=1))
    (row,) = ask(view, StatusQuery(), tmp_path)["budgets"]
    assert (row["used"], row["limit"], row["waiting"], row["refused"]) == (7, 8, {"entry": 3}, 1)
    assert row["oldest_wait_s"] == 0.4
