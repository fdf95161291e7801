"""Long while the MACD's histogram turns up through zero with strength, short when it turns down."""

from mytrading.strategies import Bar, BaseStrategy, Signal, StrategyError


class MacdMomentum(BaseStrategy):
    """A signal comes on the bar on which the histogram is first beyond `least` on the other side of zero."""

    name = "MACD_Momentum"

    fast_period: int = 12
    slow_period: int = 26
    signal_period: int = 9
    least: float = 0.5

    def initialize(self) -> None:
        if self.fast_period >= self.slow_period:
            raise StrategyError(f"fast_period {self.fast_period} must be below slow_period {self.slow_period}")
        self.add_indicator(
            "MACD.macdhist",
            name="histogram",
            fastperiod=self.fast_period,
            slowperiod=self.slow_period,
            signalperiod=self.signal_period,
        )

    def on_data(self, data: Bar) -> Signal | None:
        now, before = self.get_indicator_value("histogram"), self.get_indicator_value("histogram", back=1)
        if before < self.least <= now and not self.position.is_long:
            return self.create_signal("BUY", confidence=0.68, reason=f"histogram {now:.2f} turned up")
        if before > -self.least >= now and not self.position.is_short:
            return self.create_signal("SELL", confidence=0.68, reason=f"histogram {now:.2f} turned down")
        return None
