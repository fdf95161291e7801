"""Longer bars for a test, made of the bars that are fed to it, as the feed makes them of minutes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mytrading.core.time import DAY, IST_OFFSET, MINUTE
from mytrading.messages.market import Bar

_UNITS = {"m": MINUTE, "h": 60 * MINUTE, "d": DAY}
_CLOSE = (15 * 60 + 30) * MINUTE
_CLOSES_THEN = frozenset({"NSE", "BSE", "NFO", "BFO", "NSE_INDEX", "BSE_INDEX"})


def span_of(timeframe: str) -> int:
    """Return the length of a timeframe's bars in ns: `15m`, `1h`, `1d`."""
    return int(timeframe[:-1]) * _UNITS[timeframe[-1]]


class LongerBars:
    """Bars of `timeframes` of each instrument, anchored to `open_ns`, the time of day (ns after midnight in India)."""

    def __init__(self, timeframes: Sequence[str], open_ns: int) -> None:
        self._frames = sorted(timeframes, key=span_of, reverse=True)
        self._open = open_ns
        self._growing: dict[tuple[str, str], Bar] = {}

    def add(self, bar: Bar) -> Iterator[Bar]:
        """Take in a completed bar; yield what it ends, longest first: bars of before it, then those with its end."""
        length, made = span_of(bar.timeframe), []
        for frame in self._frames:
            span = span_of(frame)
            if span <= length or span % length:
                continue
            start, end = self._bucket(bar, span)
            key = (bar.instrument, frame)
            before = self._growing.pop(key, None)
            if before is not None and before.start_ns != start:
                yield before
                before = None
            grown = _joined(before, bar, frame, start, end)
            if bar.end_ns >= end:
                made.append(grown)
            else:
                self._growing[key] = grown
        yield from made

    def _bucket(self, bar: Bar, span: int) -> tuple[int, int]:
        """Start and end of the longer bar that a bar belongs to; the last of a session ends with it."""
        midnight = (bar.start_ns + IST_OFFSET) // DAY * DAY - IST_OFFSET
        if span >= DAY:
            start = midnight
        else:
            opened = midnight + self._open
            start = opened + (bar.start_ns - opened) // span * span
        end, close = start + span, midnight + _CLOSE
        closes = bar.instrument.partition(":")[0] in _CLOSES_THEN and start < close < end
        return start, close if closes else end


def _joined(before: Bar | None, bar: Bar, frame: str, start: int, end: int) -> Bar:
    first = before or bar
    return Bar(
        bar.instrument, frame, start, end, open=first.open, high=max(first.high, bar.high),
        low=min(first.low, bar.low), close=bar.close, volume=bar.volume + (before.volume if before else 0),
        received_ns=bar.received_ns,
    )  # fmt: skip
