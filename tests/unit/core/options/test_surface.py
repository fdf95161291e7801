"""Modelled prices of options: parity, bounds, ticks, and a level that knows no later day."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mytrading.core.options.black76 import carried_forward, prices
from mytrading.core.options.surface import Shape, Smile, atm_levels, daily_variance, round_to_ticks
from tests.kit.hypothesis_budget import examples

SHAPE = Shape()


def worth(spot: float, strike: float, years: float, level: float, is_call: bool) -> float:
    left = np.array([years])
    forward = carried_forward(np.array([spot]), left, SHAPE.carry)
    volatility = SHAPE.volatility(level, forward, strike, left)
    return float(prices(forward, strike, left, volatility, SHAPE.rate, is_call)[0])


@settings(max_examples=examples(50), deadline=None)
@given(
    strike=st.floats(15_000, 30_000),
    years=st.floats(1e-4, 1.0),
    level=st.floats(0.05, 0.6),
)
def test_call_less_put_is_the_discounted_forward_less_the_strike(strike: float, years: float, level: float) -> None:
    forward = 21_700.0 * np.exp(SHAPE.carry * years)
    apart = worth(21_700.0, strike, years, level, True) - worth(21_700.0, strike, years, level, False)
    assert apart == pytest.approx(np.exp(-SHAPE.rate * years) * (forward - strike), abs=1e-6)


@settings(max_examples=examples(30), deadline=None)
@given(years=st.floats(1.0 / 365, 0.5), level=st.floats(0.08, 0.4))
def test_calls_lose_and_puts_gain_with_the_strike(years: float, level: float) -> None:
    strikes = np.arange(18_000.0, 25_500.0, 50.0)
    left = np.full(len(strikes), years)
    forward = carried_forward(np.full(len(strikes), 21_700.0), left, SHAPE.carry)
    volatility = SHAPE.volatility(level, forward, strikes, left)
    calls = prices(forward, strikes, left, volatility, SHAPE.rate, True)
    puts = prices(forward, strikes, left, volatility, SHAPE.rate, False)
    assert np.all(np.diff(calls) <= 1e-9)
    assert np.all(np.diff(puts) >= -1e-9)


def test_at_its_end_an_option_is_worth_what_it_has_in_the_money() -> None:
    assert worth(21_700.0, 21_600.0, 0.0, 0.13, True) == pytest.approx(100.0)
    assert worth(21_700.0, 21_600.0, 0.0, 0.13, False) == 0.0


def test_low_strikes_and_short_times_have_more_volatility() -> None:
    years, forward = np.array([7.0 / 365]), np.array([21_700.0])
    low, at, high = (float(SHAPE.volatility(0.13, forward, strike, years)[0]) for strike in (21_000, 21_700, 22_400))
    assert low > high
    assert low > at
    assert SHAPE.atm_volatility(0.13, years)[0] > SHAPE.atm_volatility(0.13, np.array([0.5]))[0] > 0.13


def test_half_spread_is_whole_ticks_and_wider_in_the_wings() -> None:
    years, forward = np.array([7.0 / 365]), np.array([21_700.0])
    at, wing = (float(SHAPE.half_spread(0.13, forward, strike, years)[0]) for strike in (21_700, 20_900))
    assert at == 2.0
    assert wing > at
    assert wing == round(wing)


def test_prices_are_ticks_and_never_less_than_one() -> None:
    assert round_to_ticks(np.array([0.0, 0.024, 12.337]), 0.05).tolist() == [0.05, 0.05, 12.35]


def test_a_smile_is_flat_beyond_its_outer_strikes() -> None:
    smile = Smile(np.array([100.0, 110.0]), np.array([0.2, 0.3]), 0.0)
    assert smile.volatility_at(np.array([90.0, 105.0, 200.0])).tolist() == pytest.approx([0.2, 0.25, 0.3])


def test_level_of_a_day_is_of_the_days_before_it() -> None:
    day = np.repeat(np.arange(8), 3)
    closes = 100.0 * np.exp(np.cumsum(np.where(np.arange(24) % 2, 0.01, -0.01)))
    opens = np.concatenate(([100.0], closes[:-1]))
    days, variance = daily_variance(day, opens, closes)
    assert days.tolist() == list(range(8))
    assert variance == pytest.approx(np.full(8, 3e-4))
    found = atm_levels(variance, 3, 2, 0.5, 1.2)
    assert found[:2].tolist() == [0.5, 0.5]
    assert found[2:] == pytest.approx(np.full(6, 1.2 * np.sqrt(252 * 3e-4)))
    variance[5:] = 1.0
    assert atm_levels(variance, 3, 2, 0.5, 1.2)[5] == found[5]
