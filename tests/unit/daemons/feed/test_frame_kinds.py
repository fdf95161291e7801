"""Raw frames as brokers' adapters fill them, kind by kind, and what bars and readers get of them.

Figures are arithmetic of the frames that a test sends. Where a rule could err on either side, one test has the wrong
price that must not be believed and another the live instrument that must not fall deaf.
"""

from __future__ import annotations

import json

import pytest

from mytrading.adapters.openalgo.ws.market_frames import FrameParser, Tick, depth_of
from mytrading.core.feed.quote_fields import BOOK_NS, FIGURE_NS, KIND_NS
from mytrading.core.feed.staleness import DEAF_NS
from mytrading.core.time import SECOND
from mytrading.messages.brokers import UNLISTED, BrokerRules, FeedRules, FrameKind
from tests.kit.frame_bench import DEPTH, LTP, NAME, NOON, QUOTE, FrameBench, book, level

QUOTES_ONLY = FeedRules(price_frames=(FrameKind.LTP, FrameKind.QUOTE), volume_frame=FrameKind.QUOTE)
TRADES = FeedRules(price_frames=tuple(FrameKind))
BOOK_S, KIND_S, FIGURE_S = BOOK_NS // SECOND, KIND_NS // SECOND, FIGURE_NS // SECOND


# F1, F9, FA3: the last price


def test_middle_of_the_book_in_depth_frames_is_no_price() -> None:
    """Last traded at 12, bid 1, ask 50: bars, last price and P&L stood at 25.5."""
    bench = FrameBench(QUOTES_ONLY)
    for second in range(20):
        if second % 5 == 0:
            bench.send(second, QUOTE, ltp=12.0, volume=100 + second)
        bench.send(second + 0.1, DEPTH, ltp=25.5, **book(1.0, 50.0))
    assert {quote.ltp for quote in bench.readers.quotes} == {12.0}
    bar = bench.minute()
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (12.0, 12.0, 12.0, 12.0, 15)
    assert (bench.last.bid, bench.last.ask) == (1.0, 50.0)


def test_middle_price_of_a_broker_that_is_not_known_yet_does_not_contradict_its_quotes() -> None:
    """Until a ping has named the broker any price counts, and of two that differ that of the Quote frame."""
    bench = FrameBench()
    for second in range(10):
        bench.send(second, QUOTE, ltp=100.0 + second, volume=second + 1, bid=90.0, ask=130.0)
        bench.send(second + 0.5, DEPTH, ltp=110.0, **book(90.0, 130.0))
    assert [quote.ltp for quote in bench.bars.quotes] == [100.0 + second for second in range(10)]


def test_depth_alone_of_a_broker_that_is_not_known_gives_prices_and_bars() -> None:
    """Quote frames that came at first and never again must not make the instrument deaf."""
    bench = FrameBench()
    bench.send(0, QUOTE, ltp=100.0, volume=10)
    for half in range(1, 20):
        bench.send(half / 2, DEPTH, ltp=100.0 + half, volume=10 + half, **book(99.0 + half, 101.0 + half))
    prices = [quote.ltp for quote in bench.bars.quotes]
    assert prices == [100.0] + [100.0 + half for half in range(2 * BOOK_S, 20)]
    assert (bench.age_s(9.5), bench.deaf(30)) == (0.0, {})


def test_depth_frames_with_a_trade_price_are_believed_between_quotes() -> None:
    bench = FrameBench(TRADES)
    bench.send(0, QUOTE, ltp=100.0, volume=10)
    bench.send(0.2, DEPTH, ltp=101.0, volume=12, **book(100.9, 101.1))
    assert (bench.last.ltp, bench.age_s(0.2), len(bench.bars.quotes)) == (101.0, 0.0, 2)


def test_book_without_a_price_of_its_own_is_no_tick_and_makes_nothing_fresh() -> None:
    """A stop is valued at the bid that comes, and the age of the price goes on, here and at every reader."""
    bench = FrameBench(QUOTES_ONLY)
    bench.send(0, QUOTE, ltp=100.0, volume=10)
    for second in range(1, 8):
        bench.send(second, DEPTH, ltp=0, **book(99.0 - second, 101.0))
    assert len(bench.bars.quotes) == 1 and bench.minute().ticks == 1
    assert (bench.last.ltp, bench.last.bid, bench.last.ask) == (100.0, 92.0, 101.0)
    assert (bench.last.market_ns, bench.last.received_ns) == (NOON, 0), "the stamps of the price"
    assert bench.age_s(7) == 7.0
    bench.health.update_coverage(NOON + 7 * SECOND, 7 * SECOND, frozenset((NAME,)), lambda _: True)
    assert bench.health.stale_held == (NAME,)


def test_book_frames_without_a_last_price_do_not_make_a_quiet_instrument_deaf() -> None:
    bench = FrameBench(QUOTES_ONLY)
    bench.send(0, QUOTE, ltp=100.0, volume=10)
    for second in range(1, 2 * DEAF_NS // SECOND):
        bench.send(second, DEPTH, ltp=0, **book(99.0, 101.0))
    assert bench.deaf(2 * DEAF_NS // SECOND) == {}
    bench.send(30, QUOTE, ltp=100.5, volume=11)
    assert (bench.last.ltp, bench.age_s(30)) == (100.5, 0.0)


def test_frames_with_neither_price_nor_book_make_the_instrument_deaf_and_are_counted() -> None:
    bench = FrameBench()
    for second in range(DEAF_NS // SECOND + 2):
        bench.send(second, QUOTE, ltp=0, volume=0, open=0, high=0, low=0, close=0)
    assert bench.deaf(DEAF_NS // SECOND + 2) == {NAME: DEAF_NS // SECOND + 2}
    assert bench.readers.quotes == []


def test_quotes_whose_depth_has_no_ltp_key_are_quotes_with_a_book() -> None:
    """Depth frames without the key were dropped as malformed, and the book with them."""
    bench = FrameBench(QUOTES_ONLY)
    bench.send(0, QUOTE, ltp=100.0, volume=10)
    bench.send(0.1, DEPTH, **book(99.0, 101.0))
    bench.send(0.2, QUOTE, ltp=100.5, volume=12)
    assert (bench.last.ltp, bench.last.bid, bench.last.ask, bench.last.volume) == (100.5, 99.0, 101.0, 12)


def test_depth_before_the_first_price_is_kept_for_it_and_published_with_it() -> None:
    bench = FrameBench(QUOTES_ONLY)
    bench.send(0, DEPTH, ltp=0, **book(99.0, 101.0))
    assert bench.readers.quotes == []
    bench.send(0.5, QUOTE, ltp=100.0, volume=10)
    assert (bench.last.ltp, bench.last.bid, bench.last.ask) == (100.0, 99.0, 101.0)


# F6: volume and the day's figures


def test_volume_and_the_days_figures_are_those_of_the_quotes_where_depth_has_none() -> None:
    """Quote frames count 10 a quarter second: bars had volume 0, and the last quote neither open nor previous close."""
    bench = FrameBench(FeedRules(price_frames=tuple(FrameKind), volume_frame=FrameKind.QUOTE))
    for quarter in range(200):
        at, price = quarter / 4, 100.0 + quarter % 7
        bench.send(at, QUOTE, ltp=price, volume=5000 + 10 * quarter, open=98.0, high=107.0, low=97.0, close=96.5)
        bench.send(at + 0.01, DEPTH, ltp=price, **book(price - 0.5, price + 0.5))
    last = bench.last
    assert (last.volume, last.open, last.high, last.low, last.previous_close) == (5000 + 1990, 98.0, 107.0, 97.0, 96.5)
    assert bench.minute().volume == 1990


def test_volume_comes_from_one_kind_of_frame_though_another_has_a_figure_too() -> None:
    """Quantities of single trades in LTP packets beside the day's volume in Depth made 36,985 of 58,045 units."""
    bench = FrameBench(FeedRules(price_frames=tuple(FrameKind), volume_frame=FrameKind.DEPTH))
    for second in range(50):
        bench.send(second, DEPTH, ltp=100.0 + second, volume=20_000 + 300 * second, **book(99.0, 160.0))
        bench.send(second + 0.4, LTP, ltp=100.5 + second, volume=7 + second)
    assert {quote.volume for quote in bench.bars.quotes} == {20_000 + 300 * second for second in range(50)}
    assert bench.minute().volume == 300 * 49


def test_quantity_of_a_trade_before_the_first_depth_frame_is_no_volume_of_the_day() -> None:
    """Of a broker that is not known the fuller frame's volume replaces the lesser one's, and is not counted from it."""
    bench = FrameBench()
    bench.send(0, QUOTE, ltp=100.0, volume=36)
    for second in range(1, 11):
        bench.send(second, DEPTH, ltp=100.0, volume=36_985 + 100 * second, **book(99.0, 101.0))
    assert (bench.minute().volume, bench.last.volume) == (100 * 9, 36_985 + 1000)


def test_rules_that_a_ping_brings_later_forget_the_volume_that_was_learnt_without_them() -> None:
    bench = FrameBench()
    bench.send(0, QUOTE, ltp=100.0, volume=36)
    bench.connection.rules = BrokerRules(feed=FeedRules(volume_frame=FrameKind.DEPTH))
    for second in range(1, 6):
        bench.send(second, DEPTH, ltp=100.0, volume=36_985 + 100 * second, **book(99.0, 101.0))
    assert bench.minute().volume == 100 * 4


def test_volume_of_depth_that_no_longer_comes_goes_on_with_the_quotes() -> None:
    """Another client's book ends: bars must not stand at volume 0 for the rest of the day."""
    bench = FrameBench()
    bench.send(0, DEPTH, ltp=100.0, volume=1000, **book(99.0, 101.0))
    for second in range(1, 2 * KIND_S):
        bench.send(second, QUOTE, ltp=100.0 + second % 3, volume=1000 + 5 * second)
    assert bench.last.volume == 1000 + 5 * (2 * KIND_S - 1)
    assert bench.minute().volume == 5 * (2 * KIND_S - 1)


def test_counter_of_an_old_frame_is_neither_shown_nor_counted() -> None:
    """After 9,005 a frame with 8,990 put the day's whole volume into one bar."""
    bench = FrameBench()
    for at, volume in ((0, 9000), (1, 9005), (2, 8990), (3, 9010)):
        bench.send(at, QUOTE, ltp=100.0 + at, volume=volume)
    assert [quote.volume for quote in bench.bars.quotes] == [9000, 9005, 9005, 9010]
    assert [quote.ltp for quote in bench.bars.quotes] == [100.0, 101.0, 102.0, 103.0], "its price is a trade's"
    assert bench.minute().volume == 10


def test_copy_of_another_frame_with_volume_0_is_no_tick_of_the_price_before() -> None:
    """Depth frames that come as Quote frames too: a minute opened at the last trade of the one before."""
    bench = FrameBench(QUOTES_ONLY)
    for second, price in ((58, 100.0), (59, 101.0), (61, 105.0), (62, 106.0)):
        bench.send(second - 0.4, QUOTE, ltp=bench.last.ltp if second > 58 else 0, volume=0, bid=90.0, ask=second + 50.0)
        bench.send(second, QUOTE, ltp=price, volume=10 * second, bid=90.0, ask=second + 50.0)
    (first,) = bench.bars.bars
    assert (first.open, first.close, bench.minute().open) == (100.0, 101.0, 105.0)
    bench.send(65, QUOTE, ltp=106.0, volume=0, bid=91.0, ask=120.0)
    assert (bench.last.bid, bench.last.ask, bench.last.volume) == (91.0, 120.0, 620), "its book is the market's"
    assert bench.age_s(65) == 3.0, "no price came with it"
    assert bench.deaf(65 + 2 * DEAF_NS // SECOND) == {}


@pytest.mark.parametrize(
    ("rules", "volume", "price"),
    [
        pytest.param(QUOTES_ONLY, 500, 101.0, id="another price is a trade's, whatever the counter says"),
        pytest.param(QUOTES_ONLY, 0, 100.0, id="nothing has traded yet"),
        pytest.param(FeedRules(price_frames=tuple(FrameKind), volume_frame=FrameKind.DEPTH), 500, 100.0,
                     id="volume stands in other frames"),
        pytest.param(FeedRules(), 500, 100.0, id="nothing is known of the broker"),
    ],
)  # fmt: skip
def test_quote_with_volume_0_is_as_fresh_as_any_where_it_may_be_no_copy(
    rules: FeedRules, volume: int, price: float
) -> None:
    bench = FrameBench(rules)
    if rules.volume_frame is FrameKind.DEPTH:
        bench.send(0, DEPTH, ltp=100.0, volume=volume, **book(99.0, 102.0))
    else:
        bench.send(0, QUOTE, ltp=100.0, volume=volume, bid=99.0, ask=102.0)
    bench.send(5, QUOTE, ltp=price, volume=0, bid=99.0, ask=102.5)
    assert (bench.age_s(6), [quote.ltp for quote in bench.bars.quotes]) == (1.0, [100.0, price])


def test_counter_that_was_wrong_once_does_not_silence_the_volume_of_the_day() -> None:
    """A stray 5,000,000 among hundreds: believed for ten seconds, then the counter that all frames have."""
    bench = FrameBench()
    bench.send(0, QUOTE, ltp=100.0, volume=5_000_000)
    for second in range(1, 31):
        bench.send(second, QUOTE, ltp=100.0, volume=100 * second)
    assert bench.last.volume == 3000
    assert bench.minute().volume == 3000 - 1100, "from the frame at which it was believed"


def test_volume_of_the_day_before_that_was_sent_before_the_open_is_no_fall() -> None:
    bench = FrameBench()
    open_s = (9 * 60 + 15 - 12 * 60) * 60
    bench.send(open_s - 1500, QUOTE, ltp=100.0, volume=5_000_000, close=99.0)
    bench.send(open_s + 1, QUOTE, ltp=100.0, volume=300)
    bench.send(open_s + 2, QUOTE, ltp=100.5, volume=340)
    assert (bench.last.volume, bench.last.previous_close) == (340, None), "nothing of the day before is today's"
    assert bench.minute().volume == 340


def test_volume_and_open_interest_that_have_not_come_for_a_minute_are_not_known() -> None:
    bench = FrameBench(FeedRules(price_frames=tuple(FrameKind), volume_frame=FrameKind.DEPTH))
    bench.send(0, DEPTH, ltp=100.0, volume=1000, oi=500, **book(99.0, 101.0))
    bench.send(FIGURE_S - 1, QUOTE, ltp=101.0, volume=7)
    assert (bench.last.volume, bench.last.open_interest) == (1000, 500)
    bench.send(FIGURE_S + 1, QUOTE, ltp=102.0, volume=7)
    assert (bench.last.volume, bench.last.open_interest) == (None, None)


def test_packets_of_one_kind_that_share_the_fields_among_them_are_one_quote() -> None:
    """One packet has volume and no book, the next bid and ask and no volume, both under the topic of Quote."""
    bench = FrameBench(FeedRules(price_frames=(FrameKind.LTP, FrameKind.QUOTE)))
    for second in range(5):
        bench.send(second, QUOTE, ltp=1500.0 + second, volume=10 + second, open=1490.0, close=1480.0)
        bench.send(second + 0.3, QUOTE, ltp=1500.0 + second, bid_price=1499.0 + second, ask_price=1501.0 + second)
    assert (bench.last.ltp, bench.last.bid, bench.last.ask, bench.last.volume) == (1504.0, 1503.0, 1505.0, 14)
    assert (bench.last.open, bench.last.previous_close) == (1490.0, 1480.0)
    assert bench.minute().volume == 4


# the book


def test_bid_and_ask_are_never_of_two_frames() -> None:
    """At a circuit one side is empty: its price of before, beside the new one, made a crossed book."""
    bench = FrameBench(TRADES)
    bench.send(0, QUOTE, ltp=1500.0, volume=1, bid=1499.0, ask=1501.0)
    bench.send(0.5, DEPTH, ltp=1650.0, volume=2, **book(1650.0, None))
    assert (bench.last.bid, bench.last.ask) == (1650.0, None)
    bench.send(0.6, QUOTE, ltp=1650.0, volume=3, bid=1499.0, ask=1501.0)
    assert (bench.last.bid, bench.last.ask) == (1650.0, None), "the fuller book of the last two seconds"


def test_book_that_no_longer_comes_falls_away_or_is_the_lesser_frames() -> None:
    bench = FrameBench(TRADES)
    bench.send(0, DEPTH, ltp=100.0, volume=1, **book(99.0, 101.0))
    bench.send(BOOK_S - 0.1, QUOTE, ltp=100.5, volume=2)
    assert (bench.last.bid, bench.last.ask) == (99.0, 101.0)
    bench.send(BOOK_S, QUOTE, ltp=110.0, volume=3)
    assert (bench.last.bid, bench.last.ask) == (None, None)
    bench.send(BOOK_S + 0.1, QUOTE, ltp=110.0, volume=4, bid=109.5, ask=110.5)
    assert (bench.last.bid, bench.last.ask) == (109.5, 110.5)


def test_empty_book_between_full_ones_leaves_the_book_of_just_now() -> None:
    """Ticks of the last price alone come under Depth with two empty sides."""
    bench = FrameBench(TRADES)
    bench.send(0, DEPTH, ltp=100.0, volume=1, **book(99.0, 101.0))
    bench.send(0.5, DEPTH, ltp=100.5, depth={"buy": [], "sell": []})
    assert (bench.last.ltp, bench.last.bid, bench.last.ask, bench.last.volume) == (100.5, 99.0, 101.0, 1)


# F11: what `close` is


def test_close_of_frames_in_which_it_is_todays_is_no_previous_close() -> None:
    bench = FrameBench(FeedRules(not_previous_close=(FrameKind.QUOTE,)))
    bench.send(0, QUOTE, ltp=100.0, volume=1, bid=99.0, ask=101.0, open=98.0, close=100.0)
    assert (bench.last.open, bench.last.previous_close) == (98.0, None)
    bench.send(0.1, DEPTH, ltp=100.0, volume=1, close=96.0, **book(99.0, 101.0))
    bench.send(0.2, QUOTE, ltp=101.0, volume=2, bid=99.0, ask=101.0, open=98.0, close=101.0)
    assert bench.last.previous_close == 96.0


# the judge comes between


def test_frame_whose_price_is_not_believed_leaves_book_volume_and_figures_as_they_were() -> None:
    """A message of another instrument of the same token: its book beside our price would close positions."""
    bench = FrameBench(TRADES)
    bench.send(0, DEPTH, ltp=7000.0, volume=100, open=6990.0, **book(6999.0, 7001.0))
    bench.send(0.5, DEPTH, ltp=26_280.0, volume=9_000_000, open=26_000.0, **book(26_279.0, 26_281.0))
    bench.send(0.6, QUOTE, ltp=7001.0)
    last = bench.last
    assert (last.ltp, last.bid, last.ask, last.volume, last.open) == (7001.0, 6999.0, 7001.0, 100, 6990.0)
    assert len(bench.readers.quotes) == 2


def test_price_that_was_not_believed_is_not_the_price_of_the_books_after_it() -> None:
    bench = FrameBench(QUOTES_ONLY)
    bench.send(0, QUOTE, ltp=100.0, volume=1)
    bench.send(0.5, QUOTE, ltp=900.0, volume=2)
    bench.send(0.6, DEPTH, ltp=0, **book(99.5, 100.5))
    assert (bench.last.ltp, bench.last.bid) == (100.0, 99.5)


# F7: values that are sent again


REPEATS = FeedRules(republishes=True)


def test_frozen_instrument_of_a_broker_that_sends_its_cache_again_grows_old() -> None:
    """240 equal prices in 120 s beside live instruments: age 0, and a stop by that price would not have come."""
    bench = FrameBench(REPEATS)
    for half in range(240):
        bench.send(half / 2, DEPTH, ltp=100.0, volume=500, timestamp=1000 + half, ltt=1000 + half, **book(99.0, 101.0))
    assert (bench.age_s(120), len(bench.bars.quotes), len(bench.readers.quotes)) == (120.0, 1, 1)
    assert bench.health.silent_instruments((NAME,), 3 * SECOND, NOON + 120 * SECOND, 120 * SECOND) == [NAME]
    assert bench.deaf(120) == {}, "it is quiet, for all that is known: a held one is settled by REST"


def test_change_of_price_volume_or_book_makes_it_fresh_again() -> None:
    for change in ({"ltp": 101.0}, {"volume": 501}, book(99.5, 101.0), book(99.0, 102.0)):
        bench = FrameBench(REPEATS)
        frame = {"ltp": 100.0, "volume": 500, **book(99.0, 101.0)}
        for at in (0, 5):
            bench.send(at, DEPTH, **frame)
        assert bench.age_s(6) == 6.0
        bench.send(6, DEPTH, **{**frame, **change})
        assert (bench.age_s(6), len(bench.bars.quotes)) == (0.0, 2), change


def test_jump_that_is_sent_again_until_it_is_believed_is_published() -> None:
    """A price held for its jump comes again unchanged: it is still new to every reader."""
    bench = FrameBench(REPEATS)
    bench.send(0, DEPTH, ltp=100.0, volume=500, **book(99.0, 101.0))
    for half in range(1, 6):
        bench.send(half / 2, DEPTH, ltp=150.0, volume=600, **book(149.0, 151.0))
    assert [quote.ltp for quote in bench.readers.quotes] == [100.0, 150.0]


def test_new_connection_to_a_dead_cache_makes_nothing_fresh() -> None:
    bench = FrameBench(REPEATS)
    bench.send(0, DEPTH, ltp=100.0, volume=500, **book(99.0, 101.0))
    bench.connection.on_connected(20 * SECOND)
    bench.send(21, DEPTH, ltp=100.0, volume=500, **book(99.0, 101.0))
    assert (bench.age_s(21), bench.connection.pulse.is_well(21 * SECOND)) == (21.0, False)


def test_equal_frames_of_other_brokers_are_as_fresh_as_ever() -> None:
    bench = FrameBench(TRADES)
    for half in range(20):
        bench.send(half / 2, DEPTH, ltp=100.0, volume=500, **book(99.0, 101.0))
    assert (bench.age_s(9.5), len(bench.bars.quotes)) == (0.0, 20)


# sign of life of the source


def test_book_that_changes_is_a_sign_of_life_and_frames_repeated_in_turn_are_none() -> None:
    bench = FrameBench(QUOTES_ONLY)
    pulse = bench.connection.pulse
    bench.send(0, QUOTE, ltp=100.0, volume=1, ltt=1_795_149_570_645)
    for second in range(1, 30):
        bench.send(second, DEPTH, ltp=0, ltt=1_795_149_570, **book(99.0 - second / 100, 101.0))
    assert pulse.is_well(29 * SECOND)
    for second in range(30, 60):
        bench.send(second, DEPTH, ltp=0, ltt=1_795_149_570, **book(98.0, 101.0))
        bench.send(second + 0.1, QUOTE, ltp=100.0, volume=1, ltt=1_795_149_570_645)
    assert pulse.is_mute(60 * SECOND)


# Depth on request


def asked(bench: FrameBench) -> list[str]:
    """The modes that are asked for now."""
    found = []
    while (request := bench.connection.subscriptions.take_next_request(60 * SECOND)) is not None:
        found.append(request["mode"])
        assert len(found) < 5
    return found


def test_quotes_without_bid_and_ask_ask_for_depth_but_never_where_the_broker_refuses_it() -> None:
    has, refuses = FrameBench(TRADES), FrameBench(FeedRules(has_depth=False))
    for bench in (has, refuses):
        assert asked(bench) == []
        bench.send(0, QUOTE, ltp=100.0, volume=1, bid=0, ask=0)
    assert (asked(has), asked(refuses)) == (["Depth"], [])
    refuses.send(1, QUOTE, ltp=101.0, volume=2, bid=100.5, ask=101.5)
    assert (refuses.last.bid, refuses.connection.subscriptions.refused) == (100.5, {})


def test_bid_and_ask_under_their_longest_names_are_a_book_and_need_no_depth() -> None:
    bench = FrameBench(TRADES)
    assert asked(bench) == []
    bench.send(0, QUOTE, ltp=100.0, volume=1, best_bid_price="99.5", best_ask_price=100.5, best_bid_quantity=7)
    assert (bench.last.bid, bench.last.bid_quantity, bench.last.ask, asked(bench)) == (99.5, 7, 100.5, [])


# the parser's table: fields that are no numbers


@pytest.mark.parametrize("value", ["", None, "N/A", "-", [], {}, True])
@pytest.mark.parametrize("name", ["bid", "open", "oi", "volume", "high", "close", "ask_qty"])
def test_field_that_is_no_number_is_not_known_and_the_price_is_heard(name: str, value: object) -> None:
    bench = FrameBench(TRADES)
    bench.send(0, QUOTE, **{"ltp": 100.0, "volume": 5, "bid": 99.0, "ask": 101.0, "open": 98.0, name: value})
    quote = bench.last
    assert (quote.ltp, quote.ask) == (100.0, 101.0)
    known = {"bid": quote.bid, "open": quote.open, "volume": quote.volume}
    assert known == {"bid": 99.0, "open": 98.0, "volume": 5, **({name: None} if name in known else {})}


@pytest.mark.parametrize("empty", [None, "", {}, {"price": None, "quantity": 1}, {"price": "", "quantity": ""}])
def test_level_that_is_empty_is_no_level_and_the_next_one_is_the_best(empty: object) -> None:
    bench = FrameBench(TRADES)
    buy = [empty, level(99.0), {"price": 98.5, "quantity": None, "orders": ""}]
    bench.send(0, DEPTH, ltp=100.0, volume=5, depth={"buy": buy, "sell": None})
    assert (bench.last.ltp, bench.last.bid, bench.last.ask) == (100.0, 99.0, None)
    depth = depth_of(bench.readers.books[NAME], 5)
    assert depth is not None and [(one.price, one.quantity) for one in depth.bids] == [(99.0, 50), (98.5, 0)]


@pytest.mark.parametrize(
    ("text", "price"),
    [("1,527.10", 1527.10), ("1,52,710.5", 152710.5), (" 1527.10 ", 1527.10), ("1,234,567", 1_234_567.0)],
)
def test_price_with_commas_between_its_digits_is_read(text: str, price: float) -> None:
    bench = FrameBench(TRADES)
    bench.send(0, QUOTE, ltp=text, volume="12,345", bid=text)
    assert (bench.last.ltp, bench.last.bid, bench.last.volume) == (price, price, 12345)


@pytest.mark.parametrize(
    "text", ["1527,10", "1.527,10", "1,5", ",527", "1,,527", "15 27", "1_527", "१५२७", "12e999", "0x5"]
)
def test_text_that_is_no_number_or_may_be_two_is_no_price(text: str) -> None:
    """A decimal comma read as a separator would make 152,710 of 1,527.10."""
    data = {"ltp": text, "volume": 5, "depth": {"buy": [level(99.0)], "sell": []}}
    body = {"type": "market_data", "symbol": "SBIN", "exchange": "NSE", "mode": 3, "data": data}
    parsed = FrameParser().parse(json.dumps(body).encode(), 1, 2)
    assert isinstance(parsed, Tick) and (parsed.quote.ltp, parsed.quote.bid) == (0.0, 99.0), "the book stands"


def test_lenient_reader_is_for_refused_frames_alone_and_counts_them() -> None:
    bench = FrameBench(TRADES)
    bench.send(0, QUOTE, ltp="100.5", volume="7", bid=100.0, ask=101.0)
    assert bench.parser.lenient == 0
    bench.send(1, QUOTE, ltp="100.5", volume="", bid=100.0, ask=101.0)
    bench.send(2, DEPTH, ltp=100.0, depth={"buy": [None], "sell": None})
    assert (bench.parser.lenient, len(bench.bars.quotes)) == (2, 3)


def test_source_begins_with_the_cautious_rules() -> None:
    bench = FrameBench()
    assert bench.connection.rules is UNLISTED
