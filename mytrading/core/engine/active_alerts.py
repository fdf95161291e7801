"""Alerts that follow from the state of the engine: the daemon raises what is new among them and clears what left."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from mytrading.core.active_alerts import ActiveAlert, Subject
from mytrading.core.engine.machine import EngineMachine
from mytrading.messages.enums import Severity

STATE_ALERTS = frozenset({"STRATEGY_FAULTED", "RULE_FAULTED", "WINDOW_MISSED", "NO_CONTRACT"})


def active_alerts(engine: EngineMachine, unchosen: Mapping[str, str], today: date) -> dict[Subject, ActiveAlert]:
    """Return the engine's active alerts by (code, subject); `today` is the trading day.
    `unchosen` gives, by strategy run, why no option contract could be chosen."""
    active: dict[Subject, ActiveAlert] = {}
    for name, fault in engine.faults.items():
        if not fault.gone:
            text = f"{fault.where}: {fault.error}; its positions stay managed; mend it, then `mytrading down` and `up`"
            active["STRATEGY_FAULTED", name] = ActiveAlert(text=text)
    for rule, message in engine.rules.faults.items():
        text = f"{message}; until then it denies every entry"
        active["RULE_FAULTED", rule] = ActiveAlert(Severity.CRITICAL, text)
    for name, (day, text) in engine.missed_windows.items():
        if day == today:
            active["WINDOW_MISSED", name] = ActiveAlert(text=text)
    unlisted = {f"{strategy} {watch}": text for (strategy, watch), text in engine.problems.items()}
    for subject, problem in {**unchosen, **unlisted}.items():
        active["NO_CONTRACT", subject] = ActiveAlert(text=f"{problem}; the signal was dropped")
    return active
