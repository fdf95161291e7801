"""The strategy behind a leg plan: enters all legs at the entry time and is flat from the exit time on.

Invariant: one entry a day. A position that is flat again stays flat until the next day, for whatever reason, but for
legs that a stop or target closed and that the plan enters again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date
from typing import ClassVar

from msgspec.structs import replace

from mytrading.core.engine.leg_tracker import LegTracker, closing_second, numbered_legs
from mytrading.core.time import SECOND, hhmm, ist_date, second_of_day
from mytrading.messages.leg_plan import Breakout, LegPlan, LegRule, Operand, RangeRule
from mytrading.messages.market import Bar
from mytrading.strategies.base_strategy import BaseStrategy
from mytrading.strategies.signals import StrategySignal
from mytrading.strategies.views import LegView
from mytrading.strategies.workspace import IndicatorHandle

COLUMNS = ("open", "high", "low", "close", "volume")


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
        self._range = BreakoutRange(self.plan.range) if self.plan.range is not None else None
        self._tracker = LegTracker(self.plan.legs, lambda: self.memory)

    def on_data(self, data: Bar) -> StrategySignal | None:
        """Return the plan's entry in its window if all conditions hold, EXIT from closing time on, else None."""
        if data.instrument != self.instruments[0]:
            return None
        plan, at = self.plan, second_of_day(data.end_ns)
        if self._range is not None:
            self._range.apply(data)
        if (closes := closing_second(plan)) and at >= closes:
            return self.create_signal("EXIT", reason=f"closed from {hhmm(closes)} on")
        if not self.position.is_flat or self.traded_today:
            return self._changed(data) if self._tracker.is_needed else None
        if not plan.entry_time <= at < plan.entry_time + plan.entry_minutes * 60:
            return None
        cancelled = self._workspace.services.operator_cancel_ns(self._workspace.strategy)
        if cancelled and ist_date(cancelled) == self.today:  # it must not come back with the next bar
            return None
        for comparison in plan.when:
            left, right = self._value(comparison.left, data), self._value(comparison.right, data)
            if not (left > right if comparison.above else left < right):
                return None
        if self._range is not None and not self._range.is_broken(data):
            return None
        return self.create_signal("BUY", legs=numbered_legs(plan.legs), reason=f"entry time {hhmm(plan.entry_time)}")

    def _changed(self, data: Bar) -> StrategySignal | None:
        """The roll of tested legs, else the re-entry of legs that a stop or target closed, each with what of its cover
        is gone; None if nothing is due."""
        services, name, watch = self._workspace.services, self._workspace.strategy, self.instruments[0]
        due = self._tracker.due_legs(
            self.today.isoformat(), services.last_signal(name, watch), self.legs,
            lambda instrument: services.closed_by(name, instrument), data.close, data.end_ns,
        )  # fmt: skip
        covered = " with its cover" if due.cover else ""
        if due.rolls:
            changes = [self._rolled(leg, rule) for leg, rule in due.rolls]
            changes += [self.add(rule) for rule in due.cover]
            return self.adjust(*changes, reason=f"tested: rolled{covered}")
        if not due.reentries:
            return None
        legs = sorted((*due.cover, *due.reentries), key=lambda rule: rule.number)
        if self.position.is_flat:
            return self.create_signal("BUY", legs=legs, reason=f"entered again{covered}")
        return self.add(*legs, reason=f"entered again{covered}")

    def _value(self, operand: Operand, bar: Bar) -> float:
        if not operand.word:
            return operand.number
        if operand.word in COLUMNS:
            return float(getattr(bar, operand.word))
        return self.get_indicator_value(self._handles[repr(operand)])

    def _rolled(self, leg: LegView, rule: LegRule) -> StrategySignal:
        """The signal that puts the strike of its roll in a leg's place, with the leg's own stop and target."""
        assert rule.roll is not None
        made = self.replace(leg, rule.roll.strike)
        (change,) = made.changes
        assert isinstance(change.opens, LegRule)
        opens = replace(change.opens, stop=rule.stop, target=rule.target, product=rule.product, number=rule.number)
        return replace(made, changes=(replace(change, opens=opens),))


class BreakoutRange:
    """The highest and lowest price of a day between two times, from completed bars."""

    def __init__(self, rule: RangeRule) -> None:
        self._rule = rule
        self._day: date | None = None
        self._low, self._high = math.inf, -math.inf

    def apply(self, bar: Bar) -> None:
        """Take a completed bar that lies in the range; the first bar of a day begins another range."""
        day = ist_date(bar.start_ns)
        if day != self._day:
            self._day, self._low, self._high = day, math.inf, -math.inf
        if second_of_day(bar.start_ns) >= self._rule.begins and second_of_day(bar.end_ns) <= self._rule.ends:
            self._low, self._high = min(self._low, bar.low), max(self._high, bar.high)

    def is_broken(self, bar: Bar) -> bool:
        """True if a bar after the range closes beyond it, on the side that enters; never without bars in the range."""
        if second_of_day(bar.end_ns) <= self._rule.ends or self._low > self._high:
            return False
        above, below = bar.close > self._high, bar.close < self._low
        return {Breakout.ABOVE: above, Breakout.BELOW: below, Breakout.EITHER: above or below}[self._rule.breakout]


def leg_strategy(plan: LegPlan) -> type[LegStrategy]:
    """Return a strategy class that trades this plan, for the engine to instantiate."""
    return type("LegStrategy", (LegStrategy,), {"plan": plan, "__module__": LegStrategy.__module__})


def missed_entry_window(plan: LegPlan, bars: Iterable[Bar], now: int) -> str:
    """Return today's entry window (as 09:20-09:35) if it is over at `now` (market ns) and no quote came within it, else
    "". `bars`: the stored minutes of what the plan watches; only those made of quotes count."""
    begins = now - now % SECOND + (plan.entry_time - second_of_day(now)) * SECOND
    ends = begins + plan.entry_minutes * 60 * SECOND
    if now < ends or any(bar.ticks and begins <= bar.end_ns < ends for bar in bars):
        return ""
    return f"{hhmm(second_of_day(begins))}-{hhmm(second_of_day(ends))}"
