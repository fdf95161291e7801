"""A read of the broker's books, taken apart: our orders, those of others, and the positions compared with the ledger.

A book that is None says nothing, and a read that is behind what is already certain is evidence of what it shows but
never of what it lacks.
"""

from __future__ import annotations

import msgspec

from mytrading.core.oms.evidence import net_evidence, net_positions
from mytrading.core.oms.exits import exit_goals, flatten
from mytrading.core.oms.reconcile import journal_rebuild, order_updates, position_corrections, startup, unknown_orders
from mytrading.core.oms.state.alert_codes import StateAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.oms.state.state import State
from mytrading.core.orders.state_machine import TERMINAL, UNRESOLVED
from mytrading.messages.account_events import ForeignSeen, MismatchSeen
from mytrading.messages.enums import BrokerStatus, Confidence, OrderState, Severity
from mytrading.messages.keys import NetKey
from mytrading.messages.orders import Order
from mytrading.messages.reports import BooksRead, BrokerOrder

TRADE_BOOK_GAPS = 180
"""Times the gap of two reads (15 minutes of 5 s) for which a trade book without the trades is waited for."""


def on_books(oms: OrderDecision, read: BooksRead) -> None:
    """Update orders and positions by a read of an account's books; ignored while its server is in the wrong mode."""
    if read.account in oms.state.wrong_mode:
        return
    if is_unusable_read(oms.state, read):
        read = msgspec.structs.replace(read, orders=None, trades=None, positions=None)
    evidence = _sort(oms, read)
    if read.orders is not None and not read.single:
        unknown_orders.resolve_unknown_orders(oms, evidence)
        evidence = evidence._replace(unclaimed=journal_rebuild.adopt_matching_orders(oms, read, evidence.unclaimed))
        _remember_foreign(oms, evidence)
    if read.positions is not None and not evidence.behind:
        _compare(oms, read)
        journal_rebuild.on_books(oms, read, evidence.unclaimed)
    if oms.state.open_goals and not evidence.behind:
        exit_goals.on_books(oms, read)
    if oms.state.open_flattens and not evidence.behind:
        flatten.on_books(oms, read)
    startup.conclude_recovery(oms, read, behind=evidence.behind)


def is_unusable_read(state: State, read: BooksRead) -> bool:
    """True if a read has an unreadable row of an instrument in which the account has orders or positions."""
    if not read.unread:
        return False
    ordered = {order.instrument for order in state.orders.values() if order.account == read.account}
    tables = (state.owners, state.unmanaged, state.mismatches)
    ours = ordered | {key.instrument for table in tables for key in table if key.account == read.account}
    return not ours.isdisjoint(read.unread)


def _sort(oms: OrderDecision, read: BooksRead) -> unknown_orders.SortedRead:
    trades = {row.broker_order_id: row for row in read.trades or ()}
    unclaimed: list[BrokerOrder] = []
    ours: list[tuple[Order, BrokerOrder]] = []
    for row in read.orders or ():
        if (order := order_updates.find_our_order(oms, read.account, row)) is None:
            unclaimed.append(row)
        else:
            ours.append((order, row))
    behind, still = False, net_evidence.still_keys(oms, read) if read.positions else frozenset()
    # books list the newest first: an exit booked before its entry would be a position of the other side
    for order, row in sorted(ours, key=lambda found: found[0].created_ns):
        now = oms.order(order.client_order_id)
        behind |= order_updates.on_order_row(oms, now, row, trades.get(row.broker_order_id), read, still)
    shown = {order.client_order_id for order, _ in ours}
    behind |= read.single or read.orders is None or _missing(oms, read, shown)
    loose = []
    for name, trade in trades.items():
        if (owner := oms.state.by_broker.get((read.account, name))) is None:
            loose.append(trade)
        elif owner not in shown:  # an order of ours whose row was not read
            order_updates.on_trade_sums(oms, oms.order(owner), trade)
    return unknown_orders.SortedRead(read, unclaimed, loose, behind)


def _missing(oms: OrderDecision, read: BooksRead, shown: set[str]) -> bool:
    behind = False
    for order in [oms.order(name) for name in sorted(oms.state.resting.get(read.account) or ())]:
        if order.client_order_id not in shown:
            behind |= order_updates.on_absent_order(oms, order, read)
    names = [name for (of, _), name in oms.state.by_broker.items() if of == read.account]
    for order in [oms.order(name) for name in sorted(names) if name not in oms.state.carried]:
        if not read.orders:
            behind = True
        if order.filled and order.state in TERMINAL and order.client_order_id not in shown:
            behind |= order_updates.on_absent_order(oms, order, read)
    for name in sorted(oms.state.carried):
        _settle(oms, oms.order(name), read, shown)
    return behind


def _settle(oms: OrderDecision, order: Order, read: BooksRead, shown: set[str]) -> None:
    """Settle what one source reported late of an ended order of an earlier day, once no book of today shows it."""
    sighted = order.state in TERMINAL and order.filled_seen > order.filled
    if not sighted or order.account != read.account or order.client_order_id in shown or read.trades is None:
        return
    traded = any(row.broker_order_id == order.broker_order_id for row in read.trades)
    if not traded and read.began_machine_ns > max(order.evidence.seen_machine_ns, order.call.ended_machine_ns):
        order_updates.settle_unconfirmed_old_fill(oms, order, net_positions.broker_average_price(order.net, read))


def _remember_foreign(oms: OrderDecision, evidence: unknown_orders.SortedRead) -> None:
    """Note what nobody here placed; of an order that no book lists its trades tell, of yesterday for one."""
    read, state = evidence.read, oms.state
    places = ((row, (read.account, row.broker_order_id)) for row in evidence.unclaimed)
    fresh = tuple(row for row, place in places if place not in state.foreign and place not in state.by_broker)
    names = [row.broker_order_id for row in fresh] + [row.broker_order_id for row in evidence.trades]
    ids = tuple(name for name in dict.fromkeys(names) if (read.account, name) not in state.foreign)
    if ids or read.account not in state.books:
        oms.emit(ForeignSeen(account=read.account, ids=ids, machine_ns=read.ended_machine_ns, rows=fresh))
    if read.positions is None and any(row.filled or row.status is BrokerStatus.COMPLETE for row in fresh):
        oms.request_read(read.account, "foreign fill", positions=True)


def _compare(oms: OrderDecision, read: BooksRead) -> None:
    state = oms.state
    broker: dict[NetKey, int] = {}
    for row in read.positions or ():
        key = NetKey(read.account, row.instrument, row.product)
        broker[key] = broker.get(key, 0) + row.quantity
    known = [key for table in (state.owners, state.unmanaged, state.mismatches) for key in table]
    for key in sorted(set(broker) | {key for key in known if key.account == read.account}):
        if _quiet(oms, key, read):
            _compare_key(oms, key, net_positions.net_with_holdings(oms.state, key, broker.get(key, 0)), read)
    if state.begun:
        net_positions.record_carried_units(
            oms, read, lambda key: _quiet(oms, key, read) and net_positions.trades_complete(oms, key, read)
        )


def _quiet(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """True if nothing about the key is moving, so that the broker's net and ours describe the same moment."""
    touched = (oms.state.touched.get(key) or 0) >= read.began_machine_ns
    return not touched and not any(_stirs(oms, order, read) for order in oms.open_orders(key))


def _stirs(oms: OrderDecision, order: Order, read: BooksRead) -> bool:
    """True if an order may be changing the position now; one held for approval only as a row of the order book."""
    if order.state is OrderState.PARKED:
        return read.orders is None or any(
            (read.account, row.broker_order_id) not in oms.state.by_broker
            and unknown_orders.may_be_same_order(oms, order, row)
            for row in read.orders
        )
    ending = bool(order.evidence.end) and order.state is not OrderState.LOST
    return ending or order.state in UNRESOLVED | {OrderState.SUBMITTED} or order.filled_seen > order.filled


def _compare_key(oms: OrderDecision, key: NetKey, net: int, read: BooksRead) -> None:
    mismatch = oms.state.mismatches.get(key)
    if net == net_positions.ledger_net(oms.state, key):
        if mismatch is not None:
            _clear(oms, mismatch)
        return
    if mismatch is None or mismatch.broker != net:
        _disagree(oms, key, net, read)
    elif read.began_machine_ns - mismatch.machine_ns >= oms.limits.mismatch_gap and (read.positions or mismatch.read):
        # a second read agrees; two empty books never prove anything
        if net_positions.trade_book_contradicts_net(oms, key, read):
            _contradict(oms, key, mismatch)
            return
        if net_positions.order_book_contradicts_net(oms, key, read) and _wait_for_trade_book(oms, key, mismatch, read):
            return
        _clear(oms, mismatch)
        position_corrections.correct_positions(oms, key, net, read)


def _disagree(oms: OrderDecision, key: NetKey, net: int, read: BooksRead) -> None:
    source = read.id if read.positions else ""
    oms.emit(MismatchSeen(**key._asdict(), broker=net, read=source, machine_ns=read.ended_machine_ns))
    _mark(oms, key, Confidence.DISPUTED)
    if oms.state.owner_positions(key):
        what = f"the broker shows {net} of {key.instrument} {key.product}, we hold another quantity"
        _alert_dispute(oms, key, f"{what}; it is read again, entries wait", Severity.WARNING)
    oms.request_read(key.account, "mismatch", positions=True)


def _contradict(oms: OrderDecision, key: NetKey, mismatch: MismatchSeen) -> None:
    """The trade book holds what the position book lacks: ours stays, and so does its stop. Alerted once."""
    if mismatch.contradicted and not mismatch.unheard_machine_ns:
        return
    oms.emit(msgspec.structs.replace(mismatch, contradicted=True, unheard_machine_ns=0))
    shown = f"the position book shows {mismatch.broker} of {key.instrument} {key.product}, the trade book more"
    cure = "look at the broker; if nothing is held there, cancel its stop (`mytrading orders cancel ID --force`)"
    _alert_dispute(oms, key, f"{shown}; ours stays with its stop; {cure}")


def _wait_for_trade_book(oms: OrderDecision, key: NetKey, mismatch: MismatchSeen, read: BooksRead) -> bool:
    """True while the order book alone shows our fills: ours stays for some minutes, then the position book counts."""
    if mismatch.unheard_machine_ns:
        return read.began_machine_ns - mismatch.unheard_machine_ns < TRADE_BOOK_GAPS * oms.limits.mismatch_gap
    oms.emit(msgspec.structs.replace(mismatch, unheard_machine_ns=read.ended_machine_ns))
    minutes = TRADE_BOOK_GAPS * oms.limits.mismatch_gap / 60e9
    what = (
        f"the position book shows {mismatch.broker} of {key.instrument} {key.product}, the order book our fills and no "
        f"exit, and the trade book cannot be read or lacks them; ours stays with its stop for {minutes:g} minutes, "
        "unless the trade book shows an exit before; then the position book is believed; look at the broker now: if "
        "nothing is held there, cancel the stop (`mytrading orders cancel ID --force`); if the position is held there "
        "and the books do not show it by then, place a stop at the broker yourself"
    )
    _alert_dispute(oms, key, what)
    return True


def _alert_dispute(oms: OrderDecision, key: NetKey, text: str, severity: Severity = Severity.CRITICAL) -> None:
    oms.alert(StateAlert.POSITION_DISPUTED, severity, dispute_alert_subject(key), text)


def _clear(oms: OrderDecision, mismatch: MismatchSeen) -> None:
    oms.emit(msgspec.structs.replace(mismatch, cleared=True, contradicted=False, unheard_machine_ns=0))
    _mark(oms, mismatch.net, Confidence.CONFIRMED)


def dispute_alert_subject(key: NetKey) -> str:
    """Return the alert subject of a net position key whose books disagree."""
    return f"{key.account} {key.instrument} {key.product}"


def _mark(oms: OrderDecision, key: NetKey, confidence: Confidence) -> None:
    for position in oms.state.owner_positions(key):
        if position.confidence is not confidence:
            oms.emit_position(msgspec.structs.replace(position, confidence=confidence, updated_ns=oms.now))
