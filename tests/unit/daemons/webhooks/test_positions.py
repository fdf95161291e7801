"""Positions of webhooks' strategies, from the messages of the router."""

from __future__ import annotations

from typing import Any

from mytrading.daemons.webhooks.positions import StrategyPositions
from mytrading.messages.enums import OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.journal_rows import DayOpened
from mytrading.messages.orders import Order, OrderChanged, Position, PositionChanged

SBIN = "NSE:SBIN"


def order(name: str, state: OrderState, purpose: Purpose = Purpose.ENTRY, **fields: Any) -> Order:
    plain: dict[str, Any] = {
        "client_order_id": name,
        "account": "paper",
        "strategy": "alerts",
        "instrument": SBIN,
        "side": Side.BUY,
        "quantity": 5,
        "product": Product.MIS,
        "purpose": purpose,
        "cause": "signal",
        "state": state,
        "run": "run",
        "order_type": OrderType.MARKET,
        "created_ns": 0,
        "updated_ns": 0,
    }
    return Order(**plain | fields)


def changed(made: Order) -> OrderChanged:
    return OrderChanged(order=made, event="changed", machine_ns=0)


def position(quantity: int, account: str = "paper") -> Position:
    return Position(
        account=account, strategy="alerts", instrument=SBIN, product=Product.MIS, run="run", quantity=quantity
    )


def test_units_are_known_while_no_order_is_under_way() -> None:
    held = StrategyPositions()
    assert held.units("alerts", SBIN) == 0
    held.apply(changed(order("a", OrderState.SUBMITTED)), 1)
    assert held.units("alerts", SBIN) is None
    assert held.units("others", SBIN) == 0
    held.apply(changed(order("a", OrderState.FILLED)), 2)
    held.apply(PositionChanged(position=position(5), fill_quantity=5, fill_price=1.0, client_order_id="a", at_ns=0), 2)
    held.apply(
        PositionChanged(position=position(2, "second"), fill_quantity=2, fill_price=1.0, client_order_id="b", at_ns=0),
        2,
    )
    assert held.units("alerts", SBIN) == 7


def test_resting_stop_is_no_order_under_way_and_its_fill_is_remembered() -> None:
    held = StrategyPositions()
    held.apply(changed(order("s", OrderState.ACCEPTED, Purpose.STOP)), 1)
    assert (held.units("alerts", SBIN), held.stopped_machine_ns("alerts", SBIN)) == (0, 0)
    held.apply(changed(order("s", OrderState.FILLED, Purpose.STOP)), 7)
    assert held.stopped_machine_ns("alerts", SBIN) == 7
    assert held.stopped_machine_ns("others", SBIN) == 0


def test_orders_of_a_signal_have_their_last_state_each() -> None:
    held = StrategyPositions()
    for state in (OrderState.SUBMITTED, OrderState.FILLED):
        held.apply(changed(order("a", state)), 1)
    held.apply(changed(order("b", OrderState.REJECTED)), 1)
    held.apply(changed(order("c", OrderState.FILLED, cause="another")), 1)
    assert held.orders_of("signal") == ["BUY 5 NSE:SBIN: FILLED", "BUY 5 NSE:SBIN: REJECTED"]
    assert held.orders_of("gone") == []


def test_new_day_begins_with_what_the_router_carried_over() -> None:
    held = StrategyPositions()
    held.apply(DayOpened(day="2026-01-08", positions=(position(5),), orders=(order("a", OrderState.ACCEPTED),)), 1)
    assert held.units("alerts", SBIN) is None
    held.apply(DayOpened(day="2026-01-09", positions=(position(5),)), 1)
    assert held.units("alerts", SBIN) == 5
