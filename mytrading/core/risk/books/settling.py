"""What bears on whether an intent has what it wants: which rows, and what of an order.

Whatever `core/risk/books/intent_status` and the books' questions about orders read of an order stands in `counts`.
"""

from __future__ import annotations

from typing import Any

from mytrading.core.orders.state_machine import TERMINAL
from mytrading.messages.commands import PlaceEntry
from mytrading.messages.control import Alert, Heartbeat
from mytrading.messages.enums import OrderState
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.market import Quote
from mytrading.messages.orders import EntryPlan, Order, OrderChanged, ProtectionChanged, TimerFired, TradeClosed
from mytrading.messages.reports import AccountHealth, BrokerHeld, Funds, MarginAnswer, MarginRequest, ReadRequest

SETTLES_NOTHING = frozenset((
    OrderChanged, Quote, Heartbeat, AccountHealth, TimerFired, LevelMoved, ProtectionChanged, Funds, BrokerHeld,
    ReadRequest, Alert, MarginRequest, MarginAnswer, TradeClosed,
))  # fmt: skip
"""What tells nothing of positions, exits under way or intents. An order's change is looked at for what it counts."""


def counts(order: Order) -> tuple[Any, ...]:
    """All of an order's level that can settle an intent; what else there is of it never changes."""
    change = order.evidence.modify
    return (
        order.state in TERMINAL, order.state is OrderState.CANCELLED and change.by_replacement, order.filled,
        order.quantity, change.wanted.quantity if change.wanted is not None else 0, order.order_type,
        order.links.replaces,
    )  # fmt: skip


def coming(entry: PlaceEntry) -> Order:
    """An entry as it stands until the router says more."""
    return Order(
        client_order_id=entry.id,
        account=entry.account,
        instrument=entry.instrument,
        product=entry.product,
        strategy=entry.strategy,
        run=entry.run,
        cause=entry.cause,
        purpose=entry.purpose,
        side=entry.side,
        quantity=entry.quantity,
        order_type=entry.order_type,
        state=OrderState.INITIALIZED,
        created_ns=0,
        updated_ns=0,
        plan=EntryPlan(held_stop=entry.held_stop, held_target=entry.held_target),
    )
