"""What the unreadable rows of a read leave open: whose they may be. Used wherever a read proves an absence.

What such a row hides stops corrections, deliveries and entries, and never an exit.
"""

from __future__ import annotations

from mytrading.core.oms.state.decision import OrderDecision
from mytrading.messages.orders import Order
from mytrading.messages.reports import BooksRead, UnreadRow

ORDERS, TRADES, POSITIONS = "orders", "trades", "positions"
"""Names of the books in `UnreadRow`."""


def unread_rows_of(read: BooksRead, book: str) -> list[UnreadRow]:
    """Return the rows of one book that could not be read; of a read that names instruments alone, one for each."""
    if not read.unread_rows:
        return [UnreadRow(book=book, instrument=instrument) for instrument in read.unread]
    return [row for row in read.unread_rows if row.book == book]


def hides_order(oms: OrderDecision, order: Order, read: BooksRead) -> bool:
    """True if an unreadable row of the order book may be this order's: its absence proves nothing."""
    return _hides(oms, order, read, ORDERS)


def hides_trades(oms: OrderDecision, order: Order, read: BooksRead) -> bool:
    """True if an unreadable row of the trade book may be a trade of this order."""
    return _hides(oms, order, read, TRADES)


def hides_position(instrument: str, read: BooksRead) -> bool:
    """True if an unreadable row of the position book may be of the instrument: what the book lacks of it is unknown."""
    return _names(instrument, read, POSITIONS)


def hides_trades_of(instrument: str, read: BooksRead) -> bool:
    """True if an unreadable row of the trade book may be a trade in the instrument, anybody's."""
    return _names(instrument, read, TRADES)


def is_row_unread(order: Order, read: BooksRead) -> bool:
    """True if the order book has a row of exactly this order that could not be read."""
    name = order.broker_order_id
    return bool(name) and any(row.broker_order_id == name for row in read.unread_rows if row.book == ORDERS)


def _names(instrument: str, read: BooksRead, book: str) -> bool:
    if not read.unread_rows and not read.unread:
        return False
    return any(row.instrument in ("", instrument) for row in unread_rows_of(read, book))


def _hides(oms: OrderDecision, order: Order, read: BooksRead, book: str) -> bool:
    if not read.unread_rows and not read.unread:
        return False
    return any(_may_be_of(oms, order, row) for row in unread_rows_of(read, book))


def _may_be_of(oms: OrderDecision, order: Order, row: UnreadRow) -> bool:
    """An id decides: it is this order's, another's, or new since the call of this one, which has none yet."""
    name = row.broker_order_id
    if name and order.broker_order_id:
        return name == order.broker_order_id
    if row.instrument not in ("", order.instrument):
        return False
    if not name:
        return True
    place = (order.account, name)
    if place in oms.state.earlier and order.client_order_id in oms.state.carried:
        return False
    first_seen = oms.state.foreign.get(place)
    return place not in oms.state.by_broker and (first_seen is None or first_seen > order.call.began_machine_ns)
