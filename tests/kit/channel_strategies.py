"""Strategies whose trips other code can count as well: breakouts of a channel, and a cross of two averages."""

from __future__ import annotations

from mytrading.strategies import Bar, BaseStrategy, Signal

NIFTY = "NSE_INDEX:NIFTY"
PERIOD, STOP = 30, 0.002


class Donchian(BaseStrategy):
    """Long above the channel of the bars before, short below it."""

    period: int = PERIOD

    def on_data(self, data: Bar) -> Signal | None:
        bars = self.bars(self.period + 1)
        if len(bars.close) <= self.period:
            return None
        if data.close > bars.high[:-1].max():
            return self.create_signal("BUY")
        return self.create_signal("SELL") if data.close < bars.low[:-1].min() else None


class Averages(BaseStrategy):
    """Long while the fast average is above the slow one, else short; says so at every bar."""

    def initialize(self) -> None:
        self.add_indicator("SMA", period=20, name="fast")
        self.add_indicator("SMA", period=50, name="slow")

    def on_data(self, data: Bar) -> Signal | None:
        above = self.get_indicator_value("fast") > self.get_indicator_value("slow")
        return self.create_signal("BUY" if above else "SELL")
