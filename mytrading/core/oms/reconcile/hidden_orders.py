"""Orders of an earlier day that the order book of today does not list, though they may live, or have filled since.

Used by the comparison of order books. Such an order is asked for by its id before it counts as ended: what replaces it
while it lives is one order too many. A trade of today that names it is a fill, as many units as such a row can prove.
"""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.oms.evidence import net_evidence
from mytrading.core.oms.evidence.judge import OPEN
from mytrading.core.oms.placing import entries
from mytrading.core.oms.reconcile import order_updates, startup
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.state_machine import RESTING
from mytrading.messages.enums import Purpose
from mytrading.messages.order_evidence import Missing
from mytrading.messages.orders import Order
from mytrading.messages.reports import BooksRead, BrokerTrades

MOST_ASKED = 20
"""Orders that one request asks for: each is a call."""


def on_trades(oms: OrderDecision, order: Order, row: BrokerTrades, read: BooksRead) -> None:
    """Book the fill of an order of an earlier day that a trade of today names, by our id or by the broker's.

    A broker's id may be used again on another day: without our own id in the row the net has to have moved as well.
    """
    if (row.instrument, row.side) != (order.instrument, order.side):
        return
    moved, tagged = net_evidence.units_moved(oms, order, read), row.tag == order.client_order_id
    if oms.broker(order.account).trades_count_fills:
        units = min(row.quantity, order.quantity)
        proven = tagged or order.evidence.fills.stream >= units or moved >= units - order.filled
    else:
        units = order.filled + min(moved, order.quantity - order.filled)
        proven = moved > 0
    if units > order.filled and proven:
        order_updates.book_named_fill(oms, order, row, units)
    elif row.quantity > order.filled and read.positions is None:
        oms.request_read(order.account, "trade of an earlier order", positions=True)


def is_asked_for(oms: OrderDecision, order: Order) -> bool:
    """True of a resting order of an earlier day whose server can be asked for it by its id."""
    carried = order.client_order_id in oms.state.carried
    return oms.limits.asks_orders and carried and order.state in RESTING and bool(order.broker_order_id)


def is_answer_awaited(oms: OrderDecision, order: Order, read: BooksRead) -> bool:
    """True while an order that a whole read does not list is asked for, or was last shown live when it was.

    Without any answer for `slow` the books alone decide, as where no server is asked."""
    asked = order.evidence.asked_machine_ns
    if order.evidence.live_machine_ns or not asked:
        return True
    return read.began_machine_ns - asked < oms.limits.slow


def ask(oms: OrderDecision, account: str, unlisted: list[Order]) -> None:
    """Ask the server of an account for these orders, as far as that is due."""
    due = [order for order in unlisted if _is_due(oms, order)][:MOST_ASKED]
    for order in due:
        if not order.evidence.asked_machine_ns:
            asked = replace(order.evidence, asked_machine_ns=max(oms.machine, 1))
            oms.change(order, "unseen", evidence=asked)
    if due:
        oms.request_orders(account, tuple(order.broker_order_id for order in due))


def _is_due(oms: OrderDecision, order: Order) -> bool:
    """An order that is about to end is asked for in each read, one that rests calmly now and then."""
    evidence = order.evidence
    calm = evidence.live_machine_ns and not evidence.end and not evidence.cancel.wanted and not evidence.cancel.calls
    return not calm or oms.machine - evidence.live_machine_ns >= oms.limits.slow


def on_answer(oms: OrderDecision, read: BooksRead) -> None:
    """Take over orders that an answer by id shows live, and end those that the server does not know.

    An entry of an earlier day was for that day alone, and is withdrawn."""
    rows = {row.broker_order_id: row for row in read.orders or ()}
    for broker_id in read.asked:
        name = oms.state.by_broker.get((read.account, broker_id))
        order = oms.order(name) if name is not None else None
        if order is None or not is_asked_for(oms, order):
            continue
        if (row := rows.get(broker_id)) is None:
            order_updates.end_overnight_order(oms, order, read)
        elif row.status in OPEN:
            _take_over(oms, order, read)


def _take_over(oms: OrderDecision, order: Order, read: BooksRead) -> None:
    evidence = order.evidence
    end = None if isinstance(evidence.end, Missing) else evidence.end
    first = not evidence.live_machine_ns
    order = oms.change(
        order, "observed", evidence=replace(evidence, end=end, live_machine_ns=max(read.ended_machine_ns, 1))
    )
    if not first:
        return
    what = f"{order.side} {order.quantity} {order.instrument} of an earlier day rests at the broker, though the order"
    startup.record_difference(oms, order.account, "adopted", f"{what} book of today does not list it")
    if order.purpose is Purpose.ENTRY:
        entries.cancel_order(oms, order, "withdrawn: it was for an earlier day")
