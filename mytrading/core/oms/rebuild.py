"""A router's journal that lost rows: what its knowledge begins with instead, and what follows from what was missed.

Used by the machine after a rebuilding, before anything is decided. The one rule: an entry that may have been sent is
never sent again; it is of unknown fate until the books have told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from mytrading.core.calendar import day_of
from mytrading.core.oms import entries, goals, outcomes
from mytrading.core.oms.draft import Draft
from mytrading.messages.commands import CloseGoal, PlaceEntry, WithdrawEntries
from mytrading.messages.enums import OrderState
from mytrading.messages.orders import (
    GoalChanged,
    OrderChanged,
    PositionChanged,
    ProtectionChanged,
)
from mytrading.messages.records import ControlOpened, DayOpened, RiskOpened


def foundation(records: Sequence[Any]) -> tuple[DayOpened, ...]:
    """The opening of the day as risk and the gateway carried it over; () if neither did."""
    risk = next((row for row in records if isinstance(row, RiskOpened)), None)
    control = next((row for row in records if isinstance(row, ControlOpened)), None)
    if risk is None and control is None:
        return ()
    opened = risk or RiskOpened(day=control.day if control else "")
    return (
        DayOpened(
            day=opened.day,
            orders=opened.orders,
            positions=opened.positions,
            halted=opened.halted,
            wrong_mode=opened.wrong_mode,
            trading=control.trading if control else opened.trading,
            switches=control.switches if control else opened.switches,
        ),
    )


def relearn(draft: Draft, missed: Sequence[Any]) -> None:
    """Judge the commands that nobody decided on, then show every level anew: readers may have lost sight of them."""
    for message in missed:
        if isinstance(message, PlaceEntry):
            _doubt_entry(draft, message)
        elif isinstance(message, CloseGoal):
            goals.open_goal(draft, message)
        elif isinstance(message, WithdrawEntries):
            entries.on_withdraw(draft, message)
    _show(draft)


def _doubt_entry(draft: Draft, command: PlaceEntry) -> None:
    if draft.state.known(command.id):
        return
    order = replace(entries.order_of(draft, command), state=OrderState.SUBMITTED)
    draft.emit(OrderChanged(event="rebuilt", order=order, machine_ns=draft.machine))
    outcomes.unknown(draft, order, draft.machine, "the journal that would tell whether it was sent was lost")


def _show(draft: Draft) -> None:
    state, today = draft.state, day_of(draft.now)
    for _, order in state.orders.sorted_items():
        draft.emit(OrderChanged(event="restored", order=order, machine_ns=draft.machine))
    for _, position in state.positions.sorted_items():
        fresh = day_of(position.updated_ns) == today
        level = position if fresh else replace(position, realised=0.0, bought=0, sold=0)
        draft.emit(
            PositionChanged(position=level, client_order_id="", fill_quantity=0, fill_price=0.0, at_ns=draft.now)
        )
    for _, goal in state.goals.sorted_items():
        draft.emit(GoalChanged(goal=goal, at_ns=draft.now))
    for _, protection in state.protections.sorted_items():
        draft.emit(ProtectionChanged(protection=protection, at_ns=draft.now))
    for table in (state.unmanaged, state.halted, state.wrong_mode):
        for _, row in table.sorted_items():
            draft.emit(row)
