"""Greeks against a worked example, against differences of the price, and against the premium they came from."""

from __future__ import annotations

import numpy as np
import pytest

from mytrading.core.options import black76
from mytrading.core.options.greeks import greeks, implied_volatility

FORWARD, YEARS = 26_332.05, 39.2269 / 365.0


def one(value: float) -> np.ndarray:
    return np.array([value])


def priced(volatility: float, *, forward: float = FORWARD, years: float = YEARS, rate: float, is_call: bool) -> float:
    value = black76.price(one(forward), one(26_000.0), one(years), one(volatility), rate, is_call)
    return float(value[0])


@pytest.mark.parametrize(
    ("premium", "is_call", "expected"),
    [
        (611.45, True, (0.1242, 0.6301, 0.000352, -5.1589, 32.5908, -0.657131)),
        (280.45, False, (0.1245, -0.3702, 0.000351, -5.1736, 32.5990, -0.301402)),
    ],
)
def test_greeks_of_a_recorded_option_equal_the_server(
    premium: float, is_call: bool, expected: tuple[float, ...]
) -> None:
    at = one(FORWARD), one(26_000.0), one(YEARS)
    sigma = implied_volatility(one(premium), *at, 0.0, is_call)
    found = greeks(*at, sigma, 0.0, is_call)
    values = [float(column[0]) for column in (sigma, *found)]
    assert values == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("is_call", [True, False])
def test_greeks_are_the_slopes_of_the_price(is_call: bool) -> None:
    rate, sigma, step = 0.065, 0.14, 1e-4
    found = greeks(one(FORWARD), one(26_000.0), one(YEARS), one(sigma), rate, is_call)
    up, down = (priced(sigma, forward=FORWARD + h, rate=rate, is_call=is_call) for h in (1.0, -1.0))
    middle = priced(sigma, rate=rate, is_call=is_call)
    assert float(found.delta[0]) == pytest.approx((up - down) / 2.0, rel=1e-5)
    assert float(found.gamma[0]) == pytest.approx(up - 2.0 * middle + down, rel=1e-3)
    wide, narrow = (priced(sigma + h, rate=rate, is_call=is_call) for h in (step, -step))
    assert float(found.vega[0]) == pytest.approx((wide - narrow) / (2 * step) / 100.0, rel=1e-5)
    later, sooner = (priced(sigma, years=YEARS + h, rate=rate, is_call=is_call) for h in (step, -step))
    assert float(found.theta[0]) == pytest.approx(-(later - sooner) / (2 * step) / 365.0, rel=1e-4)
    high, low = (priced(sigma, rate=rate + h, is_call=is_call) for h in (step, -step))
    assert float(found.rho[0]) == pytest.approx((high - low) / (2 * step) / 100.0, rel=1e-5)


def test_implied_volatility_finds_the_volatility_of_every_strike() -> None:
    strikes = np.linspace(20_000.0, 32_000.0, 25)
    ahead, years = np.full_like(strikes, FORWARD), np.full_like(strikes, 0.2)
    sigma = np.linspace(0.3, 0.12, 25)
    for is_call in (True, False):
        prices = black76.price(ahead, strikes, years, sigma, 0.05, is_call)
        found = implied_volatility(prices, ahead, strikes, years, 0.05, is_call)
        assert found == pytest.approx(sigma, abs=1e-4)


def test_implied_volatility_of_a_price_without_time_value_is_zero() -> None:
    prices, strikes = np.array([300.0, 332.05, 332.055, 0.0]), np.array([26_000.0, 26_000.0, 26_000.0, 27_000.0])
    ahead = np.full_like(strikes, FORWARD)
    assert not implied_volatility(prices, ahead, strikes, np.full_like(strikes, 0.1), 0.0, True).any()
    assert not implied_volatility(one(500.0), one(FORWARD), one(26_000.0), one(0.0), 0.0, True).any()
