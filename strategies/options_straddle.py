"""Sells the call and the put at the money in the morning while the market is calm, and is flat in the afternoon."""

from mytrading.strategies import Bar, BaseStrategy, Signal, StrategyError, option


class OptionsStraddle(BaseStrategy):
    """A short straddle, once a day, inside bought wings that are had before anything is sold.

    Calm is an average range of a bar of at most `calm_pct` per cent of the price. `wings` are strikes from the money;
    with 0 the straddle is sold without cover. `leg_stop_pct` is per cent of each sold premium.
    """

    name = "Options_Straddle"

    entry_time: str = "09:30"
    entry_until: str = "10:30"
    exit_time: str = "15:00"
    calm_pct: float = 0.1
    wings: int = 6
    leg_stop_pct: float = 30.0

    def initialize(self) -> None:
        if not "00:00" <= self.entry_time < self.entry_until < self.exit_time <= "23:59":
            raise StrategyError(
                "expected entry_time < entry_until < exit_time, each as 09:30, "
                f"found {self.entry_time}, {self.entry_until}, {self.exit_time}"
            )
        self.add_indicator("ATR", period=14)

    def on_data(self, data: Bar) -> Signal | None:
        if self.time_of_day >= self.exit_time:
            return self.create_signal("EXIT", reason="end of the day")
        range_pct = 100 * self.get_indicator_value("ATR") / data.close
        in_time = self.entry_time <= self.time_of_day < self.entry_until
        if in_time and not self.traded_today and range_pct <= self.calm_pct:
            return self.create_signal("SELL", legs=self.straddle(), reason=f"calm: a bar ranges {range_pct:.3f} %")
        return None

    def straddle(self) -> list:
        """Legs by rule: the engine chooses the contracts when the signal is made, and keeps them."""
        wings = [option(f"OTM {self.wings} {right}", lots=1) for right in ("CE", "PE")] if self.wings else []
        return wings + [option(f"ATM {right}", lots=-1, stop_pct=self.leg_stop_pct) for right in ("CE", "PE")]
