"""Alerts of the order machine whose end is a row of it: what they are about is over, or it is not.

An alert whose end is no row here (a lost order, a ghost) is never over by itself.
"""

from __future__ import annotations

from collections.abc import Callable

from mytrading.core.oms.state.state import State


def over(state: State, code: str, subject: str) -> bool:
    """True if the thing that an alert (`code`, `subject`) is about has ended."""
    stands = _STANDS.get(code)
    return stands is not None and not stands(state, subject)


def _disputed(state: State, subject: str) -> bool:
    return any(f"{key.account} {key.instrument} {key.product}" == subject for key, _ in state.mismatches.items())


def _released(state: State, subject: str) -> bool:
    return any(level.id == subject and level.state == "released" for _, level in state.protections.items())


def _guarded(state: State, subject: str) -> bool:
    return any(level.id == subject and level.state != "done" for _, level in state.protections.items())


def _stopped(state: State, subject: str) -> bool:
    return any(f"{account} {instrument}".strip() == subject for (account, instrument), _ in state.stopped.items())


_STANDS: dict[str, Callable[[State, str], bool]] = {
    "GOAL_STUCK": lambda state, subject: subject in state.open_goals,
    "FLATTEN_LATE": lambda state, subject: subject in state.open_flattens,
    "POSITION_DISPUTED": _disputed,
    "STOP_RELEASED": _released,
    "STOP_FAILED": _guarded,
    "CHURN_BLOCKED": _stopped,
    "CHURN_PAUSED": _stopped,
}
