"""Alerts as rows of a decision."""

from __future__ import annotations

from typing import Any

from mytrading.core.risk.state.state import RiskState
from mytrading.messages.control import Alert
from mytrading.messages.enums import Severity
from mytrading.messages.journal_rows import LevelMoved


def risk_alert(code: str, severity: Severity, subject: str, message: str, now: int) -> Alert:
    """An alert that a decision of risk raises at market time `now`."""
    return Alert(
        code=code, severity=severity, subject=subject, message=message, daemon="risk", first_ns=now, last_ns=now
    )


def alert_once(state: RiskState, name: str, value: float, alert: Alert) -> list[Any]:
    """An alert with the level `name` that remembers it; nothing where that is there already."""
    return [] if name in state.levels else [LevelMoved(name=name, value=value, at_ns=alert.first_ns), alert]
