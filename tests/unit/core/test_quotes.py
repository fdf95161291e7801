"""Plausibility that cannot freeze, newest-wins, and freshness in two times."""

from __future__ import annotations

import math

import pytest

from mytrading.core.quotes import Conflator, Freshness, PriceCheck, Verdict
from mytrading.messages.market import Quote

SECOND = 1_000_000_000
NIFTY, CALL = "NSE_INDEX:NIFTY", "NFO:NIFTY30DEC2526000CE"


def quote(instrument: str, ltp: float) -> Quote:
    return Quote(instrument, 0, 0, ltp)


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf])
def test_price_that_is_no_positive_number_is_refused_even_without_validation(price: float) -> None:
    check = PriceCheck(10.0, enabled=False)
    assert check.judge(NIFTY, price, option=False) is Verdict.REFUSED
    assert check.refused == 1


def test_jump_is_held_and_believed_when_the_next_quote_confirms_it() -> None:
    check = PriceCheck(10.0)
    assert check.judge(NIFTY, 100.0, option=False) is Verdict.GOOD
    assert check.judge(NIFTY, 120.0, option=False) is Verdict.HELD
    assert check.judge(NIFTY, 121.0, option=False) is Verdict.GOOD
    assert check.judge(NIFTY, 122.0, option=False) is Verdict.GOOD
    assert check.held == 1


def test_spike_is_dropped_and_the_old_price_goes_on() -> None:
    check = PriceCheck(10.0)
    check.judge(NIFTY, 100.0, option=False)
    assert check.judge(NIFTY, 900.0, option=False) is Verdict.HELD
    assert check.judge(NIFTY, 101.0, option=False) is Verdict.GOOD
    assert check.judge(NIFTY, 905.0, option=False) is Verdict.HELD


def test_filter_that_kept_the_last_good_price_does_not_freeze_for_ever() -> None:
    """The prototype compared every later tick with a price that could never change again."""
    check = PriceCheck(10.0)
    check.judge(NIFTY, 100.0, option=False)
    verdicts = [check.judge(NIFTY, 150.0 + i, option=False) for i in range(50)]
    assert verdicts.count(Verdict.HELD) == 1


def test_wandering_jumps_are_held_only_until_two_agree() -> None:
    check = PriceCheck(10.0)
    for price, expected in [(100, "GOOD"), (200, "HELD"), (400, "HELD"), (800, "HELD"), (820, "GOOD")]:
        assert check.judge(NIFTY, float(price), option=False) is Verdict[expected]


def test_option_may_triple_between_two_quotes() -> None:
    check = PriceCheck(10.0)
    check.judge(CALL, 5.0, option=True)
    assert check.judge(CALL, 15.0, option=True) is Verdict.GOOD
    assert check.judge(CALL, 2.0, option=True) is Verdict.GOOD
    assert check.judge(CALL, 2000.0, option=True) is Verdict.HELD


def test_validation_off_believes_any_positive_price() -> None:
    check = PriceCheck(10.0, enabled=False)
    check.judge(NIFTY, 100.0, option=False)
    assert check.judge(NIFTY, 100000.0, option=False) is Verdict.GOOD


def test_forgotten_instrument_starts_anew() -> None:
    check = PriceCheck(10.0)
    check.judge(NIFTY, 100.0, option=False)
    check.forget(NIFTY)
    assert check.judge(NIFTY, 500.0, option=False) is Verdict.GOOD


def test_conflator_keeps_the_newest_of_each_instrument_and_empties() -> None:
    conflator = Conflator()
    for name, price in (("a", 1.0), ("b", 2.0), ("a", 3.0)):
        conflator.offer(quote(name, price))
    assert [(item.instrument, item.ltp) for item in conflator.drain()] == [("a", 3.0), ("b", 2.0)]
    assert conflator.replaced == 1
    assert conflator.drain() == []


def test_quote_is_fresh_by_market_time_or_by_the_machine_time_floor() -> None:
    freshness = Freshness(floor_ns=2 * SECOND)
    freshness.touch("a", 100 * SECOND, 10 * SECOND)
    limit = 5 * SECOND
    assert freshness.fresh("a", limit, 105 * SECOND, 90 * SECOND)
    assert freshness.fresh("a", limit, 700 * SECOND, 12 * SECOND)
    assert not freshness.fresh("a", limit, 106 * SECOND, 13 * SECOND)
    assert not freshness.fresh("b", limit, 0, 0)


def test_coverage_counts_fresh_of_expected_and_names_the_stale() -> None:
    freshness = Freshness(floor_ns=0)
    freshness.touch("a", 100, 0)
    freshness.touch("b", 10, 0)
    coverage = freshness.coverage([("a", 5), ("b", 5), ("c", 5), ("b", 500)], 100, 100)
    assert (coverage.fresh, coverage.total, coverage.stale) == (2, 4, ("b", "c"))
    assert coverage.share == 0.5


def test_coverage_of_nothing_is_whole() -> None:
    assert Freshness(0).coverage([], 0, 0).share == 1.0
