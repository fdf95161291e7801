"""Alerts of the router that follow from its state: which are active now, by code and subject.

Decisions raise alerts as journal rows, with the words of their moment. One of a `StateAlert` lasts while its row of
`DECIDED_ALERTS` is true; one of an `EventAlert` (a ghost order, an overfill) reports what happened and has no end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from mytrading.core.active_alerts import ENGINE_STOP_BLIND, STAYS, ActiveAlert, Subject
from mytrading.core.oms.exits import odd_lots
from mytrading.core.oms.placing.entries import churn_alert_subject
from mytrading.core.oms.reconcile.position_corrections import alert_subject
from mytrading.core.oms.state.alert_codes import StateAlert as C
from mytrading.core.oms.state.state import State
from mytrading.core.orders.state_machine import SENT
from mytrading.messages.enums import OrderState, Severity
from mytrading.messages.order_evidence import Ambiguous, Contradicted, PendingEnd
from mytrading.messages.orders import Order, Protection

DAY_UNPROVEN = "DAY_UNPROVEN"
"""The alert that stops and exits of an exchange wait on a provisional day of which no price was seen traded."""
IsActive = Callable[[State, str], bool]


class Unguarded(NamedTuple):
    """Entries and stops that nobody watches, by the heartbeats of others."""

    complaints: Mapping[str, str] = {}
    """By account, why its entries may not rest."""
    exposed: Sequence[str] = ()
    """The accounts among them that have entries resting all the same."""
    risk: str = ""
    """Reason that risk is away."""
    stops: Sequence[str] = ()
    """Stops that risk holds meanwhile."""
    unproven: Mapping[str, str] = {}
    """By exchange, what waits on a provisional day of which no price was seen traded."""


def active_alerts(
    state: State, raised: Iterable[Subject], unguarded: Unguarded, busy: Mapping[str, str]
) -> dict[Subject, ActiveAlert]:
    """Return the active alerts by code and subject: those `raised` before whose cause lasts, and those of state and
    arguments. `unguarded`: entries and stops nobody watches; `busy`: alert text by account whose server is too busy."""
    known = (subject for subject in raised if subject[0] in DECIDED_ALERTS)
    active = {(code, name): STAYS for code, name in known if DECIDED_ALERTS[code](state, name)}
    for account, mode in state.wrong_mode.items():
        active[C.WRONG_MODE, account] = ActiveAlert(Severity.CRITICAL, mode.message, once=True)
    for account, text in busy.items():
        active["SERVER_BUSY", account] = ActiveAlert(Severity.CRITICAL, text)
    if unguarded.complaints:
        why = unguarded.complaints[unguarded.exposed[-1]] if unguarded.exposed else ""
        text = f"{why}: resting entries are cancelled, stops stay; see `mytrading status`" if why else ""
        active["ENTRIES_UNGUARDED", "router"] = ActiveAlert(Severity.CRITICAL, text)
    for exchange, text in unguarded.unproven.items():
        active[DAY_UNPROVEN, exchange] = ActiveAlert(Severity.CRITICAL, text)
    if unguarded.stops:
        held = ", ".join(unguarded.stops)
        text = f"{unguarded.risk}, and it holds the stop of {held}; nothing guards them, see `mytrading status`"
        active[ENGINE_STOP_BLIND, "risk"] = ActiveAlert(Severity.CRITICAL, text)
    return active


def _order(is_active: Callable[[Order], bool]) -> IsActive:
    return lambda state, name: (order := state.orders.get(name)) is not None and is_active(order)


def _protection(is_active: Callable[[Protection], bool]) -> IsActive:
    return lambda state, name: any(level.id == name and is_active(level) for level in state.protections.values())


def _stays_unmoved(order: Order) -> bool:
    modify = order.evidence.modify
    pending = modify.wanted is not None or modify.out or modify.unproven
    return order.state in SENT and (pending or order.message.startswith("refused"))


def _is_stopped(code: str) -> IsActive:
    return lambda state, subject: any(
        row.code == code and churn_alert_subject(row) == subject for row in state.stopped.values()
    )


def _is_odd(state: State, subject: str) -> bool:
    rows = state.odd_lots.sorted_values()
    return any(odd_lots.alert_subject(row) == subject and odd_lots.is_refused(state, row) for row in rows)


def _waits(state: State, name: str) -> bool:
    """True while the exit goal of this id has sent no exit since the alert."""
    return (goal := state.goals.get(name)) is not None and name in state.open_goals and bool(goal.obstacle)


DECIDED_ALERTS: dict[str, IsActive] = {
    C.BOOKS_EMPTY: lambda state, account: account in state.emptied,
    C.ORDER_UNKNOWN: _order(lambda order: order.state is OrderState.UNKNOWN),
    C.STOP_IN_DOUBT: _order(lambda order: order.state is OrderState.UNKNOWN),
    C.ORDER_PARKED: _order(lambda order: order.state is OrderState.PARKED),
    C.ORDER_LOST: _order(lambda order: order.state is OrderState.LOST),
    C.ORDER_AMBIGUOUS: _order(lambda order: order.state in SENT or isinstance(order.evidence.match, Ambiguous)),
    C.ORDER_UNRESOLVED: _order(lambda order: order.state in SENT or order.state is OrderState.EXPIRED),
    C.ORDER_MISSING: _order(lambda order: order.state in SENT or isinstance(order.evidence.end, Contradicted)),
    C.CANCEL_STUCK: _order(lambda order: order.state in SENT),
    C.STOP_NOT_MOVED: _order(_stays_unmoved),
    C.STOP_SHOWN_ENDED: _order(lambda order: order.state in SENT and isinstance(order.evidence.end, PendingEnd)),
    C.STOP_RELEASED: _protection(lambda level: level.state == "released"),
    C.STOP_FAILED: _protection(lambda level: level.state != "done"),
    C.ODD_LOT: _is_odd,
    C.GOAL_STUCK: lambda state, name: name in state.open_goals,
    C.EXIT_WAITS: _waits,
    C.FLATTEN_LATE: lambda state, name: name in state.open_flattens,
    C.POSITION_DISPUTED: lambda state, subject: any(alert_subject(key) == subject for key in state.mismatches),
    C.UNMANAGED_SHORT: lambda state, subject: any(
        row.quantity < 0 and alert_subject(key) == subject for key, row in state.unmanaged.items()
    ),
    C.BROKER_CHANGED: _is_stopped(C.BROKER_CHANGED),
    C.OTHER_COPY: _is_stopped(C.OTHER_COPY),
    C.STOP_BESIDE_ORDER: lambda state, name: any(
        level.id == name and level.state == "open" and level.net in state.outside
        for level in state.protections.values()
    ),
    C.CHURN_BLOCKED: _is_stopped(""),
    C.CHURN_PAUSED: _is_stopped(""),
}
"""State alerts that decisions raise, each with whether the one about a subject is active; WRONG_MODE needs none, as the
state has its text."""
STATE_ALERTS = frozenset((*C, "SERVER_BUSY", "ENTRIES_UNGUARDED", ENGINE_STOP_BLIND, DAY_UNPROVEN))
"""Codes of the alerts that last exactly as long as they are among the active ones."""
BY_OPERATOR = frozenset({C.WRONG_MODE})
"""Codes of the alerts that an operator ends."""
