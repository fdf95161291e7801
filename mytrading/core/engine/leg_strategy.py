"""The strategy behind a file of legs: it wishes them at the entry time, and flat at the exit time.

Used by the engine for every run that has a plan. It needs no code of an author. The one rule: one entry a day; what was
entered and is flat again, for whatever reason, stays so until the next.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from mytrading.core.calendar import day_of
from mytrading.messages.leg_plan import Comparison, LegPlan, Operand
from mytrading.messages.market import Bar
from mytrading.strategies.base_strategy import BaseStrategy
from mytrading.strategies.desk import IndicatorHandle
from mytrading.strategies.wishes import Wish

COLUMNS = ("open", "high", "low", "close", "volume")
SQUARE_OFF_LEAD = 180
"""Seconds before a square-off time at which closing begins, so that it is done by then."""
_SECOND = 1_000_000_000
_IST_SECONDS = 19_800
_DAY = 86_400


class LegStrategy(BaseStrategy):
    """Acts on bars of the first watched instrument; the others only say where strikes are counted from."""

    plan: ClassVar[LegPlan]

    def initialize(self) -> None:
        self._handles: dict[tuple[str, tuple[tuple[str, float], ...]], IndicatorHandle] = {}
        for comparison in self.plan.when:
            for operand in (comparison.left, comparison.right):
                if operand.word and operand.word not in COLUMNS:
                    self._handles[_key(operand)] = self._desk.add(operand.word, "", "", "", operand.parameters)

    def on_data(self, data: Bar) -> Wish | None:
        if data.instrument != self.instruments[0]:
            return None
        at = second_of_day(data.end_ns)
        if closes_at(self.plan) and at >= closes_at(self.plan):
            return self.create_signal("EXIT", reason=f"closed from {clock(closes_at(self.plan))} on")
        if not self.position.is_flat or not self._may_enter(at, data):
            return None
        return self.create_signal("BUY", legs=self.plan.legs, reason=f"entry time {clock(self.plan.entry_time)}")

    def _may_enter(self, at: int, bar: Bar) -> bool:
        if self.traded_today or self._taken_back_today:
            return False
        begins = self.plan.entry_time
        in_time = begins <= at < begins + self.plan.entry_minutes * 60
        return in_time and all(self._holds(comparison, bar) for comparison in self.plan.when)

    @property
    def _taken_back_today(self) -> bool:
        """True if a person cancelled an entry of it today: it must not come back with the next bar."""
        taken = self._desk.taken_back_ns
        return bool(taken) and day_of(taken) == day_of(self._desk.now)

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
    """Today's entry window, as 09:20-09:35, where it is over and no quote was received in it; else empty.

    `bars` are the stored minutes of what the plan watches: one made of quotes counts them, a fetched one has none.
    """
    begins, ends = entry_window(plan, now)
    if now < ends or any(bar.ticks and begins <= bar.end_ns < ends for bar in bars):
        return ""
    return f"{clock(second_of_day(begins))}-{clock(second_of_day(ends))}"


def entry_window(plan: LegPlan, now: int) -> tuple[int, int]:
    """Begin and end (market ns) of a plan's entry window on the day of `now`."""
    begins = now - now % _SECOND + (plan.entry_time - second_of_day(now)) * _SECOND
    return begins, begins + plan.entry_minutes * 60 * _SECOND


def second_of_day(ns: int) -> int:
    """Seconds after midnight in India."""
    return (ns // _SECOND + _IST_SECONDS) % _DAY


def clock(seconds: int) -> str:
    """09:20 or 09:20:30."""
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}"
    return f"{text}:{seconds % 60:02d}" if seconds % 60 else text


def _key(operand: Operand) -> tuple[str, tuple[tuple[str, float], ...]]:
    return operand.word, tuple(sorted(operand.parameters.items()))
