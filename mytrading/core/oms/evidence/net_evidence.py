"""What the position book of a read shows of one order's fill: an interval, since other orders may move the same net.

Used by the reports of the broker on our orders. A book shows units only while nothing moved them after it began, and
an empty book, or one that lacks the row where it may be partial, shows nothing.
"""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.oms.evidence import net_positions
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.state_machine import SENT
from mytrading.messages.brokers import PositionScope
from mytrading.messages.enums import BrokerStatus
from mytrading.messages.keys import NetKey
from mytrading.messages.order_evidence import ReportedFills
from mytrading.messages.orders import Order
from mytrading.messages.reports import BooksRead, BrokerOrder

_UNTRADED = (BrokerStatus.TRIGGER_PENDING, BrokerStatus.REJECTED)


def still_keys(oms: OrderDecision, read: BooksRead) -> frozenset[NetKey]:
    """Return the keys of open orders of which nothing moved since the read began: its position book tells of them."""
    keys = (key for key in oms.state.open_by_key if key.account == read.account)
    return frozenset(key for key in keys if (oms.state.touched.get(key) or 0) < read.began_machine_ns)


def with_net(
    oms: OrderDecision, order: Order, row: BrokerOrder, fills: ReportedFills, read: BooksRead
) -> ReportedFills:
    """Return the order's reported fills with what the position book of this read shows of them.

    Units that order book or stream name are shown if the net moved by as many. Of an order that names none, where no
    trade counts them either, as many are as nobody else's order explains."""
    if order.filled >= order.quantity or (beyond := _beyond(oms, order, read)) is None:
        return fills
    shown = min(_named(order, fills), beyond + _claimed(oms, order))
    if row.filled is None and not oms.broker(order.account).trades_count_fills:
        shown = max(shown, beyond - _others(oms, order, read))
    level = order.filled + min(max(shown, 0), order.quantity - order.filled)
    again = max(fills.net_again, min(fills.net, level))
    return fills if (level, again) == (fills.net, fills.net_again) else replace(fills, net=level, net_again=again)


def needs_positions(oms: OrderDecision, order: Order) -> bool:
    """True while only the position book can tell how much of an order has filled, or bear out what was reported."""
    fills = order.evidence.fills
    if order.filled >= order.quantity:
        return False
    if order.filled_seen > order.filled:
        return not fills.book or not oms.broker(order.account).trades_count_fills
    return fills.traded and not order.filled_seen and order.state in SENT


def _beyond(oms: OrderDecision, order: Order, read: BooksRead) -> int | None:
    """Units on the order's side that the broker's net of its key has more than ours; None if this read cannot tell."""
    key, rules = order.net, oms.broker(order.account)
    if not read.positions or key in oms.state.mismatches:
        return None
    listed = any(row.instrument == key.instrument and row.product is key.product for row in read.positions)
    carried = oms.state.begun.get((key.account, key.instrument))
    if not (listed or rules.positions_whole) or (carried and rules.positions is PositionScope.DAY):
        return None
    net = net_positions.net_with_holdings(oms.state, key, net_positions.broker_net(key, read))
    return (net - net_positions.ledger_net(oms.state, key)) * order.side.sign


def _named(order: Order, fills: ReportedFills) -> int:
    """Unconfirmed units that another source names."""
    stream = fills.stream if fills.stream > fills.stream_void else 0
    return max(stream, fills.book, fills.trades) - order.filled


def _claimed(oms: OrderDecision, order: Order) -> int:
    """Units that are named of our other orders of the key: what the other side traded, less what this side did."""
    others = (other for other in oms.open_orders(order.net) if other.client_order_id != order.client_order_id)
    return -sum(max(0, _named(o, o.evidence.fills)) * o.side.sign for o in others) * order.side.sign


def _others(oms: OrderDecision, order: Order, read: BooksRead) -> int:
    """Units on the order's side that other orders, ours or anybody's, may have traded without our knowing."""
    ours = (o for o in oms.open_orders(order.net) if o.client_order_id != order.client_order_id and o.state in SENT)
    rows = (row for row in read.orders or () if row.instrument == order.instrument and row.side is order.side)
    strange = sum(row.quantity for row in rows if row.status not in _UNTRADED and _unsettled(oms, order, row))
    return strange + sum(max(0, o.quantity - o.filled) for o in ours if o.side is order.side)


def _unsettled(oms: OrderDecision, order: Order, row: BrokerOrder) -> bool:
    """True for a stranger's order that may have traded since the order's call began: positions had agreed before."""
    place = (order.account, row.broker_order_id)
    if place in oms.state.by_broker:
        return False
    first, known = oms.state.foreign.get(place), oms.state.foreign_orders.get(place)
    settled = first is not None and first <= order.call.began_machine_ns and known is not None
    return not (settled and known is not None and known.status.is_final)
