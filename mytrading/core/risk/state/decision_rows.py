"""Rows that withdraw entries and close positions (sold units before the units that cover them), and alerts.

An entry is withdrawn once and a position closed once for each cause, whatever is repeated; the router does the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mytrading.core.ids import content_id
from mytrading.core.risk.state.state import RiskState, withdrawal_id
from mytrading.messages.commands import BASKET_BROKEN, CloseGoal, SignalDenied, WithdrawEntries
from mytrading.messages.control import Alert
from mytrading.messages.enums import Severity
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.keys import OwnerKey
from mytrading.messages.orders import Order, Position


def withdraw_entries(state: RiskState, orders: Iterable[Order], cause: str) -> list[Any]:
    """Return the commands that cancel these entry orders; none for those already being cancelled. `cause`: an id."""
    commands: dict[str, Any] = {}
    for order in orders:
        name = withdrawal_id(order)
        if name not in state.issued:
            commands[name] = WithdrawEntries(
                id=name, cause=cause, account=order.account, strategy=order.strategy, instrument=order.instrument
            )
    return list(commands.values())


def goal_id(key: OwnerKey, opened_ns: int, cause: str) -> str:
    """The id of the exit goal of a position, made from its owner, opening time (ns) and the cause of the exit."""
    return content_id("close", cause, *key, opened_ns)


def close_position(state: RiskState, position: Position, cause: str, reason: str, trace_ns: int) -> list[Any]:
    """Return the row that closes a position; [] if it is being closed already. `cause`: id of what led to it, `reason`:
    text for people, `trace_ns`: receipt of the quote that led to it, 0 if none."""
    key = position.owner
    if key in state.closing:
        return []
    goal = goal_id(key, position.opened_ns, cause)
    if goal in state.issued:
        return []
    listed = state.environment.instruments.get(position.instrument)
    return [
        CloseGoal(
            id=goal,
            account=position.account,
            instrument=position.instrument,
            product=position.product,
            strategy=position.strategy,
            run=position.run,
            cause=cause,
            reason=reason,
            trace_ns=trace_ns,
            lot=listed.lot_size if listed is not None else 0,
            freeze=listed.freeze_qty if listed is not None else 0,
        )
    ]


def close_positions(
    state: RiskState, positions: Iterable[Position], cause: str, reason: str, trace_ns: int, patient: bool = True
) -> list[Any]:
    """Return rows that close positions, sold ones first. `cause` is a code, `reason` its text, `trace_ns` the event
    that led here; `patient`: leave hedges for when the sold ones are flat."""
    chosen = sorted(positions, key=lambda position: position.open_units > 0)
    return [
        row
        for position in chosen
        if not (patient and _covers(state, position, chosen))
        for row in close_position(state, position, cause, reason, trace_ns)
    ]


def _covers(state: RiskState, position: Position, chosen: list[Position]) -> bool:
    """True while something sold for the same watched instrument, account and owner is being closed with it."""
    if position.open_units <= 0:
        return False
    watch = state.watch_of(position)
    return any(
        other.open_units < 0
        and (other.account, other.strategy) == (position.account, position.strategy)
        and state.watch_of(other) == watch
        for other in chosen
    )


def close_after_covered(
    state: RiskState, position: Position, cause: str, reason: str, trace_ns: int, now: int
) -> list[Any]:
    """Return rows that close a position, the sold options that it covers before it.

    Where there are such options their intent is given up, and the position itself waits until they are flat.
    """
    bare = state.shorts_left_uncovered(position)
    if not bare:
        return close_position(state, position, cause, reason, trace_ns)
    return _close_basket(state, position, bare, cause, reason, trace_ns, now)


def buy_back(state: RiskState, closed: Position, sold: Iterable[str], cause: str, reason: str, now: int) -> list[Any]:
    """Return rows that buy back the sold options that a closed position leaves uncovered; [] if there are none.

    `closed` is that position, `sold` the options to look at. Their intent is given up, their working entries cancelled.
    """
    bare = state.shorts_left_uncovered(closed).intersection(sold)
    return _close_basket(state, closed, bare, cause, reason, 0, now) if bare else []


def _close_basket(
    state: RiskState, position: Position, bare: set[str], cause: str, reason: str, trace_ns: int, now: int
) -> list[Any]:
    place = (position.account, position.strategy)
    closing = [
        one
        for one in state.positions.of_strategy(position.strategy)
        if one.account == position.account and one.instrument in bare and one.open_units < 0
    ]
    known = state.positions.get(position.owner)
    if known is not None and known.open_units:
        closing.append(position)
    coming = [
        order
        for order in state.all_live_entries()
        if (order.account, order.strategy) == place and order.instrument in bare
    ]
    why = content_id("basket", cause)
    return [
        *_give_up(state, position, bare, reason, now),
        *withdraw_entries(state, coming, why),
        *close_positions(state, closing, why, reason, trace_ns),
    ]


def _give_up(state: RiskState, position: Position, bare: set[str], reason: str, now: int) -> list[Any]:
    """The intent of a basket has room for nothing any more in the account, once for each basket."""
    intent = state.intents.get((position.strategy, state.watch_of(position)))
    if intent is None or position.account in intent.given_up:
        return []
    if not any(leg.instrument in bare for leg in intent.for_account(position.account).legs):
        return []
    covered = ", ".join(sorted(bare))
    return [
        SignalDenied(
            signal=intent.signal.id,
            strategy=position.strategy,
            code=BASKET_BROKEN,
            message=f"{position.instrument}, which covers {covered}, is closed with its basket: {reason}",
            codes=(BASKET_BROKEN,),
            at_ns=now,
            instrument=position.instrument,
            account=position.account,
            unwinds=True,
        )
    ]


def drop_repeated_goals(rows: Iterable[Any]) -> tuple[Any, ...]:
    """Return one decision's rows with the first goal for each position and the first cancel of each entry only."""
    kept: list[Any] = []
    seen: set[OwnerKey | str] = set()
    for row in rows:
        key = row.owner if isinstance(row, CloseGoal) else row.id if isinstance(row, WithdrawEntries) else None
        if key is None or key not in seen:
            kept.append(row)
        if key is not None:
            seen.add(key)
    return tuple(kept)


def risk_alert(code: str, severity: Severity, subject: str, message: str, now: int) -> Alert:
    """Return an alert of risk first raised at market time `now` (ns)."""
    return Alert(
        code=code, severity=severity, subject=subject, message=message, daemon="risk", first_ns=now, last_ns=now
    )


def alert_once(state: RiskState, name: str, value: float, alert: Alert) -> list[Any]:
    """Return an alert and the level `name` (of `value`) that records it was raised; [] if that level exists."""
    return [] if name in state.levels else [LevelMoved(name=name, value=value, at_ns=alert.first_ns), alert]
