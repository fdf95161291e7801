"""Long from the bar on which the fast average crosses above the slow one, short (or out) when it crosses below."""

from mytrading.strategies import (
    Bar,
    BaseStrategy,
    Signal,
    StrategyError,
    VectorSignals,
    WholeBars,
    crosses_above,
    crosses_below,
)


class SmaCrossover(BaseStrategy):
    """Two simple moving averages of the close.

    A signal comes on crossing bars only. With `join_trend` a flat strategy also signals to be where the averages
    already are, so it does not wait for the next crossing after a start.
    """

    name = "SMA_Crossover"

    fast_period: int = 20
    slow_period: int = 50
    join_trend: bool = False

    def initialize(self) -> None:
        if self.fast_period >= self.slow_period:
            raise StrategyError(f"fast_period {self.fast_period} must be below slow_period {self.slow_period}")
        self.add_indicator("SMA", period=self.fast_period, name="fast")
        self.add_indicator("SMA", period=self.slow_period, name="slow")

    def on_data(self, data: Bar) -> Signal | None:
        gap = self.gap(back=0)
        before = self.gap(back=1)
        if gap > 0 and (before <= 0 or self.joins(not self.position.is_long)):
            return self.create_signal("BUY", confidence=0.8, reason=f"fast average {gap:.2f} above slow")
        if gap < 0 and (before >= 0 or self.joins(not self.position.is_short)):
            return self.create_signal("SELL", confidence=0.8, reason=f"fast average {-gap:.2f} below slow")
        return None

    def positions(self, bars: WholeBars) -> VectorSignals:
        """The same signals for all bars at once, so that a search can screen many periods quickly."""
        if self.join_trend:
            raise StrategyError("join_trend depends on what is held, which a screening does not know; switch it off")
        fast, slow = bars.indicator("SMA", period=self.fast_period), bars.indicator("SMA", period=self.slow_period)
        return bars.signals(long=crosses_above(fast - slow), short=crosses_below(fast - slow))

    def gap(self, back: int) -> float:
        return self.get_indicator_value("fast", back) - self.get_indicator_value("slow", back)

    def joins(self, elsewhere: bool) -> bool:
        return self.join_trend and elsewhere
