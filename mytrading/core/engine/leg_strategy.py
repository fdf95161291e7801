"""The strategy behind a leg plan: enters all legs at the entry time and is flat from the exit time on.

Invariant: one entry a day. A position that is flat again, for whatever reason, stays flat until the next day.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from mytrading.core.time import SECOND, hhmm, ist_date, second_of_day
from mytrading.messages.leg_plan import LegPlan, Operand
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
        """Add the indicators that the plan's conditions compare; called once by the engine."""
        self._handles: dict[str, IndicatorHandle] = {}
        for comparison in self.plan.when:
            for operand in (comparison.left, comparison.right):
                if operand.word and operand.word not in COLUMNS:
                    made = self._workspace.add_indicator(operand.word, "", "", "", operand.parameters)
                    self._handles[repr(operand)] = made

    def on_data(self, data: Bar) -> StrategySignal | None:
        """Return the plan's entry in its window if all conditions hold, EXIT from closing time on, else None."""
        if data.instrument != self.instruments[0]:
            return None
        plan, at = self.plan, second_of_day(data.end_ns)
        if (closes := closing_second(plan)) and at >= closes:
            return self.create_signal("EXIT", reason=f"closed from {hhmm(closes)} on")
        if not self.position.is_flat or self.traded_today:
            return None
        if not plan.entry_time <= at < plan.entry_time + plan.entry_minutes * 60:
            return None
        cancelled = self._workspace.services.operator_cancel_ns(self._workspace.strategy)
        if cancelled and ist_date(cancelled) == self.today:  # it must not come back with the next bar
            return None
        for comparison in plan.when:
            left, right = self._value(comparison.left, data), self._value(comparison.right, data)
            if not (left > right if comparison.above else left < right):
                return None
        return self.create_signal("BUY", legs=plan.legs, reason=f"entry time {hhmm(plan.entry_time)}")

    def _value(self, operand: Operand, bar: Bar) -> float:
        if not operand.word:
            return operand.number
        if operand.word in COLUMNS:
            return float(getattr(bar, operand.word))
        return self.get_indicator_value(self._handles[repr(operand)])


def leg_strategy(plan: LegPlan) -> type[LegStrategy]:
    """Return a strategy class that trades this plan, for the engine to instantiate."""
    return type("LegStrategy", (LegStrategy,), {"plan": plan, "__module__": LegStrategy.__module__})


def closing_second(plan: LegPlan) -> int:
    """Return the second of the day (IST) at which closing begins; 0 if the plan names none."""
    times = [plan.exit_time, plan.square_off_time - SQUARE_OFF_LEAD if plan.square_off_time else 0]
    return min((at for at in times if at), default=0)


def missed_entry_window(plan: LegPlan, bars: Iterable[Bar], now: int) -> str:
    """Return today's entry window (as 09:20-09:35) if it is over at `now` (market ns) and no quote came within it, else
    "". `bars`: the stored minutes of what the plan watches; only those made of quotes count."""
    begins = now - now % SECOND + (plan.entry_time - second_of_day(now)) * SECOND
    ends = begins + plan.entry_minutes * 60 * SECOND
    if now < ends or any(bar.ticks and begins <= bar.end_ns < ends for bar in bars):
        return ""
    return f"{hhmm(second_of_day(begins))}-{hhmm(second_of_day(ends))}"
