"""One market day: the underlying's ticks, every instrument's quote at each of them, and price bands.

An instrument's whole day is computed at its first use and never changes, so that live quotes, high and low, and today's
bars agree.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable
from datetime import date
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from mytrading.core.calendar import Session
from mytrading.messages.instruments import Instrument, InstrumentKind

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Whole = NDArray[np.integer[Any]]


class SimulatedQuote(msgspec.Struct, frozen=True, gc=False):
    """An instrument's market at a tick: prices in rupees, `volume` of the day so far, 0 for what it has not."""

    instrument: Instrument
    at_ns: int
    ltp: float
    bid: float
    ask: float
    volume: int
    oi: int
    open: float
    high: float
    low: float
    prev_close: float


class Scaled:
    """A path that many instruments share, times one instrument's factor: read like an array of prices in ticks."""

    __slots__ = ("_factor", "_path")

    def __init__(self, path: Floats, factor: float) -> None:
        self._path, self._factor = path, factor

    def __getitem__(self, index: int | slice) -> NDArray[np.int32]:
        return _in_ticks(self._path[index] * self._factor)


class Steps:
    """A path that seldom changes, as the highest price of a day so far does: only its changes are kept."""

    __slots__ = ("_at", "_values")

    def __init__(self, path: Whole) -> None:
        changed = np.flatnonzero(np.diff(path, prepend=path[0] - 1))
        self._at: array[int] = array("i", changed.tolist())
        self._values: array[int] = array("i", path[changed].tolist())

    def __getitem__(self, index: int) -> int:
        return self._values[bisect_right(self._at, index) - 1]


class Series(NamedTuple):
    """An instrument's day by tick index, prices in ticks; `first` and `last` bound its session's indices.

    Whole numbers are kept in the narrowest type that holds the day's: a chain has hundreds of contracts."""

    ltp: Whole | Scaled
    high: Steps | Scaled
    low: Steps | Scaled
    volume: Whole
    bid: Floats | None
    ask: Floats | None
    first: int
    last: int
    prev_close: float
    open_interest: int


class Prices(NamedTuple):
    """Prices of an instrument's day: rupees per tick index, volume so far, and the close of the day before."""

    ltp: Floats
    volume: Ints
    prev_close: float
    open_interest: int
    bid: Floats | None = None
    ask: Floats | None = None


class SharedPath(NamedTuple):
    """A day that many instruments share: price as a multiple of the opening one, its high and low so far, volume."""

    ltp: Floats
    high: Floats
    low: Floats
    volume: Ints

    @classmethod
    def of(cls, path: Floats, volume: Ints, first: int) -> SharedPath:
        """Build the shared day of a price path (multiples of the open) and volume; the session begins at `first`."""
        high, low = path.copy(), path.copy()
        high[first:] = np.maximum.accumulate(path[first:])
        low[first:] = np.minimum.accumulate(path[first:])
        return cls(path, high, low, volume)


class SharedPrices(NamedTuple):
    """Prices of one of many instruments that share a path: its opening price, and the close of the day before."""

    path: SharedPath
    opening: float
    prev_close: float


Pricer = Callable[[Instrument], Prices | SharedPrices]
Spots = Callable[[str], Floats]


class MarketDay:
    """The ticks of one day. `times` are ns UTC, ascending; `sessions` bounds each exchange's trading."""

    def __init__(
        self,
        day: date,
        times: Ints,
        sessions: dict[str, Session],
        pricer: Pricer,
        *,
        replayed: bool,
        spots: Spots | None = None,
    ) -> None:
        self.day, self.times, self.sessions, self.replayed = day, times, sessions, replayed
        self._pricer, self._spots = pricer, spots
        self._series: dict[str, Series] = {}

    def price_range(self, underlying: str, index: int) -> tuple[float, float] | None:
        """Return an underlying's lowest and highest price up to a tick; None before the first tick."""
        if index < 0 or self._spots is None:
            return None
        path = self._spots(underlying)[: index + 1]
        return float(path.min()), float(path.max())

    def index_at(self, now: int) -> int:
        """Return the index of the last tick at or before a time (ns); -1 before the first."""
        return int(np.searchsorted(self.times, now, side="right")) - 1

    def trades_at(self, instrument: Instrument, index: int) -> bool:
        """Return whether an instrument has a new quote at tick `index`; a replayed index has one at every tick."""
        if self.replayed and instrument.kind is InstrumentKind.INDEX:
            return True
        series = self.series(instrument)
        return series.first <= index <= series.last

    def series(self, instrument: Instrument) -> Series:
        """Return an instrument's day by tick index; computed at the first call (about 2 ms), then kept."""
        if (found := self._series.get(instrument.id)) is None:
            found = self._series[instrument.id] = self.compute(instrument)
        return found

    def compute(self, instrument: Instrument) -> Series:
        """Compute an instrument's day by tick index, without keeping it."""
        prices = self._pricer(instrument)
        session = self.sessions.get(instrument.exchange)
        first, last = len(self.times), -1
        if session is not None:
            end = session.final_ns if instrument.kind is InstrumentKind.INDEX else session.close_ns
            first = int(np.searchsorted(self.times, session.open_ns, side="left"))
            last = int(np.searchsorted(self.times, end, side="right")) - 1
        if isinstance(prices, SharedPrices):
            path, factor = prices.path, prices.opening / instrument.tick_size
            ltps, highs, lows = (Scaled(column, factor) for column in (path.ltp, path.high, path.low))
            return Series(ltps, highs, lows, path.volume, None, None, first, last, prices.prev_close, 0)
        ltp = _in_ticks(prices.ltp / instrument.tick_size)
        high, low = ltp.copy(), ltp.copy()
        if first <= last:
            high[first:] = np.maximum.accumulate(ltp[first:])
            low[first:] = np.minimum.accumulate(ltp[first:])
        return Series(
            _narrow(ltp),
            Steps(high),
            Steps(low),
            _narrow(prices.volume),
            prices.bid,
            prices.ask,
            first,
            last,
            prices.prev_close,
            prices.open_interest,
        )

    def quote(self, instrument: Instrument, index: int) -> SimulatedQuote:
        """Return an instrument's quote at tick `index`; before its first, yesterday's close without bid and ask."""
        series = self.series(instrument)
        runs_on = self.replayed and instrument.kind is InstrumentKind.INDEX
        index = index if index <= series.last or runs_on else series.last
        if index < 0 or (index < series.first and not runs_on):
            at = int(self.times[max(index, 0)])
            return SimulatedQuote(instrument, at, series.prev_close, 0.0, 0.0, 0, 0, 0.0, 0.0, 0.0, series.prev_close)
        tick = instrument.tick_size
        units = int(series.ltp[index])
        bid, ask = _spread(series, index, units, instrument)
        opened = int(series.ltp[min(series.first, index)])
        return SimulatedQuote(
            instrument,
            int(self.times[index]),
            round(units * tick, 2),
            bid,
            ask,
            int(series.volume[index]),
            series.open_interest,
            round(opened * tick, 2),
            round(int(series.high[index]) * tick, 2),
            round(int(series.low[index]) * tick, 2),
            series.prev_close,
        )


def _narrow(path: Whole) -> Whole:
    """The same numbers, none below 0, in the narrowest type that holds them."""
    return path.astype(np.min_scalar_type(path.max(initial=0)))


def _in_ticks(prices: Floats) -> NDArray[np.int32]:
    return np.maximum(np.rint(prices), 1).astype(np.int32)


def _spread(series: Series, index: int, units: int, instrument: Instrument) -> tuple[float, float]:
    if series.bid is not None and series.ask is not None:
        return round(float(series.bid[index]), 2), round(float(series.ask[index]), 2)
    if instrument.kind is InstrumentKind.INDEX:
        return 0.0, 0.0
    half = 1 + units // 600 if instrument.kind.is_option else 1
    bid = max(units - half, 1)
    ask = max(units + half, bid + 1)
    return round(bid * instrument.tick_size, 2), round(ask * instrument.tick_size, 2)


def price_band(instrument: Instrument, close: float, underlying_close: float) -> tuple[float, float]:
    """Return the day's lowest and highest allowed price in rupees, zeros if the last `close` is not known: a fifth off
    its close for a share, a tenth of its underlying's for a contract, as an option moves at most as far as that."""
    reach = underlying_close * 0.1 if instrument.kind.is_derivative else close * 0.2
    if reach <= 0.0 or close <= 0.0:
        return 0.0, 0.0
    tick = instrument.tick_size
    lower = max(round((close - reach) / tick), 1) * tick
    return round(lower, 2), round(round((close + reach) / tick) * tick, 2)
