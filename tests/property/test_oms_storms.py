"""The order machine through whole stormy days, by seed: nothing doubled, nothing lost, nothing bare in the end."""

from __future__ import annotations

import os

import pytest

from mytrading.messages.account_events import CarriedShown
from tests.kit.oms_storms import ACTS, Storm

SEEDS = range(int(os.environ.get("STORM_FIRST", "1")), int(os.environ.get("STORM_LAST", "8")) + 1)
"""More by hand: `STORM_FIRST=100 STORM_LAST=400 pytest tests/property/test_oms_storms.py`."""


@pytest.mark.parametrize("seed", SEEDS)
def test_storm_over_one_that_turns_from_long_to_short_leaves_each_with_its_own_stop(seed: int) -> None:
    storm = Storm(seed, either=True)
    storm.run(90)
    storm.calm(120)
    storm.judge()
    assert len(storm.bench.machine.orders()) > 4, "the storm was none"


@pytest.mark.parametrize("seed", SEEDS)
def test_storm_leaves_no_order_doubled_lost_or_bare(seed: int) -> None:
    storm = Storm(seed)
    storm.run(90)
    storm.calm(120)
    storm.judge()
    assert len(storm.bench.machine.orders()) > 10, "the storm was none"


@pytest.mark.parametrize("seed", [20, 21, 25])
def test_storm_over_several_days_with_books_that_lag(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions are carried overnight, shown by the books of the day, lost by a position book, sold by hand."""
    for act, often in {"night": 1.5, "lag": 1.0, "hand": 1.0}.items():
        monkeypatch.setitem(ACTS, act, often)
    storm = Storm(seed)
    storm.run(90)
    storm.calm(120)
    storm.judge()
    assert any(isinstance(row, CarriedShown) for row in storm.bench.rows), "nothing was carried"
