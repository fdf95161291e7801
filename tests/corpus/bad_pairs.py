"""Strategies whose `positions(bars)` is not what their `on_data` does."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mytrading.strategies import Bar, BaseStrategy, Signal, VectorSignals, WholeBars


class Pair(BaseStrategy):
    """Long after a rising bar, flat after a falling one."""

    caught_by: ClassVar[str] = "agreement"

    def on_data(self, data: Bar) -> Signal | None:
        if data.close > data.open + 0.3:
            return self.create_signal("BUY")
        return self.create_signal("EXIT") if data.close < data.open - 0.3 else None


class FinePair(Pair):
    def positions(self, bars: WholeBars) -> VectorSignals:
        return bars.signals(long=bars.close > bars.open + 0.3, out=bars.close < bars.open - 0.3)


class BadPairThatPeeks(Pair):
    def positions(self, bars: WholeBars) -> VectorSignals:
        rises = np.append(bars.close[1:] > bars.open[1:] + 0.3, False)
        return bars.signals(long=rises, out=~rises)


class BadPairThatNeverLeaves(Pair):
    def positions(self, bars: WholeBars) -> VectorSignals:
        return bars.signals(long=bars.close > bars.open + 0.3)


class BadPairWithAnotherRule(Pair):
    def positions(self, bars: WholeBars) -> VectorSignals:
        return bars.signals(long=bars.close > bars.open + 0.6, out=bars.close < bars.open - 0.3)


class BadPairThatIsLate(Pair):
    def positions(self, bars: WholeBars) -> VectorSignals:
        rises = np.append(False, bars.close[:-1] > bars.open[:-1] + 0.3)
        return bars.signals(long=rises, out=bars.close < bars.open - 0.3)
