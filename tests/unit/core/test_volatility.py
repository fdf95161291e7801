"""Prices, implied volatility and greeks against fifty digits, and the reasons why a price has no volatility."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import mpmath as mp
import numpy as np
import pytest

from mytrading.core.options import volatility as vol
from mytrading.core.options.normal import cdf, erfcx
from mytrading.core.options.volatility import Reason

FORWARD = 24_000.0
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


def contracts(count: int, seed: int, spread: tuple[float, ...]) -> Iterator[tuple[float, float, float]]:
    """(strike, years, volatility): from a minute to three years, from 3 % to 250 %, at and far from the money."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        years = float(np.exp(rng.uniform(math.log(MINUTE), math.log(3.0))))
        volatility = float(np.exp(rng.uniform(math.log(0.03), math.log(2.5))))
        away = rng.normal() * volatility * math.sqrt(years) * rng.choice(spread)
        yield float(FORWARD * np.exp(away)), years, volatility


@pytest.mark.parametrize("x", [-20.0, -3.0, -0.4, 0.0, 0.3, 0.47, 1.0, 3.99, 4.01, 12.0, 30.0, 1000.0])
def test_erfcx_keeps_double_precision(x: float) -> None:
    wanted = mp.exp(mp.mpf(x) ** 2) * mp.erfc(mp.mpf(x))
    slack = 4e-16 * (1.0 + (x * x if x < 0 else 0.0))
    assert abs(mp.mpf(erfcx(x)) / wanted - 1) < slack


def test_cdf_keeps_its_lower_tail() -> None:
    for x in (-37.0, -20.0, -5.0, -0.1, 0.0, 0.1, 5.0):
        wanted = mp.erfc(-mp.mpf(x) / mp.sqrt(2)) / 2
        assert abs(mp.mpf(cdf(x)) / wanted - 1) < 4e-16 * (1 + x * x)


def test_volatility_out_of_the_money_is_right_to_1e12_down_to_1e50() -> None:
    bands = {1e-50: 0, 1e-6: 0, 0.05: 0}
    for strike, years, volatility in contracts(1500, 1, (0.001, 0.1, 1.0, 3.0, 8.0)):
        call = strike >= FORWARD
        premium = exact(FORWARD, strike, years, volatility, 0.0, call)
        if premium < 1e-50:
            continue
        found, reason = vol.implied_one(float(premium), FORWARD, strike, years, 0.0, call)
        assert reason == Reason.FOUND
        assert abs(found - volatility) < 1e-13, (strike, years, volatility, float(premium))
        bands[max(band for band in bands if premium >= band)] += 1
    assert min(bands.values()) > 50, bands


@pytest.mark.parametrize("rate", [0.0, 0.065])
def test_volatility_in_the_money_gives_the_price_back(rate: float) -> None:
    checked = 0
    for strike, years, volatility in contracts(3000, 2, (0.001, 0.1, 1.0, 3.0)):
        call = strike < FORWARD
        premium = vol.price_one(FORWARD, strike, years, volatility, rate, call)
        found, reason = vol.implied_one(premium, FORWARD, strike, years, rate, call)
        if reason:
            assert reason == Reason.NO_TIME_VALUE
            assert math.isnan(found)
            continue
        checked += 1
        again = vol.price_one(FORWARD, strike, years, found, rate, call)
        assert abs(again - premium) <= 2 * np.spacing(premium), (strike, years, volatility)
    assert checked > 2000


@pytest.mark.parametrize(
    ("premium", "forward", "strike", "years", "rate", "call"),
    [
        (1004.8140346966906, 2177.2489117991154, 2177.252654057279, 0.00011561402828823137, 0.0, False),
        (13247.358292344501, 31499.10913863683, 31051.807398796474, 6.39302685087969, 0.065, True),
        (16023.85, 24000.05, 24018.705234366833, 0.7533012792426955, 0.065, False),
        (0.9747869561765931, 1.3290655071694786, 1.5, 6.630791483907997, 0.065, False),
        (0.9500000000000001, 1.3290655071694786, 1.5, 6.630791483907997, 0.065, False),
        (1802.3060615576235, 24000.0, 24000.0, 1.1888165417127188, 0.0, False),
    ],
    ids=["of a minute", "of six years", "over two thirds of its bound", "a unit under its bound", "near its bound",
         "at the money"],
)  # fmt: skip
def test_premium_is_given_back_to_two_units(
    premium: float, forward: float, strike: float, years: float, rate: float, call: bool
) -> None:
    found, reason = vol.implied_one(premium, forward, strike, years, rate, call)
    assert reason == Reason.FOUND
    again = vol.price_one(forward, strike, years, found, rate, call)
    assert abs(again - premium) <= 2 * np.spacing(premium)
    assert abs(exact(forward, strike, years, found, rate, call) - premium) <= 2 * np.spacing(premium)


@pytest.mark.parametrize("rate", [0.0, 0.065, 0.4])
def test_volatility_in_the_money_gives_back_the_exact_price(rate: float) -> None:
    checked = 0
    for strike, years, volatility in contracts(250, 3, (0.001, 0.1, 0.3, 1.0)):
        call = strike < FORWARD
        premium = float(exact(FORWARD, strike, years, volatility, rate, call))
        assert abs(vol.price_one(FORWARD, strike, years, volatility, rate, call) - premium) <= np.spacing(premium)
        found, reason = vol.implied_one(premium, FORWARD, strike, years, rate, call)
        if reason == Reason.FOUND:
            checked += 1
            again = exact(FORWARD, strike, years, found, rate, call)
            assert abs(again - premium) <= np.spacing(premium), (strike, years, volatility)
    assert checked > 200


def test_time_value_of_four_units_of_the_premium_has_a_volatility() -> None:
    for premium, strike in ((1023.0, 22_977.0), (1025.0, 22_975.0)):
        unit = float(np.spacing(premium))
        assert vol.implied_one(premium + 3 * unit, FORWARD, strike, 0.1, 0.0, True)[1] == Reason.NO_TIME_VALUE
        assert vol.implied_one(premium + 4 * unit, FORWARD, strike, 0.1, 0.0, True)[1] == Reason.FOUND


@pytest.mark.parametrize(
    ("premium", "strike", "years", "call", "reason"),
    [
        (0.0, 24_000.0, 0.1, True, Reason.BAD_INPUT),
        (math.nan, 24_000.0, 0.1, True, Reason.BAD_INPUT),
        (math.inf, 24_000.0, 0.1, True, Reason.BAD_INPUT),
        (100.0, -1.0, 0.1, True, Reason.BAD_INPUT),
        (100.0, 24_000.0, 0.0, True, Reason.BAD_INPUT),
        (1000.0, 23_000.0, 0.1, True, Reason.NO_TIME_VALUE),
        (999.0, 23_000.0, 0.1, True, Reason.BELOW_INTRINSIC),
        (24_000.0, 23_000.0, 0.1, True, Reason.ABOVE_BOUND),
        (25_000.0, 25_000.0, 0.1, False, Reason.ABOVE_BOUND),
        (1000.05, 23_000.0, 0.1, True, Reason.FOUND),
    ],
)
def test_price_without_volatility_says_why(
    premium: float, strike: float, years: float, call: bool, reason: Reason
) -> None:
    found, why = vol.implied_one(premium, FORWARD, strike, years, 0.0, call)
    assert why == reason
    assert math.isnan(found) == (reason is not Reason.FOUND)


@pytest.mark.parametrize("call", [True, False])
@pytest.mark.parametrize("strike", [21_000.0, 24_000.0, 26_500.0])
def test_greeks_are_the_derivatives_of_the_price(strike: float, call: bool) -> None:
    years, volatility, rate = 0.08, 0.14, 0.065

    def slope(of: Callable[..., mp.mpf], order: int = 1) -> mp.mpf:
        return mp.diff(of, 0, order)

    found = vol.greeks(FORWARD, np.array([strike]), years, np.array([volatility]), rate, np.array([call]))
    wanted = {
        "delta": slope(lambda e: exact(FORWARD + e, strike, years, volatility, rate, call)),
        "gamma": slope(lambda e: exact(FORWARD + e, strike, years, volatility, rate, call), 2),
        "theta_year": -slope(lambda e: exact(FORWARD, strike, years + e, volatility, rate, call)),
        "vega_year": slope(lambda e: exact(FORWARD, strike, years, volatility + e, rate, call)),
        "rho_year": slope(lambda e: exact(FORWARD, strike, years, volatility, rate + e, call)),
    }
    for name, value in wanted.items():
        assert getattr(found, name)[0] == pytest.approx(float(value), rel=1e-10), name
    assert found.theta[0] == found.theta_year[0] / 365.0
    assert (found.vega[0], found.rho[0]) == (found.vega_year[0] / 100.0, found.rho_year[0] / 100.0)


def test_chain_is_inverted_and_differentiated_whole_and_holes_stay_holes() -> None:
    strikes = np.arange(23_000.0, 25_050.0, 50.0)
    calls = strikes >= FORWARD
    smile = 0.12 + ((strikes - FORWARD) / FORWARD) ** 2
    premiums = vol.prices(FORWARD, strikes, 7 / 365, smile, 0.065, calls)
    premiums[3] = 0.0
    found, reasons = vol.implied(premiums, FORWARD, strikes, 7 / 365, 0.065, calls)
    assert np.isnan(found[3])
    assert reasons[3] == Reason.BAD_INPUT
    rest = np.arange(strikes.size) != 3
    assert np.abs(found[rest] - smile[rest]).max() < 1e-13
    assert np.isnan(vol.greeks(FORWARD, strikes, 7 / 365, found, 0.065, calls).delta).tolist() == (~rest).tolist()


def test_parity_finds_the_forward_and_a_bad_pair_does_not_move_it() -> None:
    strikes = np.arange(23_000.0, 25_050.0, 50.0)
    flat = np.full(strikes.size, 0.13)
    calls = vol.prices(24_037.5, strikes, 0.05, flat, 0.065, np.ones(strikes.size, bool))
    puts = vol.prices(24_037.5, strikes, 0.05, flat, 0.065, np.zeros(strikes.size, bool))
    assert vol.parity_forward(strikes, calls, puts, 0.05, 0.065) == pytest.approx(24_037.5, abs=1e-9)
    calls[strikes == 24_050.0] += 40.0
    assert vol.parity_forward(strikes, calls, puts, 0.05, 0.065, near=24_040.0) == pytest.approx(24_037.5, abs=1e-9)
    assert math.isnan(vol.parity_forward(strikes, calls, np.zeros(strikes.size), 0.05, 0.065))


def test_spot_forward_is_that_of_black_and_scholes() -> None:
    assert vol.spot_forward(100.0, 0.5, 0.06, 0.02) == pytest.approx(100.0 * math.exp(0.02))
    assert vol.spot_forward(100.0, 0.0, 0.06) == 100.0
