"""Alerts of the router that follow from its state: which are active now, by code and subject.

Decisions raise their alerts as rows; an alert of `ROW_ALERTS` ends with the state that it is about. One of another code
(a lost or ghost order that appears, an overfill) does not end by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from mytrading.core.active_alerts import STAYS, ActiveAlert, Subject
from mytrading.core.oms.placing.entries import churn_alert_subject
from mytrading.core.oms.reconcile.broker_books import dispute_alert_subject
from mytrading.core.oms.state.state import State
from mytrading.core.orders.state_machine import SENT
from mytrading.core.risk.pretrade.readiness import BLIND
from mytrading.messages.enums import OrderState, Severity
from mytrading.messages.order_evidence import Ambiguous, Contradicted
from mytrading.messages.orders import Order, Protection

IsActive = Callable[[State, str], bool]


class Unguarded(NamedTuple):
    """Entries and stops that nobody watches, by the heartbeats of others."""

    complaints: Mapping[str, str] = {}
    """By account, why its entries may not rest."""
    exposed: Sequence[str] = ()
    """Those of the accounts that have entries resting all the same."""
    risk: str = ""
    """Why risk is away."""
    stops: Sequence[str] = ()
    """Stops that risk holds meanwhile."""


def active_alerts(
    state: State, raised: Iterable[Subject], unguarded: Unguarded, busy: Mapping[str, str]
) -> dict[Subject, ActiveAlert]:
    """Return the active alerts by code and subject: those `raised` before whose cause lasts, and those of state and
    arguments. `unguarded`: entries and stops nobody watches; `busy`: alert text by account whose server is too busy."""
    known = (subject for subject in raised if subject[0] in ROW_ALERTS)
    active = {(code, name): STAYS for code, name in known if ROW_ALERTS[code](state, name)}
    for account, mode in state.wrong_mode.items():
        active["WRONG_MODE", account] = ActiveAlert(Severity.CRITICAL, mode.message, once=True)
    for account, text in busy.items():
        active["SERVER_BUSY", account] = ActiveAlert(Severity.CRITICAL, text)
    if unguarded.complaints:
        why = unguarded.complaints[unguarded.exposed[-1]] if unguarded.exposed else ""
        text = f"{why}: resting entries are cancelled, stops stay; see `mytrading status`" if why else ""
        active["ENTRIES_UNGUARDED", "router"] = ActiveAlert(Severity.CRITICAL, text)
    if unguarded.stops:
        held = ", ".join(unguarded.stops)
        text = f"{unguarded.risk}, and it holds the stop of {held}; nothing guards them, see `mytrading status`"
        active[BLIND, "risk"] = ActiveAlert(Severity.CRITICAL, text)
    return active


def _order(is_active: Callable[[Order], bool]) -> IsActive:
    return lambda state, name: (order := state.orders.get(name)) is not None and is_active(order)


def _protection(is_active: Callable[[Protection], bool]) -> IsActive:
    return lambda state, name: any(level.id == name and is_active(level) for level in state.protections.values())


def _stays_unmoved(order: Order) -> bool:
    modify = order.evidence.modify
    pending = modify.wanted is not None or modify.out or modify.unproven
    return order.state in SENT and (pending or order.message.startswith("refused"))


def _is_churned(state: State, subject: str) -> bool:
    return any(churn_alert_subject(row) == subject for row in state.stopped.values())


ROW_ALERTS: dict[str, IsActive] = {
    "ORDER_UNKNOWN": _order(lambda order: order.state is OrderState.UNKNOWN),
    "STOP_IN_DOUBT": _order(lambda order: order.state is OrderState.UNKNOWN),
    "ORDER_PARKED": _order(lambda order: order.state is OrderState.PARKED),
    "ORDER_LOST": _order(lambda order: order.state is OrderState.LOST),
    "ORDER_AMBIGUOUS": _order(lambda order: order.state in SENT or isinstance(order.evidence.match, Ambiguous)),
    "ORDER_UNRESOLVED": _order(lambda order: order.state in SENT or order.state is OrderState.EXPIRED),
    "ORDER_MISSING": _order(lambda order: order.state in SENT or isinstance(order.evidence.end, Contradicted)),
    "CANCEL_STUCK": _order(lambda order: order.state in SENT),
    "STOP_NOT_MOVED": _order(_stays_unmoved),
    "STOP_RELEASED": _protection(lambda level: level.state == "released"),
    "STOP_FAILED": _protection(lambda level: level.state != "done"),
    "GOAL_STUCK": lambda state, name: name in state.open_goals,
    "FLATTEN_LATE": lambda state, name: name in state.open_flattens,
    "POSITION_DISPUTED": lambda state, subject: any(dispute_alert_subject(key) == subject for key in state.mismatches),
    "CHURN_BLOCKED": _is_churned,
    "CHURN_PAUSED": _is_churned,
}
"""Codes of alerts that rows raise and the state ends, and whether the one about a subject is active."""
FROM_STATE = frozenset((*ROW_ALERTS, "WRONG_MODE", "SERVER_BUSY", "ENTRIES_UNGUARDED", BLIND))
"""Codes of the alerts that stand exactly as long as they are among the active ones."""
BY_OPERATOR = frozenset({"WRONG_MODE"})
"""Codes of the alerts that an operator ends."""
