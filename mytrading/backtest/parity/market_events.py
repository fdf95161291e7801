"""The market of a day, moment after moment: quotes as they came, and the bars that were complete by then.

Made from a tape, or from bars where there is none. Nothing comes before the moment in which the stack could have
seen it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from mytrading.adapters.openalgo.ws.market_frames import FrameParser, StepMark, Tick
from mytrading.adapters.storage.tape import TapeFrame
from mytrading.core.feed.quote_checks import PriceCheck, QuoteVerdict
from mytrading.core.instruments.symbology import parse_symbol, split_id
from mytrading.core.time import SECOND
from mytrading.messages.market import Bar, Quote

_STAMP_TOLERANCE_NS = 2 * SECOND


class ReceivedEvent(NamedTuple):
    """A frame that counted: when it came (machine and market ns), and its quote, if it is one."""

    received_ns: int
    market_ns: int
    quote: Quote | None


class MarketMoment(NamedTuple):
    """One market time: quotes that came, one-minute bars that were complete, in this order."""

    now: int
    quotes: tuple[Quote, ...] = ()
    bars: tuple[Bar, ...] = ()


def accepted(frames: Iterable[TapeFrame], check: PriceCheck, speed: float) -> Iterator[ReceivedEvent]:
    """The frames of a tape as the feed takes them: parsed, and without prices that fail its check."""
    parser = FrameParser(int(_STAMP_TOLERANCE_NS * max(speed, 1.0)))
    options: dict[str, bool] = {}
    for frame in frames:
        parsed = parser.parse(frame.data, frame.received_ns, frame.market_ns)
        if isinstance(parsed, StepMark):
            yield ReceivedEvent(frame.received_ns, frame.market_ns, None)
        elif isinstance(parsed, Tick):
            quote = parsed.quote
            name = quote.instrument
            if name not in options:
                exchange, symbol = split_id(name)
                options[name] = parse_symbol(symbol, exchange).kind.is_option
            verdict = check.judge(name, quote.ltp, options[name], quote.received_ns, quote.previous_close)
            if verdict is QuoteVerdict.GOOD:
                yield ReceivedEvent(frame.received_ns, frame.market_ns, quote)


def of_tape(frames: Sequence[ReceivedEvent], bars: Iterable[Bar], *, lock_step: bool) -> list[MarketMoment]:
    """Moments of a tape. In lock-step all that came at one market time is one moment, else each frame is its own.

    A bar is complete with the frame that ended it, which its machine time names; or by the clock, at a moment of its
    own between two frames; one from the history, at its end.
    """
    new = [not lock_step or one.market_ns != other.market_ns for one, other in pairwise(frames)]
    places = list(accumulate(new, initial=0))  # for each frame the number of its moment
    given: dict[int, list[Bar]] = {}
    clocked: dict[int, list[tuple[int, Bar]]] = {}
    received = [frame.received_ns for frame in frames]
    market = list(accumulate((frame.market_ns for frame in frames), max))  # a new start may set the clock back
    for bar in sorted(bars, key=lambda one: (one.end_ns, one.received_ns)):
        index, at_ns = _place_of(bar, received, market)
        if at_ns and not lock_step:
            clocked.setdefault(index, []).append((at_ns, bar))
        elif index < len(frames):
            given.setdefault(places[index], []).append(bar)
    made: list[MarketMoment] = []
    for index, frame in enumerate(frames):
        quotes = () if frame.quote is None else (frame.quote,)
        if made and index and places[index] == places[index - 1]:
            last = made[-1]
            made[-1] = last._replace(quotes=(*last.quotes, *quotes))
        else:
            now = max(frame.market_ns, made[-1].now if made else 0)
            made.append(MarketMoment(now, quotes, tuple(given.get(places[index], ()))))
        for at_ns, bar in sorted(clocked.get(index, ()), key=lambda one: one[0]):
            made.append(MarketMoment(max(at_ns, made[-1].now), (), (bar,)))
    return made


def _place_of(bar: Bar, received: Sequence[int], market: Sequence[int]) -> tuple[int, int]:
    """The frame with which a bar was complete, and 0; or the last one before the clock did it, and the market time."""
    by_clock = bisect_left(market, bar.end_ns)
    if not bar.received_ns or not received or bar.received_ns < received[0]:
        return by_clock, 0
    last = bisect_right(received, bar.received_ns) - 1
    if market[last] < bar.start_ns:
        return by_clock, 0
    if received[last] == bar.received_ns or last + 1 == len(received):
        return last, 0
    return last, market_time(bar.received_ns, received, market)


def market_time(machine_ns: int, received: Sequence[int], market: Sequence[int]) -> int:
    """The market time at a machine time, as the frames around it have it: theirs, or in proportion between two.

    `received` and `market` are the times of frames, machine and market, in their order; the first is not after it.
    """
    last = bisect_right(received, machine_ns) - 1
    if received[last] == machine_ns or last + 1 == len(received):
        return market[last]
    passed, between = machine_ns - received[last], received[last + 1] - received[last]
    return market[last] + (market[last + 1] - market[last]) * passed // between


def of_bars(bars: Iterable[Bar]) -> list[MarketMoment]:
    """Moments made of bars alone: the open, low and high (high and low where it fell), the close."""
    at: dict[int, tuple[list[Quote], list[Bar]]] = {}
    for bar in sorted(bars, key=lambda one: (one.end_ns, one.instrument)):
        third = (bar.end_ns - bar.start_ns) // 3
        first, second = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
        times = (bar.start_ns, bar.start_ns + third, bar.start_ns + 2 * third, bar.end_ns - 1)
        for ns, price in zip(times, (bar.open, first, second, bar.close), strict=True):
            at.setdefault(ns, ([], []))[0].append(Quote(bar.instrument, ns, ns, price))
        at.setdefault(bar.end_ns, ([], []))[1].append(bar)
    return [MarketMoment(ns, tuple(quotes), tuple(done)) for ns, (quotes, done) in sorted(at.items())]


def joined(one: Iterable[MarketMoment], other: Iterable[MarketMoment]) -> list[MarketMoment]:
    """The moments of both, in the order of time; what is at one time is one moment."""
    made: list[MarketMoment] = []
    for moment in sorted((*one, *other), key=lambda item: item.now):
        if made and made[-1].now == moment.now:
            last = made[-1]
            made[-1] = MarketMoment(moment.now, (*last.quotes, *moment.quotes), (*last.bars, *moment.bars))
        else:
            made.append(moment)
    return made


def with_pauses(
    moments: Sequence[MarketMoment], begin: int, end: int, every_ns: int = SECOND
) -> Iterator[MarketMoment]:
    """The same, with bare moments where nothing came for a while: time passes for who waits for it."""
    now = begin
    for moment in moments:
        while moment.now - now > every_ns:
            now += every_ns
            yield MarketMoment(now)
        yield moment
        now = max(now, moment.now)
    while end - now > every_ns:
        now += every_ns
        yield MarketMoment(now)
