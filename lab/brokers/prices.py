"""An hour of prices at one broker: the feed's bars and freshness against what the simulator really sent.

`/sim/sent` has the true quotes, of before the broker's adapter made frames of them; the bars are the feed's own store.
Nothing here reads the table of brokers but for whether its frames count the day's volume.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lab.brokers.stage import UNITS, Stage, Unplayed
from mytrading.adapters.storage.bar_store import BarReader
from mytrading.core.time import MINUTE, SECOND, format_ist
from mytrading.messages.brokers import find_broker
from mytrading.messages.market import Bar
from mytrading.runtime.host.clock import machine_now
from mytrading.simulator.settings.feed_profile import feed_profiles

SPEED = 20.0
MINUTES = 60
WATCHED = ("NSE:RELIANCE", "NSE_INDEX:NIFTY")
"""What the stack's strategy watches, so that the feed keeps bars of it."""
_NEAR = 0.05 * 1.01
"""A tick in rupees, with room for its arithmetic."""
DATED_NS, COARSE_NS = 2 * SECOND, 10 * SECOND
"""Market time by which a quote may be counted to the next minute: a tenth of a second of the machine at this speed; at
brokers whose frames bear no time of their own it is dated by our clock, so when it is read."""
CALM_NS = 10 * SECOND
"""Machine time after which the restart of the simulator is over for every alert."""
DEAF = ("QUOTES_DROPPED", "COVERAGE_LOW", "MESSAGE_DROPPED", "FEED_MUTE", "FEED_ERROR", "PRICES_APART")
"""Alerts by which the feed says that it hears nothing, or not the right thing."""


class TrueQuote(NamedTuple):
    """A quote that the exchange showed: market ns, last price (rupees), volume of the day."""

    at_ns: int
    ltp: float
    volume: int


class Looseness(NamedTuple):
    """How far a bar may differ: `slack_ns` of its quotes' times, `bounds_only` where its minute is sampled,
    fetched or repeated from a cache, `counts_volume` False where the broker's frames do not count the day's volume."""

    slack_ns: int = 0
    bounds_only: bool = False
    counts_volume: bool = True


def wrong_bars(
    name: str, bars: Sequence[Bar], truth: Sequence[TrueQuote], begin_ns: int, end_ns: int, loose: Looseness
) -> list[str]:
    """Return a line for each whole minute from `begin_ns` to `end_ns` whose bar is missing or is not that of the true
    quotes. A minute without a true quote proves nothing."""
    by_start = {bar.start_ns: bar for bar in bars}
    found = []
    for start in range(begin_ns, end_ns, MINUTE):
        inside = [one for one in truth if start <= one.at_ns < start + MINUTE]
        if not inside:
            continue
        if (bar := by_start.get(start)) is None:
            found.append(f"{name} {format_ist(start, '%H:%M')}: no bar, though {len(inside)} quotes were sent")
        elif why := _difference(bar, inside, truth, loose):
            found.append(f"{name} {format_ist(start, '%H:%M')}: {why}")
    return found


def _difference(bar: Bar, inside: Sequence[TrueQuote], truth: Sequence[TrueQuote], loose: Looseness) -> str:
    """Why a bar is not that of the quotes of its minute, wherever those near its two ends are counted; "" if it is."""
    wide = [one for one in truth if bar.start_ns - loose.slack_ns <= one.at_ns < bar.end_ns + loose.slack_ns]
    low, high = min(one.ltp for one in wide), max(one.ltp for one in wide)
    if bar.low < low - _NEAR or bar.high > high + _NEAR:
        return f"low {bar.low:g} and high {bar.high:g} where prices were {low:g} to {high:g}"
    if loose.bounds_only:
        return ""
    begins, closes = bar.start_ns + loose.slack_ns, bar.end_ns - loose.slack_ns
    firsts = [n for n in range(len(wide)) if n == 0 or wide[n - 1].at_ns < begins]
    ends = [n for n in range(1, len(wide) + 1) if n == len(wide) or wide[n].at_ns >= closes]
    before = [one.volume for one in truth if one.at_ns < wide[0].at_ns]
    cuts = [(wide[first:end], wide[first - 1].volume if first else before[-1] if before else None)
            for first in firsts for end in ends if first < end]  # fmt: skip
    right = [(quotes, known) for quotes, known in cuts if _is_bar_of(bar, [one.ltp for one in quotes])]
    if not right:
        prices = [one.ltp for one in inside]
        true = (prices[0], max(prices), min(prices), prices[-1])
        return f"open, high, low, close {(bar.open, bar.high, bar.low, bar.close)}, true are {true}"
    if loose.counts_volume and all(known is not None and bar.volume != quotes[-1].volume - known
                                   for quotes, known in right):  # fmt: skip
        quotes, known = right[0]
        return f"volume {bar.volume}, {quotes[-1].volume - (known or 0)} were traded"
    return ""


def _is_bar_of(bar: Bar, prices: Sequence[float]) -> bool:
    true = (prices[0], max(prices), min(prices), prices[-1])
    return all(abs(a - b) <= _NEAR for a, b in zip((bar.open, bar.high, bar.low, bar.close), true, strict=True))


def hour_of_prices(stage: Stage, share: str) -> None:
    """An hour of the market at twenty times the speed: bars, an entry, and a share that is frozen for a while."""
    stage.set_clock(stage.market_ns, SPEED)
    stage.until(lambda: not stage.status()["entries_closed"], 60.0, "entries open at the higher speed")
    begin = (stage.market_ns // MINUTE + 3) * MINUTE
    stage.until(lambda: stage.market_ns >= begin, 30.0, "the first whole minute")
    calm_ns = machine_now() + CALM_NS
    stage.enter(share)
    stage.await_entry(lambda: stage.venue.net(share) == UNITS, 20.0, f"{UNITS} of {share} held", share)
    stage.leave(share)
    _freeze(stage, share)
    end = begin + MINUTES * MINUTE
    stage.until(lambda: stage.market_ns >= end + MINUTE, MINUTES * 60 / SPEED + 60.0, "the end of the hour")
    found = [*_bars(stage, begin, end), *_deaf(stage, share, calm_ns)]
    stage.set_clock(stage.market_ns, 1.0)
    if found:
        raise Unplayed("; ".join(found[:6]) + (f"; and {len(found) - 6} more" if len(found) > 6 else ""))


def _freeze(stage: Stage, share: str) -> None:
    """No entry follows on a share of which the broker sends nothing, whatever its adapter repeats."""
    with stage.fault("ws_mute", instrument=share):
        since = stage.market_ns
        stage.until(lambda: stage.market_ns > since + 3 * MINUTE, 30.0, "three minutes without a frame")
        stage.alert("buy", share.partition(":")[2])
        stage.wait_held(share, 0, 4.0, stop=False)


def _bars(stage: Stage, begin_ns: int, end_ns: int) -> Iterable[str]:
    form, reader = feed_profiles()[stage.broker].socket, BarReader(stage.config.bars_dir)
    frames = (form.ltp, form.quote, form.depth, form.index)
    dated = all(one.stamp == "receipt" for one in frames) and not form.stamp_in_seconds
    counts = find_broker(stage.config.brokers, stage.broker).feed.has_volume
    try:
        for name in WATCHED:
            sent = stage.sent(name)
            loose = Looseness(
                DATED_NS if dated else COARSE_NS,
                form.repeat_seconds > 0 or (form.index.price == "zero" and "INDEX" in name),
                counts and "INDEX" not in name,
            )  # fmt: skip
            bars = reader.bars(name, since=begin_ns, until=end_ns)
            yield from wrong_bars(name, bars, [TrueQuote(*one) for one in sent], begin_ns, end_ns, loose)
    finally:
        reader.close()


def _deaf(stage: Stage, frozen: str, calm_ns: int) -> list[str]:
    """Alerts that were still up at some time after the restart of the simulator was over."""
    symbol = frozen.partition(":")[2]
    alerts = (one for one in stage.alerts_since(calm_ns) if one.code in DEAF)
    return [f"{one.code} {one.subject}: {one.text}" for one in alerts if symbol not in f"{one.subject} {one.text}"]
