"""What the trade book says of a position that the position book no longer shows: brokers' books fail one at a time.

What was traded today and stands whole in the trade book, or was carried and shown today, is there until that book tells
of what closed it; while the trade book cannot be read or lacks our fills, the order book speaks for it, for a time.
"""

from __future__ import annotations

from mytrading.core.instruments.symbology import parse_symbol, split_id
from mytrading.core.oms.evidence import delivery, overnight
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.oms.state.state import Key
from mytrading.core.time import ist_date
from mytrading.messages.enums import BrokerStatus
from mytrading.messages.orders import Order
from mytrading.messages.reports import BooksRead, BrokerOrder, BrokerTrades

_UNTRADED = (BrokerStatus.TRIGGER_PENDING, BrokerStatus.REJECTED)


def speaks_against(draft: OrderDecision, key: Key, read: BooksRead) -> bool:
    """True if the trades of a read still hold units of ours in an instrument that its positions lack.

    All products count together, so that a conversion is none. What the day began with may have gone without a trade of
    today until its books have shown it, and so may a contract on its last day once trading has ended.
    """
    if _closes_unlisted(draft, key) or not heard(draft, key, read):
        return False
    return _lacks(draft, key, read, _traded(draft, key, read))


def unheard(draft: OrderDecision, key: Key, read: BooksRead) -> bool:
    """True if the trade book does not tell our fills, and the order book stands in for it against the position book.

    It lists every filled order of ours in the instrument as we know it, and what strangers may have closed there at
    most does not explain what the position book lacks.
    """
    if _closes_unlisted(draft, key) or heard(draft, key, read) or not _orders_tell(draft, key, read):
        return False
    traded = sum(order.filled * order.side.sign for order in _filled(draft, key))
    return _lacks(draft, key, read, traded + _strangers(draft, key, read))


def _traded(draft: OrderDecision, key: Key, read: BooksRead) -> int:
    """Signed units by a trade book that tells our fills.

    Where there are none to tell, nothing shows that it works: of carried units the order book tells exits by hand too.
    """
    rows = [row for row in read.trades or () if row.instrument == key.instrument]
    if _filled(draft, key) or not overnight.still(draft, key.account, key.instrument):
        return sum(row.quantity * row.side.sign for row in rows)
    ours = sum(row.quantity * row.side.sign for row in rows if not _strange(draft, key, row))
    return ours + _strangers(draft, key, read)


def _held(draft: OrderDecision, key: Key) -> int:
    return sum(position.quantity for other in _here(draft, key) for position in draft.state.holders(other))


def _lacks(draft: OrderDecision, key: Key, read: BooksRead, traded: int) -> bool:
    """True if the position book shows less of what is ours in the instrument than so many traded units account for.

    Carried units that books of today have shown count with them.
    """
    here, held = _here(draft, key), _held(draft, key)
    spare = [row.quantity for other, row in draft.state.unmanaged.items() if _same(other, key)]
    begun = draft.state.begun.get((key.account, key.instrument)) or 0
    shown = sum(_shown(draft, other, read) for other in {*here, *_listed(key, read)})
    sign, ours = (1 if held > 0 else -1), held + sum(spare)
    if held and not begun and traded == ours:
        return (ours - shown) * sign > 0
    opposed = any(units * held < 0 for units in (*spare, begun))
    there = traded + overnight.still(draft, key.account, key.instrument)
    return bool(held) and not opposed and shown * sign < min(there * sign, ours * sign)


def _here(draft: OrderDecision, key: Key) -> list[Key]:
    return [other for other, _ in draft.state.owners.items() if _same(other, key)]


def _same(one: Key, other: Key) -> bool:
    return (one.account, one.instrument) == (other.account, other.instrument)


def _listed(key: Key, read: BooksRead) -> set[Key]:
    rows = read.positions or ()
    return {Key(key.account, row.instrument, row.product) for row in rows if row.instrument == key.instrument}


def _shown(draft: OrderDecision, key: Key, read: BooksRead) -> int:
    rows = (row for row in read.positions or () if (row.instrument, row.product) == (key.instrument, key.product))
    return delivery.shown(draft.state, key, sum(row.quantity for row in rows))


def heard(draft: OrderDecision, key: Key, read: BooksRead) -> bool:
    """True if the trade book has every fill of ours in the instrument, each once: another one proves nothing."""
    if read.trades is None:
        return False
    summed = {row.broker_order_id: row.quantity for row in read.trades}
    return all(summed.get(order.broker_order_id) == order.filled for order in _filled(draft, key))


def _orders_tell(draft: OrderDecision, key: Key, read: BooksRead) -> bool:
    """True if the order book has every filled order of ours in the instrument, and says nothing else of its fill."""
    rows = {row.broker_order_id: row for row in read.orders or ()}
    return read.orders is not None and all(
        _tells(order, rows.get(order.broker_order_id)) for order in _filled(draft, key)
    )


def _tells(order: Order, row: BrokerOrder | None) -> bool:
    if row is None:
        return False
    told = row.quantity if row.status is BrokerStatus.COMPLETE else row.filled
    return order.filled < order.quantity if told is None else told == order.filled


def _strangers(draft: OrderDecision, key: Key, read: BooksRead) -> int:
    """Signed units that nobody of ours may have traded in the instrument: the most that closes, least that opens."""
    sign = 1 if _held(draft, key) > 0 else -1
    rows = [row for row in read.orders or () if _strange(draft, key, row)]
    names = {row.broker_order_id for row in rows}
    loose = [row for row in read.trades or () if _strange(draft, key, row) and row.broker_order_id not in names]
    units = sum(row.quantity * row.side.sign for row in loose)
    return units + sum(_units(row, closes=row.side.sign != sign) * row.side.sign for row in rows)


def _strange(draft: OrderDecision, key: Key, row: BrokerOrder | BrokerTrades) -> bool:
    return row.instrument == key.instrument and (key.account, row.broker_order_id) not in draft.state.by_broker


def _units(row: BrokerOrder, closes: bool) -> int:
    """What a stranger's order traded; many brokers tell it of a COMPLETE one alone: else it may be all or nothing."""
    if row.status is BrokerStatus.COMPLETE:
        return row.quantity
    unknown = row.quantity if closes and row.status not in _UNTRADED else 0
    return unknown if row.filled is None else row.filled


def _filled(draft: OrderDecision, key: Key) -> list[Order]:
    """Orders of ours in the instrument that filled today, in whole or in part: a carried one filled before."""
    carried = draft.state.carried
    filled = (order for _, order in draft.state.orders.items() if order.filled and _of(order, key))
    return [order for order in filled if order.client_order_id not in carried]


def _of(order: Order, key: Key) -> bool:
    return (order.account, order.instrument) == (key.account, key.instrument)


def _closes_unlisted(draft: OrderDecision, key: Key) -> bool:
    """True where a position may end without a trade that the books tell of in time: square-off, settlement."""
    return draft.in_venue_square_off(key) or _settles(draft, key)


def _settles(draft: OrderDecision, key: Key) -> bool:
    """True once a contract of today's expiry trades no more: its position ends without a trade."""
    if draft.trades(key.instrument):
        return False
    try:
        exchange, symbol = split_id(key.instrument)
        expiry = parse_symbol(symbol, exchange).expiry
    except ValueError:
        return False
    return expiry is not None and expiry <= ist_date(draft.now)
