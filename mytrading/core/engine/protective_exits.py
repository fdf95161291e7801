"""Positions that a stop or target closed, which a plan of legs may enter again."""

from __future__ import annotations

from mytrading.messages.control import FLATTEN
from mytrading.messages.enums import Purpose
from mytrading.messages.orders import Goal, Order


class ProtectiveExits:
    """Stops and targets that closed the last position of a strategy in an instrument."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], str] = {}

    def open_day(self) -> None:
        """Forget what closed the positions of the last day."""
        self._found.clear()

    def apply_order(self, order: Order) -> None:
        """Record a stop that filled; an entry in the instrument begins another position."""
        place = (order.strategy, order.instrument)
        if order.purpose is Purpose.ENTRY:
            self._found.pop(place, None)
        elif order.purpose is Purpose.STOP and (order.filled or order.filled_seen):
            self._found[place] = "stop"

    def apply_goal(self, goal: Goal) -> None:
        """Record an exit that risk began because a price came to a stop or target that it holds; what an operator
        wrote as the reason of a flatten is none."""
        word = goal.reason.partition(":")[0]
        if word in ("stop", "target") and not goal.cause.startswith(FLATTEN):
            self._found[goal.strategy, goal.instrument] = word

    def closed_by(self, strategy: str, instrument: str) -> str:
        """Return stop or target if that closed the strategy's last position in an instrument, else ""."""
        return self._found.get((strategy, instrument), "")
