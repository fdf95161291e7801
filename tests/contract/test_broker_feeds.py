"""Market data of every broker of the facts through the feed, held against the truth.

One story a broker, two minutes of market: the simulator makes frames as the broker's adapter does, the feed's own
parser, intake and bars read them (`tests/kit/broker_feed.py`). What is true is what the story put in: prices, volumes
and the close of the day before are computed here, and never taken from a frame.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from mytrading.core.time import MINUTE, SECOND
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.market import Bar, Quote
from mytrading.simulator.market.day import SimulatedQuote
from mytrading.simulator.settings.feed_profile import feed_profiles
from tests.kit.broker_feed import BEGIN, BrokerFeed, broker_feed
from tests.kit.feed_process import runtime_folder

NOT_CONFORMED = ("deltaexchange", "dhan_sandbox")
"""A crypto exchange and a broker's test server: listed, not held against."""
BROKERS = tuple(name for name in feed_profiles() if name not in NOT_CONFORMED)
WITHOUT_INDEX_PRICES = ("compositedge", "fivepaisaxts", "ibulls", "iifl", "jainamxts", "wisdom")
WITHOUT_VOLUME = ("motilal",)
"""The volume of its frames is a single trade's, and counts no day."""
BARE_TOKENS = ("fivepaisa", "mstock", "paytm", "samco")
SHARE, OPTION, INDEX = "NSE:SBIN", "NFO:NIFTY01DEC2627000CE", "NSE_INDEX:NIFTY"
USUAL_S, LOCKED_S, JUMPED, FROZEN_S = 75, 15, 6, 30
PREVIOUS = {SHARE: 985.0, OPTION: 15.0, INDEX: 26_000.0}
INTEREST = 123_500
JUMP = 26_290.5
"""An index's price under an option's name."""


def price(instrument: str, second: int) -> float:
    """The last trade of a second: share and index walk, the option trades at 12 for good."""
    if instrument == OPTION:
        return 12.0
    base, tick = (1000.0, 0.05) if instrument == SHARE else (26_280.0, 0.05)
    return round(base + tick * (second * 7 % 23 - second % 5), 2)


def volume(instrument: str, second: int) -> int:
    """The day's volume by a second: 3, 4, 5, 3, … lots of 10 each second, none of an index."""
    return 0 if instrument == INDEX else 50_000 + 10 * (4 * second - second % 3)


class Seen(NamedTuple):
    """What the feed published in each part of the story, and what it said of its instruments at the part's end."""

    usual: dict[str, list[Quote]]
    bars: dict[str, list[Bar]]
    deaf: set[str]
    locked: list[Quote]
    locked_deaf: set[str]
    jumped: list[Quote]
    frozen_age: float


def true_quote(bench: BrokerFeed, name: str, second: int) -> SimulatedQuote:
    """What the exchange shows of an instrument in a second of the story."""
    instrument = bench.venue.instrument(name)
    assert instrument is not None
    ltp = price(name, second)
    sides = {SHARE: (ltp - 0.05, ltp + 0.05), OPTION: (1.0, 50.0)}.get(name, (0.0, 0.0))
    if name == OPTION and second == 0:
        sides = (0.0, 0.0)  # no bid and no offer yet: that alone makes the feed ask for Depth everywhere
    return SimulatedQuote(
        instrument, 0, ltp, round(sides[0], 2), round(sides[1], 2), volume(name, second),
        INTEREST if name == OPTION else 0, ltp + 4.0, ltp + 9.0, ltp - 1.0, PREVIOUS[name],
    )  # fmt: skip


def _play(bench: BrokerFeed) -> Seen:
    second = 0

    def show(*, locked: bool = False) -> None:
        for name in (SHARE, OPTION, INDEX):
            quote = true_quote(bench, name, second)
            bench.trade(_limit_up(quote) if locked and name == SHARE else quote)

    def pass_seconds(count: int, *, locked: bool = False) -> None:
        nonlocal second
        for _ in range(count):
            show(locked=locked)
            bench.step()
            second += 1

    show()
    bench.watch(SHARE, OPTION, INDEX)
    pass_seconds(USUAL_S)
    bench.close_bars()
    usual = {name: bench.quotes(name) for name in (SHARE, OPTION, INDEX)}
    bars = {name: bench.bars(name) for name in usual}
    deaf = bench.deaf()

    bench.fault("side_empty", instrument=SHARE, side="SELL")
    count = len(bench.quotes(SHARE))
    pass_seconds(LOCKED_S, locked=True)
    locked, locked_deaf = bench.quotes(SHARE)[count:], bench.deaf()
    bench.fault("side_empty", count=0)

    count = len(bench.quotes(OPTION))
    bench.fault("ltp_wrong", instrument=OPTION, ltp=JUMP, count=JUMPED)
    pass_seconds(JUMPED + 2, locked=True)
    jumped = bench.quotes(OPTION)[count:]

    bench.fault("ws_mute", instrument=SHARE)
    pass_seconds(FROZEN_S)
    return Seen(usual, bars, deaf, locked, locked_deaf, jumped, bench.age(SHARE))


def _limit_up(quote: SimulatedQuote) -> SimulatedQuote:
    """The share locked 5 % higher, where its former ask is far below."""
    return replace(quote, ltp=1050.0, bid=1050.0, ask=1050.05, high=1050.0)


@cache
def seen(broker: str) -> Seen:
    """The story at a broker, played once."""
    with (
        tempfile.TemporaryDirectory() as folder,
        runtime_folder() as runtime,
        broker_feed(Path(folder), runtime, broker) as bench,
    ):
        return _play(bench)


every_broker = pytest.mark.parametrize("broker", BROKERS)


def priced(broker: str) -> tuple[str, ...]:
    """Instruments whose frames have a price at a broker."""
    return (SHARE, OPTION) if broker in WITHOUT_INDEX_PRICES else (SHARE, OPTION, INDEX)


@every_broker
def test_every_price_that_is_published_is_one_that_was_traded(broker: str) -> None:
    """Guards against the middle of bid and ask, the day's average, and 0, taken for a trade's price."""
    for name in (SHARE, OPTION, INDEX):
        true = {price(name, second) for second in range(USUAL_S)}
        assert {quote.ltp for quote in seen(broker).usual[name]} <= true, name


@every_broker
def test_bar_has_the_prices_of_the_trades_in_its_minute(broker: str) -> None:
    """The whole minute from 10:01 on holds the seconds 10 to 69 of the story."""
    for name in priced(broker):
        traded = [price(name, second) for second in range(10, 70)]
        (bar,) = [bar for bar in seen(broker).bars[name] if bar.start_ns == BEGIN + 10 * SECOND]
        assert bar.end_ns - bar.start_ns == MINUTE
        found = (bar.open, bar.high, bar.low, bar.close)
        assert found == (traded[0], max(traded), min(traded), traded[-1]), name


@every_broker
def test_index_without_prices_makes_no_bar(broker: str) -> None:
    if broker in WITHOUT_INDEX_PRICES:
        assert (seen(broker).usual[INDEX], seen(broker).bars[INDEX]) == ([], [])


@every_broker
def test_bar_has_the_volume_of_its_minute_or_none_at_all(broker: str) -> None:
    """Guards against bars of volume 0, and of the sum of single trades' quantities that were seen."""
    for name in (SHARE, OPTION):
        traded = volume(name, 69) - volume(name, 9)
        (bar,) = [bar for bar in seen(broker).bars[name] if bar.start_ns == BEGIN + 10 * SECOND]
        assert bar.volume == (0 if broker in WITHOUT_VOLUME else traded), name


@every_broker
def test_volume_of_the_day_is_true_or_unknown(broker: str) -> None:
    for name in (SHARE, OPTION):
        true = {volume(name, second) for second in range(USUAL_S)}
        assert {quote.volume for quote in seen(broker).usual[name]} <= {*true, None}, name
        if broker not in WITHOUT_VOLUME:
            assert seen(broker).usual[name][-1].volume in true, name


@every_broker
def test_no_instrument_with_good_prices_is_deaf(broker: str) -> None:
    assert seen(broker).deaf & set(priced(broker)) == set()


@every_broker
def test_reference_is_the_previous_close_or_none(broker: str) -> None:
    """Guards against today's close taken for yesterday's."""
    for name in priced(broker):
        assert {quote.previous_close for quote in seen(broker).usual[name]} <= {PREVIOUS[name], None}, name


@every_broker
def test_open_interest_is_true_or_unknown(broker: str) -> None:
    assert {quote.open_interest for quote in seen(broker).usual[OPTION]} <= {INTEREST, None}


@every_broker
def test_bid_and_ask_are_those_of_the_exchange(broker: str) -> None:
    last = seen(broker).usual[SHARE][-1]
    ltp = price(SHARE, USUAL_S - 1)
    assert (last.bid, last.ask) == (round(ltp - 0.05, 2), round(ltp + 0.05, 2))


@every_broker
def test_price_goes_on_at_a_circuit_and_the_empty_side_is_not_one_to_trade_at(broker: str) -> None:
    """Without a seller the book has no ask, or one that is crossed, which risk refuses; the trades are still seen."""
    assert SHARE not in seen(broker).locked_deaf
    last = seen(broker).locked[-1]
    assert (last.ltp, last.bid) == (1050.0, 1050.0)
    assert last.ask is None or last.ask < 1050.0


@every_broker
def test_index_price_under_an_options_name_is_none_however_often_it_comes(broker: str) -> None:
    assert JUMP not in {quote.ltp for quote in seen(broker).jumped}


@every_broker
def test_instrument_is_not_fresh_while_the_broker_sends_nothing_of_it(broker: str) -> None:
    """Guards against a cache that is sent again and again, and taken for the market."""
    assert seen(broker).frozen_age >= FROZEN_S - 2


@pytest.mark.parametrize("broker", BARE_TOKENS)
def test_message_of_one_token_is_never_another_instruments_price(broker: str) -> None:
    """Two instruments of one token in two segments: each that is priced has its own trades' prices."""
    with (
        tempfile.TemporaryDirectory() as folder,
        runtime_folder() as runtime,
        broker_feed(Path(folder), runtime, broker) as bench,
    ):
        index = _of_kind(bench, InstrumentKind.INDEX)
        share = next(
            item
            for item in bench.venue.listing
            if item.exchange == "NSE" and bench.venue.tokens.of(item.id) == bench.venue.tokens.of(index.id)
        )
        bench.list_contracts(share, index)
        for second in range(20):
            for item, ltp in ((share, 1000.0 + second), (index, 26_000.0 + second)):
                sides = (ltp - 0.05, ltp + 0.05) if item is share else (0.0, 0.0)
                bench.trade(SimulatedQuote(item, 0, ltp, *sides, 100 + second, 0, ltp, ltp, ltp, ltp))
            bench.watch(share.id, index.id)
            bench.step()
        assert {quote.ltp for quote in bench.quotes(share.id)} <= {1000.0 + second for second in range(20)}
        assert {quote.ltp for quote in bench.quotes(index.id)} <= {26_000.0 + second for second in range(20)}
        assert bench.quotes(share.id) or bench.quotes(index.id)


@pytest.mark.parametrize("first", ["share", "index"])
@pytest.mark.parametrize("broker", BARE_TOKENS)
def test_index_is_priced_soon_after_the_share_of_its_token_is_left_out(tmp_path: Path, broker: str, first: str) -> None:
    """On the first start of all the contracts come after the first frames: the share's book stood beside the index for
    12 s, and its price was none for so long."""
    with runtime_folder() as runtime, broker_feed(tmp_path, runtime, broker) as bench:
        index = _of_kind(bench, InstrumentKind.INDEX)
        share = next(
            item for item in bench.venue.listing
            if item.exchange == "NSE" and bench.venue.tokens.of(item.id) == bench.venue.tokens.of(index.id)
        )  # fmt: skip
        order = (share, index) if first == "share" else (index, share)

        def show(turn: int) -> None:
            for item in order:
                ltp = 26_000.0 + turn if item is index else 1255.0
                sides = (0.0, 0.0) if item is index else (1254.9, 1255.1)
                bench.trade(SimulatedQuote(item, 0, ltp, *sides, 100 + turn, 0, ltp, ltp, ltp, ltp - 4.0))

        show(0)
        bench.watch(index.id, share.id)
        for turn in range(1, 9):
            bench.step(0.05)
            show(turn)
        bench.list_contracts(share, index)
        bench.watch(index.id, share.id)
        for turn in range(9, 49):
            bench.step(0.05)
            show(turn)
        assert bench.quotes(index.id)[-1].ltp == 26_048.0, "two seconds after"


def _of_kind(bench: BrokerFeed, kind: InstrumentKind) -> Instrument:
    return next(item for item in bench.venue.listing if item.kind is kind and item.exchange == "NSE_INDEX")


def test_depth_price_zero_takes_the_price_of_depth_frames_alone(tmp_path: Path) -> None:
    """A feed that hears Quote frames beside goes on with them."""
    with runtime_folder() as runtime, broker_feed(tmp_path, runtime, "zerodha") as bench:
        bench.trade(true_quote(bench, SHARE, 0))
        bench.watch(SHARE)
        bench.fault("depth_price_zero", instrument=SHARE)
        for second in range(1, 8):
            bench.trade(true_quote(bench, SHARE, second))
            bench.step()
        heard = {quote.ltp for quote in bench.quotes(SHARE)}
        assert heard and heard <= {price(SHARE, second) for second in range(8)}
        assert len(heard & {price(SHARE, second) for second in range(1, 8)}) > 2 and not bench.deaf()
