"""Prices, greeks and implied volatility against fifty digits, their bounds, and why a price has no volatility."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mytrading.core.options import black76
from mytrading.core.options.black76 import Reason, greeks_one, implied_one, normal_cdf, price_one
from tests.kit.hypothesis_budget import examples
from tests.kit.project import ROOT

FORWARD = 24_000.0
TICK = 0.05
GOAL = 1e-9
MINUTE = 1.0 / 365.0 / 24.0 / 60.0


@pytest.fixture(autouse=True)
def _digits() -> Iterator[None]:
    with mp.workdps(50):
        yield


def exact(forward: float, strike: float, years: float, volatility: float, rate: float, call: bool) -> mp.mpf:
    f, k, t, v, r = (mp.mpf(value) for value in (forward, strike, years, volatility, rate))
    s = v * mp.sqrt(t)
    d1 = mp.log(f / k) / s + s / 2

    def below(z: mp.mpf) -> mp.mpf:
        return mp.erfc(-z / mp.sqrt(2)) / 2

    value = f * below(d1) - k * below(d1 - s) if call else k * below(s - d1) - f * below(-d1)
    return mp.exp(-r * t) * value


Contract = tuple[float, float, float, float, float, bool]


def contracts(count: int, seed: int) -> Iterator[tuple[Contract, float, float]]:
    """Contracts with time value, and room to their bound, of a tick at least; with premium and time value.

    Forwards from 20 to 150,000, strikes from a twentieth of them to twenty times, half a minute to five years, 2 % to
    500 % of volatility.
    """
    rng = np.random.default_rng(seed)
    while count:
        forward, years, volatility = (
            float(np.exp(rng.uniform(math.log(low), math.log(high))))
            for low, high in ((20.0, 150_000.0), (0.5 * MINUTE, 5.0), (0.02, 5.0))
        )
        away = rng.normal() * volatility * math.sqrt(years) * rng.choice([0.001, 0.1, 1.0, 3.0])
        strike, rate, call = forward * math.exp(away), float(rng.choice([0.0, 0.065, 0.2])), bool(rng.integers(2))
        premium = exact(forward, strike, years, volatility, rate, call)
        worth = premium * mp.exp(mp.mpf(rate) * mp.mpf(years))
        value = worth - max((mp.mpf(forward) - mp.mpf(strike)) * (1 if call else -1), 0)
        if 0.05 < strike / forward < 20.0 and value >= TICK and (forward if call else strike) - worth >= TICK:
            count -= 1
            yield (forward, strike, years, volatility, rate, call), float(premium), float(value)


def test_normal_cdf_keeps_its_lower_tail() -> None:
    for x in (-37.0, -20.0, -5.0, -0.1, 0.0, 0.1, 5.0):
        wanted = mp.erfc(-mp.mpf(x) / mp.sqrt(2)) / 2
        assert abs(mp.mpf(normal_cdf(x)) / wanted - 1) < 1e-15 * (1 + x * x)


def test_price_and_volatility_are_right_wherever_a_tick_of_time_value_is_left() -> None:
    count = examples(3000)
    bands = dict.fromkeys(("a tick or two", "deep in the money", "in an hour", "over a year", "over half its bound"), 0)
    for (forward, strike, years, volatility, rate, call), premium, value in contracts(count, 1):
        assert price_one(forward, strike, years, volatility, rate, call) == pytest.approx(premium, rel=GOAL)
        found, reason = implied_one(premium, forward, strike, years, rate, call)
        assert reason == Reason.FOUND
        assert abs(found - volatility) < GOAL, (forward, strike, years, volatility, rate, call)
        bands["a tick or two"] += value < 3 * TICK
        bands["deep in the money"] += premium > 100 * value
        bands["in an hour"] += years < 60 * MINUTE
        bands["over a year"] += years > 1.0
        bands["over half its bound"] += value > 0.5 * min(forward, strike)
    assert min(bands.values()) > count / 60, bands


@pytest.mark.parametrize("inside", [0.0, 50.0, 1_000.0, 12_000.0, 23_000.0])
@pytest.mark.parametrize("years", [MINUTE, 1 / 365, 7 / 365, 1.0, 3.0])
def test_quoted_ticks_are_inverted_and_given_back(inside: float, years: float) -> None:
    for ticks in (1, 2, 3, 7, 40, 1000):
        for strike, call in ((FORWARD - inside, True), (FORWARD + inside, False), (FORWARD + inside, True)):
            intrinsic = max(FORWARD - strike if call else strike - FORWARD, 0.0)
            premium = round(intrinsic + ticks * TICK, 2)
            found, reason = implied_one(premium, FORWARD, strike, years, 0.0, call)
            assert reason == Reason.FOUND
            vega = greeks_one(FORWARD, strike, years, found, 0.0, call)[3]
            again = exact(FORWARD, strike, years, found, 0.0, call)
            assert abs(again - mp.mpf(premium)) <= GOAL * vega, (strike, call, ticks)


def slope(contract: Contract, argument: int, order: int = 1) -> float:
    """The derivative of the premium by one of the contract's figures."""

    def moved(by: mp.mpf) -> mp.mpf:
        return exact(*(value + by if place == argument else value for place, value in enumerate(contract)))

    return float(mp.diff(moved, 0, order, h=(contract[argument] or 1) * mp.mpf(10) ** -12))


def test_greeks_are_the_derivatives_of_the_price() -> None:
    for contract, _, _ in contracts(60, 2):
        wanted = slope(contract, 0), slope(contract, 0, 2), -slope(contract, 2), slope(contract, 3), slope(contract, 4)
        assert greeks_one(*contract) == pytest.approx(wanted, rel=GOAL), contract


def test_greeks_are_those_that_a_server_answered() -> None:
    for premium, call, expected in (
        (611.45, True, (0.1242, 0.6301, 0.000352, -5.1589, 32.5908, -0.657131)),
        (280.45, False, (0.1245, -0.3702, 0.000351, -5.1736, 32.5990, -0.301402)),
    ):
        forward, years = 26_332.05, 39.2269 / 365.0
        volatility, _ = implied_one(premium, forward, 26_000.0, years, 0.0, call)
        of = np.array([26_000.0]), years, np.array([volatility]), 0.0, np.array([call])
        found = black76.greeks(forward, *of)
        columns = (found.delta, found.gamma, found.theta, found.vega, found.rho)
        assert [volatility, *(float(column[0]) for column in columns)] == pytest.approx(expected, rel=2e-3)


@settings(max_examples=examples(200), deadline=None)
@given(
    strike=st.floats(1_000, 100_000), years=st.floats(1e-7, 5.0), volatility=st.floats(0.01, 5.0),
    rate=st.floats(-0.02, 0.3),
)  # fmt: skip
def test_premiums_keep_their_bounds_and_parity(strike: float, years: float, volatility: float, rate: float) -> None:
    call, put = (price_one(FORWARD, strike, years, volatility, rate, side) for side in (True, False))
    discount = math.exp(-rate * years)
    assert discount * max(FORWARD - strike, 0.0) <= call <= discount * FORWARD * (1 + 1e-15)
    assert discount * max(strike - FORWARD, 0.0) <= put <= discount * strike * (1 + 1e-15)
    assert call - put == pytest.approx(discount * (FORWARD - strike), abs=1e-10)


@pytest.mark.parametrize("years", [MINUTE, 1 / 365, 0.1, 3.0])
def test_premiums_are_monotonic_in_strike_and_volatility_and_convex_in_strike(years: float) -> None:
    strikes = np.arange(18_000.0, 30_000.0, 50.0)
    calls, puts = (black76.prices(FORWARD, strikes, years, 0.14, 0.065, side) for side in (True, False))
    slack = 1e-10
    assert np.diff(calls).max() <= slack
    assert np.diff(puts).min() >= -slack
    assert min(np.diff(calls, 2).min(), np.diff(puts, 2).min()) >= -slack
    by_volatility = black76.prices(FORWARD, 24_300.0, years, np.linspace(0.01, 4.0, 400), 0.065, True)
    assert np.diff(by_volatility).min() >= -slack
    premiums, strike = np.arange(0.05, 400.0, 0.05), np.full(7999, 24_300.0)
    found, _ = black76.implied_volatilities(premiums, FORWARD, strike, years, 0.065, np.ones(7999, bool))
    assert np.diff(found).min() > 0.0


@pytest.mark.parametrize(
    ("premium", "strike", "years", "call", "reason"),
    [
        (0.0, 24_000.0, 0.1, True, Reason.BAD_INPUT),
        (math.nan, 24_000.0, 0.1, True, Reason.BAD_INPUT),
        (math.inf, 24_000.0, 0.1, True, Reason.BAD_INPUT),
        (100.0, -1.0, 0.1, True, Reason.BAD_INPUT),
        (100.0, 24_000.0, 0.0, True, Reason.BAD_INPUT),
        (100.0, 24_000.0, 1e9, True, Reason.BAD_INPUT),
        (1000.0, 23_000.0, 0.1, True, Reason.NO_TIME_VALUE),
        (1e-9, 25_000.0, 0.1, True, Reason.NO_TIME_VALUE),
        (999.0, 23_000.0, 0.1, True, Reason.BELOW_INTRINSIC),
        (24_000.0, 23_000.0, 0.1, True, Reason.ABOVE_BOUND),
        (25_000.0, 25_000.0, 0.1, False, Reason.ABOVE_BOUND),
        (1000.05, 23_000.0, 0.1, True, Reason.FOUND),
    ],
)
def test_price_without_volatility_says_why(
    premium: float, strike: float, years: float, call: bool, reason: Reason
) -> None:
    rate = 0.0 if years < 1.0 else 0.065
    found, why = implied_one(premium, FORWARD, strike, years, rate, call)
    assert why == reason
    assert math.isnan(found) == (reason is not Reason.FOUND)


@pytest.mark.parametrize("rate", [0.0, 0.065, 0.4])
def test_discounted_intrinsic_value_alone_is_rounding_whatever_the_rate(rate: float) -> None:
    for strike in np.linspace(1_000.0, 23_950.0, 300):
        premium = price_one(FORWARD, float(strike), 2.3, 0.0, rate, True)
        assert implied_one(premium, FORWARD, float(strike), 2.3, rate, True)[1] == Reason.NO_TIME_VALUE


POSITIVE = st.floats(1e-300, 1e300)


@settings(max_examples=examples(400), deadline=None)
@given(
    premium=POSITIVE, forward=POSITIVE, strike=POSITIVE, years=POSITIVE, rate=st.floats(-1e6, 1e6), call=st.booleans()
)
def test_no_numbers_end_the_search_with_an_error(
    premium: float, forward: float, strike: float, years: float, rate: float, call: bool
) -> None:
    found, reason = implied_one(premium, forward, strike, years, rate, call)
    assert (reason == Reason.FOUND) == (0.0 < found < math.inf)


def test_option_on_nothing_or_at_its_end_is_worth_its_intrinsic_value() -> None:
    assert price_one(0.0, 24_000.0, 0.1, 0.13, 0.0, False) == 24_000.0
    assert price_one(0.0, 24_000.0, 0.1, 0.13, 0.0, True) == 0.0
    assert price_one(24_100.0, 24_000.0, 0.0, 0.13, 0.065, True) == 100.0
    assert all(math.isnan(value) for value in greeks_one(24_100.0, 24_000.0, 0.0, 0.13, 0.065, True))


def test_compiled_and_plain_functions_agree() -> None:
    """The simulator and `legs show` run what chains have compiled."""
    count = 0
    for (forward, strike, years, volatility, rate, call), premium, value in contracts(300, 3):
        side, ladder, sigma = np.array([call]), np.array([strike]), np.array([volatility])
        (price,) = black76.prices(forward, ladder, years, sigma, rate, side)
        assert price == pytest.approx(price_one(forward, strike, years, volatility, rate, call), rel=1e-14, abs=1e-14)
        for asked in (premium, premium - value, 2 * forward + strike):
            (found,), (reason,) = black76.implied_volatilities(np.array([asked]), forward, ladder, years, rate, side)
            plain = implied_one(asked, forward, strike, years, rate, call)
            assert reason == plain[1]
            assert found == pytest.approx(plain[0], rel=1e-12, nan_ok=True)
            count += reason == Reason.FOUND
        table = black76.greeks(forward, ladder, years, sigma, rate, side)
        columns = (table.delta, table.gamma, table.theta * 365, table.vega * 100, table.rho * 100)
        plain_greeks = greeks_one(forward, strike, years, volatility, rate, call)
        assert [float(column[0]) for column in columns] == pytest.approx(plain_greeks, rel=1e-12)
    assert count >= 300


@pytest.mark.slow
def test_options_one_by_one_need_no_compiler() -> None:
    script = (
        "import sys\n"
        "import mytrading.simulator.rest.option_routes, mytrading.simulator.market.surface\n"
        "from mytrading.core.options.black76 import greeks_one, implied_one\n"
        "print(implied_one(100.0, 24000.0, 24000.0, 0.02, 0.0, True)[1], 'numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["0", "False"]


def test_prices_of_any_shapes_are_those_of_each_option() -> None:
    forwards, strikes = np.array([[23_900.0], [24_100.0]]), np.array([23_500.0, 24_000.0, 24_500.0])
    found = black76.prices(forwards, strikes, 0.02, 0.14, 0.065, np.array([False, True, True]))
    assert found.shape == (2, 3)
    for row, forward in enumerate((23_900.0, 24_100.0)):
        for column, strike in enumerate(strikes):
            wanted = price_one(forward, float(strike), 0.02, 0.14, 0.065, column > 0)
            assert found[row, column] == pytest.approx(wanted, rel=1e-14)


def test_chain_is_inverted_and_differentiated_whole_and_holes_stay_holes() -> None:
    strikes = np.arange(23_000.0, 25_050.0, 50.0)
    calls = strikes >= FORWARD
    smile = 0.12 + ((strikes - FORWARD) / FORWARD) ** 2
    premiums = black76.prices(FORWARD, strikes, 7 / 365, smile, 0.065, calls)
    premiums[3] = 0.0
    found, reasons = black76.implied_volatilities(premiums, FORWARD, strikes, 7 / 365, 0.065, calls)
    assert np.isnan(found[3])
    assert reasons[3] == Reason.BAD_INPUT
    rest = np.arange(strikes.size) != 3
    assert np.abs(found[rest] - smile[rest]).max() < GOAL
    deltas = black76.greeks(FORWARD, strikes, 7 / 365, found, 0.065, calls).delta
    assert np.isnan(deltas).tolist() == (~rest).tolist()


def test_parity_finds_the_forward_and_a_bad_pair_does_not_move_it() -> None:
    strikes = np.arange(23_000.0, 25_050.0, 50.0)
    calls, puts = (black76.prices(24_037.5, strikes, 0.05, 0.13, 0.065, side) for side in (True, False))
    assert black76.parity_forward(strikes, calls, puts, 0.05, 0.065) == pytest.approx(24_037.5, abs=1e-9)
    calls[strikes == 24_050.0] += 40.0
    assert black76.parity_forward(strikes, calls, puts, 0.05, 0.065, near=24_040.0) == pytest.approx(24_037.5, abs=1e-9)
    assert math.isnan(black76.parity_forward(strikes, calls, np.zeros(strikes.size), 0.05, 0.065))


def test_forward_is_the_spot_carried_at_a_rate() -> None:
    assert black76.carried_forward(100.0, 0.5, 0.04) == pytest.approx(100.0 * math.exp(0.02))
    assert black76.carried_forward(np.array([100.0]), np.array([0.0]), 0.06).tolist() == [100.0]
