"""An instrument's bars as a strategy sees them: its own timeframes, in the order of time.

Indicators are computed once over whole columns, which the strategy's series take over uncopied. A longer bar is shown
when it is complete, never before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from functools import cached_property
from itertools import repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.backtest.data.columns import CHUNK, Columns, resample
from mytrading.core.calendar import Calendar
from mytrading.core.engine.strategy_host import StrategyHost
from mytrading.core.time import DAY, IST_OFFSET
from mytrading.messages.market import Bar
from mytrading.strategies.bar_series import BarSeries

MOVED, SHOWN, OPENED = 0, 1, 2
"""Phases of one moment, in their order: bars that end, what is shown then, bars that begin."""
_EPOCH = date(1970, 1, 1).toordinal()


class BarFrame(NamedTuple):
    """Bars of one timeframe, and the row of the feed's own bars that completes each; None if they are those bars."""

    columns: Columns
    lasts: NDArray[np.int64] | None


class BarTape:
    """The bars of one instrument, and the one at hand."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.last = 0.0
        self.last_ns = 0
        self.row = 0

    @property
    def current_bar(self) -> tuple[int, float, float, float, float, float]:
        """Return the current bar: start (ns UTC), open, high, low, close, volume."""
        opens, high, low, close, volume = self.columns.table[:, self.row].tolist()
        return int(self.columns.start_ns[self.row]), opens, high, low, close, volume


class Feed(BarTape):
    """The bars of one instrument, and the strategy that watches it. Of the feeds of one instrument, for several
    strategies, the first one `moves` the market; the others only show bars."""

    def __init__(self, columns: Columns, host: StrategyHost, calendar: Calendar, *, moves: bool = True) -> None:
        super().__init__(columns)
        self.host = host
        self.moves = moves
        self.quiet_ns = 0
        """The end of the newest bar on which the strategy wanted nothing."""
        self._calendar = calendar
        self._ends: dict[int, NDArray[np.int64]] = {}
        self.frames: list[BarFrame] = []
        for timeframe in host.workspace.timeframes if columns.instrument in host.workspace.instruments else ():
            frame = frame_of(columns, timeframe, calendar)
            self.frames.append(frame)
            series = host.workspace.series(columns.instrument, timeframe)
            if len(frame.columns):
                series.adopt(frame.columns.start_ns, frame.columns.table, frame.columns.span_ns)

    def bar_ends(self, index: int) -> NDArray[np.int64]:
        """Return when each bar of the timeframe at `index` in `frames` is complete (ns UTC)."""
        if index not in self._ends:
            self._ends[index] = frame_ends(self.columns, self.frames[index], self._calendar)
        return self._ends[index]

    @property
    def series(self) -> BarSeries:
        """Return the strategy's series of these bars, in its driving timeframe."""
        return self.host.workspace.series(self.columns.instrument, "")

    @cached_property
    def warm_mask(self) -> bytes:
        """Return one byte for each bar of the driving timeframe: 1 where every indicator has a value."""
        return self.host.workspace.warm_rows(self.columns.instrument).tobytes()

    def iter_chunks(
        self, first: int, last: int | None = None
    ) -> Iterator[Iterator[tuple[int, Bar, tuple[float, ...]]]]:
        """Yield the bars in chunks: (number of the next row, bar, indicator values), for a run with this feed only. The
        caller sets the series' cursor and `newest` before each call of the strategy, and clears `slots` at the end."""
        workspace, name = self.host.workspace, self.columns.instrument
        for rows, bars in self.columns.bars(first, last):
            columns = workspace.slot_values(name, rows.start, rows.stop)
            values = zip(*columns, strict=True) if columns else repeat(())
            yield zip(range(rows.start + 1, rows.stop + 1), bars, values, strict=False)

    @property
    def is_only_input(self) -> bool:
        """True if the strategy sees only these bars: one instrument, one timeframe, no quotes or timers."""
        only = self.host.workspace.timeframes == (self.columns.timeframe,)
        return only and self.host.calls_per_bar_only and self.host.workspace.instruments == (self.columns.instrument,)

    def shown_bar(self, frame: int, row: int) -> Bar:
        """Return row `row` of the `frame`-th timeframe as the bar message that the strategy receives."""
        return self.frames[frame].columns.bar(row, int(self.bar_ends(frame)[row]))


class BarStep(NamedTuple):
    """One event of a run: at row `row` of a feed's bars, or of its `frame`-th timeframe."""

    phase: int
    feed: Feed
    frame: int
    row: int
    at_ns: int


def merge_steps(feeds: Sequence[Feed]) -> Iterator[BarStep]:
    """Yield the steps of all feeds' bars by time; at one moment bars that end, then completed bars that strategies
    receive (longer timeframes first), then bars that open."""
    parts: list[tuple[NDArray[np.int64], int, int, int, int]] = []
    for number, feed in enumerate(feeds):
        base = feed.columns
        if feed.moves:
            parts.append((base.start_ns, OPENED, 0, number, -1))
            parts.append((base.start_ns + base.span_ns, MOVED, 0, number, -1))
        for index, frame_bars in enumerate(feed.frames):
            parts.append((feed.bar_ends(index), SHOWN, -frame_bars.columns.span_ns, number, index))
    at = np.concatenate([part[0] for part in parts])
    sizes = [len(part[0]) for part in parts]
    phase, rank, source, frame = (np.repeat([part[n] for part in parts], sizes) for n in range(1, 5))
    row = np.concatenate([np.arange(size) for size in sizes])
    order = np.lexsort((source, rank, phase, at))
    for begin in range(0, len(order), CHUNK):
        part = order[begin : begin + CHUNK]
        columns = (column[part].tolist() for column in (phase, source, frame, row, at))
        for what, number, which, place, moment in zip(*columns, strict=True):
            yield BarStep(what, feeds[number], which, place, moment)


def frame_of(columns: Columns, timeframe: str, calendar: Calendar) -> BarFrame:
    """Resample an instrument's bars to a timeframe; `DataError` if that is impossible."""
    if timeframe == columns.timeframe:
        return BarFrame(columns, None)
    return BarFrame(*resample(columns, timeframe, session_bounds(columns, calendar)[0]))


def frame_ends(columns: Columns, frame: BarFrame, calendar: Calendar) -> NDArray[np.int64]:
    """Return when each bar of a frame is complete (int64 ns UTC): at its end or its session's, but no sooner than the
    last source bar in it."""
    bars, lasts = frame
    _, closes = session_bounds(columns, calendar)
    base = columns.start_ns + columns.span_ns
    if lasts is not None:
        closes, base = closes[lasts], base[lasts]
    return np.maximum(np.minimum(bars.start_ns + bars.span_ns, closes), base)


def session_bounds(columns: Columns, calendar: Calendar) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the open and close (ns) of each bar's session, one a bar; midnight to midnight on days without one."""
    exchange = columns.instrument.partition(":")[0]
    days = (columns.start_ns + IST_OFFSET) // DAY
    unique, inverse = np.unique(days, return_inverse=True)
    opens, closes = unique * DAY - IST_OFFSET, (unique + 1) * DAY - IST_OFFSET
    for index, number in enumerate(unique.tolist()):
        known = exchange in calendar.exchanges
        session = calendar.session(exchange, date.fromordinal(_EPOCH + number)) if known else None
        if session is not None:
            opens[index], closes[index] = session.open_ns, session.close_ns
    return opens[inverse], closes[inverse]
