"""Bars from quotes, and longer bars from one-minute bars, both anchored to the session's open.

The feed builds one-minute bars from quotes; feed, engine and backtest aggregate longer ones with `Aggregator`. A bar
that was handed out is final: a quote or minute that arrives for it later is counted, never built in.

Volume is the growth of the day's counter. A counter that falls in session is an old frame's and counts nothing; with
the first quote of another session it counts from zero.

A minute without a quote has no bar. Quotes outside continuous trading make none either, but move the volume counter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from mytrading.core.calendar import Calendar, Session
from mytrading.core.time import MINUTE
from mytrading.messages.market import Bar, Quote

_UNITS = {"m": 1, "h": 60}
_WHOLE_SESSION = 24 * 60
_NEVER = 1 << 62


def timeframe_minutes(timeframe: str) -> int:
    """Return the minutes of `1m`, `15m`, `1h`; 1440 for `1d`, one bar a session. Otherwise `ValueError`."""
    number, unit = timeframe[:-1], timeframe[-1:]
    if timeframe == "1d":
        return _WHOLE_SESSION
    if unit not in _UNITS or not number.isdigit() or int(number) < 1:
        raise ValueError(f"timeframe {timeframe!r}: expected minutes, hours or a day, say 1m, 5m, 15m, 1h or 1d")
    return int(number) * _UNITS[unit]


def bucket(session: Session, ns: int, span_ns: int) -> tuple[int, int]:
    """Return start and end (market ns) of the bar of `span_ns` that contains `ns`; cut off at the session's close."""
    start = session.open_ns + (ns - session.open_ns) // span_ns * span_ns
    return start, min(start + span_ns, session.close_ns)


class Closed(NamedTuple):
    """A bar that ended; not `whole` if quotes from its beginning are missing."""

    bar: Bar
    whole: bool


@dataclass(slots=True)
class _Build:
    """The unfinished bar of one instrument, and its volume counter."""

    exchange: str
    since: int
    start: int = 0
    end: int = 0
    closed_until: int = 0
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    volume: int = 0
    ticks: int = 0
    counter: int | None = None
    session_ns: int = 0
    """Open of the session in which the last bar began."""

    def count(self, volume: int | None, *, new_session: bool = False) -> int:
        """Units since the last quote: none for the first counter, 0 (unknown) or an old one, all of a new session's."""
        before = self.counter
        if not volume or (before is not None and volume < before and not new_session):
            return 0
        self.counter = volume
        if before is None:
            return 0
        return volume - before if volume >= before else volume


class BarBuilder:
    """Builds bars of `minutes` from quotes in the order of their market time. Budget of `add`: 2 µs.

    A bar closes with the first quote at or after its end, or when the clock is `grace` past its end. `late` counts
    quotes for bars already closed, `outside` those outside continuous trading.
    """

    def __init__(self, calendar: Calendar, minutes: int = 1) -> None:
        self._calendar = calendar
        self._span = minutes * MINUTE
        self._timeframe = timeframe_name(minutes)
        self._builds: dict[str, _Build] = {}
        self._next_end: int | None = None
        self.late = 0
        self.outside = 0

    def watch(self, instrument: str, since_ns: int) -> None:
        """Build an instrument's bars, with quotes complete from market `since_ns`; one begun before is not whole."""
        build = self._builds.get(instrument)
        if build is None:
            self._builds[instrument] = _Build(instrument.partition(":")[0], since_ns)
        else:
            build.since = since_ns

    def price(self, instrument: str) -> float:
        """Return the last price (rupees) in the unfinished bar; 0.0 if there is none."""
        build = self._builds.get(instrument)
        return build.close if build is not None and build.end else 0.0

    def interrupt(self) -> None:
        """Note that quotes are being lost: bars are not `whole` until `watch` names when quotes are complete again."""
        for build in self._builds.values():
            build.since = _NEVER

    def recount(self, instrument: str = "") -> None:
        """Take the next volume of an instrument, or ("") of each, for a first one: it is counted in another way."""
        for build in self._builds.values() if not instrument else filter(None, (self._builds.get(instrument),)):
            build.counter = None

    def drop(self, instrument: str) -> None:
        """Discard an instrument's unfinished bar; a later quote begins anew."""
        self._builds.pop(instrument, None)

    def add(self, quote: Quote) -> Closed | None:
        """Add a quote to its instrument's unfinished bar; returns the earlier bar that it closed, or None."""
        build = self._builds.get(quote.instrument)
        if build is None:
            build = self._builds[quote.instrument] = _Build(quote.instrument.partition(":")[0], quote.market_ns)
        ns = quote.market_ns
        if build.start <= ns < build.end:
            price = quote.ltp
            if price > build.high:
                build.high = price
            elif price < build.low:
                build.low = price
            build.close = price
            build.ticks += 1
            if quote.volume != build.counter:
                build.volume += build.count(quote.volume)
            return None
        if ns < max(build.start, build.closed_until):
            self.late += 1
            return None
        closed = self._close(quote.instrument, build, quote.received_ns) if build.end else None
        self._begin(build, quote)
        return closed

    def advance(self, now_ns: int, grace_ns: int, received_ns: int) -> list[Closed]:
        """Close and return the bars that ended `grace_ns` or more before `now_ns` (market ns).
        `received_ns` (machine ns) is stored in them."""
        if self._next_end is None or now_ns < self._next_end + grace_ns:
            return []
        due = [(name, build) for name, build in self._builds.items() if build.end and now_ns >= build.end + grace_ns]
        closed = [self._close(name, build, received_ns) for name, build in due]
        self._next_end = min((build.end for build in self._builds.values() if build.end), default=None)
        return closed

    def _begin(self, build: _Build, quote: Quote) -> None:
        session = self._calendar.session(build.exchange, self._calendar.trading_day(quote.market_ns))
        another = session is not None and session.open_ns != build.session_ns
        traded = build.count(quote.volume, new_session=another)
        if session is None or not session.open_ns <= quote.market_ns < session.close_ns:
            self.outside += 1
            return
        start, end = bucket(session, quote.market_ns, self._span)
        build.start, build.end, build.session_ns = start, end, session.open_ns
        build.open = build.high = build.low = build.close = quote.ltp
        build.volume, build.ticks = traded, 1
        if self._next_end is None or end < self._next_end:
            self._next_end = end

    def _close(self, instrument: str, build: _Build, received_ns: int) -> Closed:
        bar = Bar(
            instrument, self._timeframe, build.start, build.end,
            build.open, build.high, build.low, build.close, build.volume, build.ticks, received_ns,
        )  # fmt: skip
        build.closed_until, build.start, build.end = build.end, 0, 0
        return Closed(bar, build.since <= bar.start_ns)


def timeframe_name(minutes: int) -> str:
    """Return the shortest name of a length in minutes: `1m`, `15m`, `1h`, `1d`."""
    if minutes == _WHOLE_SESSION:
        return "1d"
    return f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"


class Aggregator:
    """Longer bars from one-minute bars. Bars of one instrument come in the order of their start.

    A longer bar closes with the minute that ends it, with the first minute after it, or by the clock. `late` counts
    minutes of bars already closed. Give `advance` a grace above the one the minutes were closed with.
    """

    def __init__(self, calendar: Calendar, timeframes: Iterable[str]) -> None:
        self._calendar = calendar
        self._spans = {name: timeframe_minutes(name) * MINUTE for name in timeframes if name not in ("1m", "tick")}
        self._open: dict[tuple[str, str], Bar] = {}
        self._closed_until: dict[tuple[str, str], int] = {}
        self.late = 0

    def add(self, minute: Bar) -> list[Bar]:
        """Add a one-minute bar; returns the longer bars it completed, empty if none or outside the session."""
        exchange = minute.instrument.partition(":")[0]
        session = self._calendar.session(exchange, self._calendar.trading_day(minute.start_ns))
        if session is None or not session.open_ns <= minute.start_ns < session.close_ns:
            return []
        done: list[Bar] = []
        for timeframe, span in self._spans.items():
            start, end = bucket(session, minute.start_ns, span)
            self._add(minute, timeframe, start, end, done)
        return done

    def _add(self, minute: Bar, timeframe: str, start: int, end: int, done: list[Bar]) -> None:
        key = (minute.instrument, timeframe)
        current = self._open.pop(key, None)
        if current is not None and current.start_ns < start:
            done.append(self._finish(key, current, minute.received_ns))
            current = None
        if start < self._closed_until.get(key, 0):
            self.late += 1
            return
        if current is None:
            joined = Bar(
                minute.instrument, timeframe, start, end,
                minute.open, minute.high, minute.low, minute.close, minute.volume, minute.ticks,
            )  # fmt: skip
        else:
            joined = Bar(
                minute.instrument, timeframe, start, end,
                current.open, max(current.high, minute.high), min(current.low, minute.low), minute.close,
                current.volume + minute.volume, current.ticks + minute.ticks,
            )  # fmt: skip
        if minute.end_ns >= end:
            done.append(self._finish(key, joined, minute.received_ns))
        else:
            self._open[key] = joined

    def advance(self, now_ns: int, grace_ns: int, received_ns: int) -> list[Bar]:
        """Close and return the bars that ended `grace_ns` or more before `now_ns` (market ns).
        `received_ns` (machine ns) is stored in them."""
        ended = [key for key, bar in self._open.items() if now_ns >= bar.end_ns + grace_ns]
        return [self._finish(key, self._open.pop(key), received_ns) for key in ended]

    def _finish(self, key: tuple[str, str], bar: Bar, received_ns: int) -> Bar:
        self._closed_until[key] = bar.end_ns
        return Bar(
            bar.instrument, bar.timeframe, bar.start_ns, bar.end_ns,
            bar.open, bar.high, bar.low, bar.close, bar.volume, bar.ticks, received_ns,
        )  # fmt: skip


def aggregate(minutes: Iterable[Bar], timeframe: str, calendar: Calendar, now_ns: int) -> list[Bar]:
    """Return the completed bars of `timeframe` at market `now_ns`, built from stored one-minute bars.
    The minutes may be of several instruments, each in time order."""
    if timeframe == "1m":
        return list(minutes)
    aggregator = Aggregator(calendar, (timeframe,))
    return [bar for minute in minutes for bar in aggregator.add(minute)] + aggregator.advance(now_ns, 0, 0)
