"""Corrections of positions that two reads prove: newest owners lose what is gone, the rest is unmanaged."""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.accounting import position_ledger
from mytrading.core.oms.evidence import net_positions
from mytrading.core.oms.reconcile import startup
from mytrading.core.oms.state.alert_codes import EventAlert, StateAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.enums import Confidence, Severity
from mytrading.messages.keys import NetKey
from mytrading.messages.orders import Position, PositionAdjusted
from mytrading.messages.reports import BooksRead


def correct_positions(oms: OrderDecision, key: NetKey, net: int, read: BooksRead, carried: int = 0) -> None:
    """Correct the positions of a key to the broker's `net` (signed units); units no strategy owns become unmanaged,
    of which the day began with `carried` (signed) that nothing told of before."""
    holders = oms.state.owner_positions(key)
    owned = sum(position.quantity for position in holders)
    covered = min(owned, max(net, 0)) if owned >= 0 else max(owned, min(net, 0))
    excess = abs(owned) - abs(covered)
    for position in sorted(holders, key=lambda p: (-p.opened_ns, p.strategy)):
        if cut := min(excess, abs(position.quantity)):
            excess -= cut
            if oms.is_venue_square_off(key):
                _book_venue_square_off(oms, position, cut, read)
            else:
                _reduce(oms, position, cut)
    average_price = 0.0 if covered else net_positions.broker_average_price(oms, key, read)
    record_unmanaged(oms, key, net - covered, average_price, carried)


def record_unmanaged(oms: OrderDecision, key: NetKey, quantity: int, average_price: float, carried: int = 0) -> None:
    """Record the unmanaged quantity (signed units) of a key, if it changed; units that are sold are alerted, since the
    price may rise without end. `carried`: those added that the day began with."""
    known = oms.state.unmanaged.get(key)
    before = known.quantity if known else 0
    if quantity == before:
        return
    since = (known.since_ns or known.at_ns) if known is not None and before * quantity > 0 else oms.now
    row = UnmanagedChanged(**key._asdict(), quantity=quantity, average_price=average_price, at_ns=oms.now)
    oms.emit(replace(row, since_ns=since, carried=carried))
    if quantity < min(before, 0):
        _alert_short(oms, key, quantity)


def _alert_short(oms: OrderDecision, key: NetKey, quantity: int) -> None:
    traded = net_positions.filled_today(oms, key)
    what = f"{quantity} of {key.instrument} {key.product} in {key.account} belong to no owner and have no stop"
    if traded:
        what = f"{what}; orders of ours filled there today, so compare the trades at the broker"
    cure = f"buy them back with `mytrading positions close {key.instrument} --unmanaged`"
    text = f"{what}; {cure}, or give them to a strategy (`mytrading positions claim`)"
    oms.alert(StateAlert.UNMANAGED_SHORT, Severity.CRITICAL if traded else Severity.WARNING, alert_subject(key), text)


def alert_subject(key: NetKey) -> str:
    """Return the subject of an alert about a net position key."""
    return f"{key.account} {key.instrument} {key.product}"


def _reduce(oms: OrderDecision, position: Position, cut: int) -> None:
    units = -cut if position.quantity > 0 else cut
    corrected = position_ledger.correct_quantity(position, position.quantity + units, oms.now)
    oms.record_adjustment(corrected, "correction", units)
    what = f"{position.strategy} held {position.quantity} of {position.instrument}, the broker shows {cut} fewer"
    oms.alert(EventAlert.POSITION_CORRECTED, Severity.CRITICAL, position.strategy, what)
    startup.record_difference(oms, position.account, "corrected", what)


CAUSE = "venue_square_off"


def _book_venue_square_off(oms: OrderDecision, position: Position, cut: int, read: BooksRead) -> None:
    """Book that the venue took `cut` units off a position; with its profit where its trades are known."""
    units = -cut if position.quantity > 0 else cut
    price = _square_off_price(oms, position, units, read)
    what = f"the venue squared off {cut} units of {position.strategy} in {position.instrument}"
    if price:
        booked = position_ledger.book_fill(position, units, price, oms.now)
        if booked.trade:
            oms.emit(booked.trade)
        level, text = booked.position, f"{what} at {price:g}; our own square-off had not closed them"
    else:
        level = position_ledger.correct_quantity(position, position.quantity + units, oms.now)
        text = f"{what}, at a price that the trade book does not tell: their profit is not counted"
    level = replace(level, quantity_seen=level.quantity, confidence=Confidence.CONFIRMED)
    oms.emit(PositionAdjusted(position=level, cause=CAUSE, quantity=units, price=price, at_ns=oms.now))
    oms.alert(EventAlert.VENUE_SQUARE_OFF, Severity.WARNING, f"{position.strategy} {position.instrument}", text)
    startup.record_difference(oms, position.account, "corrected", what)


def _square_off_price(oms: OrderDecision, position: Position, units: int, read: BooksRead) -> float:
    """The average price of the trades of strangers on this side that no earlier read showed; 0 if they do not fit."""
    account = position.account
    fresh = [
        row
        for row in read.trades or ()
        if row.instrument == position.instrument
        and row.side.sign * units > 0
        and (account, row.broker_order_id) not in oms.state.by_broker
        and (seen := oms.state.foreign.get((account, row.broker_order_id))) is not None
        and oms.machine - seen < 12 * oms.limits.mismatch_gap  # first seen since the venue is about to close
    ]
    quantity, value = sum(row.quantity for row in fresh), sum(row.value for row in fresh)
    return round(value / quantity, 4) if quantity >= abs(units) and value > 0 else 0.0
