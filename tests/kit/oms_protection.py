"""Positions with their stop at the broker."""

from __future__ import annotations

from typing import Any

from mytrading.messages.enums import OrderState, Purpose
from mytrading.messages.orders import Order
from tests.kit.fake_broker import SECOND, OrderBench, Placed

PLAN = {"stop_trigger": 90.0, "stop_limit": 87.0}


def stops(bench: OrderBench, *states: OrderState) -> list[Order]:
    found = [order for order in bench.machine.orders() if order.purpose is Purpose.STOP]
    return [order for order in found if not states or order.state in states]


def live(bench: OrderBench) -> int:
    """Units that stops at the broker would sell."""
    rows = bench.broker.orders.values()
    names = {order.client_order_id for order in stops(bench)}
    return sum(placed.quantity - placed.filled for placed in rows if placed.open and placed.client_order_id in names)


def entered(bench: OrderBench, quantity: int = 50, filled: int = 50, **entry: Any) -> Placed:
    """An entry with a plan, filled as far as its update says."""
    bench.read()
    bench.enter("e1", quantity, **PLAN, **entry)
    placed = bench.accept()
    bench.broker.trade(placed, filled, 100.0)
    bench.report(placed)
    return placed


def guarded(bench: OrderBench, quantity: int = 50, **entry: Any) -> Placed:
    """A position whose stop rests at the broker, all of it read."""
    entered(bench, quantity, quantity, **entry)
    stop = bench.accept()
    bench.read()
    return stop


def settle(bench: OrderBench, turns: int = 12) -> None:
    """Every call is answered well, every second read."""
    for _ in range(turns):
        bench.answer_calls()
        bench.tick(1 * SECOND)
        bench.read()
