"""Fills that nobody made: one source told them once, and the books show the order without them, ended or still open.

One sighting of a fill is believed at once, since a position must be guarded; this is the way back. A sighting is
withdrawn only by two whole reads, begun after it and apart, that show the order and no trade of it; what two sources
confirmed is never touched. Of an order that goes on the reads must lie further apart, and the position book must lack
the units as well, since a book that lags shows it open too.
"""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.state_machine import TERMINAL, weigh
from mytrading.messages.enums import BrokerStatus, Severity
from mytrading.messages.order_evidence import ReportedFills
from mytrading.messages.orders import Order
from mytrading.messages.reports import BooksRead, BrokerOrder, BrokerTrades


def denied(order: Order, row: BrokerOrder, trades: BrokerTrades | None, read: BooksRead, fills: ReportedFills) -> bool:
    """True if the read speaks against what one source alone reported: it holds both books, and neither shows it now.

    `fills` are those with this read: a book that showed the order complete, and takes that back, reports no more.
    """
    shown = max(row.filled or 0, row.quantity if row.status is BrokerStatus.COMPLETE else 0)
    traded = trades.quantity if trades else 0
    if read.trades is None or max(shown, traded) > order.filled:
        return False
    return weigh(order, 0.0, fills).seen > order.filled


def net_lacks(oms: OrderDecision, order: Order, read: BooksRead) -> bool:
    """True if the position book shows nothing of the order's side beyond what is known without the sighting."""
    key = order.net
    net = sum(
        row.quantity for row in read.positions or () if (row.instrument, row.product) == (key.instrument, key.product)
    )
    unmanaged = oms.state.unmanaged.get(key)
    known = sum(position.quantity for position in oms.state.holders(key)) + (unmanaged.quantity if unmanaged else 0)
    return (net - known) * order.side.sign <= 0


def withdraw(oms: OrderDecision, order: Order, why: str) -> Order:
    """Retract what one source alone reported of an order's fill."""
    fills, gone = order.evidence.fills, order.filled_seen - order.filled
    traded = min(fills.trades, order.filled)
    what = f"one source told {order.filled_seen} of {order.quantity} {order.instrument} filled; {why}"
    left = replace(
        fills,
        stream_void=fills.stream,
        book=min(fills.book, order.filled),
        trades=traded,
        trade_value=fills.trade_value * traded / fills.trades if fills.trades else 0.0,
    )
    ended = {"end": None, "flapped": False} if order.state in TERMINAL else {}
    evidence = replace(order.evidence, fills=left, **ended)
    changed = oms.change(order, "sighting_withdrawn", evidence=evidence, filled_seen=order.filled, message=what)
    oms.record_sighting(changed)
    text = f"{what}: {gone} units are taken back, and the stop that was placed for them"
    oms.alert("FILL_WITHDRAWN", Severity.WARNING, order.client_order_id, text)
    return changed
