"""A strategy written for version 0.1 runs unchanged for one release: names it imported, methods it called."""

import numpy as np

from mytrading.strategies import (
    Bar,
    BaseStrategy,
    Signal,
    StrategySignal,
    WholeBars,
    Wish,
    Wishes,
    WishRule,
    crosses_above,
    crosses_below,
)
from mytrading.strategies.rules import SignalRule
from mytrading.strategies.testing import SentSignal, StrategyTester, Wished


class Crossing(BaseStrategy):
    """As the guide of 0.1 showed a class that is screened, too."""

    name = "Crossing"
    period: int = 2

    def initialize(self) -> None:
        self.add_indicator("SMA", period=self.period, name="average")

    def on_data(self, data: Bar) -> Wish | None:
        above = data.close > self.get_indicator_value("average")
        return self.create_signal("BUY" if above else "SELL")

    def positions(self, bars: WholeBars) -> Wishes:
        gap = bars.close - bars.indicator("SMA", period=self.period)
        return bars.wishes(long=crosses_above(gap), short=crosses_below(gap))


def test_class_of_0_1_signals_and_is_called_by_the_old_names() -> None:
    tester = StrategyTester(Crossing)
    tester.feed(100.0, 101.0, 99.0)
    assert tester.wished == tester.signals
    assert [item.action for item in tester.wished] == ["BUY", "SELL"]
    assert all(isinstance(item, Wished) for item in tester.wished)


def test_positions_of_0_1_are_those_of_today() -> None:
    close = np.array([100.0, 101.0, 99.0, 103.0])
    bars = WholeBars(close, close, close, close, np.zeros(4), np.arange(4) * 60.0)
    today = bars.signals(long=crosses_above(close - 100.5), short=crosses_below(close - 100.5))
    np.testing.assert_array_equal(
        bars.wishes(long=crosses_above(close - 100.5), short=crosses_below(close - 100.5)), today
    )
    assert today.tolist()[1:] == [1.0, -1.0, 1.0]


def test_classes_of_0_1_are_todays() -> None:
    assert Wish is Signal is StrategySignal
    assert WishRule is SignalRule
    assert Wished is SentSignal
    kept = StrategySignal(action="WITHDRAW", instrument="NSE:SBIN")
    assert kept.keeps
    assert kept.keeps_position
