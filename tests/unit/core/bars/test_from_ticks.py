"""Bars of recorded ticks, against the same worked out tick by tick."""

from __future__ import annotations

import numpy as np
import pytest

from mytrading.core.bars import from_ticks
from mytrading.core.bars.from_ticks import bars_of_ticks
from mytrading.core.time import MINUTE

OPEN = 1_767_584_700_000_000_000


def test_bars_of_ticks_equal_those_worked_out_one_by_one() -> None:
    random = np.random.default_rng(5)
    at = OPEN + np.cumsum(random.integers(0, 30_000_000_000, 400))
    prices, volumes = 100 + random.normal(0, 1, 400), np.cumsum(random.integers(0, 9, 400)).astype(float)
    starts, table = bars_of_ticks(at, prices, volumes, MINUTE)
    minutes = at // MINUTE * MINUTE
    assert starts.tolist() == sorted(set(minutes.tolist()))
    reported = 0.0
    for bar, start in enumerate(starts):
        mine = minutes == start
        part = prices[mine]
        assert table[:4, bar].tolist() == [part[0], part.max(), part.min(), part[-1]]
        assert table[4, bar] == volumes[mine][-1] - reported
        reported = volumes[mine][-1]


def test_volume_that_begins_anew_counts_from_nothing() -> None:
    at = OPEN + np.array([0, MINUTE, 2 * MINUTE])
    _, table = bars_of_ticks(at, np.array([1.0, 2.0, 3.0]), np.array([50.0, 7.0, 9.0]), MINUTE)
    assert table[4].tolist() == [50.0, 7.0, 2.0]


def test_no_ticks_make_no_bars_and_ticks_out_of_order_are_refused() -> None:
    none = np.empty(0)
    assert bars_of_ticks(np.empty(0, np.int64), none, none, MINUTE)[1].shape == (5, 0)
    with pytest.raises(ValueError, match="not in time order"):
        bars_of_ticks(np.array([OPEN + 1, OPEN]), np.ones(2), np.ones(2), MINUTE)


@pytest.mark.parametrize("place", range(1, 24))
def test_a_tick_out_of_order_is_found_wherever_it_is(place: int) -> None:
    at = OPEN + np.arange(24) * (MINUTE // 9)
    at[place] = at[place - 1] - 1
    with pytest.raises(ValueError, match="not in time order"):
        bars_of_ticks(at, np.ones(24), np.ones(24), MINUTE)


def test_bar_of_any_number_of_ticks_has_its_extremes_and_finds_each_tick_that_is_earlier() -> None:
    draw = np.random.default_rng(5)
    for count in range(1, 70):
        prices, volumes = draw.uniform(90.0, 110.0, count), np.arange(float(count))
        at = np.arange(count) + 1_000
        _, table = bars_of_ticks(at, prices, volumes, 1_000_000)
        assert table[:4, 0].tolist() == [prices[0], prices.max(), prices.min(), prices[-1]]
        for place in range(1, count):
            wrong = at.copy()
            wrong[place] = wrong[place - 1] - 1
            with pytest.raises(ValueError, match="not in time order"):
                bars_of_ticks(wrong, prices, volumes, 1_000_000)


def test_times_of_ticks_that_are_said_to_be_in_order_are_read_at_the_ends_of_bars_only() -> None:
    at, prices = OPEN + np.arange(1000) * (MINUTE // 300), np.arange(1000.0)
    wanted = bars_of_ticks(at, prices, prices, MINUTE)
    broken = at.copy()
    broken[100] = broken[99] - 1
    with pytest.raises(ValueError, match="not in time order"):
        bars_of_ticks(broken, prices, prices, MINUTE)
    found = bars_of_ticks(broken, prices, prices, MINUTE, ordered=True)
    assert [part.tolist() for part in found] == [part.tolist() for part in wanted]


@pytest.mark.parametrize("place", range(1, 7))
def test_price_that_is_no_number_is_no_extreme(place: int) -> None:
    prices = np.array([5.0, 6.0, 4.0, 7.0, 3.0, 8.0, 2.0])
    prices[place] = np.nan
    _, table = bars_of_ticks(OPEN + np.arange(7), prices, np.ones(7), MINUTE)
    assert table[1:3, 0].tolist() == [np.nanmax(prices), np.nanmin(prices)]


@pytest.mark.parametrize("cores", [2, 3, 7])
def test_bars_made_by_several_threads_are_those_of_one(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(cores)
    at = OPEN + np.cumsum(random.integers(0, 20_000_000_000, 900))
    prices, volumes = 100 + random.normal(0, 1, 900), np.cumsum(random.integers(0, 9, 900)).astype(float)
    alone = bars_of_ticks(at, prices, volumes, MINUTE)
    monkeypatch.setattr(from_ticks, "TICKS_EACH", 100)
    monkeypatch.setattr(from_ticks, "CORES", cores)
    together = bars_of_ticks(at, prices, volumes, MINUTE)
    assert len(from_ticks._cuts(at, MINUTE, cores)) == cores + 1
    assert [part.tolist() for part in together] == [part.tolist() for part in alone]
    for place in range(1, 900, 7):
        broken = at.copy()
        broken[place] = broken[place - 1] - 1
        with pytest.raises(ValueError, match="not in time order"):
            bars_of_ticks(broken, prices, volumes, MINUTE)
