"""Codes of the alerts that decisions of the router raise, of either kind (`mytrading/core/active_alerts.py`)."""

from __future__ import annotations

from enum import StrEnum


class StateAlert(StrEnum):
    """Alerts that last while the state has their cause; `mytrading/core/oms/active_alerts.py` says for how long."""

    CANCEL_STUCK = "CANCEL_STUCK"
    CHURN_BLOCKED = "CHURN_BLOCKED"
    CHURN_PAUSED = "CHURN_PAUSED"
    EXIT_WAITS = "EXIT_WAITS"
    FLATTEN_LATE = "FLATTEN_LATE"
    GOAL_STUCK = "GOAL_STUCK"
    ORDER_AMBIGUOUS = "ORDER_AMBIGUOUS"
    ORDER_LOST = "ORDER_LOST"
    ORDER_MISSING = "ORDER_MISSING"
    ORDER_PARKED = "ORDER_PARKED"
    ORDER_UNKNOWN = "ORDER_UNKNOWN"
    ORDER_UNRESOLVED = "ORDER_UNRESOLVED"
    POSITION_DISPUTED = "POSITION_DISPUTED"
    STOP_FAILED = "STOP_FAILED"
    STOP_IN_DOUBT = "STOP_IN_DOUBT"
    STOP_NOT_MOVED = "STOP_NOT_MOVED"
    STOP_RELEASED = "STOP_RELEASED"
    WRONG_MODE = "WRONG_MODE"


class EventAlert(StrEnum):
    """Alerts of what happened once: an operator should look at it, and nothing in the state ends it."""

    CLAIM_FAILED = "CLAIM_FAILED"
    ENTRY_SHORT = "ENTRY_SHORT"
    FILL_WITHDRAWN = "FILL_WITHDRAWN"
    ORDER_APPEARED = "ORDER_APPEARED"
    ORDER_CHANGED = "ORDER_CHANGED"
    ORDER_GHOST = "ORDER_GHOST"
    ORDER_ILLEGAL = "ORDER_ILLEGAL"
    ORDER_OVERFILLED = "ORDER_OVERFILLED"
    ORDER_OVERNIGHT = "ORDER_OVERNIGHT"
    POSITION_CORRECTED = "POSITION_CORRECTED"
    POSITION_EXPIRED = "POSITION_EXPIRED"
    POSITION_REVERSED = "POSITION_REVERSED"
    REQUEST_UNKNOWN = "REQUEST_UNKNOWN"
    VENUE_SQUARE_OFF = "VENUE_SQUARE_OFF"
