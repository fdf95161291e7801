"""What proves that units of ours which a position book lacks are gone: an order that closed them, or a whole read.

Used by the comparison of positions, flattens and sighted fills. An empty answer, and a position book that the table of
brokers calls partial, take nothing from an owner by what they lack.
"""

from __future__ import annotations

from mytrading.core.oms.evidence import net_positions, unread_rows
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.messages.enums import BrokerStatus
from mytrading.messages.keys import NetKey
from mytrading.messages.reports import BooksRead, BrokerOrder


def owned_units(oms: OrderDecision, key: NetKey) -> int:
    """Return the signed units of a key that strategies own."""
    return sum(position.quantity for position in oms.state.owner_positions(key))


def takes_from_owners(oms: OrderDecision, key: NetKey, net: int) -> bool:
    """True if the broker's `net` (signed units) is less than what strategies own of the key."""
    owned = owned_units(oms, key)
    return owned != 0 and net * (1 if owned > 0 else -1) < abs(owned)


def is_complete(oms: OrderDecision, account: str, read: BooksRead) -> bool:
    """True if all books were read, at a broker whose position book holds all units: what an answer of a live session
    lacks is not there."""
    read_all = None not in (read.orders, read.trades, read.positions)
    read_all = read_all and all(row.broker_order_id or row.instrument for row in read.unread_rows)
    return read_all and oms.broker(account).positions_whole


def tells_net(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """True if the position book of a read says what the broker's net of a key is: it lists it, or can be believed in
    what it lacks."""
    return tells_beside_others(oms, key, read) and (bool(read.positions) or read.funds_live)


def tells_beside_others(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """The same where order and trade book of the read deny the units as well: an empty position book counts too."""
    if read.positions is None or unread_rows.hides_position(key.instrument, read):
        return False
    listed = any((row.instrument, row.product) == (key.instrument, key.product) for row in read.positions)
    return oms.broker(key.account).positions_whole or (listed and not oms.state.unexplained.get(key))


def net_by_orders(oms: OrderDecision, key: NetKey, read: BooksRead) -> int | None:
    """Return the signed units of a key by the order book alone, with what the day began with, claims and conversions;
    None if the book lacks an order of ours that filled.

    Of orders of strangers only what certainly traded counts.
    """
    if not net_positions.lists_our_fills(oms, key, read):
        return None
    ours = sum(order.filled * order.side.sign for order in net_positions.filled_today(oms, key) if order.net == key)
    strange = (row for row in read.orders or () if _is_strangers(oms, key, row))
    return (oms.state.unexplained.get(key) or 0) + ours + sum(_traded(row) * row.side.sign for row in strange)


def net_left_by_orders(oms: OrderDecision, key: NetKey, net: int, read: BooksRead) -> int:
    """Return a key's net once what orders of the order book closed is taken off, never below the broker's `net`."""
    ours, there = net_positions.ledger_net(oms.state, key), net_by_orders(oms, key, read)
    sign = 1 if ours > 0 else -1
    gone = 0 if there is None else max(0, (ours - there) * sign)
    return ours - sign * min(gone, max(0, (ours - net) * sign), abs(ours))


def is_flat_by_orders(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """True if the order book shows that all that was held of a key was closed."""
    return net_by_orders(oms, key, read) == 0


def _is_strangers(oms: OrderDecision, key: NetKey, row: BrokerOrder) -> bool:
    ours = (key.account, row.broker_order_id) in oms.state.by_broker
    return not ours and row.instrument == key.instrument and row.product in (None, key.product)


def _traded(row: BrokerOrder) -> int:
    return row.quantity if row.status is BrokerStatus.COMPLETE else row.filled or 0
