"""Events of exits that no rule of a run decided: stops and targets of single positions, wherever they rest.

An event names the position's round trip, so that each stop of it is told once, whatever is repeated.
"""

from __future__ import annotations

from typing import Any

from mytrading.core.ids import content_id
from mytrading.core.risk.runs.run import run_id_of
from mytrading.core.risk.state.orphan_hedges import GUARDS, is_protective
from mytrading.core.risk.state.state import RiskState
from mytrading.messages.commands import CloseGoal
from mytrading.messages.orders import Order, Position
from mytrading.messages.risk_events import RiskAction, RiskEventRecorded, RiskKind

CLOSERS = frozenset({RiskKind.STOP, RiskKind.TARGET, RiskKind.BARE})
"""What risk closes with one goal: without it there is no event."""


def trip_of(position: Position) -> str:
    """The name of a position's present round trip."""
    return f"{position.account} {position.instrument} {position.product} {position.opened_ns}"


def with_event(kind: RiskKind, position: Position, rows: list[Any], level: float, price: float, now: int) -> list[Any]:
    """The goals that close a position, after their event; nothing where it is being closed already."""
    for goal in rows:
        if isinstance(goal, CloseGoal):
            break
    else:
        return rows
    trip = trip_of(position)
    event = RiskEventRecorded(
        id=content_id("risk", kind, position.strategy, trip, goal.id),
        strategy=position.strategy,
        run=position.run or run_id_of(position),
        kind=kind,
        action=RiskAction.CLOSE_LEG,
        at_ns=now,
        threshold=level,
        value=price,
        accounts=(position.account,),
        instruments=(position.instrument,),
        leg=trip,
        cause=goal.cause,
        note=goal.reason,
    )
    return [event, *rows]


def without_lost(rows: tuple[Any, ...]) -> tuple[Any, ...]:
    """The rows of a decision without events of single positions whose goal another rule's has made superfluous."""
    causes, kept = set(), []
    for row in rows:
        if isinstance(row, CloseGoal):
            causes.add(row.cause)
    for row in rows:
        if isinstance(row, RiskEventRecorded) and not row.follows and row.kind in CLOSERS and row.cause not in causes:
            continue
        kept.append(row)
    return tuple(kept)


def at_broker(state: RiskState, order: Order, now: int) -> RiskEventRecorded | None:
    """The event of a stop that filled at the broker, or of the exit with which the router took its place."""
    if not order.filled or order.cause.startswith(GUARDS) or not is_protective(state, order):
        return None
    key = order.owner
    position, guard = state.positions.get(key), state.protections.get(key)
    trip = trip_of(position) if position is not None else " ".join(key[:3])
    name = content_id("risk", RiskKind.BROKER_STOP.value, order.strategy, trip)
    trigger = order.trigger_price or (guard.trigger if guard is not None else 0.0)
    return RiskEventRecorded(
        id=name,
        strategy=order.strategy,
        run=order.run,
        kind=RiskKind.BROKER_STOP,
        action=RiskAction.CLOSE_LEG,
        at_ns=now,
        threshold=trigger,
        value=order.average_price or trigger,
        accounts=(order.account,),
        instruments=(order.instrument,),
        leg=trip,
        cause=name,
        note=f"the stop of {order.instrument} at the broker filled",
        exit_orders=(order.client_order_id,),
    )
