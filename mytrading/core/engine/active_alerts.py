"""Alerts that follow from the state of the engine: the daemon raises what is new among them and clears what left."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from mytrading.core.engine.machine import EngineMachine
from mytrading.messages.enums import Severity

ActiveAlerts = dict[tuple[str, str], tuple[Severity, str]]
"""Severity and text by code and subject."""


def active_alerts(engine: EngineMachine, unchosen: Mapping[str, str], today: date) -> ActiveAlerts:
    """All alerts of the trading day `today`; `unchosen` says which options could not be chosen, and why."""
    active: ActiveAlerts = {}
    for name, fault in engine.faults.items():
        if not fault.gone:
            text = f"{fault.where}: {fault.error}; its positions stay managed; mend it, then `mytrading down` and `up`"
            active["STRATEGY_FAULTED", name] = Severity.WARNING, text
    for rule, message in engine.rules.faults.items():
        text = f"{message}; until then it denies every entry"
        active["RULE_FAULTED", rule] = Severity.CRITICAL, text
    for name, (day, text) in engine.missed_windows.items():
        if day == today:
            active["WINDOW_MISSED", name] = Severity.WARNING, text
    unlisted = {f"{strategy} {watch}": text for (strategy, watch), text in engine.problems.items()}
    for subject, problem in {**unchosen, **unlisted}.items():
        active["NO_CONTRACT", subject] = Severity.WARNING, f"{problem}; the signal was dropped"
    return active
