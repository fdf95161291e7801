"""Numbers of two doubles against fifty digits."""

from __future__ import annotations

from collections.abc import Iterator

import mpmath as mp
import numpy as np
import pytest

from mytrading.core.options import exact, pairs

EIGHT_BITS_MORE = 2.0**-60


@pytest.fixture(autouse=True)
def _digits() -> Iterator[None]:
    with mp.workdps(50):
        yield


def whole(pair: tuple[float, float]) -> mp.mpf:
    return mp.mpf(pair[0]) + mp.mpf(pair[1])


def numbers(low: float, high: float) -> list[float]:
    return [low, high, *map(float, np.random.default_rng(4).uniform(low, high, 200))]


def test_sum_product_and_root_keep_what_a_double_loses() -> None:
    for a, b in zip(numbers(0.001, 3.0), numbers(500.0, 90_000.0), strict=True):
        assert whole(pairs.sum_of(a, -b)) == mp.mpf(a) - mp.mpf(b)
        assert whole(pairs.product_of(a, b)) == mp.mpf(a) * mp.mpf(b)
        assert abs(whole(pairs.root_of(pairs.product_of(a, b))) / mp.sqrt(mp.mpf(a) * mp.mpf(b)) - 1) < 1e-31
        assert abs(whole(pairs.times((a, a * 1e-17), (b, 0.0))) / (whole((a, a * 1e-17)) * b) - 1) < 1e-31


def test_exponential_has_sixty_bits() -> None:
    for a in (*numbers(-3.0, 0.5), *numbers(-599.0, 599.0)):
        assert abs(whole(pairs.exp_of((a, 0.0))) / mp.exp(mp.mpf(a)) - 1) < 8 * EIGHT_BITS_MORE


@pytest.mark.parametrize(("least", "most"), [(0.0001, 0.2499), (0.25, 1.5)])
def test_spread_near_the_money_is_better_than_a_double(least: float, most: float) -> None:
    def ratio(z: mp.mpf) -> mp.mpf:
        return mp.ncdf(z) / mp.npdf(z)

    for h, t in zip(numbers(-0.5, 0.0), numbers(least, most), strict=True):
        wanted = (ratio(mp.mpf(h) + mp.mpf(t)) - ratio(mp.mpf(h) - mp.mpf(t))) / 2
        high, low, _ = exact._apart(h, t)
        assert abs(whole((high, low)) / wanted - 1) < 0.5 * 2.0**-53
