"""Legs of a plan that are entered again, and when: for screens, by the engine's own count of the signals of a day."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from mytrading.core.engine.leg_tracker import LegTracker, closing_second
from mytrading.core.time import MINUTE, ist_date, second_of_day
from mytrading.messages.enums import OrderType
from mytrading.messages.leg_plan import LegKind, LegPlan, LegRule
from mytrading.messages.orders import Position
from mytrading.messages.signals import Signal


class LegReentry(NamedTuple):
    """A leg in words (`leg 1, SELL OTM 4 CE`), the market time (ns) of its next entry, at which price, and how often
    it is entered again today, this time included."""

    leg: str
    at_ns: int
    price: str
    left: int


def leg_reentries(
    plan: LegPlan,
    signals: Iterable[Signal],
    positions: Iterable[Position],
    closed_by: Callable[[str], str],
    now: int,
) -> list[LegReentry]:
    """Return the re-entries that wait, the soonest first.

    `signals` and `positions` are those of the strategy, flat positions included. `closed_by` returns "stop" or "target"
    for an instrument that one of them closed.
    """
    if not any(rule.reentries for rule in plan.legs):
        return []
    memory: dict[str, Any] = {}
    tracker, last = LegTracker(plan.legs, lambda: memory), None
    for last in signals:
        tracker.due_legs(ist_date(last.created_ns).isoformat(), last, (), lambda _: "", 0.0, 0)
    rows = list(positions)
    held = frozenset(row.instrument for row in rows if row.open_units)
    waiting = tracker.waiting_legs(ist_date(now).isoformat(), last, held, closed_by)
    found = [
        LegReentry(
            f"leg {leg.place + 1}, {leg_words(leg.rule)}",
            _entry_ns(max((row.updated_ns for row in rows if row.instrument == leg.instrument), default=now), now),
            "at a limit by its rule" if leg.rule.order_type is OrderType.LIMIT else "at the market",
            leg.left,
        )
        for leg in waiting
    ]
    closes = closing_second(plan)
    return sorted((one for one in found if not closes or second_of_day(one.at_ns) < closes), key=lambda one: one.at_ns)


def leg_words(rule: LegRule) -> str:
    """Return a leg as `SELL OTM 4 CE`."""
    side = "BUY" if rule.lots > 0 else "SELL"
    return f"{side} {rule.strike} {rule.right}" if rule.kind is LegKind.OPTION else f"{side} {rule.kind.value}"


def _entry_ns(closed_ns: int, now: int) -> int:
    """The end of the bar after the one in which it was closed; of the one under way, if that is over."""
    return max(closed_ns // MINUTE + 2, now // MINUTE + 1) * MINUTE
