"""Alerts about held positions, once a day each: left over by the square-off, or of unknown purpose."""

from __future__ import annotations

from typing import Any

from mytrading.core.calendar.square_off import LATE_NS, SILENCE_NS
from mytrading.core.risk.state.decision_rows import alert_once, risk_alert
from mytrading.core.risk.state.state import RiskState
from mytrading.core.time import clock_time
from mytrading.messages.enums import Product, Severity
from mytrading.messages.orders import Position

LATE = "SQUARE_OFF_LATE"
"""MIS that the venue should have closed."""
MISSED = "SQUARE_OFF_MISSED"
"""Held beyond the time by which we were to close it."""
UNBOUND = "POSITION_UNBOUND"
"""Alert: the watched instrument of a position is not known, after a lost journal or a claim.

Such a position is no intent's to close; its stop, the clock and an operator are what is left to it, until an intent
wants just that.
"""


def square_off_subject(position: Position) -> str:
    """Return the alert subject of a position that the square-off left open."""
    return f"{position.account} {position.instrument} {position.product} {position.strategy}"


def unbound_subject(position: Position) -> str:
    """Return the alert subject of a position whose watched instrument is unknown: strategy, instrument, account."""
    return f"{position.strategy} {position.instrument} {position.account}"


def overdue_alerts(state: RiskState, now: int) -> list[Any]:
    """Return alerts of positions still open after their square-off time at market time `now`; exits go on."""
    rows: list[Any] = []
    environment = state.environment
    for position in state.open_positions():
        held = f"{position.strategy} still holds {position.open_units} of {position.instrument} {position.product}"
        mis, exchange = position.product is Product.MIS, position.instrument.split(":")[0]
        by = environment.square_off_deadline(position.strategy, position.instrument, position.product, now)
        venue = environment.square_off.venue_square_off_ns(exchange, by) if by and now >= by and mis else 0
        # MIS that is due when the venue closes it itself is left to the venue: what that leaves is late
        if by and now >= by and not (venue and by >= venue - SILENCE_NS):
            text = (
                f"{held}, which was to be flat by {clock_time(by)}; its exits go on: `mytrading orders` shows what "
                "became of them, or close it at the broker"
            )
            rows += _overdue(state, position, MISSED, text, now)
        venue = environment.square_off.venue_square_off_ns(exchange, now)
        if mis and venue and now >= venue + LATE_NS:
            text = f"{held} three minutes after the venue's own square-off; look at the broker and close it there"
            rows += _overdue(state, position, LATE, text, now)
    return rows


def _overdue(state: RiskState, position: Position, code: str, text: str, now: int) -> list[Any]:
    subject = square_off_subject(position)
    name = f"{code.lower()} {subject} {position.opened_ns}:{state.environment.today(now)}"
    return alert_once(state, name, float(position.open_units), risk_alert(code, Severity.CRITICAL, subject, text, now))


def unbound_alerts(state: RiskState, now: int) -> list[Any]:
    """Return the alerts, each once a day, of open positions whose watched instrument is unknown."""
    rows: list[Any] = []
    for position in state.unbound_positions():
        subject = unbound_subject(position)
        text = (
            f"{position.strategy} holds {position.open_units} of {position.instrument} in {position.account}, and "
            "it is not known for which watched instrument: a signal that wants just that takes it up, no other closes "
            "it; its stop stands. Close it with `mytrading positions close` if it is not wanted"
        )
        name = f"unbound {subject} {position.opened_ns}:{state.environment.today(now)}"
        rows += alert_once(state, name, 1.0, risk_alert(UNBOUND, Severity.WARNING, subject, text, now))
    return rows
