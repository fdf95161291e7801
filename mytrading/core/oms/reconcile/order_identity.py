"""Which order of ours a broker's row may be: identity is broker id and day, else hard facts within a window.

Used wherever a row of the books is given to an order, or a stranger's row is told from one of ours. Facts alone make
nothing of a stranger's: an order believed absent takes no row from after its window, and undoes none once what was sent
in its place has filled.
"""

from __future__ import annotations

from mytrading.core.oms.evidence import net_positions
from mytrading.core.oms.placing.slices import sibling_slices
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.state_machine import ABSENT, STOP_TYPES, same_fingerprint
from mytrading.core.time import SECOND
from mytrading.messages.enums import BrokerStatus
from mytrading.messages.orders import Order
from mytrading.messages.reports import BooksRead, BrokerOrder

CLOCKS_DIFFER = 5 * SECOND
"""The broker's clock may be behind ours by so much, and its rows tell whole seconds."""
_SAME_PRICE = 1e-6


def first_seen(oms: OrderDecision, account: str, broker_order_id: str) -> int:
    """Return the machine time (ns) of the first read that showed a stranger's row; now if none has yet."""
    return oms.state.foreign.get((account, broker_order_id)) or oms.machine


def may_be_same_order(oms: OrderDecision, order: Order, row: BrokerOrder) -> bool:
    """True if an order book row of the order's account, which no order of ours has claimed, may be this order."""
    if not same_fingerprint(order, row.instrument, row.side, row.quantity) or row.product not in (None, order.product):
        return False
    if first_seen(oms, order.account, row.broker_order_id) <= order.call.began_machine_ns:
        return False
    return order.state not in ABSENT or is_within_window(oms, order, row)


def is_within_window(oms: OrderDecision, order: Order, row: BrokerOrder) -> bool:
    """True if a row may be of the order's call by the time of its first sight, or by its own.

    A server may hold a call for `lost_after` and place it then; the next read shows it, at the latest `slow` later."""
    call, until = order.call, _window_end(oms, order)
    if first_seen(oms, order.account, row.broker_order_id) <= until:
        return True
    latest_ns = call.sent_ns + until - call.began_machine_ns
    return bool(call.sent_ns) and call.sent_ns - CLOCKS_DIFFER <= row.time_ns <= latest_ns


def _window_end(oms: OrderDecision, order: Order) -> int:
    return order.call.ended_machine_ns + oms.limits.lost_after + oms.limits.slow


def is_replaced(oms: OrderDecision, order: Order) -> bool:
    """True if an order believed absent has a successor that filled: one of its owner, side and kind, sent after it."""
    slices = {part.client_order_id for part in sibling_slices(oms, order)}
    return order.state in ABSENT and any(
        other.filled_seen > 0
        and other.owner == order.owner
        and other.side is order.side
        and other.purpose.reduces is order.purpose.reduces
        and other.call.began_machine_ns > order.call.ended_machine_ns
        and other.client_order_id not in slices
        for other in oms.state.orders.values()
    )


def is_proven(oms: OrderDecision, order: Order, row: BrokerOrder, read: BooksRead) -> bool:
    """True if more than the hard facts shows that a row is an order which has a successor: a stop's very prices, or a
    position of the other side at the broker, within the window, of just the row's units."""
    if row.order_type in STOP_TYPES and order.order_type in STOP_TYPES:
        apart = max(abs(row.trigger_price - order.trigger_price), abs(row.price - order.price))
        return order.trigger_price > 0 and apart < _SAME_PRICE
    units = row.quantity if row.status is BrokerStatus.COMPLETE else row.filled or 0
    if not units or read.positions is None or read.began_machine_ns > _window_end(oms, order):
        return False
    if net_positions.is_net_hidden(oms, order.net, read):
        return False
    ledger, shown = net_positions.ledger_net(oms.state, order.net), net_positions.broker_net(order.net, read)
    return ledger * order.side.sign >= 0 and (shown - ledger) * order.side.sign == units
