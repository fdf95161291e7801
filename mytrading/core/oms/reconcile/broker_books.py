"""A read of the broker's books, taken apart: our orders, those of others, and the positions compared with the ledger.

A book that is None says nothing, and a read that is behind what is already certain is evidence of what it shows but
never of what it lacks.
"""

from __future__ import annotations

import msgspec

from mytrading.core.oms.evidence import (
    carried_units,
    held_bounds,
    missing_units,
    net_evidence,
    net_positions,
    other_copies,
    unowned_units,
    unread_rows,
)
from mytrading.core.oms.exits import broker_stops, exit_goals, flatten
from mytrading.core.oms.reconcile import (
    expiries,
    gone_units,
    hidden_orders,
    journal_rebuild,
    moved_products,
    order_identity,
    order_updates,
    position_corrections,
    startup,
    unknown_orders,
)
from mytrading.core.oms.state.alert_codes import StateAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.state_machine import RESTING, TERMINAL, UNRESOLVED
from mytrading.messages.account_events import EmptyBooksSeen, ForeignSeen, MismatchSeen, NetAgreed
from mytrading.messages.enums import BrokerStatus, Confidence, OrderState, Severity
from mytrading.messages.keys import NetKey
from mytrading.messages.order_evidence import PendingEnd
from mytrading.messages.orders import Order
from mytrading.messages.reports import BooksRead, BrokerOrder, BrokerTrades


def on_books(oms: OrderDecision, read: BooksRead) -> None:
    """Update orders and positions by a read of an account's books; ignored while its server is in the wrong mode."""
    if read.account in oms.state.wrong_mode:
        return
    read, earlier = order_identity.without_earlier_days(oms, moved_products.with_our_products(oms, read))
    evidence = _sort(oms, read)._replace(earlier=earlier)
    if read.orders is not None and not read.single:
        unknown_orders.resolve_unknown_orders(oms, evidence)
        evidence = evidence._replace(unclaimed=journal_rebuild.adopt_matching_orders(oms, read, evidence.unclaimed))
        other_copies.on_books(oms, read, evidence.unclaimed)
        _remember_foreign(oms, evidence)
    if read.positions is not None and not read.single:
        _note_units_of_before(oms, read)
    if read.positions is not None and not evidence.behind:
        expiries.on_books(oms, read)
        _compare(oms, read)
        if oms.state.begun and _has_day_begun(oms, read, evidence.earlier):
            _record_carried(oms, read)
        _note_first_positions(oms, read)
        held_bounds.note_missing_units(oms, read)
        journal_rebuild.on_books(oms, read, evidence.unclaimed)
    if oms.state.gone:
        gone_units.explain_late(oms, read)
    if oms.state.guarding and not evidence.behind:
        broker_stops.on_books(oms, read)
    if oms.state.open_goals and not evidence.behind:
        exit_goals.on_books(oms, read)
    if oms.state.open_flattens and not evidence.behind:
        flatten.on_books(oms, read)
    startup.conclude_recovery(oms, read, behind=evidence.behind)


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
    shown, others = {order.client_order_id for order, _ in ours}, {row.broker_order_id for row in unclaimed}
    for name, trade in trades.items():
        owner = oms.state.by_broker.get((read.account, name))
        if owner is not None and owner in oms.state.carried and owner not in shown and name not in others:
            hidden_orders.on_trades(oms, oms.order(owner), trade, read)
    hidden_orders.on_answer(oms, read)
    behind |= read.single or read.orders is None or _missing(oms, read, shown)
    loose = []
    for name, trade in trades.items():
        if (owner := oms.state.by_broker.get((read.account, name))) is None:
            loose.append(trade)
        elif owner not in shown and owner not in oms.state.carried:  # an order of ours whose row was not read
            order_updates.on_trade_sums(oms, oms.order(owner), trade)
    if read.unread_rows:
        _prove_unread_ends(oms, read, trades)
    return unknown_orders.SortedRead(read, unclaimed, loose, behind, read)


def _prove_unread_ends(oms: OrderDecision, read: BooksRead, trades: dict[str, BrokerTrades]) -> None:
    """Take the broker's answer to a cancel for the status of a row that is there and cannot be read: an exit waits.

    The position book of the same read must have the units; else what became of the order stays open.
    """
    for order in [oms.order(name) for name in sorted(oms.state.resting.get(read.account) or ())]:
        end, cancel = order.evidence.end, order.evidence.cancel
        answered = isinstance(end, PendingEnd) and cancel.calls > 0 and not cancel.out
        if not answered or not unread_rows.is_row_unread(order, read):
            continue
        if net_positions.broker_net_may_differ(oms, order.net, read):
            oms.request_read(read.account, "unread row", positions=True)
        elif isinstance(end, PendingEnd):
            row = BrokerOrder(
                broker_order_id=order.broker_order_id, instrument=order.instrument, side=order.side,
                quantity=order.quantity, status=end.status,
            )  # fmt: skip
            order_updates.on_order_row(oms, order, row, trades.get(order.broker_order_id), read)


def _is_empty_by_failure(oms: OrderDecision, read: BooksRead) -> bool:
    """True if the order book has no row though it has to list orders of today; alerted once when two reads say so."""
    names = (name for (of, _), name in oms.state.by_broker.items() if of == read.account)
    lacking = not read.orders and any(not oms.is_of_earlier_day(oms.order(name)) for name in names)
    empty = lacking and not unread_rows.unread_rows_of(read, unread_rows.ORDERS)
    known = oms.state.emptied.get(read.account)
    if known is None and empty:
        row = EmptyBooksSeen(account=read.account, machine_ns=read.ended_machine_ns, at_ns=oms.now)
        oms.emit(row)
        oms.request_read(read.account, "empty books", positions=True)
    elif known is not None and not empty:
        oms.emit(msgspec.structs.replace(known, cleared=True, at_ns=oms.now))
    elif known is not None and not known.alerted and read.began_machine_ns > known.machine_ns:
        oms.emit(msgspec.structs.replace(known, alerted=True, at_ns=oms.now))
        what = f"the order book of {read.account} is empty, though orders of today stand in it"
        what = f"{what}: the server's session at the broker has probably ended; nothing is taken from it, stops and"
        cure = "positions stay as they are known; look at the broker, and log the server in again"
        oms.alert(StateAlert.BOOKS_EMPTY, Severity.CRITICAL, read.account, f"{what} {cure}")
    return lacking


def _missing(oms: OrderDecision, read: BooksRead, shown: set[str]) -> bool:
    if _is_empty_by_failure(oms, read):
        return True
    behind, hidden = False, []
    for order in [oms.order(name) for name in sorted(oms.state.resting.get(read.account) or ())]:
        if order.client_order_id in shown or unread_rows.hides_order(oms, order, read):
            continue
        if hidden_orders.is_asked_for(oms, order) and hidden_orders.is_answer_awaited(oms, order, read):
            hidden.append(order)
            behind |= not order.evidence.live_machine_ns
        else:
            behind |= order_updates.on_absent_order(oms, order, read)
    hidden_orders.ask(oms, read.account, hidden)
    names = [name for (of, _), name in oms.state.by_broker.items() if of == read.account]
    for order in [oms.order(name) for name in sorted(names) if name not in oms.state.carried]:
        unseen = order.client_order_id not in shown and not unread_rows.hides_order(oms, order, read)
        if order.filled and order.state in TERMINAL and unseen and not oms.is_of_earlier_day(order):
            behind |= order_updates.on_absent_order(oms, order, read)
    for name in sorted(oms.state.carried):
        _settle(oms, oms.order(name), read, shown)
    return behind


def _settle(oms: OrderDecision, order: Order, read: BooksRead, shown: set[str]) -> None:
    """Settle what one source reported late of an ended order of an earlier day, once no book of today shows it."""
    sighted = order.state in TERMINAL and order.filled_seen > order.filled
    if not sighted or order.account != read.account or order.client_order_id in shown or read.trades is None:
        return
    mine = oms.state.by_broker.get((order.account, order.broker_order_id)) == order.client_order_id
    traded = mine and any(row.broker_order_id == order.broker_order_id for row in read.trades)
    traded |= unread_rows.hides_trades(oms, order, read)
    if not traded and read.began_machine_ns > max(order.evidence.seen_machine_ns, order.call.ended_machine_ns):
        order_updates.settle_unconfirmed_old_fill(oms, order, read)


def _remember_foreign(oms: OrderDecision, evidence: unknown_orders.SortedRead) -> None:
    """Note what nobody here placed; of an order that no book lists its trades tell, of yesterday for one."""
    read, state = evidence.read, oms.state
    old, loose = evidence.earlier.orders or (), (*evidence.trades, *(evidence.earlier.trades or ()))
    places = ((row, (read.account, row.broker_order_id)) for row in (*evidence.unclaimed, *old))
    taken = {place for place, name in state.by_broker.items() if name not in state.carried}
    fresh = tuple(row for row, place in places if place not in state.foreign_orders and place not in taken)
    unread = [row.broker_order_id for row in read.unread_rows if row.broker_order_id]
    names = [row.broker_order_id for row in fresh] + [row.broker_order_id for row in loose]
    names += [name for name in unread if (read.account, name) not in state.by_broker]
    ids = tuple(name for name in dict.fromkeys(names) if (read.account, name) not in state.foreign)
    gone = order_identity.ids_gone(oms, read, evidence.earlier) if state.earlier and not evidence.behind else ()
    if ids or fresh or gone or read.account not in state.books:
        oms.emit(ForeignSeen(account=read.account, ids=ids, machine_ns=read.ended_machine_ns, rows=fresh, gone=gone))
    if read.positions is None and any(row.filled or row.status is BrokerStatus.COMPLETE for row in fresh):
        oms.request_read(read.account, "foreign fill", positions=True)


def _note_first_positions(oms: OrderDecision, read: BooksRead) -> None:
    """Note the first look of the day at the positions. An empty book is none without live funds beside it: before the
    day's login it is no answer, and what stood there in the morning is told by the first that is. Where the book need
    not list what was carried, an empty one is as good as any."""
    answered = read.positions or read.funds_live or not oms.broker(read.account).positions_whole
    if read.account not in oms.state.compared and answered:
        oms.emit(ForeignSeen(account=read.account, ids=(), machine_ns=read.ended_machine_ns, positions=True))


def _compare(oms: OrderDecision, read: BooksRead) -> None:
    state = oms.state
    broker: dict[NetKey, int] = {}
    for row in read.positions or ():
        key = NetKey(read.account, row.instrument, row.product)
        broker[key] = broker.get(key, 0) + row.quantity
    tables = (state.owners, state.unmanaged, state.mismatches, state.agreed)
    known = [key for table in tables for key in table]
    moving = _settle_moved(oms, broker, read)
    for key in sorted(set(broker) | {key for key in known if key.account == read.account}):
        if key in moving:
            continue  # judged with the key that its units came from, or went to
        if net_positions.is_net_hidden(oms, key, read):
            continue
        net = net_positions.net_with_unlisted(oms, key, broker.get(key, 0))
        if _quiet(oms, key, read):
            _compare_key(oms, key, net, read)
        elif (left := _net_beside_orders(oms, key, net, read)) is not None:
            _compare_key(oms, key, left, read)
        elif _awaits_bearing_out(oms, key, read):
            _compare_unmanaged(oms, key, net, read)
        elif net == broker.get(key) == missing_units.owned_units(oms, key) != 0 and not state.agreed.get(key):
            oms.emit(NetAgreed(**key._asdict(), quantity=net, at_ns=oms.now))  # a first fill, whose stop is on its way


def _has_day_begun(oms: OrderDecision, read: BooksRead, earlier: BooksRead) -> bool:
    """True if the books are of today: they show no trade of the day before (`earlier`), or an order of ours of today
    beside it. Else the position book may be of the day before as well."""
    owners = (oms.state.by_broker.get((read.account, row.broker_order_id)) for row in read.orders or ())
    return not earlier.trades or any(owner is not None and owner not in oms.state.carried for owner in owners)


def _record_carried(oms: OrderDecision, read: BooksRead) -> None:
    def agrees(key: NetKey) -> bool:
        """A read that ends orders of an earlier day, the only ones there, touches the key and moves nothing."""
        still = _quiet(oms, key, read) or (_has_earlier_orders_alone(oms, key) and not _is_stirred(oms, key, read))
        return still and net_positions.trades_complete(oms, key, read)

    net_positions.record_carried_units(oms, read, agrees)


def _has_earlier_orders_alone(oms: OrderDecision, key: NetKey) -> bool:
    return all(order.client_order_id in oms.state.carried for order in oms.state.orders.values() if order.net == key)


def _settle_moved(oms: OrderDecision, broker: dict[NetKey, int], read: BooksRead) -> set[NetKey]:
    """Settle units that stand under another product in two reads; returns the keys of all that seem to, which are not
    corrected one by one."""
    seeming: set[NetKey] = set()
    for moved in list(moved_products.find_moved(oms, broker, read)):
        pair = (moved.key, moved.to)
        nets = {key: net_positions.net_with_unlisted(oms, key, broker.get(key, 0)) for key in pair}
        seeming |= set(pair)
        moved_products.note_first_shown(oms, moved)
        if not all(_quiet(oms, key, read) for key in pair):
            continue
        if fresh := [key for key in pair if _is_news(oms, key, nets[key])]:
            for key in fresh:
                _disagree(oms, key, nets[key], read)
        elif not all(_is_second(oms, key, read) for key in pair):
            continue
        elif not moved_products.settle_moved(oms, moved) and (mismatch := oms.state.mismatches.get(moved.key)):
            what = (
                f"{broker[moved.to]} of it under {moved.to.product}, which is no conversion of ours as far as it shows"
            )
            _keep(oms, moved.key, mismatch, what, unproven=True)
    return seeming


def _net_beside_orders(oms: OrderDecision, key: NetKey, net: int, read: BooksRead) -> int | None:
    """The most that is left of a key if all that orders under way may have taken of it was taken before the read; None
    if that explains what the broker's net lacks, or the read is from before our last order event there."""
    if (oms.state.touched.get(key) or 0) >= read.began_machine_ns:
        return None
    sign, moving = 1 if missing_units.owned_units(oms, key) > 0 else -1, held_bounds.units_under_way(oms, key)
    left = net + (moving.sold if sign > 0 else -moving.bought)
    return left if missing_units.takes_from_owners(oms, key, left) else None


def _note_units_of_before(oms: OrderDecision, read: BooksRead) -> None:
    """Note units that a position book shows beyond ours before anything traded in the instrument today, also beside
    orders under way, and where the read is behind in what it lacks: once an exit has filled, nothing tells them from
    units that left by it."""
    for key in sorted({NetKey(read.account, row.instrument, row.product) for row in read.positions or ()}):
        net = net_positions.net_with_unlisted(oms, key, net_positions.broker_net(key, read))
        if _is_news(oms, key, net) and _stood_there_before(oms, key, net, read):
            _disagree(oms, key, net, read)


def _stood_there_before(oms: OrderDecision, key: NetKey, net: int, read: BooksRead) -> bool:
    """True if no trade of today and no order of today that could have added them explains the units beyond ours."""
    beyond = net - net_positions.ledger_net(oms.state, key)
    if not beyond or missing_units.takes_from_owners(oms, key, net) or net_positions.filled_today(oms, key):
        return False
    today = (order for order in oms.state.orders.values() if order.client_order_id not in oms.state.carried)
    sent = (order for order in today if order.state is not OrderState.INITIALIZED)
    adds = any(order.instrument == key.instrument and order.side.sign * beyond > 0 for order in sent)
    traded = net_positions.has_traded_today(oms, key, read)
    return not adds and not traded and unowned_units.unexplained_units(oms, key, read) == beyond


def _is_news(oms: OrderDecision, key: NetKey, net: int, read: BooksRead | None = None) -> bool:
    """True if no read has shown this net before, or this `read` is the first that counts."""
    mismatch = oms.state.mismatches.get(key)
    if mismatch is None or mismatch.broker != net:
        return True
    return read is not None and not mismatch.read and carried_units.is_answer(oms, key, read)


def _is_from_before_fill(oms: OrderDecision, key: NetKey, mismatch: MismatchSeen, net: int) -> bool:
    """True if the net lacks units of owners, and was first shown before our last fill there: a book that is late by
    that fill shows the same once more."""
    filled_at = oms.state.filled_at.get(key) or 0
    return filled_at > mismatch.machine_ns and missing_units.takes_from_owners(oms, key, net)


def _is_second(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    mismatch = oms.state.mismatches.get(key)
    return mismatch is not None and read.began_machine_ns - mismatch.machine_ns >= oms.limits.mismatch_gap


def _quiet(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """True if nothing about the key is moving, so that the broker's net and ours describe the same moment."""
    touched = (oms.state.touched.get(key) or 0) >= read.began_machine_ns
    return not touched and not _is_stirred(oms, key, read)


def _is_stirred(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    return any(_stirs(oms, order, read) for order in oms.open_orders(key))


def _stirs(oms: OrderDecision, order: Order, read: BooksRead) -> bool:
    """True if an order may be changing the position now; one held for approval only as a row of the order book."""
    if order.state is OrderState.PARKED:
        return read.orders is None or any(
            (read.account, row.broker_order_id) not in oms.state.by_broker
            and order_identity.may_be_same_order(oms, order, row)
            for row in read.orders
        )
    ending = bool(order.evidence.end) and order.state is not OrderState.LOST
    return ending or order.state in UNRESOLVED | {OrderState.SUBMITTED} or order.filled_seen > order.filled


def _compare_key(oms: OrderDecision, key: NetKey, net: int, read: BooksRead) -> None:
    mismatch = oms.state.mismatches.get(key)
    if net == net_positions.ledger_net(oms.state, key):
        if mismatch is not None:
            position_corrections.end_mismatch(oms, mismatch)
        owned, agreed = missing_units.owned_units(oms, key), oms.state.agreed.get(key) or 0
        shown = net_positions.broker_net(key, read)
        news = owned != agreed or (owned and key not in oms.state.agreed_today)
        if news and (not owned or shown == net) and _is_of_live_session(read):
            oms.emit(NetAgreed(**key._asdict(), quantity=owned, at_ns=oms.now))
        return
    if mismatch is None or _is_news(oms, key, net, read) or _is_from_before_fill(oms, key, mismatch, net):
        _disagree(oms, key, net, read)
    elif read.began_machine_ns - mismatch.machine_ns >= oms.limits.mismatch_gap:  # a second read agrees
        if not missing_units.takes_from_owners(oms, key, net):
            if not read.positions and not mismatch.read:
                return  # two empty books prove nothing
            _take_surplus(oms, key, mismatch, net, read)
        elif _is_carried_by_nobody(oms, key, net, read):
            position_corrections.end_mismatch(oms, mismatch)
            beyond = net - net_positions.ledger_net(oms.state, key)
            position_corrections.record_unmanaged(oms, key, _unmanaged(oms, key) + beyond, 0.0, beyond)
        elif not carried_units.proves_gone(oms, key, mismatch, read):
            counted = carried_units.with_empty_read(oms, mismatch, read)
            if counted is not mismatch:
                oms.emit(counted)
            _take_what_was_closed(oms, key, counted, read)
        elif _was_so_before_today(oms, key, net, read):
            position_corrections.end_mismatch(oms, mismatch)
            position_corrections.correct_positions(oms, key, net, read, mismatch.carried)
        elif net_positions.trade_book_contradicts_net(oms, key, read):
            _keep(oms, key, mismatch, "the trade book more", contradicted=True)
        elif net_positions.order_book_contradicts_net(oms, key, read):
            _keep(oms, key, mismatch, "the order book our fills and no exit", contradicted=True)
        else:
            _correct(oms, key, mismatch, net, read)


def _is_of_live_session(read: BooksRead) -> bool:
    """True if the position book has rows or stands beside live funds: before the day's login most brokers answer an
    empty one with success, which agrees with nothing."""
    return bool(read.positions) or read.funds_live


def _awaits_bearing_out(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """True if nothing about the key is moving but that a fill was sighted, which the net may have to bear out."""
    if (oms.state.touched.get(key) or 0) >= read.began_machine_ns or key not in oms.state.unmanaged:
        return False
    stirring = [order for order in oms.open_orders(key) if _stirs(oms, order, read)]
    return all(order.state in RESTING and not order.evidence.end for order in stirring)


def _compare_unmanaged(oms: OrderDecision, key: NetKey, net: int, read: BooksRead) -> None:
    """Lower units that nobody owns by what two reads lack of them: a net which they hide bears no fill out.

    Of what is owned and sighted nothing changes, and no more is taken than the most that was sighted leaves."""
    unmanaged, mismatch = oms.state.unmanaged[key].quantity, oms.state.mismatches.get(key)
    owned = [position.quantity for position in oms.state.owner_positions(key)]
    seen = [position.quantity_seen for position in oms.state.owner_positions(key)]
    sign = 1 if unmanaged > 0 else -1
    left = sign * min(abs(unmanaged), max(0, (net - sum(seen)) * sign))
    if left == unmanaged or net == sum(owned) + unmanaged:
        return
    if mismatch is None or _is_news(oms, key, net, read):
        _disagree(oms, key, net, read)
    elif _is_second(oms, key, read) and missing_units.tells_net(oms, key, read):
        position_corrections.end_mismatch(oms, mismatch)
        position_corrections.record_unmanaged(oms, key, left, 0.0)


def _stands_still(oms: OrderDecision, key: NetKey, net: int, read: BooksRead) -> bool:
    """True if the position book shows what it did when it last agreed, though orders of today explain what is ours now.

    It is believed after `slow` all the same."""
    unmanaged, agreed = oms.state.unmanaged.get(key), oms.state.agreed.get(key) or 0
    if not net_positions.filled_today(oms, key) or net != agreed + (unmanaged.quantity if unmanaged else 0):
        return False
    return missing_units.net_by_orders(oms, key, read) == net_positions.ledger_net(oms.state, key)


def _correct(oms: OrderDecision, key: NetKey, mismatch: MismatchSeen, net: int, read: BooksRead) -> None:
    position_corrections.end_mismatch(oms, mismatch)
    position_corrections.correct_positions(oms, key, net, read)


def _take_what_was_closed(oms: OrderDecision, key: NetKey, mismatch: MismatchSeen, read: BooksRead) -> None:
    """Correct a position by orders of the order book that closed units of it; what the book merely lacks stays."""
    left = missing_units.net_left_by_orders(oms, key, mismatch.broker, read)
    if left == net_positions.ledger_net(oms.state, key):
        soon = read.began_machine_ns - mismatch.machine_ns < oms.limits.slow
        soon = soon or carried_units.is_being_proven(oms, mismatch, read)
        if soon and oms.broker(key.account).positions_whole:
            return  # a whole read beside the funds comes in some seconds
        why = "no order that closed it, and what the position book lacks here may be held"
        if not mismatch.read and carried_units.is_carried(oms, key):
            why = f"{why}: it is of an earlier day, and no whole read in session had live funds beside it"
        _keep(oms, key, mismatch, f"the order book {why}", unproven=True)
    elif left == mismatch.broker:
        _correct(oms, key, mismatch, left, read)
    else:
        position_corrections.correct_positions(oms, key, left, read)


def _is_carried_by_nobody(oms: OrderDecision, key: NetKey, net: int, read: BooksRead) -> bool:
    """True if the net, of the other side than ours, is ours and units that nobody knew of when the day began with none
    of ours in the instrument."""
    beyond = net - net_positions.ledger_net(oms.state, key)
    known = oms.state.mismatches.get(key)
    if known is None or known.carried != beyond or oms.state.begun.get((key.account, key.instrument)):
        return False
    if net * missing_units.owned_units(oms, key) >= 0:
        return False
    return unowned_units.unexplained_units(oms, key, read) == beyond


def _was_so_before_today(oms: OrderDecision, key: NetKey, net: int, read: BooksRead) -> bool:
    """True if the net is of the other side than ours, and nothing of ours filled in the instrument today: what the day
    began with was another net, which no trade of today can deny."""
    known = oms.state.mismatches.get(key)
    if net * missing_units.owned_units(oms, key) >= 0 or net_positions.filled_today(oms, key):
        return False
    beyond = unowned_units.unexplained_units(oms, key, read)
    return bool(beyond) and known is not None and known.carried == beyond


def _unmanaged(oms: OrderDecision, key: NetKey) -> int:
    found = oms.state.unmanaged.get(key)
    return found.quantity if found is not None else 0


def _take_surplus(oms: OrderDecision, key: NetKey, mismatch: MismatchSeen, net: int, read: BooksRead) -> None:
    """Take units beyond what strategies own for nobody's where today's trades or carried units explain them; else keep
    the dispute: a position book that stands still shows units that left already."""
    surplus, before = net - missing_units.owned_units(oms, key), _unmanaged(oms, key)
    adds = abs(surplus) > abs(before) or surplus * before < 0
    beyond = unowned_units.unexplained_units(oms, key, read) if adds else 0
    if not beyond or beyond * surplus < 0:
        soon = read.began_machine_ns - mismatch.machine_ns < oms.limits.slow
        if not (soon and _stands_still(oms, key, net, read)):
            _correct(oms, key, mismatch, net, read)
    elif unowned_units.was_carried(oms, key, beyond):
        position_corrections.end_mismatch(oms, mismatch)
        position_corrections.correct_positions(oms, key, net, read, beyond)
    else:
        _keep_unexplained(oms, key, mismatch, beyond)


def _keep_unexplained(oms: OrderDecision, key: NetKey, mismatch: MismatchSeen, beyond: int) -> None:
    changed = msgspec.structs.replace(mismatch, unproven=True)
    if changed == mismatch:
        return
    oms.emit(changed)
    shown = f"the position book shows {mismatch.broker} of {key.instrument} {key.product}; {beyond} of it have no owner"
    what = f"{shown}, and neither trades of today nor carried units explain them: they may have left already"
    cure = "nobody can claim or close them here; look at the broker, and close at its terminal what is really held"
    _alert_dispute(oms, key, f"{what}; {cure}")


def _disagree(oms: OrderDecision, key: NetKey, net: int, read: BooksRead) -> None:
    source, known = read.id if carried_units.is_answer(oms, key, read) else "", oms.state.mismatches.get(key)
    beyond = unowned_units.unexplained_units(oms, key, read) or 0
    moved_along = known is not None and known.broker != net and known.beyond == beyond
    before = moved_along or read.account not in oms.state.compared or unowned_units.was_carried(oms, key, beyond)
    carried = beyond if before else known.carried if known is not None else 0
    mismatch = MismatchSeen(
        **key._asdict(), broker=net, read=source, machine_ns=read.ended_machine_ns, beyond=beyond, carried=carried
    )
    oms.emit(carried_units.with_empty_read(oms, mismatch, read))
    position_corrections.mark_positions(oms, key, Confidence.DISPUTED)
    if oms.state.owner_positions(key):
        what = f"the broker shows {net} of {key.instrument} {key.product}, we hold another quantity"
        _alert_dispute(oms, key, f"{what}; it is read again, entries wait", Severity.WARNING)
    oms.request_read(key.account, "mismatch", positions=True)


def _keep(oms: OrderDecision, key: NetKey, mismatch: MismatchSeen, what: str, **found: bool) -> None:
    """Keep ours with its stop, alerted once: another book speaks for what the position book lacks, or nothing proves
    it gone."""
    changed = msgspec.structs.replace(mismatch, **found)
    if changed == mismatch:
        return
    oms.emit(changed)
    if mismatch.is_kept:
        return
    shown = f"the position book shows {mismatch.broker} of {key.instrument} {key.product}, {what}"
    if mismatch.broker * (owned := missing_units.owned_units(oms, key)) < 0:
        shown = f"{shown}; {mismatch.broker - owned} there have no owner and no stop: close them at the terminal"
    cure = "look at the broker, and log the server in there if it is not; what is not held there is booked as gone by"
    cure = f"{cure} `mytrading positions settle`, with a reason; `mytrading state rebuild-ledger` takes over its books"
    unshown = held_bounds.unshown_units(oms, key)
    stays = "ours stays, and no stop is placed before a book shows it" if unshown else "ours stays with its stop"
    _alert_dispute(oms, key, f"{shown}; {stays}; {cure}")


def _alert_dispute(oms: OrderDecision, key: NetKey, text: str, severity: Severity = Severity.CRITICAL) -> None:
    oms.alert(StateAlert.POSITION_DISPUTED, severity, position_corrections.alert_subject(key), text)
