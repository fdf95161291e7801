"""With the Supertrend: long from the bar on which it turns bullish, short (or out) when it turns bearish."""

from mytrading.strategies import Bar, BaseStrategy, Signal


class SupertrendTrend(BaseStrategy):
    """The stop of each signal is the Supertrend's line, which lies below a rising market and above a falling one."""

    name = "Supertrend_Trend"

    period: int = 7
    multiplier: float = 3.0
    stop_at_line: bool = False
    """Only where the watched instrument itself is traded: a level of an index is no level of an option."""

    def initialize(self) -> None:
        self.add_indicator("SUPERTREND.line", period=self.period, multiplier=self.multiplier, name="line")
        self.add_indicator("SUPERTREND.direction", period=self.period, multiplier=self.multiplier, name="direction")

    def on_data(self, data: Bar) -> Signal | None:
        now, before = self.get_indicator_value("direction"), self.get_indicator_value("direction", back=1)
        if now == before or before != before:
            return None
        line = self.get_indicator_value("line")
        action, word = ("BUY", "bullish") if now > 0 else ("SELL", "bearish")
        stop = line if self.stop_at_line else 0.0
        return self.create_signal(action, confidence=0.7, reason=f"turned {word} at {line:.2f}", stop_price=stop)
