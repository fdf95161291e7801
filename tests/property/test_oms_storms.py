"""The order machine through whole stormy days, by seed: nothing doubled, nothing lost, nothing bare in the end."""

from __future__ import annotations

import os

import pytest

from tests.property.storms import Storm

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
