"""Alerts that follow from the state of risk: which stand now, by code and subject.

An alert with a text is raised from the state. One without was raised by a journaled row, and is cleared once it is not
among these any more.
"""

from __future__ import annotations

from typing import NamedTuple

from mytrading.core.risk.exits.position_alerts import LATE, MISSED, UNBOUND, square_off_subject, unbound_subject
from mytrading.core.risk.exits.price_exits import STOP_FAILED
from mytrading.core.risk.latency_alerts import CODES as LATENCY_CODES
from mytrading.core.risk.latency_alerts import LatencyAlerts
from mytrading.core.risk.limits.limits import ODD
from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.pretrade.readiness import BLIND
from mytrading.core.risk.protection.stop_coverage import STOP_UNCERTAIN, STOP_UNCOVERED
from mytrading.core.risk.rollover.rollover import CODE as ROLL_OVER
from mytrading.messages.control import LimitUse
from mytrading.messages.enums import LimitKind, Severity

LIMIT_NEAR = "LIMIT_NEAR"
NEAR = 0.8
"""Share of a limit from which on it counts as nearly used up."""
EASED = 0.1
"""By how much of the limit its use must fall below `NEAR` to end the alert."""
FROM_STATE = frozenset({
    STOP_UNCOVERED, STOP_UNCERTAIN, STOP_FAILED, ROLL_OVER, ODD, BLIND, LIMIT_NEAR, UNBOUND,
    LATE, MISSED, *LATENCY_CODES, *(kind.value for kind in LimitKind),
})  # fmt: skip
"""Codes of the alerts that stand exactly as long as they are among the active ones."""

Subject = tuple[str, str]
"""Code and subject of an alert."""


class ActiveAlert(NamedTuple):
    """How an alert is raised; with an empty `text` it only stays if it stands. `once`: not again while it stands."""

    severity: Severity = Severity.WARNING
    text: str = ""
    once: bool = False


STAYS = ActiveAlert()


def active_alerts(
    risk: RiskMachine, latency: LatencyAlerts, limits: tuple[LimitUse, ...], now: int, machine_ns: int
) -> dict[Subject, ActiveAlert]:
    """All alerts that may stand at market time `now`; `limits` as shown last."""
    state = risk.state
    active = dict.fromkeys(((STOP_UNCOVERED, found.subject) for found in state.guard.bare()), STAYS)
    active |= dict.fromkeys(((STOP_UNCERTAIN, found.subject) for found in state.guard.doubts()), STAYS)
    active |= {(STOP_FAILED, one.id): STAYS for one in state.protections.values() if one.state != "done"}
    active |= {(ROLL_OVER, subject): STAYS for subject in risk.rollover.standing(now)}
    for position in state.open_positions():
        active |= {(code, square_off_subject(position)): STAYS for code in (LATE, MISSED)}
    for position in state.unbound_positions():
        active[UNBOUND, unbound_subject(position)] = STAYS
    for limit in risk.limits.all:
        if risk.limits.is_reached(limit):
            active[limit.kind.value, limit.whom] = STAYS
    for scope in risk.limits.odd():
        active[ODD, " ".join(scope)] = ActiveAlert(Severity.CRITICAL, risk.limits.odd_text(scope))
    for strategy, why in risk.blind(now).items():
        text = f"{why}; entries of {strategy} are denied, see `mytrading status`"
        active[BLIND, strategy] = ActiveAlert(Severity.CRITICAL, text)
    for key, text in latency.standing(machine_ns).items():
        active[key] = ActiveAlert(Severity.WARNING, text)
    return active | near_limits(limits)


def near_limits(limits: tuple[LimitUse, ...]) -> dict[Subject, ActiveAlert]:
    """Limits that are nearly used up; below `NEAR` the alert stays until the use has eased."""
    active = {}
    for limit in limits:
        subject = f"{limit.kind.value} {limit.scope} {limit.name}"
        if limit.reached:
            continue
        if limit.used >= NEAR and limit.kind is not LimitKind.DAILY_TARGET_R:
            text = f"{limit.used:.0%} of the limit are used up; see `mytrading risk`"
            active[LIMIT_NEAR, subject] = ActiveAlert(Severity.WARNING, text, once=True)
        elif limit.used >= NEAR - EASED:
            active[LIMIT_NEAR, subject] = STAYS
    return active
