"""Plausibility that cannot freeze, newest-wins, and freshness in two times."""

from __future__ import annotations

import math

import pytest

from mytrading.core.feed.quote_checks import Conflator, PriceCheck, QuoteVerdict
from mytrading.core.feed.staleness import Coverage, Freshness
from mytrading.core.time import SECOND
from mytrading.messages.market import Quote

NIFTY, CALL = "NSE_INDEX:NIFTY", "NFO:NIFTY30DEC2526000CE"


def quote(instrument: str, ltp: float) -> Quote:
    return Quote(instrument, 0, 0, ltp)


def judge(check: PriceCheck, *prices: float, option: bool = False, every_s: float = 0.5, at_s: float = 0.0) -> str:
    """G, H or R for each price, which come at this interval."""
    verdicts = [
        check.judge(CALL if option else NIFTY, price, option, int((at_s + number * every_s) * SECOND))
        for number, price in enumerate(prices)
    ]
    return "".join(verdict.name[0] for verdict in verdicts)


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf])
def test_price_that_is_no_positive_number_is_refused_even_without_validation(price: float) -> None:
    check = PriceCheck(10.0, enabled=False)
    assert judge(check, 100.0, price, 100.0) == "GRG"
    assert check.refused == 1


def test_jump_is_held_and_believed_when_it_is_met_again_a_second_later() -> None:
    check = PriceCheck(10.0)
    assert judge(check, 100.0, 120.0, 121.0, 121.0, 122.0, 122.0) == "GHHGGG"
    assert check.held == 2


def test_wrong_tick_that_comes_in_several_frames_at_once_is_not_believed() -> None:
    check = PriceCheck(10.0)
    assert judge(check, 100.0, 900.0, 900.0, 900.0, 900.0, 101.0, 905.0, every_s=0.1) == "GHHHHGH"


def test_spike_is_dropped_and_the_old_price_goes_on() -> None:
    check = PriceCheck(10.0)
    assert judge(check, 100.0, 900.0, 101.0, 905.0, 102.0, every_s=2.0) == "GHGHG"


def test_filter_that_kept_the_last_good_price_does_not_freeze_for_ever() -> None:
    """The prototype compared every later tick with a price that could never change again."""
    assert judge(PriceCheck(10.0), 100.0, *(150.0 + i / 10 for i in range(50))) == "GHH" + "G" * 48


def test_wandering_jumps_are_believed_after_a_bounded_time() -> None:
    wild = [100.0 * 2.0**number for number in range(1, 23)]
    assert judge(PriceCheck(10.0), 100.0, *wild) == "G" + 2 * "HHHHHHHHHHG"


def test_instrument_that_trades_once_a_minute_has_a_price_again_with_its_second_quote() -> None:
    assert judge(PriceCheck(10.0), 100.0, 150.0, 151.0, every_s=60.0) == "GHG"
    assert judge(PriceCheck(10.0), 100.0, 150.0, 250.0, 400.0, every_s=60.0) == "GHHG"


def test_first_price_is_held_against_the_previous_close_if_there_is_one() -> None:
    check = PriceCheck(10.0)
    assert check.judge(NIFTY, 9.0, False, 0, reference=100.0) is QuoteVerdict.HELD
    assert check.judge(NIFTY, 104.0, False, SECOND, reference=100.0) is QuoteVerdict.GOOD
    assert check.judge("NSE:SBIN", 9.0, False, 0) is QuoteVerdict.GOOD


def test_option_may_triple_between_two_quotes() -> None:
    assert judge(PriceCheck(10.0), 5.0, 15.0, 2.0, 2000.0, option=True) == "GGGH"


def test_validation_off_believes_any_positive_price() -> None:
    assert judge(PriceCheck(10.0, enabled=False), 100.0, 100000.0) == "GG"


def test_forgotten_instrument_starts_anew() -> None:
    check = PriceCheck(10.0)
    judge(check, 100.0)
    check.forget(NIFTY)
    assert judge(check, 500.0) == "G"


def test_conflator_keeps_the_newest_of_each_instrument_and_empties() -> None:
    conflator = Conflator()
    for name, price in (("a", 1.0), ("b", 2.0), ("a", 3.0)):
        conflator.offer(quote(name, price))
    assert [(item.instrument, item.ltp) for item in conflator.drain()] == [("a", 3.0), ("b", 2.0)]
    assert conflator.replaced == 1
    assert conflator.drain() == []


def test_quote_is_fresh_by_market_time_or_by_the_machine_time_floor() -> None:
    freshness = Freshness(floor_ns=2 * SECOND)
    freshness.record_price("a", 100 * SECOND, 10 * SECOND)
    limit = 5 * SECOND
    assert freshness.is_fresh("a", limit, 105 * SECOND, 90 * SECOND)
    assert freshness.is_fresh("a", limit, 700 * SECOND, 12 * SECOND)
    assert not freshness.is_fresh("a", limit, 106 * SECOND, 13 * SECOND)
    assert not freshness.is_fresh("b", limit, 0, 0)


def test_age_counts_from_the_last_touch_or_is_all_time() -> None:
    freshness = Freshness(floor_ns=0)
    freshness.record_price("a", 100, 40)
    assert (freshness.age("a", 50), freshness.age("b", 50)) == (10, 50)
    freshness.forget("a")
    assert freshness.age("a", 50) == 50


def test_coverage_is_a_share_and_that_of_nothing_is_whole() -> None:
    assert Coverage(2, 4, ("b", "c")).share == 0.5
    assert Coverage(0, 0).share == 1.0
