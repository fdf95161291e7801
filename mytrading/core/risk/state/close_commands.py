"""Taking back: entries withdrawn, and positions closed, what was sold before what covers it.

An entry is withdrawn once and a position closed once for each cause, whatever is repeated; the router does the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mytrading.core.ids import content_id
from mytrading.core.risk.books.books import withdrawal_id
from mytrading.core.risk.books.environment import RiskEnvironment
from mytrading.core.risk.state.state import RiskState
from mytrading.messages.commands import CloseGoal, SignalDenied, WithdrawEntries
from mytrading.messages.keys import OwnerKey
from mytrading.messages.orders import Order, Position

BROKEN = "BASKET_BROKEN"
"""The code of the denial and of the alert of a basket that is given up."""


class CloseCommands:
    """Rows that take back; empty where that is under way already."""

    def __init__(self, state: RiskState, environment: RiskEnvironment) -> None:
        self._state = state
        self._environment = environment

    def withdraw(self, orders: Iterable[Order], cause: str) -> list[Any]:
        """Cancel these live entries."""
        commands: dict[str, Any] = {}
        for order in orders:
            if not self._state.is_withdrawn(order):
                name = withdrawal_id(order)
                commands[name] = WithdrawEntries(
                    id=name,
                    cause=cause,
                    account=order.account,
                    strategy=order.strategy,
                    instrument=order.instrument,
                )
        return list(commands.values())

    def close_all(
        self, positions: Iterable[Position], cause: str, reason: str, trace_ns: int, patient: bool = True
    ) -> list[Any]:
        """Close these positions: what was sold first, and if `patient` what covers it once that is flat."""
        chosen = list(positions)
        if not chosen:
            return []
        chosen.sort(key=lambda position: signed_units(position) > 0)
        return [
            row
            for position in chosen
            if not (patient and self._covers(position, chosen))
            for row in self.close(position, cause, reason, trace_ns)
        ]

    def close_covering(self, position: Position, cause: str, reason: str, trace_ns: int, now: int) -> list[Any]:
        """Close one position; where it covers something sold, that is bought back first, and the basket given up.

        Once what was sold is flat the intent, which has room for nothing any more, has the rest closed.
        """
        bare = self._state.left_bare(position)
        if not bare:
            return self.close(position, cause, reason, trace_ns)
        return self._close_with(position, bare, cause, reason, trace_ns, now)

    def buy_back(self, closed: Position, sold: Iterable[str], cause: str, reason: str, now: int) -> list[Any]:
        """Close what of these sold instruments a position covered that is gone, and give their basket up."""
        bare = self._state.left_bare(closed).intersection(sold)
        return self._close_with(closed, bare, cause, reason, 0, now) if bare else []

    def _close_with(
        self, position: Position, bare: set[str], cause: str, reason: str, trace_ns: int, now: int
    ) -> list[Any]:
        state = self._state
        place = (position.account, position.strategy)
        sold = [
            one
            for one in state.positions.of(position.strategy)
            if one.account == position.account and one.instrument in bare and signed_units(one) < 0
        ]
        coming = [
            order
            for order in state.all_live_entries()
            if (order.account, order.strategy) == place and order.instrument in bare
        ]
        key = position.owner
        known, why = state.positions.get(key), content_id("basket", cause)
        still_held = [position] if known is not None and signed_units(known) else []
        return [
            *self._give_up(position, bare, reason, now),
            *self.withdraw(coming, why),
            *self.close_all([*sold, *still_held], why, reason, trace_ns),
        ]

    def _give_up(self, position: Position, bare: set[str], reason: str, now: int) -> list[Any]:
        """The intent of a basket has room for nothing any more in the account, once for each basket."""
        intent = self._state.intents.get((position.strategy, self._state.watch_of(position)))
        if intent is None or position.account in intent.given_up:
            return []
        if not any(leg.instrument in bare for leg in intent.in_account(position.account).legs):
            return []
        what = f"{position.instrument}, which covers {', '.join(sorted(bare))}, is closed with its basket: {reason}"
        return [
            SignalDenied(
                signal=intent.signal.id,
                strategy=position.strategy,
                code=BROKEN,
                message=what,
                codes=(BROKEN,),
                at_ns=now,
                instrument=position.instrument,
                account=position.account,
                unwinds=True,
            )
        ]

    def _covers(self, position: Position, chosen: list[Position]) -> bool:
        """True while something sold for the same watched instrument, account and owner is being closed with it."""
        watch = self._state.watch_of(position)
        return signed_units(position) > 0 and any(
            signed_units(other) < 0
            and (other.account, other.strategy) == (position.account, position.strategy)
            and self._state.watch_of(other) == watch
            for other in chosen
        )

    def goal_id(self, position: Position, cause: str) -> str:
        """The id of the goal by which a position is closed for a cause."""
        return content_id("close", cause, *position.owner, position.opened_ns)

    def close(self, position: Position, cause: str, reason: str, trace_ns: int) -> list[Any]:
        """Close one position."""
        key = position.owner
        if key in self._state.closing:
            return []
        goal = content_id("close", cause, *key, position.opened_ns)
        if goal in self._state.issued:
            return []
        listed = self._environment.instruments.get(position.instrument)
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


def signed_units(position: Position) -> int:
    """Signed units, sighted ones where none are confirmed."""
    return position.quantity or position.quantity_seen


def drop_repeated_goals(rows: Iterable[Any]) -> tuple[Any, ...]:
    """The rows of one decision without further goals for a position that one of them closes already."""
    kept: list[Any] = []
    closing: set[OwnerKey] = set()
    withdrawn: set[str] = set()
    for row in rows:
        if isinstance(row, CloseGoal):
            key = row.owner
            if key in closing:
                continue
            closing.add(key)
        elif isinstance(row, WithdrawEntries):
            if row.id in withdrawn:
                continue
            withdrawn.add(row.id)
        kept.append(row)
    return tuple(kept)
