"""The strategy behind a leg plan: enters all legs at the entry time and is flat from the exit time on.

Invariant: one entry a day. A position that is flat again, for whatever reason, stays flat until the next day.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from mytrading.core.time import SECOND, hhmm, ist_date, second_of_day
from mytrading.messages.leg_plan import Comparison, LegPlan, Operand
from mytrading.messages.market import Bar
from mytrading.strategies.base_strategy import BaseStrategy
from mytrading.strategies.signals import StrategySignal
from mytrading.strategies.workspace import IndicatorHandle

COLUMNS = ("open", "high", "low", "close", "volume")
SQUARE_OFF_LEAD = 180
"""Seconds before a square-off time at which closing begins, so that it is done by then."""


class LegStrategy(BaseStrategy):
    """Acts on bars of the first watched instrument; the others only give the price that strikes are counted from."""

    plan: ClassVar[LegPlan]

    def initialize(self) -> None:
        self._handles: dict[tuple[str, tuple[tuple[str, float], ...]], IndicatorHandle] = {}
        for comparison in self.plan.when:
            for operand in (comparison.left, comparison.right):
                if operand.word and operand.word not in COLUMNS:
                    self._handles[_key(operand)] = self._workspace.add_indicator(
                        operand.word, "", "", "", operand.parameters
                    )

    def on_data(self, data: Bar) -> StrategySignal | None:
        if data.instrument != self.instruments[0]:
            return None
        at = second_of_day(data.end_ns)
        if closes_at(self.plan) and at >= closes_at(self.plan):
            return self.create_signal("EXIT", reason=f"closed from {hhmm(closes_at(self.plan))} on")
        if not self.position.is_flat or not self._may_enter(at, data):
            return None
        return self.create_signal("BUY", legs=self.plan.legs, reason=f"entry time {hhmm(self.plan.entry_time)}")

    def _may_enter(self, at: int, bar: Bar) -> bool:
        if self.traded_today or self._cancelled_today:
            return False
        begins = self.plan.entry_time
        in_time = begins <= at < begins + self.plan.entry_minutes * 60
        return in_time and all(self._holds(comparison, bar) for comparison in self.plan.when)

    @property
    def _cancelled_today(self) -> bool:
        """True if an operator cancelled an entry today: it must not come back with the next bar."""
        cancelled = self._workspace.last_operator_cancel_ns
        return bool(cancelled) and ist_date(cancelled) == ist_date(self._workspace.now)

    def _holds(self, comparison: Comparison, bar: Bar) -> bool:
        left, right = self._value(comparison.left, bar), self._value(comparison.right, bar)
        return left > right if comparison.above else left < right

    def _value(self, operand: Operand, bar: Bar) -> float:
        if not operand.word:
            return operand.number
        if operand.word in COLUMNS:
            return float(getattr(bar, operand.word))
        return self.get_indicator_value(self._handles[_key(operand)])


def leg_strategy(plan: LegPlan) -> type[LegStrategy]:
    """The class that runs this plan."""
    return type("LegStrategy", (LegStrategy,), {"plan": plan, "__module__": LegStrategy.__module__})


def closes_at(plan: LegPlan) -> int:
    """The second of the day at which closing begins, 0 if the plan names none."""
    times = [plan.exit_time, plan.square_off_time - SQUARE_OFF_LEAD if plan.square_off_time else 0]
    return min((at for at in times if at), default=0)


def missed_window(plan: LegPlan, bars: Iterable[Bar], now: int) -> str:
    """Today's entry window, as 09:20-09:35, if it is over and no quote was received in it; else empty.

    `bars` are the stored minutes of what the plan watches: one made of quotes counts them, a fetched one has none.
    """
    begins, ends = entry_window(plan, now)
    if now < ends or any(bar.ticks and begins <= bar.end_ns < ends for bar in bars):
        return ""
    return f"{hhmm(second_of_day(begins))}-{hhmm(second_of_day(ends))}"


def entry_window(plan: LegPlan, now: int) -> tuple[int, int]:
    """Begin and end (market ns) of a plan's entry window on the day of `now`."""
    begins = now - now % SECOND + (plan.entry_time - second_of_day(now)) * SECOND
    return begins, begins + plan.entry_minutes * 60 * SECOND


def _key(operand: Operand) -> tuple[str, tuple[tuple[str, float], ...]]:
    return operand.word, tuple(sorted(operand.parameters.items()))
