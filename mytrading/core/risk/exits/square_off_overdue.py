"""Positions that the clock should have made flat and that are still held: an alert for each, once a day.

It only tells; closing goes on for whatever may still be closed, and for MIS from half a minute before the venue's own
square-off on the venue has the word.
"""

from __future__ import annotations

from typing import Any

from mytrading.core.calendar.square_off import LATE_NS, SILENCE_NS
from mytrading.core.risk.books.environment import RiskEnvironment
from mytrading.core.risk.state.close_commands import signed_units
from mytrading.core.risk.state.state import RiskState
from mytrading.core.time import clock_time
from mytrading.messages.control import Alert
from mytrading.messages.enums import Product, Severity
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.orders import Position

LATE = "SQUARE_OFF_LATE"
"""MIS that the venue should have closed."""
MISSED = "SQUARE_OFF_MISSED"
"""Held beyond the time by which we were to close it."""
CODES = (LATE, MISSED)


def subject_of(position: Position) -> str:
    """How an alert names a position that the square-off left."""
    return f"{position.account} {position.instrument} {position.product} {position.strategy}"


def overdue(environment: RiskEnvironment, state: RiskState, now: int) -> list[Any]:
    """The alerts that are due at market time `now`, each with the row that remembers it."""
    rows: list[Any] = []
    for position in state.open_positions():
        rows += _missed(environment, state, position, now)
        rows += _late(environment, state, position, now)
    return rows


def _missed(environment: RiskEnvironment, state: RiskState, position: Position, now: int) -> list[Any]:
    by = environment.square_off_deadline(position.strategy, position.instrument, position.product, now)
    if not by or now < by or _is_the_venues(environment, position, by):
        return []
    text = (
        f"{_held(position)}, which was to be flat by {clock_time(by)}; its exits go on: `mytrading orders` shows what "
        "became of them, or close it at the broker"
    )
    return _told(state, position, MISSED, text, environment.today(now), now)


def _is_the_venues(environment: RiskEnvironment, position: Position, by: int) -> bool:
    """MIS that is due when the venue closes it itself: what it leaves is told as late."""
    venue = environment.square_off.venue_ns(position.instrument.split(":")[0], by)
    return position.product is Product.MIS and bool(venue) and by >= venue - SILENCE_NS


def _late(environment: RiskEnvironment, state: RiskState, position: Position, now: int) -> list[Any]:
    venue = environment.square_off.venue_ns(position.instrument.split(":")[0], now)
    if position.product is not Product.MIS or not venue or now < venue + LATE_NS:
        return []
    text = f"{_held(position)} three minutes after the venue's own square-off; look at the broker and close it there"
    return _told(state, position, LATE, text, environment.today(now), now)


def _held(position: Position) -> str:
    return f"{position.strategy} still holds {signed_units(position)} of {position.instrument} {position.product}"


def _told(state: RiskState, position: Position, code: str, text: str, today: str, now: int) -> list[Any]:
    subject = subject_of(position)
    name = f"{code.lower()} {subject} {position.opened_ns}:{today}"
    if name in state.levels:
        return []
    alert = Alert(
        code=code, severity=Severity.CRITICAL, subject=subject, message=text, daemon="risk", first_ns=now, last_ns=now
    )
    return [LevelMoved(name=name, value=float(signed_units(position)), at_ns=now), alert]
