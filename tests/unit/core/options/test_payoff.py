"""Payoffs against sums done by hand: one lot of 75, prices in rupees."""

from __future__ import annotations

import pytest

from mytrading.core.options.payoff import PayoffLeg, payoff, premium, profit

LOT = 75


def leg(kind: str, lots: int, price: float, strike: float = 0.0, **more: float) -> PayoffLeg:
    return PayoffLeg(kind, lots * LOT, price, strike, **more)


def test_short_straddle_earns_the_premium_at_its_strike_and_has_no_floor() -> None:
    legs = [leg("CE", -1, 120.0, 26_000), leg("PE", -1, 100.0, 26_000)]
    found = payoff(legs, 26_010.0)
    assert found.net == -220 * LOT
    assert found.breakevens == (25_780.0, 26_220.0)
    assert (found.most, found.least) == (220 * LOT, None)
    assert profit(legs, 26_300.0) == (220 - 300) * LOT


def test_iron_condor_is_bounded_on_both_sides() -> None:
    legs = [
        leg("PE", 1, 20.0, 25_700),
        leg("PE", -1, 60.0, 25_900),
        leg("CE", -1, 70.0, 26_100),
        leg("CE", 1, 25.0, 26_300),
    ]
    found = payoff(legs, 26_000.0)
    assert premium(legs) == -85 * LOT
    assert found.breakevens == (25_815.0, 26_185.0)
    assert found.most == 85 * LOT
    assert found.least == pytest.approx((85 - 200) * LOT)


def test_bull_call_spread_by_hand() -> None:
    found = payoff([leg("CE", 1, 150.0, 26_000), leg("CE", -1, 90.0, 26_150)], 26_000.0)
    assert found == (60 * LOT, (26_060.0,), 90 * LOT, -60 * LOT)


def test_bear_put_spread_by_hand() -> None:
    found = payoff([leg("PE", 1, 140.0, 26_000), leg("PE", -1, 80.0, 25_850)], 26_000.0)
    assert found == (60 * LOT, (25_940.0,), 90 * LOT, -60 * LOT)


def test_covered_call_on_a_future_costs_nothing_but_the_call_and_gains_up_to_its_strike() -> None:
    legs = [leg("FUT", 1, 26_050.0), leg("CE", -1, 80.0, 26_200)]
    found = payoff(legs, 26_000.0)
    assert found.net == -80 * LOT
    assert found.breakevens == (25_970.0,)
    assert (found.most, found.least) == (230 * LOT, -25_970.0 * LOT)


def test_bought_call_gains_without_bound_and_loses_its_premium() -> None:
    found = payoff([leg("CE", 1, 100.0, 26_000)], 25_000.0)
    assert found == (100 * LOT, (26_100.0,), None, -100 * LOT)


def test_sold_share_breaks_even_at_its_price() -> None:
    found = payoff([PayoffLeg("EQ", -10, 500.0)], 480.0)
    assert found == (-5_000.0, (500.0,), 5_000.0, None)


def test_calendar_earns_most_near_its_strike_and_has_two_breakevens() -> None:
    legs = [leg("CE", -1, 110.0, 26_000), leg("CE", 1, 190.0, 26_000, years=7 / 365, volatility=0.12)]
    found = payoff(legs, 26_000.0)
    assert found.net == 80 * LOT
    below, above = found.breakevens
    assert below < 26_000 < above
    assert profit(legs, below) == pytest.approx(0.0, abs=5.0)
    assert found.most == pytest.approx(profit(legs, 26_000.0), rel=0.02)
    assert found.least == pytest.approx(-80 * LOT, abs=1.0)


def test_legs_that_cancel_out_have_no_breakeven() -> None:
    assert payoff([leg("CE", 1, 100.0, 26_000), leg("CE", -1, 100.0, 26_000)], 26_000.0).breakevens == ()
