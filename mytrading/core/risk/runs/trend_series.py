"""Supertrend exits and the confirmed bars behind them: of instruments, and of the combined premium of what a run holds.

The premium is that of one complete set of the legs, credit or debit counted positive as it was at entry. It has a price
only while every leg has a fresh quote; when the legs change their proportions, its bars begin again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import gcd
from typing import NamedTuple

from mytrading.core.bars.builder import aggregate, timeframe_name
from mytrading.core.bars.price_series import SeriesBars
from mytrading.core.calendar import Calendar
from mytrading.core.risk.runs.run import Run
from mytrading.core.risk.runs.run_book import RunBook
from mytrading.messages.exit_rules import TrendExit, TrendRule
from mytrading.messages.market import Bar, Quote
from mytrading.messages.run_config import StrategyRun

_OF_INSTRUMENT, _OF_PREMIUM = "trend ", "premium "
Ratio = tuple[tuple[str, int], ...]


class TrendTurn(NamedTuple):
    """The close of the last bar, and the Supertrend's line there; rupees."""

    close: float
    line: float


class TrendSeries:
    """Learns quotes and kept bars. Without a strategy that has a trend exit it costs one look-up a quote."""

    def __init__(self, strategies: Mapping[str, StrategyRun], books: RunBook, calendar: Calendar) -> None:
        self._books = books
        self._calendar = calendar
        self.rules = {name: run.rules.trend for name, run in strategies.items() if run.rules.trend.exit is not None}
        self.all: dict[tuple[str, str], SeriesBars] = {}
        self.sources: dict[str, list[SeriesBars]] = {}
        self._ratios: dict[str, Ratio] = {}
        for rule in self.rules.values():
            key = (_OF_INSTRUMENT + rule.instrument, timeframe_name(rule.minutes))
            if rule.instrument and key not in self.all:
                series = SeriesBars(key[0], rule.instrument.partition(":")[0], rule.minutes, calendar)
                self.all[key] = series
                self.sources.setdefault(rule.instrument, []).append(series)
        self.any = bool(self.rules)
        """True if a strategy has a trend exit."""
        if self.any:  # what it is computed with loads numba, so only those who need it do
            from mytrading.core.indicators import supertrend

            supertrend.warm()

    def series_of(self, strategy: str) -> SeriesBars | None:
        """Return the bar series whose trend may end a strategy's run; None without such a rule or open positions."""
        rule = self.rules.get(strategy)
        return self.all.get(_key(strategy, rule)) if rule is not None else None

    def add_quote(self, quote: Quote) -> None:
        """Add a quote's price to the unfinished bars of its instrument, and of combined premiums that contain it."""
        for series in self.sources.get(quote.instrument, ()):
            series.add(quote.market_ns, quote.ltp)
        for run, _ in self._books.runs_holding(quote.instrument):
            rule = self.rules.get(run.strategy)
            if rule is None or rule.instrument:
                continue
            price = self._books.combined_premium(run, self._ratios.get(run.strategy, ()), quote.market_ns)
            if price is not None:
                self.all[_key(run.strategy, rule)].add(quote.market_ns, price)

    def update_premium_ratio(self, run: Run) -> None:
        """Start a new, empty premium series if the proportions of the legs that a run holds have changed."""
        rule = self.rules.get(run.strategy)
        if rule is None or rule.instrument:
            return
        ratio = _ratio(run)
        if ratio == self._ratios.get(run.strategy, ()):
            return
        self._ratios[run.strategy] = ratio
        key = _key(run.strategy, rule)
        self.all.pop(key, None)
        if ratio:
            self.all[key] = SeriesBars(key[0], ratio[0][0].partition(":")[0], rule.minutes, self._calendar)

    def add_bar(self, bar: Bar) -> None:
        """Add a journaled, ended bar to the series of its instrument and timeframe, if there is one."""
        series = self.all.get((bar.instrument, bar.timeframe))
        if series is not None:
            series.add_ended(bar)

    def complete_open_bars(self, instrument: str, minutes: list[Bar]) -> None:
        """Complete unfinished bars, whose quotes before a restart are lost, with stored one-minute bars (`minutes`)."""
        for series in self.sources.get(instrument, ()):
            if series.bars:
                series.add_minutes(minute for minute in minutes if minute.start_ns >= series.bars[-1].end_ns)

    def lacks_bars(self, instrument: str, bars: int) -> bool:
        """True if a trend series of the instrument has fewer than `bars` bars."""
        return any(len(series.bars) < bars for series in self.sources.get(instrument, ()))

    def backfill_bars(self, instrument: str, minutes: list[Bar], now: int) -> list[Bar]:
        """Return the ended bars, made from one-minute bars, that the series lack; completes unfinished bars too."""
        rows: list[Bar] = []
        for series in self.sources.get(instrument, ()):
            made = aggregate(minutes, series.timeframe, self._calendar, now)
            known = {bar.start_ns for bar in series.bars}
            rows += [_renamed(bar, series.name) for bar in made if bar.end_ns <= now and bar.start_ns not in known]
            end = max((bar.end_ns for bar in made), default=0)
            series.add_minutes(minute for minute in minutes if minute.start_ns >= end)
        return rows


def _key(strategy: str, rule: TrendRule) -> tuple[str, str]:
    name = _OF_INSTRUMENT + rule.instrument if rule.instrument else _OF_PREMIUM + strategy
    return name, timeframe_name(rule.minutes)


def _ratio(run: Run) -> Ratio:
    """Signed units of each instrument in one set; sold ones count positive after entry for a credit."""
    units: dict[str, int] = {}
    net = 0.0
    for leg in run.legs.values():
        units[leg.instrument] = units.get(leg.instrument, 0) + leg.quantity
        net += leg.quantity * leg.average_price
    held = {name: count for name, count in units.items() if count}
    size = gcd(*held.values()) if held else 0
    way = 1 if net >= 0 else -1
    return tuple(sorted((name, way * count // size) for name, count in held.items())) if size else ()


def _renamed(bar: Bar, name: str) -> Bar:
    return Bar(name, bar.timeframe, bar.start_ns, bar.end_ns, bar.open, bar.high, bar.low, bar.close)


def trend_turn(bars: Sequence[Bar], rule: TrendRule, opened_ns: int) -> TrendTurn | None:
    """Return the turn of the trend that ends a run opened at `opened_ns`; None if none. `bars`: oldest first."""
    if len(bars) < rule.period or bars[-1].end_ns <= opened_ns:
        return None
    import numpy as np

    from mytrading.core.indicators.supertrend import supertrend

    table = np.array([(bar.high, bar.low, bar.close) for bar in bars])
    high, low, close = (np.ascontiguousarray(column) for column in table.T)
    line, direction = supertrend(high, low, close, rule.period, rule.multiplier)
    wanted = 1 if rule.exit is TrendExit.BREAKOUT else -1
    if direction[-1] != wanted:
        return None
    turns = (at for at in range(1, len(bars)) if direction[at] == wanted and direction[at - 1] == -wanted)
    if rule.require_cross and not any(bars[at].end_ns > opened_ns for at in turns):
        return None
    return TrendTurn(float(close[-1]), float(line[-1]))
