"""The combined premium of legs as bars: what counts positive, and what is left out."""

from __future__ import annotations

import tomllib

import pytest

from mytrading.core.bars.premium import HeldLeg, combined_bars, premium_bars, premium_weights
from mytrading.core.calendar import Calendar
from mytrading.core.time import MINUTE
from mytrading.messages.market import Bar
from tests.kit.project import ROOT

CALL, PUT = "NFO:NIFTY23NOV2626000CE", "NFO:NIFTY23NOV2626000PE"
OPEN = 1_795_146_300_000_000_000
"""09:15 in India on 2026-11-20."""


def bar(name: str, minute: int, begin: float, close: float) -> Bar:
    start = OPEN + minute * MINUTE
    return Bar(name, "1m", start, start + MINUTE, begin, max(begin, close) + 9, min(begin, close) - 9, close)


@pytest.mark.parametrize(
    ("legs", "units"),
    [
        ([HeldLeg(CALL, -130, 150.0), HeldLeg(PUT, -65, 120.0), HeldLeg(PUT, -65, 121.0)], {CALL: 1, PUT: 1}),
        ([HeldLeg(CALL, 65, 200.0), HeldLeg(PUT, -65, 150.0)], {CALL: 1, PUT: -1}),
        ([HeldLeg(CALL, -130, 200.0), HeldLeg(PUT, 65, 150.0)], {CALL: 2, PUT: -1}),
        ([HeldLeg(CALL, 65, 10.0), HeldLeg(CALL, -65, 10.0)], {}),
    ],
)
def test_credit_counts_what_was_sold_and_debit_what_was_bought(legs: list[HeldLeg], units: dict[str, int]) -> None:
    assert premium_weights(legs) == units


def test_minute_that_a_leg_lacks_is_left_out_and_highs_of_legs_are_not_added_up() -> None:
    minutes = {
        CALL: [bar(CALL, 0, 100, 110), bar(CALL, 1, 110, 90), bar(CALL, 3, 95, 96)],
        PUT: [bar(PUT, 0, 80, 75), bar(PUT, 3, 70, 72)],
    }
    rows = combined_bars({CALL: 1, PUT: 1}, minutes, "NFO:PREMIUM")
    assert [(row.start_ns, row.open, row.high, row.low, row.close) for row in rows] == [
        (OPEN, 180, 185, 180, 185),
        (OPEN + 3 * MINUTE, 165, 168, 165, 168),
    ]
    assert combined_bars({CALL: 1, PUT: 1}, {CALL: minutes[CALL]}, "X:Y") == combined_bars({}, minutes, "X:Y") == []


def test_longer_bars_are_anchored_to_the_open_and_only_completed_ones_are_reported() -> None:
    calendar = Calendar.from_dict(tomllib.loads((ROOT / "config" / "calendar.toml").read_text()))
    minutes = {CALL: [bar(CALL, k, 100 + k, 101 + k) for k in range(12)]}
    rows = premium_bars({CALL: 1}, minutes, "5m", calendar, OPEN + 12 * MINUTE)
    assert [(row.start_ns - OPEN) // MINUTE for row in rows] == [0, 5]
    assert [(row.open, row.close) for row in rows] == [(100, 105), (105, 110)]
