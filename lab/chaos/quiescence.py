"""Rest of a stack that is left in peace: every fate known, nothing on its way, both sides agreeing.

It reads the journals and books on disk, like the judge.
"""

from __future__ import annotations

import sqlite3

from lab.chaos import order_audit, records
from lab.chaos.environment import Ground
from lab.chaos.verdict import differences
from mytrading.core.orders.state_machine import RESTING
from mytrading.messages.enums import OrderState, Purpose
from mytrading.messages.orders import Goal, Order

_ON_THEIR_WAY = frozenset({OrderState.INITIALIZED, OrderState.SUBMITTED, OrderState.UNKNOWN})


def unsettled(ground: Ground) -> list[str]:
    """Return what is still going on, as texts; empty when the stack has come to rest."""
    left: list[str] = []
    for account, ours in records.read_ours(ground.config).items():
        lines = [f"{order.purpose} {name} is {order.state}" for name, order in ours.orders.items() if _moves(order)]
        lines += [f"exit {name} of {goal.instrument} is {goal.state}" for name, goal in _open(ours)]
        lines += [f"flatten {name} is {row.state}" for name, row in ours.flattens.items() if row.state != "done"]
        try:
            broker = records.read_broker(ground.books[account])
        except sqlite3.Error as error:
            lines.append(f"the simulator's books cannot be read: {error}")
        else:
            lines += disagreeing(broker, ours)
        left += [f"{account}: {line}" for line in lines]
    return left


def disagreeing(broker: records.Broker, ours: records.Ours) -> list[str]:
    """Return remaining differences of positions or orders: an order that wrongly ended here is taken up later."""
    return [*differences(broker.net, ours.net, ours.unmanaged), *order_audit.disagreements(broker.orders, ours)]


def holding(ground: Ground) -> bool:
    """True if a strategy still owns a position, and so may close it at any moment."""
    return any(ours.net for ours in records.read_ours(ground.config).values())


def _open(ours: records.Ours) -> list[tuple[str, Goal]]:
    return [(name, goal) for name, goal in ours.goals.items() if goal.state != "done"]


def _moves(order: Order) -> bool:
    if order.state in _ON_THEIR_WAY or order.filled_seen > order.filled:
        return True
    return order.state in RESTING and (
        order.purpose is not Purpose.STOP or order.evidence.cancel.wanted or bool(order.evidence.end)
    )
