"""Legs that are left alone: hedges whose last sold leg was stopped out, and sold legs whose cover was."""

from __future__ import annotations

from mytrading.core.ids import content_id
from mytrading.core.risk.state.intent import Intent
from mytrading.core.risk.state.state import RiskState
from mytrading.messages.enums import Purpose, Side
from mytrading.messages.orders import Order

GUARDS = "guard-"
"""Prefix of the cause of an exit that risk sends in place of a stop."""


def protective_exit_cause(kind: str, *parts: str | int) -> str:
    """The cause (an id) of an exit sent in place of a stop; the same parts always give the same cause."""
    return GUARDS + content_id(kind, *parts)


def is_protective_exit(state: RiskState, order: Order | None) -> bool:
    """True for a stop order, and for an exit that risk or the router sent in place of one; False for None."""
    if order is None or not order.purpose.reduces:
        return False
    level = state.protections.get(order.owner)
    handed_over = level is not None and order.cause == level.cause
    return order.purpose is Purpose.STOP or order.cause.startswith(GUARDS) or handed_over


def only_hedges_left(state: RiskState, intent: Intent, account: str) -> bool:
    """True if an account still holds hedges of an intent but none of its sold legs."""
    held = [p for p in state.positions_for(intent.signal.strategy, intent.signal.watch) if p.account == account]
    bought = {p.instrument for p in held if p.open_units > 0}
    return not any(p.open_units < 0 for p in held) and bool(bought & state.hedge_instruments(intent, account))


def stop_out_count(state: RiskState, intent: Intent, account: str, instrument: str) -> int:
    """Return how often an intent's leg was stopped out in an account where only hedges are left; 0 with other legs."""
    if not intent.lost or not only_hedges_left(state, intent, account):
        return 0
    return sum(of == account and name == instrument for of, name, _ in intent.lost)


def sold_instruments(state: RiskState, account: str, strategy: str) -> set[str]:
    """Instruments a strategy is short of in an account, or may become by a working sell entry."""
    held = (p for p in state.positions.of_strategy(strategy) if min(p.quantity, p.quantity_seen) < 0)
    coming = (o for o in state.orders.of_strategy(strategy) if o.purpose is Purpose.ENTRY and o.side is Side.SELL)
    return {thing.instrument for things in (held, coming) for thing in things if thing.account == account}
