"""Another copy of this state that trades the account: orders like ours which our journal does not know.

Used by every read of the books, by stops before they are placed, and by exits as they begin. A backup that is started
beside its original sends what the original sends: its orders bear our marks, or are ours a second time. Nothing here
takes such an order over or cancels it; it stays a stranger's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from mytrading.core.oms.evidence import held_bounds, missing_units
from mytrading.core.oms.state.alert_codes import EventAlert, StateAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.oms.state.state import State
from mytrading.core.orders.state_machine import ABSENT, LIVE, SAME_PRICE, STOP_TYPES, is_other_limit, same_fingerprint
from mytrading.core.time import SECOND
from mytrading.messages.account_events import EntriesStopped, OtherCopySeen, OutsideClosing
from mytrading.messages.enums import BrokerStatus, OrderState, Product, Purpose, Severity
from mytrading.messages.keys import NetKey
from mytrading.messages.orders import Goal, Order, Protection
from mytrading.messages.reports import BooksRead, BrokerOrder
from mytrading.messages.run_config import UnknownExit

TOGETHER = 10 * SECOND
"""Two copies send what one signal asks for within this time of each other (machine time)."""
_TWINS = 2
"""Orders like ours by their facts alone that prove a copy: a person at the terminal may place one."""
_ID_LENGTH = 16
_DIGITS = frozenset("0123456789abcdef")


def on_books(oms: OrderDecision, read: BooksRead, unclaimed: Sequence[BrokerOrder]) -> None:
    """Note what an order book tells of another copy, and which units of ours orders outside our journal may close.

    `unclaimed`: its rows that no order of ours has."""
    rows = [row for row in unclaimed if (read.account, row.broker_order_id) not in oms.state.by_broker]
    rows = [row for row in rows if not _is_of_another_account(oms, read.account, row)]
    _find_copies(oms, read, rows)
    live = [row for row in rows if not row.status.is_final and not _may_be_ours(oms, read.account, row, late=False)]
    keys = {key for table in (oms.state.owners, oms.state.outside) for key in table if key.account == read.account}
    for key in sorted(keys):
        _note_outside(oms, key, read, live)
    _hold_goals(oms, read.account)
    _tell_of_bare(oms, read.account)


def _is_of_another_account(oms: OrderDecision, account: str, row: BrokerOrder) -> bool:
    """True of an order that our journal knows under another account: two accounts of a run may show one book."""
    order = oms.state.orders.get(row.tag) if row.tag else None
    if order is not None and order.account != account:
        return True
    return any(name == row.broker_order_id and of != account for of, name in oms.state.by_broker)


# another copy
def _find_copies(oms: OrderDecision, read: BooksRead, rows: Iterable[BrokerOrder]) -> None:
    account, found, before = read.account, {}, []
    sent = [order for order in oms.state.orders.values() if order.account == account and order.call.attempt]
    for row in rows:
        place = (account, row.broker_order_id)
        traded = row.filled or row.status is BrokerStatus.COMPLETE
        if place in oms.state.copies or (row.status.is_final and not traded) or _may_be_ours(oms, account, row):
            continue
        if not (like := _original(oms, account, row, sent)):
            continue
        if account not in oms.state.books and (row.status.is_final or oms.state.rebuilt):
            before.append(row.broker_order_id)  # the day's first book shows what went before this journal as well
        else:
            found[row.broker_order_id] = like
    if not found and not before:
        return
    oms.emit(OtherCopySeen(account=account, orders=found, before=tuple(before), at_ns=oms.now))
    known = {name: like for (of, name), like in oms.state.copies.sorted_items() if of == account and like}
    if any(like in (_MARK, _STOP) for like in found.values()) or (found and len(set(known.values())) >= _TWINS):
        _stop_entries(oms, account, sorted(known))


_MARK, _STOP = "mark", "stop"


def _original(oms: OrderDecision, account: str, row: BrokerOrder, sent: Iterable[Order]) -> str:
    """What of ours a row is a copy of: `mark`, `stop`, or the id of an order with its facts, sent at about the same
    time; empty if nothing."""
    if row.tag and (oms.state.is_known_id(row.tag) or _is_order_id(row.tag)):
        return _MARK
    seen = oms.state.foreign.get((account, row.broker_order_id)) or oms.machine
    if oms.machine - seen > oms.limits.lost_after:
        return ""  # what it is was decided while calls of its time could still be its makers
    for order in sent:
        if not same_fingerprint(order, row.instrument, row.side, row.quantity) or not _same_terms(order, row):
            continue
        if order.purpose is Purpose.STOP and row.order_type in STOP_TYPES and order.call.began_machine_ns <= seen:
            return _STOP
        if order.purpose is not Purpose.STOP and abs(order.call.began_machine_ns - seen) <= TOGETHER:
            return order.client_order_id
    return ""


def _is_order_id(tag: str) -> bool:
    return len(tag) == _ID_LENGTH and _DIGITS.issuperset(tag)


def _same_terms(order: Order, row: BrokerOrder) -> bool:
    same = order.order_type is row.order_type and row.product in (None, order.product)
    apart = max(abs(order.price - row.price), abs(order.trigger_price - row.trigger_price))
    return same and apart < SAME_PRICE


def _may_be_ours(oms: OrderDecision, account: str, row: BrokerOrder, *, late: bool = True) -> bool:
    """True if a row may be an order of ours whose id at the broker is not known; `late`: one given up as well, however
    late it appears."""
    orders = [oms.order(name) for name, of in oms.state.seeking.items() if of == account]
    for product in (row.product,) if row.product else Product:
        orders += oms.open_orders(NetKey(account, row.instrument, product))
    return any(
        not order.broker_order_id
        and order.state is not OrderState.INITIALIZED
        and (late or order.state not in ABSENT)
        and same_fingerprint(order, row.instrument, row.side, row.quantity)
        and not is_other_limit(order, row)
        for order in orders
    )


def _stop_entries(oms: OrderDecision, account: str, names: list[str]) -> None:
    known, code = oms.state.stopped.get((account, "")), StateAlert.OTHER_COPY
    if known is not None and known.code in (code, StateAlert.BROKER_CHANGED):
        return
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    what = f"another copy of this state trades {account}: orders like ours that this journal does not know ({shown})"
    oms.emit(EntriesStopped(account=account, instrument="", stopped=True, reason=what, at_ns=oms.now, code=code))
    cause = "a backup was started beside its original, or this state comes from a backup and its original went on"
    cure = f"stop the other one, compare positions with the broker, then `mytrading resume --account {account}`"
    text = f"{what}; {cause}: no entries, each exit waits for two reads of the books; {cure}"
    oms.alert(code, Severity.CRITICAL, account, text)


def is_known(state: State, account: str) -> bool:
    """True from the proof of another copy that trades an account until an operator resumes its entries."""
    stop = state.stopped.get((account, ""))
    return stop is not None and stop.code == StateAlert.OTHER_COPY


# orders outside our journal that would close units of ours
def _note_outside(oms: OrderDecision, key: NetKey, read: BooksRead, live: Iterable[BrokerOrder]) -> None:
    owned = missing_units.owned_units(oms, key)
    closing = [
        row for row in live
        if row.instrument == key.instrument and row.product in (None, key.product) and row.side.sign * owned < 0
    ]  # fmt: skip
    known = oms.state.outside.get(key)
    if not closing and known is None:
        return
    waiting = [row for row in closing if row.order_type in STOP_TYPES and row.status is not BrokerStatus.TRIGGERED]
    free = _others_units(oms, key, owned, read)
    stops, units = _left(waiting), _left(closing)
    moving = max(0, units - stops - free)
    units = max(0, units - free)
    names = tuple(sorted(row.broker_order_id for row in closing)) if units else ()
    if (known.units, known.stops, known.orders) == (units, units - moving, names) if known else not units:
        return
    told = known is not None and known.told and bool(units)
    stops = units - moving
    oms.emit(OutsideClosing(**key._asdict(), units=units, stops=stops, orders=names, told=told, at_ns=oms.now))
    if known is not None and known.units > units:
        _await_units(oms, key)


def _await_units(oms: OrderDecision, key: NetKey) -> None:
    """What an order outside closed is not guarded: a stop that it held back waits for a read that shows the units."""
    for level in oms.state.open_protections():
        if level.net == key and level.state == "open" and uncovered_units(oms, level) > 0:
            oms.change_protection(level, awaits_units_machine_ns=max(oms.machine, 1))


def _left(rows: Iterable[BrokerOrder]) -> int:
    return sum(max(0, row.quantity - (row.filled or 0)) for row in rows)


def _others_units(oms: OrderDecision, key: NetKey, owned: int, read: BooksRead) -> int:
    """Units of a key that are nobody's or another's, on the side of ours: orders outside close these first."""
    net, sign = held_bounds.shown_net(oms, key, read), 1 if owned > 0 else -1
    if net is None:
        level = oms.state.unmanaged.get(key)
        return max(0, level.quantity * sign) if level is not None else 0
    return max(0, (net - owned) * sign)


def room_for_stop(oms: OrderDecision, level: Protection, units: int, *, ended: bool) -> int:
    """Return for how many of `units` more a stop closes nothing that an order outside our journal closes already, in
    whole lots where not for all.

    A stop outside counts always; any order does in place of a stop that ended without our word (`ended`), and where
    another copy is known: whoever ended the stop is about to close."""
    if not oms.state.outside or (outside := oms.state.outside.get(level.net)) is None:
        return units
    counted = outside.units if ended or is_known(oms.state, level.account) else outside.stops
    mine = (order for order in oms.open_orders(level.net) if order.purpose.reduces and order.side is level.side)
    covered = sum(max(0, order.quantity - order.filled_seen) for order in mine if order.state in LIVE)
    held = sum(position.quantity_seen for position in oms.state.owner_positions(level.net))
    room = abs(held) - covered - counted
    if not counted or units <= room:
        return units
    sizes = oms.state.sizes.get(level.instrument)
    return max(0, room - room % max(1, sizes.lot if sizes else 1))


def _tell_of_bare(oms: OrderDecision, account: str) -> None:
    """Alert once for each key that a stop is missing and is not placed, because of an order outside our journal."""
    for level in oms.state.open_protections():
        outside = oms.state.outside.get(level.net)
        if level.account != account or outside is None or outside.told or level.state != "open":
            continue
        units, ended = uncovered_units(oms, level), has_ended_unasked(oms, level)
        bare = units - room_for_stop(oms, level, units, ended=ended) if units > 0 else 0
        if not bare:
            continue
        oms.emit(replace(outside, told=True, at_ns=oms.now))
        what = f"no stop of {level.strategy} in {level.instrument} is placed for {bare} units: the live orders"
        what = f"{what} {', '.join(outside.orders)}, which this journal does not know, would close them too"
        cure = "cancel those at the broker that nobody wants, and stop another copy of this state that trades there"
        oms.alert(StateAlert.STOP_BESIDE_ORDER, Severity.CRITICAL, level.id, f"{what}; {cure}")


def uncovered_units(oms: OrderDecision, level: Protection) -> int:
    """Return the sighted units of a protected position that no live order of its owner closes."""
    mine = (order for order in oms.open_orders(level.net) if order.strategy == level.strategy)
    live = (order for order in mine if order.purpose.reduces and order.side is level.side and order.state in LIVE)
    return abs(oms.position(level).quantity_seen) - sum(max(0, order.quantity - order.filled_seen) for order in live)


def has_ended_unasked(oms: OrderDecision, level: Protection) -> bool:
    """True if the newest stop of a protection was cancelled, or expired, and nobody here wanted that. That it ended
    with an earlier day is no such end."""
    order = oms.state.orders.get(level.order)
    if order is None or order.state not in (OrderState.CANCELLED, OrderState.EXPIRED):
        return False
    if order.state is OrderState.EXPIRED and order.client_order_id in oms.state.carried:
        return False
    cancel = order.evidence.cancel
    return cancel.proof or not (cancel.calls or cancel.wanted)


# exits
def wary(oms: OrderDecision, goal: Goal) -> bool:
    """True if an exit that begins, or has not been sent, waits for two whole reads: an order outside may close its
    units, or another copy is known, which follows the same signals."""
    if is_known(oms.state, goal.account):
        return True
    return units_elsewhere(oms, goal) > 0


def units_elsewhere(oms: OrderDecision, goal: Goal) -> int:
    """Units of a goal's key that orders outside our journal may close at any moment. A waiting stop does not count: an
    exit that is needed must not wait for its trigger."""
    outside = oms.state.outside.get(goal.net)
    return outside.units - outside.stops if outside is not None else 0


def _hold_goals(oms: OrderDecision, account: str) -> None:
    """Let exits wait that have not been sent when an order outside appears that may close their units."""
    for goal in oms.state.unfinished_goals():
        if goal.account != account or goal.order or goal.waits_machine_ns or goal.proofs or not wary(oms, goal):
            continue
        if oms.machine - goal.opened_machine_ns < oms.limits.held_back:
            oms.change_goal(goal, waits_machine_ns=max(oms.machine, 1), proofs=0, beside_copy=True)


def end_wait(oms: OrderDecision, goal: Goal) -> Goal:
    """After `held_back` an exit goes beside orders outside our journal, unless `unknown_exit` makes it wait."""
    late = oms.machine - goal.opened_machine_ns >= oms.limits.held_back
    waits = goal.waits_machine_ns or goal.elsewhere
    if not (goal.beside_copy and waits and late) or oms.limits.unknown_exit is UnknownExit.WAIT:
        return goal
    names = ", ".join(outside.orders) if (outside := oms.state.outside.get(goal.net)) is not None else "none now"
    what = f"the exit of {goal.strategy} in {goal.instrument} goes, though the books did not settle what orders outside"
    what = f"{what} this journal do there ({names}); it may reverse the position: look at the broker"
    oms.alert(EventAlert.EXIT_BESIDE_ORDER, Severity.CRITICAL, goal.id, what)
    return oms.change_goal(goal, waits_machine_ns=0, proofs=0, elsewhere=0, beside_copy=False)
