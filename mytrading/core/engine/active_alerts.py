"""Alerts that follow from the state of the engine: the daemon raises what is new among them and clears what left."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

from mytrading.core.engine.machine import EngineMachine
from mytrading.messages.enums import Severity

Subject = tuple[str, str]
"""Code and subject of an alert."""


class ActiveAlert(NamedTuple):
    """How an alert is raised."""

    severity: Severity
    text: str


def active_alerts(engine: EngineMachine, unchosen: Mapping[str, str], today: date) -> dict[Subject, ActiveAlert]:
    """All alerts of the trading day `today`; `unchosen` says which options could not be chosen, and why."""
    active: dict[Subject, ActiveAlert] = {}
    for name, fault in engine.faults.items():
        if not fault.gone:
            text = f"{fault.where}: {fault.error}; its positions stay managed; mend it, then `mytrading down` and `up`"
            active["STRATEGY_FAULTED", name] = ActiveAlert(Severity.WARNING, text)
    for rule, message in engine.rules.faults.items():
        text = f"{message}; until then it denies every entry"
        active["RULE_FAULTED", rule] = ActiveAlert(Severity.CRITICAL, text)
    for name, missed in engine.missed_windows.items():
        if missed.day == today:
            active["WINDOW_MISSED", name] = ActiveAlert(Severity.WARNING, missed.text)
    unlisted = {f"{strategy} {watch}": text for (strategy, watch), text in engine.problems.items()}
    for subject, problem in {**unchosen, **unlisted}.items():
        active["NO_CONTRACT", subject] = ActiveAlert(Severity.WARNING, f"{problem}; the signal was dropped")
    return active
