"""Strategies that need more of the past than they will have: after a later beginning, or after a restart."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mytrading.strategies import Bar, BaseStrategy, Indicator, Signal


def _average(close, period):
    alpha, found = 2 / (period + 1), np.empty(len(close))
    found[0] = close[0]
    for k in range(1, len(close)):
        found[k] = found[k - 1] + alpha * (close[k] - found[k - 1])
    return found


def _lookback_of_one(**_parameters: float) -> int:
    return 1


class BadAverageStartedLate(BaseStrategy):
    """An exponential average over far more bars than it says it needs."""

    caught_by: ClassVar[str] = "recursion"
    indicators = (Indicator("LONG_EMA", _average, _lookback_of_one, ("close",), {"period": 900}),)

    def initialize(self) -> None:
        self.add_indicator("LONG_EMA", name="average")

    def on_data(self, data: Bar) -> Signal | None:
        return self.create_signal("BUY" if data.close > self.get_indicator_value("average") else "SELL")


def _sum_of_all(close, volume):
    return np.cumsum(np.sign(np.diff(close, prepend=close[0])) * volume)


class BadSumOfAllBars(BaseStrategy):
    """Compares a sum over all bars with a level."""

    caught_by: ClassVar[str] = "recursion"
    indicators = (Indicator("ALL_VOLUME", _sum_of_all, _lookback_of_one, ("close", "volume")),)

    def initialize(self) -> None:
        self.add_indicator("ALL_VOLUME", name="sum")

    def on_data(self, data: Bar) -> Signal | None:
        return self.create_signal("BUY" if self.get_indicator_value("sum") > 0 else "SELL")


class BadCountOfBars(BaseStrategy):
    """Acts on every eleventh bar since it was started."""

    caught_by: ClassVar[str] = "recursion"

    def initialize(self) -> None:
        self.count = 0

    def on_data(self, data: Bar) -> Signal | None:
        self.count += 1
        if self.count % 11 == 0:
            return self.create_signal("BUY" if self.position.is_flat else "EXIT")
        return None


class BadMeanOfAllBars(BaseStrategy):
    caught_by: ClassVar[str] = "recursion"

    def initialize(self) -> None:
        self.total = 0.0
        self.count = 0

    def on_data(self, data: Bar) -> Signal | None:
        self.total, self.count = self.total + data.close, self.count + 1
        away = data.close / (self.total / self.count) - 1
        return self.create_signal("BUY" if int(away * 2000) % 2 else "SELL")


class BadFirstPriceOfAll(BaseStrategy):
    caught_by: ClassVar[str] = "recursion"

    def initialize(self) -> None:
        self.first = 0.0

    def on_data(self, data: Bar) -> Signal | None:
        self.first = self.first or data.close
        steps = int((data.close - self.first) / 0.35)
        return self.create_signal("BUY" if steps % 2 else "EXIT")


class Rhythm(BaseStrategy):
    """In on a rising bar of a tenth minute; out when `is_over`."""

    caught_by: ClassVar[str] = "restart"

    def initialize(self) -> None:
        self.prepare()

    def prepare(self) -> None:
        pass

    def is_over(self, data: Bar) -> bool:
        return data.end_ns // 60_000_000_000 % 10 == 7

    def may_enter(self) -> bool:
        return True

    def on_data(self, data: Bar) -> Signal | None:
        if not self.position.is_flat:
            return self.create_signal("EXIT") if self.is_over(data) else None
        if data.end_ns // 60_000_000_000 % 10 == 0 and self.may_enter():
            return self.create_signal("BUY")
        return None


class BadEntryPriceOfItsOwn(Rhythm):
    """Remembers in the instance what only a fill has shown it."""

    def prepare(self) -> None:
        self.entry = 0.0

    def on_fill(self, fill) -> None:
        self.entry = fill.fill_price

    def is_over(self, data: Bar) -> bool:
        return self.entry > 0 and abs(data.close / self.entry - 1) > 0.0015


class BadPriceOfTheSignal(Rhythm):
    """Remembers the close at which it wanted; while it holds, a walk through history signals again at later ones."""

    def prepare(self) -> None:
        self.signalled = 0.0

    def on_data(self, data: Bar) -> Signal | None:
        if self.position.is_flat and data.end_ns // 60_000_000_000 % 15 == 0:
            self.signalled = data.close
            return self.create_signal("BUY")
        away = abs(data.close / self.signalled - 1) if self.signalled else 0.0
        return self.create_signal("EXIT") if not self.position.is_flat and away > 0.004 else None


class BadBarsHeld(Rhythm):
    def prepare(self) -> None:
        self.held = 0

    def is_over(self, data: Bar) -> bool:
        self.held += 1
        if self.held < 6:
            return False
        self.held = 0
        return True


class BadCountOfFills(Rhythm):
    """Three trades and no more, of which a restart knows nothing."""

    def prepare(self) -> None:
        self.fills = 0

    def on_fill(self, fill) -> None:
        self.fills += 1

    def may_enter(self) -> bool:
        return self.fills < 6


class BadLosingStreak(Rhythm):
    def prepare(self) -> None:
        self.lost = 0

    def on_trade(self, trade) -> None:
        self.lost = self.lost + 1 if trade.realised < 0 else 0

    def may_enter(self) -> bool:
        return self.lost < 2


class BadPositionOfItsOwn(BaseStrategy):
    """Turns a flag where it could ask for its position."""

    caught_by: ClassVar[str] = "restart"

    def initialize(self) -> None:
        self.holding = False

    def on_fill(self, fill) -> None:
        self.holding = fill.position.quantity != 0

    def on_data(self, data: Bar) -> Signal | None:
        minute = data.end_ns // 60_000_000_000 % 10
        if self.holding and minute == 7:
            return self.create_signal("EXIT")
        return self.create_signal("BUY") if not self.holding and minute == 0 else None


class BadMemoryThatIsWiped(Rhythm):
    """Keeps its count in memory, and empties it at every start."""

    def on_start(self) -> None:
        self.memory["entries"] = 0

    def on_fill(self, fill) -> None:
        self.memory["entries"] = self.memory.get("entries", 0) + 1

    def may_enter(self) -> bool:
        return self.memory.get("entries", 0) < 6


class BadHighestSinceEntry(Rhythm):
    """A trailing stop that begins anew with the process."""

    def prepare(self) -> None:
        self.highest = 0.0

    def is_over(self, data: Bar) -> bool:
        self.highest = max(self.highest, data.high)
        if data.close > self.highest - 1.2:
            return False
        self.highest = 0.0
        return True


class BadMoreBarsThanAreKept(BaseStrategy):
    """Wants a thousand bars without telling anybody."""

    caught_by: ClassVar[str] = "restart"
    needs: ClassVar[int] = 1125

    def on_data(self, data: Bar) -> Signal | None:
        closes = self.bars(1000).close
        return self.create_signal("BUY" if data.close > closes.mean() else "SELL")
