"""Past and present bars of any instrument, aggregated from the same ticks that the live market sends.

Ticks go back for a year before the first market day, days of an index or share for ten. A bar that has ended never
changes, and agrees with bars built from the live ticks.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.core.time import SECOND, ist_date
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.simulator.market.day import MarketDay
from mytrading.simulator.market.world import SHARES_A_DAY, SimulatedWorld, to_tick

_MINUTE = 60
_CACHED, _DAYS_CACHED = 200, 20_000
DAILY_YEARS = 10
_PRICES = ("open", "high", "low", "close")


class Bars(NamedTuple):
    """Bars of one day: `start` epoch seconds, prices in rupees, `volume` of the bar."""

    start: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.int64]


Row = dict[str, float | int]


class MarketHistory:
    """Bars of a world; the latest past days that were computed are kept."""

    def __init__(self, world: SimulatedWorld) -> None:
        self._world = world
        self._past_minutes = lru_cache(_CACHED)(self._minutes_of_day)
        self._past_day = lru_cache(_DAYS_CACHED)(self._row_of_day)

    def earliest(self, instrument: Instrument, minutes: int, now: int) -> date:
        """Return the first day that may have bars of `minutes` (0: daily bars) at the market time `now`."""
        if minutes or instrument.kind.is_derivative:
            return self._world.ticks_since
        today = ist_date(now)
        return date(today.year - DAILY_YEARS, today.month, 1)

    def rows(self, instrument: Instrument, minutes: int, first: date, last: date, now: int) -> list[Row]:
        """Return bars of `minutes` (0: daily) from `first` to `last`, up to market `now`; [] if a stack is followed."""
        if self._world.silent:
            return []
        today = ist_date(now)
        first = max(first, self.earliest(instrument, minutes, now))
        rows: list[Row] = [] if minutes else self._old_days(instrument, first, last)
        day = max(first, self._world.ticks_since)
        while day <= min(last, today):
            sessions = self._world.sessions(day) or {}
            if instrument.exchange in sessions and (not instrument.expiry or day.isoformat() <= instrument.expiry):
                rows += self._day_rows(instrument, minutes, day, now if day == today else None)
            day += timedelta(days=1)
        return rows

    def _day_rows(self, instrument: Instrument, minutes: int, day: date, now: int | None) -> list[Row]:
        if not minutes:
            return self._past_day(instrument, day) if now is None else self._row_of_day(instrument, day, now)
        bars = self._past_minutes(instrument, day) if now is None else self._minutes_of_day(instrument, day, now)
        return _to_rows(_grouped(bars, minutes))

    def _minutes_of_day(self, instrument: Instrument, day: date, now: int | None = None) -> Bars:
        return _minute_bars(self._world.day(day), instrument, now)

    def _row_of_day(self, instrument: Instrument, day: date, now: int | None = None) -> list[Row]:
        return _to_rows(_daily(self._minutes_of_day(instrument, day, now), day))

    def _old_days(self, instrument: Instrument, first: date, last: date) -> list[Row]:
        if instrument.kind.is_derivative or first >= self._world.ticks_since:
            return []
        volume = 0 if instrument.kind is InstrumentKind.INDEX else SHARES_A_DAY
        rows: list[Row] = []
        for found in self._world.days_before_ticks(instrument.symbol, first):
            if found.day <= last:
                prices = {name: to_tick(getattr(found, name), instrument.tick_size) for name in _PRICES}
                rows.append({"timestamp": _stamp(found.day), **prices, "volume": volume, "oi": 0})
        return rows


def _minute_bars(market: MarketDay, instrument: Instrument, now: int | None) -> Bars:
    series = market.compute(instrument) if now is None else market.series(instrument)
    session = market.sessions.get(instrument.exchange)
    assert session is not None
    stop = market.index_at(session.close_ns - 1 if now is None else min(now, session.close_ns - 1)) + 1
    first = min(series.first, stop)
    times = market.times[first:stop]
    minute = (times - session.open_ns) // (_MINUTE * SECOND)
    edges = np.flatnonzero(np.diff(minute, prepend=-1))
    ltp = np.round(series.ltp[first:stop] * instrument.tick_size, 2)
    volume = np.asarray(np.diff(series.volume[first:stop].astype(np.int64), prepend=0), dtype=np.int64)
    ticks = Bars(times, ltp, ltp, ltp, ltp, volume)
    return _merged(ticks, edges, session.open_ns // SECOND + minute[edges] * _MINUTE)


def _merged(bars: Bars, edges: NDArray[np.int64], starts: NDArray[np.int64]) -> Bars:
    """Merge the bars from each edge to the next into one; the first edge is 0, and without bars there is none."""
    if not len(bars.start):
        return bars
    ends = np.append(edges[1:], len(bars.start)) - 1
    highs, lows = np.maximum.reduceat(bars.high, edges), np.minimum.reduceat(bars.low, edges)
    return Bars(starts, bars.open[edges], highs, lows, bars.close[ends], np.add.reduceat(bars.volume, edges))


def _grouped(bars: Bars, minutes: int) -> Bars:
    if minutes == 1 or not len(bars.start):
        return bars
    group = (bars.start - bars.start[0]) // (minutes * _MINUTE)
    edges = np.flatnonzero(np.diff(group, prepend=-1))
    return _merged(bars, edges, bars.start[0] + group[edges] * minutes * _MINUTE)


def _daily(bars: Bars, day: date) -> Bars:
    """The day's bar, stamped with UTC midnight of its date as the Indian brokers do."""
    return _merged(bars, np.array([0]), np.array([_stamp(day)]))


def _stamp(day: date) -> int:
    return (day - date(1970, 1, 1)).days * 86_400


def _to_rows(bars: Bars) -> list[Row]:
    names = ("timestamp", *Bars._fields[1:])
    rows = zip(*(column.tolist() for column in bars), strict=True)
    return [{**dict(zip(names, row, strict=True)), "oi": 0} for row in rows]
