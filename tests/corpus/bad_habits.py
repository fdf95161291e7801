"""Strategies that are slow, fail, or have parameters that do nothing; where `fails` is off, advice is enough."""

from __future__ import annotations

from typing import ClassVar

from mytrading.strategies import Bar, BaseStrategy, Signal


class BadNeverRead(BaseStrategy):
    caught_by: ClassVar[str] = "parameters"

    period: int = 10
    thresold: float = 0.5

    def initialize(self) -> None:
        self.add_indicator("SMA", period=self.period, name="average")

    def on_data(self, data: Bar) -> Signal | None:
        return self.create_signal("BUY" if data.close > self.get_indicator_value("average") else "SELL")


class BadWithoutEffect(BaseStrategy):
    caught_by: ClassVar[str] = "parameters"
    fails: ClassVar[bool] = False

    weight: float = 2.0

    def on_data(self, data: Bar) -> Signal | None:
        return self.create_signal("BUY" if self.weight * (data.close - data.open) * 0 >= 0 else "SELL")


class BadOverwritten(BaseStrategy):
    """The configured number is overwritten: always ten."""

    caught_by: ClassVar[str] = "parameters"

    period: int = 20

    def initialize(self) -> None:
        self.period = 10
        self.add_indicator("SMA", period=self.period, name="average")

    def on_data(self, data: Bar) -> Signal | None:
        return self.create_signal("BUY" if data.close > self.get_indicator_value("average") else "SELL")


class BadClamped(BaseStrategy):
    caught_by: ClassVar[str] = "parameters"
    fails: ClassVar[bool] = False

    share: float = 5.0

    def on_data(self, data: Bar) -> Signal | None:
        return self.create_signal("BUY" if data.close > data.open * min(1.0, max(1.0, self.share)) else "EXIT")


class BadLoopOverAllBars(BaseStrategy):
    caught_by: ClassVar[str] = "speed"

    def on_data(self, data: Bar) -> Signal | None:
        total = 0.0
        for _ in range(60):
            for close in self.bars(700).close:
                total += float(close)
        return self.create_signal("BUY" if data.close > total / 42_000 else "SELL")


class BadNowAndThenSlow(BaseStrategy):
    caught_by: ClassVar[str] = "speed"

    def on_data(self, data: Bar) -> Signal | None:
        if data.end_ns // 60_000_000_000 % 20 == 0:
            sorted(range(40_000), key=lambda number: -number)
        return self.create_signal("BUY" if data.close > data.open else "EXIT")


class BadDivision(BaseStrategy):
    caught_by: ClassVar[str] = "runs"

    def on_data(self, data: Bar) -> Signal | None:
        return self.create_signal("BUY", confidence=0.5 / (data.high - data.high))


class BadMemory(BaseStrategy):
    """A value that JSON cannot hold cannot be kept."""

    caught_by: ClassVar[str] = "runs"

    def on_data(self, data: Bar) -> Signal | None:
        self.memory["seen"] = {data.close}
        return self.create_signal("BUY")
