"""What the position book of a read shows of one order's fill: an interval, since other orders may move the same net.

Used by the reports of the broker on our orders. A book shows units only while nothing moved them after it began, and
an empty book, or one that lacks the row where it may be partial, shows nothing.
"""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.oms.evidence import held_bounds, missing_units, net_positions, unread_rows
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.state_machine import SENT
from mytrading.messages.brokers import PositionScope, TradeOrderId, TradeQuantity
from mytrading.messages.enums import BrokerStatus
from mytrading.messages.keys import NetKey
from mytrading.messages.order_evidence import PendingEnd, ReportedFills
from mytrading.messages.orders import Order
from mytrading.messages.reports import BooksRead, BrokerOrder, BrokerTrades

LOWER_READS = 3
"""Reads in a row with fewer units of an order than were sighted after which the sighting is lowered."""
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
    trade counts them either, as many are as nobody else's order explains. Fewer than before need `LOWER_READS`."""
    if order.filled >= order.quantity or _lacks_without_trade(oms, order, fills, read):
        return fills
    if _is_told_by_trades_alone(oms, order, fills, read):
        return replace(fills, net=fills.trades)
    if (beyond := _beyond(oms, order, read)) is None:
        return fills
    named, moved, disputed = (
        _undenied(oms, order, row, fills, read),
        beyond + _claimed(oms, order),
        order.net in oms.state.mismatches,
    )
    shown = min(named, moved) if not disputed or named == moved else 0  # of a disputed net what is named must be all
    if row.filled is None and _is_counted_by_net(oms, order, fills, read):
        counted = min(beyond - _others(oms, order, read), _most_traded(oms, order, read))
        traded = fills.traded or _is_unbooked_by_exchange(oms, order, read)
        if not disputed or (traded and counted == beyond):  # of a disputed net it must be all
            shown = max(shown, counted)
    level = order.filled + min(max(shown, 0), order.quantity - order.filled)
    lower = fills.net_lower + 1 if level < fills.net else 0
    if lower and lower < LOWER_READS:
        return replace(fills, net_lower=lower)
    again = max(fills.net_again, min(fills.net, level))
    told = fills.trade_sum if level > fills.net else fills.net_sum
    same = (level, again, fills.net_lower, fills.net_sum) == (fills.net, fills.net_again, 0, told)
    return fills if same else replace(fills, net=level, net_again=again, net_lower=0, net_sum=told)


def _lacks_without_trade(oms: OrderDecision, order: Order, fills: ReportedFills, read: BooksRead) -> bool:
    """True if a position book that does not list the key would say that its units are gone, and a trade book that
    counts fills has none of the order: rows are left out more often than trades are."""
    counted = oms.broker(order.account).trades_count_fills and read.trades is not None
    return counted and fills.trades <= order.filled and not _is_listed(order.net, read)


def _is_told_by_trades_alone(oms: OrderDecision, order: Order, fills: ReportedFills, read: BooksRead) -> bool:
    """True if units of the order's own trades have been known for `held_back` and the trade book still shows them, in a
    key of which the position book need not list what was delivered: it can neither bear them out nor deny them."""
    rules, delivered = oms.broker(order.account), oms.state.delivered.get(order.net) or 0
    by_order = rules.trades_count_fills and rules.trade_order_id is TradeOrderId.ORDER
    if not delivered or not by_order or not order.filled < fills.trades <= order.filled_seen or not read.positions:
        return False
    if unread_rows.hides_position(order.instrument, read) or oms.now - order.updated_ns < oms.limits.held_back:
        return False
    traded = sum(row.quantity for row in read.trades or () if row.broker_order_id == order.broker_order_id)
    shown = net_positions.broker_net(order.net, read)
    held = net_positions.ledger_net(oms.state, order.net) + (fills.trades - order.filled) * order.side.sign
    return traded == fills.trades and shown <= held <= shown + delivered


def _is_listed(key: NetKey, read: BooksRead) -> bool:
    return any(row.instrument == key.instrument and row.product is key.product for row in read.positions or ())


def _is_counted_by_net(oms: OrderDecision, order: Order, fills: ReportedFills, read: BooksRead) -> bool:
    """True if only the net can tell how much of an order has filled, and the trade book does not say that nothing has.

    A book that lags shows units which left already: without a trade that may be the order's it shows none of it."""
    if oms.broker(order.account).trades_count_fills:
        return False
    if order.state not in SENT:
        return fills.traded and not order.evidence.fills.traded  # it ended, and a trade of it came to light since
    if oms.broker(order.account).trade_quantity is TradeQuantity.NOTHING:
        return True
    return fills.traded or read.trades is None or any(_may_be_its_trade(oms, order, row) for row in read.trades)


def _most_traded(oms: OrderDecision, order: Order, read: BooksRead) -> int:
    """The most units that an order may have unconfirmed by what books told before: what a net alone shows beyond that
    is another order's, or of a position book that lags.

    Trades that count fills bound it; and a position book that never had units which are held does not show them gone.
    """
    rules, unfilled = oms.broker(order.account), order.quantity - order.filled
    if rules.trade_quantity is TradeQuantity.FILL and read.trades is not None:
        return min(unfilled, _unbooked(oms, order, read))
    return unfilled if _has_shown_held(oms, order, read) else 0


def _unbooked(oms: OrderDecision, order: Order, read: BooksRead) -> int:
    """Units of a trade book that counts fills which may be the order's and which no fill of ours has booked."""
    trades = [row for row in read.trades or () if (row.instrument, row.side) == (order.instrument, order.side)]
    own = [row for row in trades if row.broker_order_id == order.broker_order_id]
    may_be = [row for row in trades if _may_be_its_trade(oms, order, row)]
    loose = [row for row in trades if (order.account, row.broker_order_id) not in oms.state.by_broker]
    named = {row.broker_order_id for row in trades}
    ours = (o for o in net_positions.filled_today(oms, order.net) if o.side is order.side)
    booked = sum(o.filled for o in ours if o is not order and o.broker_order_id not in named)
    left = sum(row.quantity for row in (*own, *loose)) - booked
    return max(0, min(left, sum(row.quantity for row in (*own, *may_be))) - order.filled)


def _has_shown_held(oms: OrderDecision, order: Order, read: BooksRead) -> bool:
    """False of an exit or stop while no position book has shown any of the units which it would close."""
    owned = missing_units.owned_units(oms, order.net)
    agreed, shown = oms.state.agreed.get(order.net) or 0, net_positions.broker_net(order.net, read)
    return not order.purpose.reduces or agreed * owned > 0 or shown * owned > 0


def may_have_traded(oms: OrderDecision, order: Order, read: BooksRead) -> bool:
    """True if the trade book has a row that may be the order's under another id: a lagging net denies no fill then."""
    return any(_may_be_its_trade(oms, order, row) for row in read.trades or ())


def _may_be_its_trade(oms: OrderDecision, order: Order, row: BrokerTrades) -> bool:
    """True for a trade that no order of ours is named by, on the order's side, not shown before its call began."""
    place = (order.account, row.broker_order_id)
    if (row.instrument, row.side) != (order.instrument, order.side) or place in oms.state.by_broker:
        return False
    if place in oms.state.earlier:
        return False
    by_other_id = oms.broker(order.account).trade_order_id is not TradeOrderId.ORDER
    first = oms.state.foreign.get(place)
    return by_other_id and (first is None or first > order.call.began_machine_ns)


def _is_unbooked_by_exchange(oms: OrderDecision, order: Order, read: BooksRead) -> bool:
    """True if a trade book under the exchange's ids has units of the order's side which no fill of ours and no
    stranger's order of the order book explains."""
    if oms.broker(order.account).trade_order_id is not TradeOrderId.EXCHANGE:
        return False
    rows = (row for row in read.orders or () if (row.instrument, row.side) == (order.instrument, order.side))
    strange = (row for row in rows if (order.account, row.broker_order_id) not in oms.state.by_broker)
    theirs = sum(row.quantity for row in strange if row.status not in _UNTRADED)
    counts = oms.broker(order.account).trade_quantity is TradeQuantity.FILL
    return counts and _unbooked(oms, order, read) > theirs


def with_trade_under_other_id(oms: OrderDecision, order: Order, fills: ReportedFills, read: BooksRead) -> ReportedFills:
    """Return the order's reported fills with the one trade of a read that must be its own, of as many units as other
    sources name."""
    row = _trade_under_other_id(oms, order, fills, read)
    if row is None or (row.quantity, row.value) == (fills.trades, fills.trade_value) or row.quantity < fills.trades:
        return fills
    return replace(fills, trades=row.quantity, trade_value=row.value)


def price_under_other_id(oms: OrderDecision, order: Order, fills: ReportedFills, read: BooksRead) -> float:
    """Return the price (rupees) of the one trade of a read that must be an order's though it bears the exchange's id;
    0 without one."""
    row = _trade_under_other_id(oms, order, fills, read)
    return row.value / row.quantity if row is not None else 0.0


def _trade_under_other_id(
    oms: OrderDecision, order: Order, fills: ReportedFills, read: BooksRead
) -> BrokerTrades | None:
    """The one trade under the exchange's id that must be an order's; None also where a stranger's order of that side
    and size is in the book."""
    if oms.broker(order.account).trade_order_id is not TradeOrderId.EXCHANGE or not read.trades:
        return None
    units = max(order.filled_seen, fills.stream, fills.book, fills.net)
    rows = [row for row in read.trades if row.quantity == units > 0 and _may_be_its_trade(oms, order, row)]
    alike = (
        row.instrument == order.instrument and row.side is order.side and row.quantity == order.quantity
        and (order.account, row.broker_order_id) not in oms.state.by_broker
        for row in read.orders or ()
    )  # fmt: skip
    return rows[0] if len(rows) == 1 and not any(alike) else None


def tells_end(
    oms: OrderDecision, order: Order, row: BrokerOrder, fills: ReportedFills, read: BooksRead, *, still: bool
) -> bool:
    """True if a read says how much had filled when an order ended, or has not for `ghost_gap` since it was shown ended.

    A row that names no units leaves it to the trades where they count fills, else to the position book. Of an order
    with a trade no end without units is believed while other orders may explain what the net shows."""
    rules = oms.broker(order.account)
    if row.filled is not None or fills.net > 0 or _named(order, fills) > 0:
        return True
    if rules.trades_count_fills:
        return held_bounds.bears_out_end(oms, order, read)
    lists_trades = rules.trade_order_id is TradeOrderId.ORDER and rules.trade_quantity is not TradeQuantity.NOTHING
    if lists_trades and read.trades is not None and not fills.traded:
        return True
    waited = oms.machine - order.evidence.seen_machine_ns >= oms.limits.ghost_gap
    beyond = _beyond(oms, order, read)
    shown = still and beyond is not None
    by_exchange = rules.trade_order_id is TradeOrderId.EXCHANGE  # else an own trade mostly bears its id
    if shown and _is_unbooked_by_exchange(oms, order, read):
        return oms.machine - order.evidence.seen_machine_ns >= oms.limits.slow  # the position book may stand still
    if fills.traded or (by_exchange and beyond and beyond > 0 and may_have_traded(oms, order, read)):
        return waited and shown and _others(oms, order, read) == 0
    return waited or shown


def needs_positions(oms: OrderDecision, order: Order) -> bool:
    """True while only the position book can tell how much of an order has filled, or bear out what was reported."""
    fills = order.evidence.fills
    if order.filled >= order.quantity:
        return False
    if isinstance(order.evidence.end, PendingEnd) and order.state in SENT:
        return not fills.book
    if order.filled_seen > order.filled:
        return not fills.book or not oms.broker(order.account).trades_count_fills
    return fills.traded and fills.trade_sum != fills.net_sum and order.state in SENT


def units_moved(oms: OrderDecision, order: Order, read: BooksRead) -> int:
    """Return the units on an order's side that the broker's net has more than ours, beside a trade of the order: an
    empty position book counts too, since a trade book with rows is one of a live session. 0 if this read cannot tell.
    """
    key = order.net
    if read.positions is None or unread_rows.hides_position(key.instrument, read):
        return 0
    net = net_positions.net_with_unlisted(oms, key, net_positions.broker_net(key, read))
    return max(0, (net - net_positions.ledger_net(oms.state, key)) * order.side.sign)


def bears_out_old_fill(oms: OrderDecision, order: Order, read: BooksRead) -> bool:
    """True if the position book lists the key of an ended order and moved by all units that one source reported of it;
    of a disputed net they must be all that it moved by."""
    if not _is_listed(order.net, read) or (beyond := _beyond(oms, order, read)) is None:
        return False
    units, moved = order.filled_seen - order.filled, beyond + _claimed(oms, order)
    return moved == units if order.net in oms.state.mismatches else moved >= units


def _beyond(oms: OrderDecision, order: Order, read: BooksRead) -> int | None:
    """Units on the order's side that the broker's net of its key has more than ours; None if this read cannot tell."""
    key, rules = order.net, oms.broker(order.account)
    listed = _is_listed(key, read)
    if not read.positions or (not listed and unread_rows.hides_position(key.instrument, read)):
        return None
    carried = oms.state.begun.get((key.account, key.instrument))
    if not (listed or rules.positions_whole) or (carried and rules.positions is PositionScope.DAY):
        return None
    net = net_positions.net_with_unlisted(oms, key, net_positions.broker_net(key, read))
    return (net - net_positions.ledger_net(oms.state, key)) * order.side.sign


def _named(order: Order, fills: ReportedFills) -> int:
    """Unconfirmed units that another source names."""
    stream = fills.stream if fills.stream > fills.stream_void else 0
    return max(stream, fills.book, fills.trades) - order.filled


def _undenied(oms: OrderDecision, order: Order, row: BrokerOrder, fills: ReportedFills, read: BooksRead) -> int:
    """Unconfirmed units that a source names and that the order's row and countable trades of this read do not deny:
    the net bears out no report of the stream against them, since another order may have moved it."""
    if row.filled is not None:
        shown = row.quantity if row.status is BrokerStatus.COMPLETE else row.filled
        return min(_named(order, fills), shown - order.filled)
    if read.trades is not None and oms.broker(order.account).trades_count_fills:
        return max(fills.book, fills.trades) - order.filled
    return _named(order, fills)


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
