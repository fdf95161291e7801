"""Uneven books let the chapter's judge see a table of brokers that is wrong about Depth frames, and even ones do not.

Two minutes of two shares through the simulator's frames and the feed's own parts, in this process. What traded is a
formula here; the table's wrong rows are made here, each contrary to the simulator's profile of the broker.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from lab.brokers.price_judge import PriceEvidence, Sent, Span, Watched, facts_of, judge_prices
from lab.brokers.uneven_books import DEPTH_SHARE, ChapterVenue, is_on_depth
from mytrading.config.brokers import load_brokers
from mytrading.core.time import MINUTE, SECOND
from mytrading.simulator.market.day import SimulatedQuote
from mytrading.simulator.settings.feed_profile import feed_profile
from mytrading.simulator.venue.venue import SimulatedVenue
from tests.kit.broker_feed import BEGIN, BrokerFeed, broker_feed
from tests.kit.feed_process import runtime_folder

OTHER_SHARE = "NSE:INFY"
SECONDS = 140
"""Ten before the first whole minute, and ten behind the second, in which the two bars are closed."""
NOBODY = Span(0, 0)


def price(second: int) -> float:
    """The last trade of a second, walking by tenths of a rupee, the tick of both shares or twice that."""
    return round(1500.0 + 0.1 * (second * 7 % 23), 2)


def volume(second: int) -> int:
    """The day's volume by a second."""
    return 50_000 + 30 * second


def show(bench: BrokerFeed, name: str, second: int) -> None:
    """Trade, in a book whose bid and ask lie a tick off: its middle is the last price."""
    instrument = bench.venue.instrument(name)
    assert instrument is not None
    ltp, tick = price(second), instrument.tick_size
    bid, ask = round(ltp - tick, 2), round(ltp + tick, 2)
    day = (1495.0, 1520.0, 1490.0, 1494.0)  # open, high, low, close before: their average is below all trades
    bench.trade(SimulatedQuote(instrument, 0, ltp, bid, ask, volume(second), 0, *day))


class Played(NamedTuple):
    """The mode of each share's frames, bid and ask of its last quote, and the counts that the judge finds."""

    modes: dict[str, str]
    books: dict[str, tuple[float | None, float | None]]
    found: set[str]


def play(folder: Path, broker: str, venue: type[SimulatedVenue], **wrong: Any) -> Played:
    """The shares' two minutes at a broker of which the table says `wrong`."""
    row = load_brokers()[broker]
    table = {**load_brokers(), broker: replace(row, feed=replace(row.feed, **wrong))}
    names = (DEPTH_SHARE, OTHER_SHARE)
    with runtime_folder() as runtime, broker_feed(folder, runtime, broker, venue=venue, table=table) as bench:
        for name in names:
            show(bench, name, 0)
        bench.watch(*names)
        for second in range(1, SECONDS):
            bench.step()
            for name in names:
                show(bench, name, second)
        bench.close_bars()
        progress = bench.feed.connections.active.subscriptions.progress()
        modes = {one.instrument: one.mode for one in progress}
        lasts = {name: bench.quotes(name)[-1] for name in names}
        watched = [watched_of(bench, name) for name in names]
    profile = feed_profile(broker)
    assert profile is not None
    first = -(-BEGIN // MINUTE) * MINUTE
    assert all(sum(first <= bar.start_ns < first + 2 * MINUTE for bar in one.bars) == 2 for one in watched)
    facts = facts_of(profile, refuses=False)._replace(slack_ns=0)  # nothing is late in this process
    live = Span(first, first + 2 * MINUTE)
    verdict = judge_prices(PriceEvidence(facts, watched, live, NOBODY, (), (), ()))
    return Played(
        modes,
        {name: (one.bid, one.ask) for name, one in lasts.items()},
        {kind for kind in ("price", "volume") if getattr(verdict, kind)},
    )


def watched_of(bench: BrokerFeed, name: str) -> Watched:
    instrument = bench.venue.instrument(name)
    assert instrument is not None
    sent = [Sent(BEGIN + second * SECOND, price(second), volume(second)) for second in range(SECONDS)]
    return Watched(name, instrument.tick_size, sent, {}, bench.bars(name), NOBODY, on_depth=is_on_depth(name))


WRONG = [
    pytest.param("fyers", {"price_frames": ("ltp", "quote", "depth")}, "price", id="fyers, whose Depth has the middle"),
    pytest.param("pocketful", {"price_frames": ("ltp", "quote", "depth")}, "price",
                 id="pocketful, whose Depth has the average"),
    pytest.param("fyers", {"volume_frame": "depth"}, "volume", id="fyers, whose Depth has no volume"),
    pytest.param("upstox", {"volume_frame": "depth"}, "volume", id="upstox, whose Depth has no volume"),
]  # fmt: skip


@pytest.mark.parametrize(("broker", "wrong", "kind"), WRONG)
def test_wrong_row_about_depth_frames_is_seen(tmp_path: Path, broker: str, wrong: dict[str, Any], kind: str) -> None:
    assert play(tmp_path, broker, ChapterVenue, **wrong).found == {kind}


def test_even_book_hides_that_the_middle_was_taken_for_a_trade(tmp_path: Path) -> None:
    played = play(tmp_path, "fyers", SimulatedVenue, price_frames=("ltp", "quote", "depth"))
    assert (set(played.modes.values()), played.found) == ({"Quote"}, set())


@pytest.mark.parametrize("broker", ["fyers", "fivepaisa", "pocketful", "zerodha", "upstox", "iifl"])
def test_right_table_counts_nothing_on_uneven_books(tmp_path: Path, broker: str) -> None:
    played = play(tmp_path, broker, ChapterVenue)
    assert (played.modes[DEPTH_SHARE], played.found) == ("Depth", set())


@pytest.mark.parametrize(("broker", "modes"), [("fyers", ("Depth", "Quote")), ("indmoney", ("Quote", "Quote"))])
def test_one_share_is_on_depth_where_the_broker_has_that_and_the_other_by_its_own_book(
    tmp_path: Path, broker: str, modes: tuple[str, str]
) -> None:
    """Both brokers' quotes have both sides; indmoney refuses Depth, so that its shares have offers from the first."""
    played = play(tmp_path, broker, ChapterVenue)
    assert (played.modes[DEPTH_SHARE], played.modes[OTHER_SHARE]) == modes
    last = price(SECONDS - 1)
    book = (round(last - 0.5, 2), round(last + 0.1, 2))  # five ticks below, one above
    assert played.books == {DEPTH_SHARE: book, OTHER_SHARE: book}


@pytest.mark.parametrize(
    ("instrument", "wanted"),
    [
        ("NSE:RELIANCE", True), ("NFO:NIFTY01DEC2627000CE", True), ("NFO:NIFTY01DEC2627000PE", False),
        ("NSE:BAJFINANCE", False),
    ],
)  # fmt: skip
def test_a_share_and_calls_are_those_on_depth(instrument: str, wanted: bool) -> None:
    assert is_on_depth(instrument) is wanted
