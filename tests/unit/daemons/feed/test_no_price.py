"""Frames whose last price is none: no bar, and no reader but risk, which has the book alone."""

from __future__ import annotations

from mytrading.messages.brokers import FeedRules, FrameKind
from tests.kit.frame_bench import DEPTH, NAME, QUOTE, FrameBench, book

DEPTH_HAS_NONE = FeedRules(price_frames=(FrameKind.LTP, FrameKind.QUOTE))


def test_price_of_another_instrument_in_a_frame_gave_bars_and_readers_a_wrong_price() -> None:
    """FA13: after thirty seconds it was believed, as any price is that persists."""
    bench = FrameBench()
    bench.send(0, QUOTE, ltp=100.0, volume=10, bid=99.95, ask=100.05)
    for second in range(1, 60):
        bench.send(second, QUOTE, ltp=23000.0, volume=10 + second, bid=99.95, ask=100.05)
    assert {quote.ltp for quote in bench.readers.quotes} == {quote.ltp for quote in bench.bars.quotes} == {100.0}
    assert bench.age_s(59) == 59.0, "it did not make the instrument fresh: REST is asked"
    alone = bench.readers.alone[NAME]
    assert (alone.ltp, alone.bid, alone.ask, alone.received_ns // 10**9) == (0.0, 99.95, 100.05, 59)


def test_price_that_crashes_with_its_book_is_heard_at_once_after_one_that_was_none() -> None:
    bench = FrameBench()
    bench.send(0, QUOTE, ltp=100.0, volume=10, bid=99.95, ask=100.05)
    bench.send(1, QUOTE, ltp=23000.0, volume=11, bid=99.95, ask=100.05)
    bench.send(2, QUOTE, ltp=92.0, volume=12, bid=91.95, ask=92.05)
    assert [quote.ltp for quote in bench.bars.quotes] == [100.0, 92.0]
    assert bench.age_s(2) == 0.0


def test_book_frame_after_a_price_that_was_none_brought_the_price_before_it_back() -> None:
    """The last trade of before is not the price of now, and entries would have been made on it."""
    bench = FrameBench(DEPTH_HAS_NONE)
    bench.send(0, QUOTE, ltp=100.0, volume=10, bid=99.95, ask=100.05)
    bench.send(1, QUOTE, ltp=23000.0, volume=11, bid=99.95, ask=100.05)
    bench.send(1.5, DEPTH, ltp=0.0, **book(99.0, 101.0))
    assert [quote.ltp for quote in bench.readers.quotes] == [100.0]
    alone = bench.readers.alone[NAME]
    assert (alone.ltp, alone.bid, alone.ask, alone.received_ns) == (0.0, 99.0, 101.0, 1_500_000_000)
    bench.send(2, QUOTE, ltp=100.5, volume=12, bid=100.0, ask=101.0)
    bench.send(2.5, DEPTH, ltp=0.0, **book(100.1, 100.9))
    assert [(quote.ltp, quote.bid) for quote in bench.readers.quotes[-2:]] == [(100.5, 99.0), (100.5, 100.1)]
