"""Long when the RSI comes back up out of the oversold zone, short (or out) when it falls back out of the overbought."""

from mytrading.strategies import Bar, BaseStrategy, Signal, StrategyError


class RsiMeanReversion(BaseStrategy):
    """A signal comes on the bar on which the RSI leaves a zone, not while it is inside."""

    name = "RSI_MeanReversion"

    period: int = 14
    oversold: float = 30.0
    overbought: float = 70.0

    def initialize(self) -> None:
        if not 0 < self.oversold < self.overbought < 100:
            raise StrategyError(
                "expected 0 < oversold < overbought < 100, "
                f"found oversold {self.oversold}, overbought {self.overbought}"
            )
        self.add_indicator("RSI", period=self.period)

    def on_data(self, data: Bar) -> Signal | None:
        now, before = self.get_indicator_value("RSI"), self.get_indicator_value("RSI", back=1)
        if before <= self.oversold < now:
            return self.create_signal("BUY", confidence=0.7, reason=f"RSI {now:.1f} left oversold")
        if before >= self.overbought > now:
            return self.create_signal("SELL", confidence=0.7, reason=f"RSI {now:.1f} left overbought")
        return None
