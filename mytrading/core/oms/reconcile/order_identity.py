"""Which order of ours a broker's row may be: identity is broker id and day, else hard facts within a window.

Used wherever a row of the books is given to an order, or a stranger's row is told from one of ours. Facts alone make
nothing of a stranger's: an order believed absent takes no row from after its window, and undoes none once what was sent
in its place has filled.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from mytrading.core.oms.evidence import net_positions
from mytrading.core.oms.placing.slices import sibling_slices
from mytrading.core.oms.state.broker_ids import KEPT_DAYS, is_younger
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.state_machine import ABSENT, SAME_PRICE, STOP_TYPES, is_other_limit, same_fingerprint
from mytrading.core.time import DAY, SECOND, day_start
from mytrading.messages.enums import BrokerStatus, OrderState
from mytrading.messages.orders import Order
from mytrading.messages.reports import BooksRead, BrokerOrder

CLOCKS_DIFFER = 5 * SECOND
"""The broker's clock may be behind ours by so much, and its rows tell whole seconds."""
NO_ROWS = BooksRead(account="", id="", began_machine_ns=0, ended_machine_ns=0, orders=(), trades=())
"""What `without_earlier_days` takes out of most reads."""


def first_seen(oms: OrderDecision, account: str, broker_order_id: str) -> int:
    """Return the machine time (ns) of the first read that showed a stranger's row: now if none has yet, 0 if it was
    known on an earlier day."""
    place = (account, broker_order_id)
    return 0 if place in oms.state.earlier else oms.state.foreign.get(place) or oms.machine


def may_be_same_order(oms: OrderDecision, order: Order, row: BrokerOrder) -> bool:
    """True if an order book row of the order's account, which no order of ours has claimed, may be this order."""
    if not same_fingerprint(order, row.instrument, row.side, row.quantity) or row.product not in (None, order.product):
        return False
    if is_other_limit(order, row):
        return False
    if first_seen(oms, order.account, row.broker_order_id) <= order.call.began_machine_ns:
        return False
    if order.state is OrderState.PARKED:
        return True  # whoever approves it may take as long as they like
    if order.state in ABSENT or order.client_order_id in oms.state.carried:
        return is_within_window(oms, order, row)
    return not _tells_earlier_day(oms, row)


def _tells_earlier_day(oms: OrderDecision, row: BrokerOrder) -> bool:
    """True if a row's own time is of the last days; one that lies further back is no time that could be read."""
    today = day_start(oms.now)
    return bool(row.time_ns) and today - KEPT_DAYS * DAY <= row.time_ns < today


def without_earlier_days(oms: OrderDecision, read: BooksRead) -> tuple[BooksRead, BooksRead]:
    """Return a read without the rows of orders that ended on earlier days, and one of these rows alone: they are
    nobody's, and nothing of today is told by them. Orders carried into the day keep theirs."""
    old = [row for row in read.orders or () if _ended_earlier(oms, read.account, row)]
    if not old and not oms.state.earlier:
        return read, NO_ROWS
    gone = {id(row) for row in old}
    left = tuple(row for row in read.orders or () if id(row) not in gone)
    names = {row.broker_order_id for row in old} | _trades_of_earlier_days(oms, read)
    names -= {row.broker_order_id for row in left}
    stale = tuple(row for row in read.trades or () if row.broker_order_id in names)
    trades = tuple(row for row in read.trades or () if row.broker_order_id not in names)
    kept = {name: rows for name, rows in (("orders", left), ("trades", trades)) if getattr(read, name) is not None}
    return replace(read, **kept), replace(read, orders=tuple(old), trades=stale)


def _trades_of_earlier_days(oms: OrderDecision, read: BooksRead) -> set[str]:
    """Ids of trades that were known on an earlier day; some brokers give each trade one of its own."""
    places = ((read.account, row.broker_order_id) for row in read.trades or ())
    return {place[1] for place in places if place in oms.state.earlier and place not in oms.state.by_broker}


def _ended_earlier(oms: OrderDecision, account: str, row: BrokerOrder) -> bool:
    place = (account, row.broker_order_id)
    before, owner = oms.state.earlier.get(place), oms.state.by_broker.get(place)
    if owner is not None and (before is None or owner in oms.state.carried):
        return False
    if owner is not None and before is not None:  # the id was used again, and names an order of today
        return 0 < row.time_ns < before or not has_hard_facts(oms.order(owner), row)
    if before is None:
        sought = (oms.order(name) for name, of in oms.state.seeking.items() if of == account)
        old = row.status.is_final and _tells_earlier_day(oms, row)
        return old and not any(may_be_same_order(oms, order, row) for order in sought)
    first = oms.state.foreign_orders.get(place) or row
    return first.status.is_final and not is_younger(row, before)


def ids_gone(oms: OrderDecision, read: BooksRead, earlier: BooksRead) -> tuple[str, ...]:
    """Return the ids of earlier days that a read of order and trade book shows no more, sorted: they may be used again.

    `earlier` has the rows that `without_earlier_days` took out. Empty books tell it beside live funds alone."""
    if read.trades is None or read.unread_rows or not (read.orders or earlier.orders or read.funds_live):
        return ()
    books = (read.orders, read.trades, earlier.orders, earlier.trades)
    shown = {row.broker_order_id for book in books for row in book or ()}
    return tuple(sorted(name for of, name in oms.state.earlier if of == read.account and name not in shown))


def has_hard_facts(order: Order, row: BrokerOrder) -> bool:
    """True if a row is of the order's instrument and side."""
    return row.instrument == order.instrument and row.side is order.side


def may_be_used_again(oms: OrderDecision, order: Order, rows: Iterable[BrokerOrder]) -> bool:
    """True if an order of today may be behind a row whose id an earlier order had, as nothing tells the two apart."""
    if order.client_order_id in oms.state.carried:
        return False
    for row in rows:
        place = (order.account, row.broker_order_id)
        before, seen = oms.state.earlier.get(place), oms.state.foreign.get(place) or oms.machine
        same = same_fingerprint(order, row.instrument, row.side, row.quantity) and row.product in (None, order.product)
        if before is not None and same and seen > order.call.began_machine_ns and not 0 < row.time_ns < before:
            return True
    return False


def is_within_window(oms: OrderDecision, order: Order, row: BrokerOrder) -> bool:
    """True if a row may be of the order's call by the time of its first sight, or by its own.

    A server may hold a call for `lost_after` and place it then; the next read shows it, at the latest `slow` later."""
    call, until = order.call, _window_end(oms, order)
    if first_seen(oms, order.account, row.broker_order_id) <= until:
        return True
    latest_ns = call.sent_ns + until - call.began_machine_ns
    return bool(call.sent_ns) and call.sent_ns - CLOCKS_DIFFER <= row.time_ns <= latest_ns


def _window_end(oms: OrderDecision, order: Order) -> int:
    """The end of an order's window in machine ns; a call that a restart found out had ended long before."""
    call, limits = order.call, oms.limits
    ended = min(call.ended_machine_ns, call.began_machine_ns + limits.call_patience)
    return ended + limits.lost_after + limits.slow


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
        return order.trigger_price > 0 and apart < SAME_PRICE
    units = row.quantity if row.status is BrokerStatus.COMPLETE else row.filled or 0
    if not units or read.positions is None or read.began_machine_ns > _window_end(oms, order):
        return False
    if net_positions.is_net_hidden(oms, order.net, read):
        return False
    ledger, shown = net_positions.ledger_net(oms.state, order.net), net_positions.broker_net(order.net, read)
    return ledger * order.side.sign >= 0 and (shown - ledger) * order.side.sign == units
