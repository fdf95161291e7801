"""Strategies that know what is to come. Each says in `caught_by` which check must find it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mytrading.strategies import Bar, BaseStrategy, Indicator, Signal


def _none(**_parameters: float) -> int:
    return 0


def made(name: str, kernel, *inputs: str) -> tuple[Indicator, ...]:
    return (Indicator(name, kernel, _none, inputs or ("close",)),)


class Line(BaseStrategy):
    """Long above a line, short below it."""

    caught_by: ClassVar[str] = "look-ahead"
    level: ClassVar[float] = 0.0

    def initialize(self) -> None:
        self.add_indicator(self.indicators[0].name, name="line")

    def on_data(self, data: Bar) -> Signal | None:
        value = self.get_indicator_value("line")
        if value > self.level and not self.position.is_long:
            return self.create_signal("BUY")
        if value < self.level and not self.position.is_short:
            return self.create_signal("SELL")
        return None


class BadNegativeShift(Line):
    indicators = made("NEXT", lambda close: np.append(close[1:], close[-1]) - close)


class BadRoll(Line):
    indicators = made("ROLLED", lambda close: np.roll(close, -3) - close)


class BadCentredWindow(Line):
    indicators = made("CENTRED", lambda close: close - np.convolve(close, np.ones(21) / 21, "same"))


class BadWholeSampleMaximum(Line):
    level = 0.97
    indicators = made("SHARE", lambda close: close / close.max())


class BadWholeSampleScore(Line):
    indicators = made("SCORE", lambda close: (close - close.mean()) / close.std())


class BadWholeSampleRank(Line):
    level = 0.5
    indicators = made("RANK", lambda close: np.argsort(np.argsort(close)) / len(close))


class BadDetrended(Line):
    indicators = made(
        "DETRENDED",
        lambda close: close - np.polyval(np.polyfit(np.arange(len(close)), close, 1), np.arange(len(close))),
    )


def _smooth(close):
    parts = np.fft.rfft(close)
    parts[len(parts) // 20 :] = 0
    return close - np.fft.irfft(parts, len(close))


class BadFourier(Line):
    indicators = made("FOURIER", _smooth)


class BadLastPriceOfAll(Line):
    indicators = made("LAST", lambda close: close[-1] - close)


def _day_end(close, day):
    last = {number: close[day == number][-1] for number in np.unique(day)}
    return np.array([last[number] for number in day]) - close


class BadLastBarOfTheDay(Line):
    indicators = made("DAY_END", _day_end, "close", "day")


def _day_high(close, high, day):
    highest = {number: high[day == number].max() for number in np.unique(day)}
    return close - 0.995 * np.array([highest[number] for number in day])


class BadHighOfTheDay(Line):
    indicators = made("DAY_HIGH", _day_high, "close", "high", "day")


class BadUnfinishedLongerBar(Line):
    """The close of five minutes, known from the first of them on."""

    indicators = made(
        "FIVE", lambda close: close[np.minimum(np.arange(len(close)) // 5 * 5 + 4, len(close) - 1)] - close
    )


def _filled_back(close):
    swings = np.full(len(close), np.nan)
    for k in range(5, len(close) - 5):
        if close[k] == close[k - 5 : k + 6].min():
            swings[k] = close[k]
    return np.where(np.isnan(swings), -1.0, 1.0)


class BadSwingBeforeItIsConfirmed(Line):
    indicators = made("SWINGS", _filled_back)


class BadBehindTheColumn(BaseStrategy):
    """Numpy's views know the array that they are cut from."""

    caught_by: ClassVar[str] = "look-ahead"

    def on_data(self, data: Bar) -> Signal | None:
        closes = self.bars(1).close
        whole = closes.base if closes.base.ndim == 1 else closes.base[3]
        at = int(np.searchsorted(np.arange(len(whole)), len(self.bars(10**9).close)))
        if at + 5 >= len(whole):
            return None
        return self.create_signal("BUY" if whole[at + 5] > data.close else "SELL")


class BadPrivateSeries(BaseStrategy):
    caught_by: ClassVar[str] = "look-ahead"

    def on_data(self, data: Bar) -> Signal | None:
        series = self._workspace.series("", "")
        later = series.column("close")[series.cursor : series.cursor + 3]
        return self.create_signal("BUY" if len(later) and later.mean() > data.close else "EXIT")


class BadIndicatorOfTomorrow(BaseStrategy):
    caught_by: ClassVar[str] = "look-ahead"

    def initialize(self) -> None:
        self.add_indicator("SMA", period=5, name="average")

    def on_data(self, data: Bar) -> Signal | None:
        rising = self.get_indicator_value("average", back=-2) > self.get_indicator_value("average")
        return self.create_signal("BUY" if rising else "SELL")


class BadLengthOfTheData(BaseStrategy):
    """Gets out before the data ends."""

    caught_by: ClassVar[str] = "look-ahead"

    def on_data(self, data: Bar) -> Signal | None:
        series = self._workspace.series("", "")
        return self.create_signal("EXIT" if series.filled - series.cursor < 40 else "BUY")
