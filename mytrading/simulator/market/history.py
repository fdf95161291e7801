"""Past and present bars of any instrument, aggregated from the same ticks that the live market sends.

Used by the history endpoint. The one rule: a bar that has ended never changes, so that a chart loaded now and one
loaded later agree, and both agree with bars built from the live ticks.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.core.calendar import day_of
from mytrading.messages.instruments import Instrument
from mytrading.simulator.market.day import MarketDay
from mytrading.simulator.market.world import World

_SECOND = 1_000_000_000
_MINUTE = 60
_CACHED = 600
LONGEST_INTRADAY_DAYS = 100
LONGEST_DAILY_DAYS = 500


class Bars(NamedTuple):
    """Bars of one day: `start` epoch seconds, prices in rupees, `volume` of the bar."""

    start: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.int64]


Row = dict[str, float | int]


class History:
    """Bars of a world; past days are kept once computed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._kept: dict[tuple[str, date], Bars] = {}

    def rows(self, instrument: Instrument, minutes: int, first: date, last: date, now: int) -> list[Row]:
        """Bars of `minutes` (0: of a day) from `first` to `last`, up to market time `now`, in the endpoint's form.

        A followed market keeps no past, and so has none.
        """
        if self._world.silent:
            return []
        today = day_of(now)
        longest = LONGEST_INTRADAY_DAYS if minutes else LONGEST_DAILY_DAYS
        first = max(first, today - timedelta(days=longest))
        rows: list[Row] = []
        day = first
        while day <= min(last, today):
            if self._world.sessions(day) is not None and (
                not instrument.expiry or day.isoformat() <= instrument.expiry
            ):
                bars = self._today(instrument, now) if day == today else self._past(instrument, day)
                rows += _to_rows(_daily(bars, day) if not minutes else _grouped(bars, minutes))
            day += timedelta(days=1)
        return rows

    def _past(self, instrument: Instrument, day: date) -> Bars:
        key = (instrument.id, day)
        if key not in self._kept:
            while len(self._kept) >= _CACHED:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = _minute_bars(self._world.day(day), instrument, None)
        return self._kept[key]

    def _today(self, instrument: Instrument, now: int) -> Bars:
        return _minute_bars(self._world.day(day_of(now)), instrument, now)


def _minute_bars(market: MarketDay, instrument: Instrument, now: int | None) -> Bars:
    series = market.series(instrument)
    session = market.session(instrument.exchange)
    end = session.close_ns - 1 if now is None else min(now, session.close_ns - 1)
    stop = market.index_at(end) + 1
    first = min(series.first, stop)
    times = market.times[first:stop]
    minute = (times - session.open_ns) // (_MINUTE * _SECOND)
    edges = np.flatnonzero(np.diff(minute, prepend=-1))
    if not len(edges):
        nothing = np.empty(0)
        return Bars(nothing.astype(np.int64), nothing, nothing, nothing, nothing, nothing.astype(np.int64))
    ltp = series.ltp[first:stop]
    ends = np.append(edges[1:], len(ltp)) - 1
    traded = series.volume[first:stop][ends]

    def rupees(units: NDArray[np.int32]) -> NDArray[np.float64]:
        return np.round(units * instrument.tick_size, 2)

    return Bars(
        session.open_ns // _SECOND + minute[edges] * _MINUTE,
        rupees(ltp[edges]),
        rupees(np.maximum.reduceat(ltp, edges)),
        rupees(np.minimum.reduceat(ltp, edges)),
        rupees(ltp[ends]),
        np.diff(traded, prepend=0),
    )


def _grouped(bars: Bars, minutes: int) -> Bars:
    if minutes == 1 or not len(bars.start):
        return bars
    group = (bars.start - bars.start[0]) // (minutes * _MINUTE)
    edges = np.flatnonzero(np.diff(group, prepend=-1))
    ends = np.append(edges[1:], len(group)) - 1
    return Bars(
        bars.start[0] + group[edges] * minutes * _MINUTE,
        bars.open[edges],
        np.maximum.reduceat(bars.high, edges),
        np.minimum.reduceat(bars.low, edges),
        bars.close[ends],
        np.add.reduceat(bars.volume, edges),
    )


def _daily(bars: Bars, day: date) -> Bars:
    """The day's bar, stamped with UTC midnight of its date as the Indian brokers do."""
    if not len(bars.start):
        return bars
    stamp = (day - date(1970, 1, 1)).days * 86_400
    return Bars(
        np.array([stamp]),
        bars.open[:1],
        np.array([bars.high.max()]),
        np.array([bars.low.min()]),
        bars.close[-1:],
        np.array([bars.volume.sum()]),
    )


def _to_rows(bars: Bars) -> list[Row]:
    columns = (bars.start, bars.open, bars.high, bars.low, bars.close, bars.volume)
    names = ("timestamp", "open", "high", "low", "close", "volume")
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [{**dict(zip(names, row, strict=True)), "oi": 0} for row in rows]
