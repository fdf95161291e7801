"""What the trade book says of a position that the position book no longer shows: brokers' books fail one at a time.

Used by `books`, where two reads of the position book would take units off an owner, and their stop with them. The one
rule: what was traded today and stands whole in the trade book is there until that book tells of what closed it.
"""

from __future__ import annotations

from mytrading.core.calendar import day_of
from mytrading.core.oms import delivery
from mytrading.core.oms.draft import Draft
from mytrading.core.oms.state import Key
from mytrading.core.symbology import parse_symbol, split_id
from mytrading.messages.orders import Order
from mytrading.messages.reports import BooksRead


def speaks_against(draft: Draft, key: Key, read: BooksRead) -> bool:
    """True if the trades of a read still hold units of ours in an instrument that its positions lack.

    All products count together, so that a conversion is none. What the day began with may have gone without a trade of
    today, and so may a contract on its last day once trading has ended.
    """
    if read.trades is None or draft.hushed(key) or _settles(draft, key) or not _lists_ours(draft, key, read):
        return False
    here = [other for other, _ in draft.state.owners.items() if _same(other, key)]
    held = sum(position.quantity for other in here for position in draft.state.holders(other))
    spare = [row.quantity for other, row in draft.state.unmanaged.items() if _same(other, key)]
    begun = draft.state.begun.get((key.account, key.instrument)) or 0
    traded = sum(row.quantity * row.side.sign for row in read.trades if row.instrument == key.instrument)
    shown = sum(_shown(draft, other, read) for other in {*here, *_listed(key, read)})
    sign, ours = (1 if held > 0 else -1), held + sum(spare)
    if held and not begun and traded == ours:
        return (ours - shown) * sign > 0
    opposed = any(units * held < 0 for units in (*spare, begun))
    return bool(held) and not opposed and shown * sign < min(traded * sign, ours * sign)


def _same(one: Key, other: Key) -> bool:
    return (one.account, one.instrument) == (other.account, other.instrument)


def _listed(key: Key, read: BooksRead) -> set[Key]:
    rows = read.positions or ()
    return {Key(key.account, row.instrument, row.product) for row in rows if row.instrument == key.instrument}


def _shown(draft: Draft, key: Key, read: BooksRead) -> int:
    rows = (row for row in read.positions or () if (row.instrument, row.product) == (key.instrument, key.product))
    return delivery.shown(draft.state, key, sum(row.quantity for row in rows))


def _lists_ours(draft: Draft, key: Key, read: BooksRead) -> bool:
    """True if the trade book has every fill of ours in the instrument, each once: another one proves nothing."""
    summed = {row.broker_order_id: row.quantity for row in read.trades or ()}
    return all(
        summed.get(order.broker_order_id) == order.filled
        for _, order in draft.state.orders.items()
        if order.filled and _of(order, key)
    )


def _of(order: Order, key: Key) -> bool:
    return (order.account, order.instrument) == (key.account, key.instrument)


def _settles(draft: Draft, key: Key) -> bool:
    """True once a contract of today's expiry trades no more: its position ends without a trade."""
    if draft.trades(key.instrument):
        return False
    try:
        exchange, symbol = split_id(key.instrument)
        expiry = parse_symbol(symbol, exchange).expiry
    except ValueError:
        return False
    return expiry is not None and expiry <= day_of(draft.now)
