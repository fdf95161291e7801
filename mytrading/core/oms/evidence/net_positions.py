"""Evidence about net positions: the broker's position book against ours, deliveries, carried units and the trade book.

Brokers' books fail one at a time. What was traded today and stands whole in the trade book, or was carried and shown
today, is there until that book shows what closed it; the order book stands in for a trade book that fails.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from mytrading.core.instruments.symbology import parse_symbol, split_id
from mytrading.core.oms.evidence import unread_rows
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.oms.state.state import State
from mytrading.core.time import ist_date, second_of_day
from mytrading.messages.account_events import CarriedShown
from mytrading.messages.brokers import PositionScope, TradeOrderId
from mytrading.messages.enums import BrokerStatus, Product
from mytrading.messages.keys import NetKey
from mytrading.messages.orders import Order, Protection
from mytrading.messages.reports import BooksRead, BrokerOrder, BrokerTrades


def record_carried_units(oms: OrderDecision, read: BooksRead, agrees: Callable[[NetKey], bool]) -> None:
    """Emit the units carried overnight that today's books show, where changed; `agrees(key)`: true if no order of the
    key is in flight and the trade book lists all its fills."""
    for (account, instrument), begun in oms.state.begun.sorted_items():
        counts = account == read.account and begun and oms.is_trading(instrument)
        if not counts or (units := _of_earlier(oms, account, instrument, read, agrees)) is None:
            continue
        units = min(max(units, 0), begun) if begun > 0 else max(min(units, 0), begun)
        if units != carried_units_shown(oms, account, instrument):
            oms.emit(CarriedShown(account=account, instrument=instrument, quantity=units, at_ns=oms.now))


def broker_net_may_differ(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """True if the broker's net of a key (account, instrument, product) differs from our ledger's or was not read."""
    if read.positions is None or unread_rows.hides_position(key.instrument, read):
        return True
    return net_with_unlisted(oms, key, broker_net(key, read)) != ledger_net(oms.state, key)


def is_net_hidden(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """True if a read cannot tell what the broker's net of a key is, as a row of the position book is unreadable.

    A row without an instrument may hold what the others lack of ours, and takes nothing away from what they show.
    """
    if not unread_rows.hides_position(key.instrument, read):
        return False
    rows = unread_rows.unread_rows_of(read, unread_rows.POSITIONS)
    ours, shown = ledger_net(oms.state, key), net_with_unlisted(oms, key, broker_net(key, read))
    sign = 1 if ours > 0 else -1
    return any(row.instrument == key.instrument for row in rows) or (shown - ours) * sign < 0


def broker_net(key: NetKey, read: BooksRead) -> int:
    """Return the signed units of a key in the position book of a read; 0 if it is not listed."""
    rows = (row for row in read.positions or () if row.instrument == key.instrument and row.product is key.product)
    return sum(row.quantity for row in rows)


def expiry_of(instrument: str) -> date | None:
    """Return the expiry date of an instrument id; None for one without expiry or an unreadable id."""
    try:
        exchange, symbol = split_id(instrument)
        return parse_symbol(symbol, exchange).expiry
    except ValueError:
        return None


def broker_average_price(oms: OrderDecision, key: NetKey, read: BooksRead) -> float:
    """Return the average price (rupees) of a key in a read's position book; 0 if it lists none, or several rows.

    Where the broker's average of carried units is not that of their purchase, one counts only for units of today.
    """
    rows = [row for row in read.positions or () if (row.instrument, row.product) == (key.instrument, key.product)]
    if len(rows) != 1:
        return 0.0
    traded = traded_today(oms, key, read)
    rules = oms.broker(key.account)
    of_today = rules.carried_average or (rules.trades_count_fills and traded == rows[0].quantity)
    return rows[0].average_price if of_today else 0.0


def hold_back_exits(oms: OrderDecision, order: Order) -> None:
    """Make exits and stops of this exit's or stop's owner wait for two book reads, as it may have filled unseen."""
    now = max(oms.machine, 1)
    for goal in oms.state.unfinished_goals():
        if goal.owner == order.owner:
            oms.change_goal(goal, waits_machine_ns=now, proofs=0)
    for level in oms.state.open_protections():
        if level.owner == order.owner:
            oms.change_protection(level, waits_machine_ns=now)


def stop_waits_for_books(oms: OrderDecision, level: Protection) -> bool:
    """True while a protection must not place its stop yet: an earlier stop of unknown fate may rest or be filled."""
    return bool(level.waits_machine_ns) and oms.machine - level.waits_machine_ns < oms.limits.ghost_gap


def carried_units_shown(oms: OrderDecision, account: str, instrument: str) -> int:
    """Return the signed units carried overnight that today's books have shown so far; 0 if they showed none."""
    return oms.state.begun_shown.get((account, instrument)) or 0


def _of_earlier(
    oms: OrderDecision, account: str, instrument: str, read: BooksRead, agrees: Callable[[NetKey], bool]
) -> int | None:
    """Net of positions without today's trades; None where they differ from ours, or shares may be delivered."""
    if unread_rows.hides_position(instrument, read) or unread_rows.hides_trades_of(instrument, read):
        return None
    if not oms.broker(account).trades_count_fills:
        return None
    rows = [row for row in read.positions or () if row.instrument == instrument]
    known = (key for table in (oms.state.owners, oms.state.unmanaged) for key in table)
    keys = {key for key in known if (key.account, key.instrument) == (account, instrument)}
    keys |= {NetKey(account, instrument, row.product) for row in rows}
    for key in sorted(keys):
        net = sum(row.quantity for row in rows if row.product is key.product)
        disputed = key.product is Product.CNC or net != ledger_net(oms.state, key) or key in oms.state.mismatches
        if disputed or not agrees(key):
            return None
    traded = traded_today(oms, NetKey(account, instrument, Product.MIS), read)
    return sum(row.quantity for row in rows) - traded


def net_with_unlisted(oms: OrderDecision, key: NetKey, net: int) -> int:
    """Return the broker's net plus what its position book need not list: signed units, at most our own net.

    That are shares that may have moved into the holdings and, where the book is of the day's trades alone, all that was
    carried into the day.
    """
    state, ours = oms.state, ledger_net(oms.state, key)
    net += min(state.delivered.get(key) or 0, max(ours - net, 0))
    if oms.broker(key.account).positions is PositionScope.DAY:
        carried, lacks = state.unexplained.get(key) or 0, ours - net
        net += (min(abs(carried), abs(lacks)) * (1 if lacks > 0 else -1)) if carried * lacks > 0 else 0
    return net


def ledger_net(state: State, key: NetKey) -> int:
    """Return our own net of a key in signed units: owned by strategies plus unmanaged."""
    unmanaged = state.unmanaged.get(key)
    return sum(position.quantity for position in state.owner_positions(key)) + (unmanaged.quantity if unmanaged else 0)


_NOON = 12 * 3600
_UNTRADED = (BrokerStatus.TRIGGER_PENDING, BrokerStatus.REJECTED)


def trade_book_contradicts_net(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """True if the trade book proves that we hold units which the position book of the same read lacks."""
    proven = not closes_unlisted(oms, key) and trades_complete(oms, key, read)
    return proven and _lacks(oms, key, read, _traded(oms, key, read))


def order_book_contradicts_net(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """True if the order book, where the trade book lacks our fills, proves units that the position book lacks."""
    if closes_unlisted(oms, key) or trades_complete(oms, key, read) or not lists_our_fills(oms, key, read):
        return False
    if oms.broker(key.account).trade_order_id is not TradeOrderId.ORDER:
        # trades under other ids are ours and strangers' alike: no row of them may be added to our fills
        return _lacks(oms, key, read, traded_today(oms, key, read))
    traded = sum(order.filled * order.side.sign for order in filled_today(oms, key))
    return _lacks(oms, key, read, traded + _strangers(oms, key, read))


def traded_today(oms: OrderDecision, key: NetKey, read: BooksRead) -> int:
    """Return the signed units, anybody's, that the trade book of a read has of a key's instrument, over all products.

    A row of an order of an earlier day may stand there still: what that had filled before is no trade of today."""
    rows = (row for row in read.trades or () if row.instrument == key.instrument)
    return sum(_units_of_today(oms, key, row) * row.side.sign for row in rows)


def has_traded_today(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """True if the trade book of a read has a trade of today, anybody's, in a key's instrument."""
    rows = (row for row in read.trades or () if row.instrument == key.instrument)
    return any(_units_of_today(oms, key, row) for row in rows)


def _units_of_today(oms: OrderDecision, key: NetKey, row: BrokerTrades) -> int:
    order = oms.state.by_broker.get((key.account, row.broker_order_id)) or ""
    return max(0, row.quantity - (oms.state.filled_before.get(order) or 0))


def _traded(oms: OrderDecision, key: NetKey, read: BooksRead) -> int:
    """Signed units by the trade book; of carried units, where no fill of ours proves it, by the order book too."""
    traded = traded_today(oms, key, read)
    if filled_today(oms, key) or not carried_units_shown(oms, key.account, key.instrument):
        return traded
    strange = (row for row in read.trades or () if _strange(oms, key, row))
    return traded - sum(row.quantity * row.side.sign for row in strange) + _strangers(oms, key, read)


def _lacks(oms: OrderDecision, key: NetKey, read: BooksRead, traded: int) -> bool:
    """True if the position book shows less of ours in the instrument than traded and carried units explain."""
    here, held = _here(oms, key), _held(oms, key)
    spare = [row.quantity for other, row in oms.state.unmanaged.items() if _same_instrument(other, key)]
    begun = oms.state.begun.get((key.account, key.instrument)) or 0
    rows = [row for row in read.positions or () if row.instrument == key.instrument]
    keys = {*here, *(NetKey(key.account, row.instrument, row.product) for row in rows)}
    shown = sum(net_with_unlisted(oms, other, broker_net(other, read)) for other in keys)
    sign, ours = (1 if held > 0 else -1), held + sum(spare)
    if held and not begun and traded == ours:
        return (ours - shown) * sign > 0
    opposed = begun * held < 0
    there = traded + carried_units_shown(oms, key.account, key.instrument)
    return bool(held) and not opposed and shown * sign < min(there * sign, ours * sign)


def _here(oms: OrderDecision, key: NetKey) -> list[NetKey]:
    return [other for other in oms.state.owners if _same_instrument(other, key)]


def _held(oms: OrderDecision, key: NetKey) -> int:
    return sum(position.quantity for other in _here(oms, key) for position in oms.state.owner_positions(other))


def _same_instrument(one: NetKey | Order, other: NetKey) -> bool:
    return (one.account, one.instrument) == (other.account, other.instrument)


def trades_complete(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """True if the trade book of a read lists every fill of ours in the instrument exactly once, and counts fills."""
    if read.trades is None or not oms.broker(key.account).trades_count_fills:
        return False
    summed = {row.broker_order_id: row.quantity for row in read.trades}
    return all(summed.get(order.broker_order_id) == order.filled for order in filled_today(oms, key))


def lists_our_fills(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """True if the order book has all filled orders of ours in a key's instrument, and says nothing else of its fill."""
    rows = {row.broker_order_id: row for row in read.orders or ()}
    for order in filled_today(oms, key):
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
    """Units that a stranger's order traded; many brokers report them of a COMPLETE one alone: else all or nothing."""
    if row.status is BrokerStatus.COMPLETE:
        return row.quantity
    unknown = row.quantity if closes and row.status not in _UNTRADED else 0
    return unknown if row.filled is None else row.filled


def filled_today(oms: OrderDecision, key: NetKey) -> list[Order]:
    """Return our orders in a key's instrument that filled today, in whole or in part: a carried one filled before."""
    carried = oms.state.carried
    filled = (order for order in oms.state.orders.values() if order.filled and _same_instrument(order, key))
    return [order for order in filled if order.client_order_id not in carried]


def is_settled_by_now(oms: OrderDecision, instrument: str) -> bool:
    """True of a contract whose last session is over: before noon an exchange that does not trade has yet to open."""
    expiry = expiry_of(instrument)
    if expiry is None or expiry > ist_date(oms.now):
        return False
    over = second_of_day(oms.now) >= _NOON and not oms.is_trading(instrument)
    return over or expiry < ist_date(oms.now)


def closes_unlisted(oms: OrderDecision, key: NetKey) -> bool:
    """True where a position of a key may end without a trade that the books tell of in time: square-off, settlement."""
    if oms.is_venue_square_off(key):
        return True
    expiry = None if oms.is_trading(key.instrument) else expiry_of(key.instrument)
    return expiry is not None and expiry <= ist_date(oms.now)
