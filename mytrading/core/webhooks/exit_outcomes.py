"""What becomes of exit alerts, from the rows of the router: status pages, `webhook log` and `why` show it.

An exit that was taken while its exchange is closed waits as a goal of the router. Nothing is decided here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from mytrading.core.calendar import Calendar
from mytrading.core.time import format_ist
from mytrading.messages.enums import Purpose
from mytrading.messages.journal_rows import DayOpened
from mytrading.messages.keys import OwnerKey
from mytrading.messages.orders import Goal, GoalChanged, Order, OrderChanged, PositionAdjusted, PositionChanged
from mytrading.messages.webhooks import AlertJudged

MOST_GOALS = 5_000
"""Exit goals, and orders that reduce, that are remembered."""
_ADJUSTED = {
    "venue_square_off": "the square-off of the venue",
    "expiry": "the expiry of the contract",
    "foreign_fill": "an order that is not of this stack",
    "claim": "a claim",
    "settled": "an operator's word that the units are gone",
}
"""Words for causes by which a position moves without an order of ours; others are shown as they are."""
_FOR_SENDERS = ("alert ", "square-off")
"""Beginnings of reasons that a sender may read: others hold an operator's words, or those of a limit."""


class _KnownGoal(NamedTuple):
    """The newest level of a goal, when it came (market ns), and of one that is done, what closed its position: the id
    of a goal, or words."""

    goal: Goal
    at_ns: int
    closed_by: str = ""


class ExitOutcomes:
    """The exit goals of alerts, and what closed the positions that they were to close."""

    def __init__(self) -> None:
        self._goals: dict[str, _KnownGoal] = {}
        self._by_cause: dict[str, list[str]] = {}
        """Ids of goals by the signal that asked for them."""
        self._orders: dict[str, Order] = {}
        self._closed_by: dict[OwnerKey, str] = {}
        """What took the last units of a position: the id of a goal, or words."""

    def apply(self, message: Any) -> None:
        """Learn from a row of the router's journal; others change nothing."""
        if isinstance(message, GoalChanged):
            self._goal(message.goal, message.at_ns)
        elif isinstance(message, OrderChanged):
            self._order(message.order)
        elif isinstance(message, PositionChanged):
            if message.fill_quantity:
                self._closed_by[message.position.owner] = self._closer(message.client_order_id)
        elif isinstance(message, PositionAdjusted):
            for position in message.levels:
                self._closed_by[position.owner] = _ADJUSTED.get(message.cause, message.cause.replace("_", " "))
        elif isinstance(message, DayOpened):
            for goal in message.goals:
                self._goal(goal, self._goals[goal.id].at_ns if goal.id in self._goals else goal.created_ns)
            for order in message.orders:
                self._order(order)

    def of(self, row: AlertJudged, calendar: Calendar, now: int, *, to_sender: bool = False) -> str:
        """Return what became of the exit that a verdict led to, at market time `now`; "" if it is no exit, or none is
        known. An exit that finds another one of its position under way is carried out by that. `to_sender`: without
        the words of operators and limits."""
        if row.target or not row.signal:
            return ""
        own = [self._goals[name] for name in self._by_cause.get(row.signal, ()) if name in self._goals]
        found = own or [one for one in self._goals.values() if _was_open(one, row)]
        return "; ".join(dict.fromkeys(self._describe(one, calendar, now, to_sender) for one in found))

    def _goal(self, goal: Goal, at_ns: int) -> None:
        if goal.id not in self._goals:
            self._by_cause.setdefault(goal.cause, []).append(goal.id)
        self._goals[goal.id] = _KnownGoal(
            goal, at_ns, self._closed_by.get(goal.owner, "") if goal.state == "done" else ""
        )
        while len(self._goals) > MOST_GOALS:
            old = self._goals.pop(next(iter(self._goals)))
            self._by_cause.pop(old.goal.cause, None)

    def _order(self, order: Order) -> None:
        if order.purpose.reduces:
            self._orders[order.client_order_id] = order
            while len(self._orders) > MOST_GOALS:
                del self._orders[next(iter(self._orders))]

    def _closer(self, client_order_id: str) -> str:
        order = self._orders.get(client_order_id)
        if order is None:
            return "an order"
        return order.links.goal or ("its stop" if order.purpose is Purpose.STOP else "an order by hand")

    def _describe(self, known: _KnownGoal, calendar: Calendar, now: int, to_sender: bool) -> str:
        goal, exchange = known.goal, known.goal.instrument.partition(":")[0]
        if goal.state == "done":
            return self._end(known, to_sender)
        if goal.awaits_open and calendar.has_exchange(exchange):
            opens = calendar.next_open(exchange, max(known.at_ns, now))
            return f"waits for the open of {exchange} on {format_ist(opens, '%Y-%m-%d at %H:%M')}"
        if goal.state == "stuck":
            return "an operator is needed" + ("" if to_sender else f": {goal.message}")
        return "under way"

    def _end(self, known: _KnownGoal, to_sender: bool) -> str:
        if known.closed_by == known.goal.id:
            return "filled"
        if (other := self._goals.get(known.closed_by)) is None:
            return f"ended by {known.closed_by or 'nothing left to close'}"
        reason = other.goal.reason
        return f"ended by {'another exit' if to_sender and not reason.startswith(_FOR_SENDERS) else reason}"


def _was_open(known: _KnownGoal, row: AlertJudged) -> bool:
    """True of a goal that was to close the instrument of an alert when that came."""
    goal = known.goal
    mine = (goal.strategy, goal.instrument) == (row.webhook, row.instrument) and goal.created_ns <= row.at_ns
    return mine and (goal.state != "done" or known.at_ns >= row.at_ns)
