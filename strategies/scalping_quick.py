"""Quick trades with a burst: in on a sudden move with volume, out at a small target, a small stop or after a while."""

from mytrading.strategies import Bar, BaseStrategy, Signal


class ScalpingQuick(BaseStrategy):
    """A burst is a bar that moved by `move` (a share of the price) with `volume_factor` times the usual volume.

    Closed at a gain of `target` or a loss of `most_loss` (shares of the entry bar's close), or `hold_seconds` after the
    entry bar; then nothing for `rest_seconds`. All on completed bars: risk's stops act between them. Entry and rest of
    each instrument stand in `memory`, so that a restart does not forget when and where a trade began.
    """

    name = "Scalping_Quick"

    move: float = 0.001
    volume_factor: float = 2.0
    volume_period: int = 20
    target: float = 0.005
    most_loss: float = 0.005
    hold_seconds: int = 300
    rest_seconds: int = 60

    def initialize(self) -> None:
        self.add_indicator("SMA", period=self.volume_period, source="volume", name="volume")

    def on_data(self, data: Bar) -> Signal | None:
        if not self.position.is_flat:
            return self.out(data)
        if data.end_ns < self.noted(data).get("rests_until", 0) or not self.is_burst(data):
            return None
        self.memory[data.instrument] = {"entry": data.close, "entered_ns": data.end_ns}
        action, change = ("BUY", "up") if data.close > data.open else ("SELL", "down")
        return self.create_signal(action, confidence=0.85, reason=f"burst {change} by {self.change(data):.2%}")

    def out(self, data: Bar) -> Signal | None:
        entry = self.noted(data).get("entry", data.close)
        side = 1 if self.position.is_long else -1
        gain = side * (data.close - entry) / entry
        held_s = (data.end_ns - self.noted(data).get("entered_ns", data.end_ns)) / 1e9
        if -self.most_loss < gain < self.target and held_s < self.hold_seconds:
            return None
        self.memory[data.instrument] = {**self.noted(data), "rests_until": data.end_ns + int(self.rest_seconds * 1e9)}
        return self.create_signal("EXIT", reason=f"{gain:+.2%} after {held_s:.0f} s")

    def noted(self, data: Bar) -> dict:
        """The memory of an instrument: entry, entered_ns, rests_until."""
        return self.memory.get(data.instrument, {})

    def change(self, data: Bar) -> float:
        return (data.close - data.open) / data.open

    def is_burst(self, data: Bar) -> bool:
        usual = self.get_indicator_value("volume", back=1)
        busy = usual != usual or usual == 0 or data.volume >= self.volume_factor * usual
        return busy and abs(self.change(data)) >= self.move
