"""What explains the units of an instrument at the broker: what the day began with, and today's trades of everybody.

Used before units that no strategy owns are believed, and before an operator may take them over: a position book that
stands still shows units which left already, and selling them would open a position.
"""

from __future__ import annotations

from mytrading.core.oms.evidence import missing_units, net_positions, unread_rows
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.messages.enums import BrokerStatus
from mytrading.messages.keys import NetKey
from mytrading.messages.reports import BooksRead, BrokerOrder


def unexplained_units(oms: OrderDecision, key: NetKey, read: BooksRead) -> int | None:
    """Return the signed units of a key's instrument, over all products, that the position book shows beyond today's
    trades and what was carried; None if no other book of the read can tell, or the position book cannot.

    The trade book speaks where it has every fill of ours, else the order book where it has every filled order of ours;
    units that either of them explains are explained."""
    if read.positions is None or unread_rows.hides_position(key.instrument, read):
        return None
    if _cannot_tell(oms, key):
        return None
    shown, carried = _shown(oms, key, read), _carried(oms, key)
    traded = (units for units in (_by_trades(oms, key, read), _by_orders(oms, key, read)) if units is not None)
    return min((shown - carried - units for units in traded), key=abs, default=None)


def _cannot_tell(oms: OrderDecision, key: NetKey) -> bool:
    """After a lost journal what the day began with is not known; what the venue closes or settles bears no trade."""
    return bool(oms.state.rebuilt) or net_positions.closes_unlisted(oms, key)


def _shown(oms: OrderDecision, key: NetKey, read: BooksRead) -> int:
    rows = [row for row in read.positions or () if row.instrument == key.instrument]
    known = (one for table in (oms.state.owners, oms.state.unmanaged) for one in table if one[:2] == key[:2])
    keys = {*known, *(NetKey(key.account, row.instrument, row.product) for row in rows)}
    return sum(net_positions.net_with_unlisted(oms, one, net_positions.broker_net(one, read)) for one in sorted(keys))


def _carried(oms: OrderDecision, key: NetKey) -> int:
    return oms.state.begun.get((key.account, key.instrument)) or 0


def _by_trades(oms: OrderDecision, key: NetKey, read: BooksRead) -> int | None:
    if unread_rows.hides_trades_of(key.instrument, read) or not net_positions.trades_complete(oms, key, read):
        return None
    return net_positions.traded_today(oms, key, read)


def _by_orders(oms: OrderDecision, key: NetKey, read: BooksRead) -> int | None:
    """Units that orders certainly traded: ours as they are known, a stranger's whole once it is complete."""
    if not net_positions.lists_our_fills(oms, key, read):
        return None
    ours = sum(order.filled * order.side.sign for order in net_positions.filled_today(oms, key))
    rows = (row for row in read.orders or () if row.instrument == key.instrument)
    strange = (row for row in rows if (key.account, row.broker_order_id) not in oms.state.by_broker)
    return ours + sum(_traded(row) * row.side.sign for row in strange)


def _traded(row: BrokerOrder) -> int:
    return row.quantity if row.status is BrokerStatus.COMPLETE else row.filled or 0


def was_carried(oms: OrderDecision, key: NetKey, units: int) -> bool:
    """True if units (signed) that nothing explains stood there when the day began: before anything of ours filled in
    the instrument, or at the first look, or no read of today has agreed on the key yet, and fewer of ours were closed
    since than a book that stands still could show."""
    filled, mismatch = net_positions.filled_today(oms, key), oms.state.mismatches.get(key)
    if not filled or (mismatch is not None and mismatch.carried == units):
        return True
    closed = sum(order.filled for order in filled if order.side.sign * units < 0)
    return key not in oms.state.agreed_today and closed < abs(units)


def books_agree(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """True if a read tells what is held of a key, that is what we know, and trades explain it."""
    if None in (read.orders, read.trades, read.positions) or not missing_units.tells_net(oms, key, read):
        return False
    net = net_positions.net_with_unlisted(oms, key, net_positions.broker_net(key, read))
    same = key not in oms.state.mismatches and net == net_positions.ledger_net(oms.state, key)
    return same and (_cannot_tell(oms, key) or unexplained_units(oms, key, read) == 0)
