"""Long when the close breaks out above the upper Bollinger band on rising volume, short below the lower band."""

from mytrading.strategies import Bar, BaseStrategy, Signal


class BollingerBreakout(BaseStrategy):
    """The close has to pass its band by `threshold` (a share of the band) on the bar, having been inside before.

    Where the instrument has volume, the bar's must be `volume_factor` times its average; an index has none and is
    judged by price alone. Back at the middle band the position is closed.
    """

    name = "BollingerBands_Breakout"

    period: int = 20
    deviations: float = 2.0
    threshold: float = 0.001
    volume_factor: float = 1.5

    def initialize(self) -> None:
        bands = {"period": self.period, "nbdevup": self.deviations, "nbdevdn": self.deviations}
        self.add_indicator("BBANDS.upperband", name="upper", **bands)
        self.add_indicator("BBANDS.middleband", name="middle", **bands)
        self.add_indicator("BBANDS.lowerband", name="lower", **bands)
        self.add_indicator("SMA", period=self.period, source="volume", name="volume")

    def on_data(self, data: Bar) -> Signal | None:
        upper, lower = self.get_indicator_value("upper"), self.get_indicator_value("lower")
        before = self.bars(2).close[0]
        inside = self.get_indicator_value("lower", 1) <= before <= self.get_indicator_value("upper", 1)
        if inside and self.is_busy(data) and data.close > upper * (1 + self.threshold):
            return self.create_signal("BUY", confidence=0.75, reason=f"close {data.close:.2f} above band {upper:.2f}")
        if inside and self.is_busy(data) and data.close < lower * (1 - self.threshold):
            return self.create_signal("SELL", confidence=0.75, reason=f"close {data.close:.2f} below band {lower:.2f}")
        return self.back_at_the_middle(data)

    def back_at_the_middle(self, data: Bar) -> Signal | None:
        middle = self.get_indicator_value("middle")
        if (self.position.is_long and data.close < middle) or (self.position.is_short and data.close > middle):
            return self.create_signal("EXIT", reason=f"close {data.close:.2f} is back at the middle {middle:.2f}")
        return None

    def is_busy(self, data: Bar) -> bool:
        usual = self.get_indicator_value("volume")
        return usual == 0 or data.volume >= self.volume_factor * usual
