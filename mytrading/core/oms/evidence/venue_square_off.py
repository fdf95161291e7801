"""The venue's own square-off: it closes intraday positions by orders of its own, and they are booked as such.

Units are what the position book shows; a price is only taken from trades that are nobody's here and account for just
these units.
"""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.accounting import position_ledger
from mytrading.core.oms.recovery import startup
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.messages.enums import Confidence, Severity
from mytrading.messages.orders import Position, PositionAdjusted
from mytrading.messages.reports import BooksRead

CAUSE = "venue_square_off"


def closed(oms: OrderDecision, position: Position, cut: int, read: BooksRead) -> None:
    """Book that the venue took `cut` units off a position; with its profit where its trades are known."""
    units = -cut if position.quantity > 0 else cut
    price = _price(oms, position, units, read)
    told = f"the venue squared off {cut} units of {position.strategy} in {position.instrument}"
    if price:
        booked = position_ledger.book(position, units, price, oms.now)
        if booked.trade:
            oms.emit(booked.trade)
        level, text = booked.position, f"{told} at {price:g}; our own square-off had not closed them"
    else:
        level = position_ledger.correct(position, position.quantity + units, oms.now)
        text = f"{told}, at a price that the trade book does not tell: their profit is not counted"
    level = replace(level, quantity_seen=level.quantity, confidence=Confidence.CONFIRMED)
    oms.emit(PositionAdjusted(position=level, cause=CAUSE, quantity=units, price=price, at_ns=oms.now))
    oms.alert("VENUE_SQUARE_OFF", Severity.WARNING, f"{position.strategy} {position.instrument}", text)
    startup.note(oms, position.account, "corrected", told)


def _price(oms: OrderDecision, position: Position, units: int, read: BooksRead) -> float:
    """The average price of the trades of strangers on this side that no earlier read showed; 0 if they do not fit."""
    account = position.account
    fresh = [
        row
        for row in read.trades or ()
        if row.instrument == position.instrument
        and row.side.sign * units > 0
        and (account, row.broker_order_id) not in oms.state.by_broker
        and _is_fresh(oms, account, row.broker_order_id)
    ]
    quantity, value = sum(row.quantity for row in fresh), sum(row.value for row in fresh)
    return round(value / quantity, 4) if quantity >= abs(units) and value > 0 else 0.0


def _is_fresh(oms: OrderDecision, account: str, broker_order_id: str) -> bool:
    """First seen since reads are asked for because the venue is about to close; an old stranger has its own story."""
    seen = oms.state.foreign.get((account, broker_order_id))
    return seen is not None and oms.machine - seen < 12 * oms.limits.mismatch_gap
