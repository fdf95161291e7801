"""What the trade book says of a position that the position book no longer shows: brokers' books fail one at a time.

What was traded today and stands whole in the trade book, or was carried and shown today, is there until that book tells
of what closed it; while the trade book cannot be read or lacks our fills, the order book speaks for it, for a time.
"""

from __future__ import annotations

from mytrading.core.oms.evidence import overnight
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.time import ist_date
from mytrading.messages.enums import BrokerStatus
from mytrading.messages.keys import NetKey
from mytrading.messages.orders import Order
from mytrading.messages.reports import BooksRead, BrokerOrder, BrokerTrades

_UNTRADED = (BrokerStatus.TRIGGER_PENDING, BrokerStatus.REJECTED)


def speaks_against(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """True if the trades of a read still hold units of ours in an instrument that its positions lack.

    All products count together, so that a conversion is none. What the day began with may have gone without a trade of
    today until its books have shown it, and so may a contract on its last day once trading has ended.
    """
    if _closes_unlisted(oms, key) or not heard(oms, key, read):
        return False
    return _lacks(oms, key, read, _traded(oms, key, read))


def unheard(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """True if the trade book does not tell our fills, and the order book stands in for it against the position book.

    It lists every filled order of ours in the instrument as we know it, and what strangers may have closed there at
    most does not explain what the position book lacks.
    """
    if _closes_unlisted(oms, key) or heard(oms, key, read) or not _orders_tell(oms, key, read):
        return False
    traded = sum(order.filled * order.side.sign for order in _filled(oms, key))
    return _lacks(oms, key, read, traded + _strangers(oms, key, read))


def _traded(oms: OrderDecision, key: NetKey, read: BooksRead) -> int:
    """Signed units by the trade book; of carried units, where no fill of ours proves it, by the order book too."""
    rows = [row for row in read.trades or () if row.instrument == key.instrument]
    if _filled(oms, key) or not overnight.still(oms, key.account, key.instrument):
        return sum(row.quantity * row.side.sign for row in rows)
    ours = sum(row.quantity * row.side.sign for row in rows if not _strange(oms, key, row))
    return ours + _strangers(oms, key, read)


def _held(oms: OrderDecision, key: NetKey) -> int:
    return sum(position.quantity for other in _here(oms, key) for position in oms.state.holders(other))


def _lacks(oms: OrderDecision, key: NetKey, read: BooksRead, traded: int) -> bool:
    """True if the position book shows less of ours in the instrument than traded and carried units explain."""
    here, held = _here(oms, key), _held(oms, key)
    spare = [row.quantity for other, row in oms.state.unmanaged.items() if _same(other, key)]
    begun = oms.state.begun.get((key.account, key.instrument)) or 0
    rows = [row for row in read.positions or () if row.instrument == key.instrument]
    keys = {*here, *(NetKey(key.account, row.instrument, row.product) for row in rows)}
    shown = sum(overnight.net_with_holdings(oms.state, other, overnight.net_of(other, read)) for other in keys)
    sign, ours = (1 if held > 0 else -1), held + sum(spare)
    if held and not begun and traded == ours:
        return (ours - shown) * sign > 0
    opposed = any(units * held < 0 for units in (*spare, begun))
    there = traded + overnight.still(oms, key.account, key.instrument)
    return bool(held) and not opposed and shown * sign < min(there * sign, ours * sign)


def _here(oms: OrderDecision, key: NetKey) -> list[NetKey]:
    return [other for other in oms.state.owners if _same(other, key)]


def _same(one: NetKey | Order, other: NetKey) -> bool:
    return (one.account, one.instrument) == (other.account, other.instrument)


def heard(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """True if the trade book has every fill of ours in the instrument, each once: another one proves nothing."""
    if read.trades is None:
        return False
    summed = {row.broker_order_id: row.quantity for row in read.trades}
    return all(summed.get(order.broker_order_id) == order.filled for order in _filled(oms, key))


def _orders_tell(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """True if the order book has every filled order of ours in the instrument, and says nothing else of its fill."""
    rows = {row.broker_order_id: row for row in read.orders or ()}
    for order in _filled(oms, key):
        if (row := rows.get(order.broker_order_id)) is None:
            return False
        shown = row.quantity if row.status is BrokerStatus.COMPLETE else row.filled
        if shown != order.filled if shown is not None else order.filled >= order.quantity:
            return False
    return read.orders is not None


def _strangers(oms: OrderDecision, key: NetKey, read: BooksRead) -> int:
    """Signed units that nobody of ours may have traded in the instrument: the most that closes, least that opens."""
    sign = 1 if _held(oms, key) > 0 else -1
    rows = [row for row in read.orders or () if _strange(oms, key, row)]
    names = {row.broker_order_id for row in rows}
    loose = [row for row in read.trades or () if _strange(oms, key, row) and row.broker_order_id not in names]
    units = sum(row.quantity * row.side.sign for row in loose)
    return units + sum(_units(row, closes=row.side.sign != sign) * row.side.sign for row in rows)


def _strange(oms: OrderDecision, key: NetKey, row: BrokerOrder | BrokerTrades) -> bool:
    return row.instrument == key.instrument and (key.account, row.broker_order_id) not in oms.state.by_broker


def _units(row: BrokerOrder, closes: bool) -> int:
    """What a stranger's order traded; many brokers tell it of a COMPLETE one alone: else it may be all or nothing."""
    if row.status is BrokerStatus.COMPLETE:
        return row.quantity
    unknown = row.quantity if closes and row.status not in _UNTRADED else 0
    return unknown if row.filled is None else row.filled


def _filled(oms: OrderDecision, key: NetKey) -> list[Order]:
    """Orders of ours in the instrument that filled today, in whole or in part: a carried one filled before."""
    carried = oms.state.carried
    filled = (order for order in oms.state.orders.values() if order.filled and _same(order, key))
    return [order for order in filled if order.client_order_id not in carried]


def _closes_unlisted(oms: OrderDecision, key: NetKey) -> bool:
    """True where a position may end without a trade that the books tell of in time: square-off, settlement."""
    if oms.in_venue_square_off(key):
        return True
    expiry = None if oms.trades(key.instrument) else overnight.expiry_of(key.instrument)
    return expiry is not None and expiry <= ist_date(oms.now)
