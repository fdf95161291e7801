"""Mode that the broker sends behind the simulator's socket, and the leak of OpenAlgo's pool."""

from __future__ import annotations

from mytrading.simulator.ws.hub import LATE_QUOTES, BrokerSubscriptions

SBIN = "NSE:SBIN"
LTP, QUOTE, DEPTH = 1, 2, 3


def passed(pool: BrokerSubscriptions, quotes: int) -> None:
    for _ in range(quotes):
        pool.count_quote(SBIN)


def test_fuller_mode_is_sent_at_once_and_lesser_ones_are_cut_from_it() -> None:
    pool = BrokerSubscriptions()
    pool.add(SBIN, QUOTE, ())
    assert pool.frame_modes(SBIN) == [QUOTE]
    pool.add(SBIN, DEPTH, (QUOTE,))
    pool.add(SBIN, LTP, (QUOTE, DEPTH))
    assert pool.frame_modes(SBIN) == [DEPTH, QUOTE, LTP]
    assert pool.sends_depth(SBIN)


def test_lesser_mode_given_up_first_keeps_the_broker_sending_the_book_when_it_is_wanted_again() -> None:
    pool = BrokerSubscriptions()
    pool.add(SBIN, QUOTE, ())
    pool.add(SBIN, DEPTH, (QUOTE,))
    pool.remove(SBIN, QUOTE, (DEPTH,))
    pool.remove(SBIN, DEPTH, ())
    pool.add(SBIN, QUOTE, ())
    assert pool.frame_modes(SBIN) == [DEPTH, QUOTE]
    passed(pool, LATE_QUOTES)
    assert pool.frame_modes(SBIN) == [QUOTE]
    passed(pool, 100)
    assert pool.frame_modes(SBIN) == [QUOTE]


def test_fuller_mode_given_up_first_leaves_nothing_behind() -> None:
    pool = BrokerSubscriptions()
    pool.add(SBIN, QUOTE, ())
    pool.add(SBIN, DEPTH, (QUOTE,))
    pool.remove(SBIN, DEPTH, (QUOTE,))
    pool.remove(SBIN, QUOTE, ())
    pool.add(SBIN, QUOTE, ())
    assert pool.frame_modes(SBIN) == [QUOTE]


def test_depth_of_another_that_ends_goes_on_for_some_quotes() -> None:
    pool = BrokerSubscriptions()
    pool.add(SBIN, QUOTE, ())
    pool.add(SBIN, DEPTH, (QUOTE,))
    pool.remove(SBIN, DEPTH, (QUOTE,))
    assert pool.frame_modes(SBIN) == [DEPTH, QUOTE]
    passed(pool, LATE_QUOTES)
    assert pool.frame_modes(SBIN) == [QUOTE]
