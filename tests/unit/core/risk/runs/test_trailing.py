"""Trailing stops: the golden sequences of profits, what never exits, and that a stop never loosens."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mytrading.core.risk.runs.run import WAITING, RunBasis, Trail, level_price
from mytrading.messages.exit_rules import LevelKind, LevelRule, TrailKind, TrailRule
from tests.kit.hypothesis_budget import examples

ONE_SET = RunBasis(units=75, premium=-20_250.0)


def run(rule: TrailRule, profits: list[float], basis: RunBasis = ONE_SET) -> tuple[list[float | None], float | None]:
    """The stop after each profit, and the profit that exits; None if none does."""
    trail, stops = WAITING, []
    for profit in profits:
        trail = trail.advance(rule, profit, basis)
        stops.append(trail.stop)
        if trail.is_hit(profit):
            return stops, profit
    return stops, None


def test_percentage_activates_in_profit_and_exits_at_700() -> None:
    rule = TrailRule(kind=TrailKind.PERCENTAGE, value=30)
    stops, left = run(rule, [-200, 0, 300, 1000, 800, 701, 700])
    assert stops == [None, None, 210, 700, 700, 700, 700]
    assert left == 700


def test_amount_exits_at_350() -> None:
    assert run(TrailRule(kind=TrailKind.AMOUNT, value=250), [100, 600, 400, 350]) == ([-150, 350, 350, 350], 350)


def test_points_count_for_each_unit_of_a_set_and_exit_at_600() -> None:
    assert run(TrailRule(kind=TrailKind.POINTS, value=4), [200, 900, 620, 600]) == ([-100, 600, 600, 600], 600)


@pytest.mark.parametrize("kind", list(TrailKind))
def test_nothing_exits_while_the_profit_never_was_positive(kind: TrailKind) -> None:
    stops, left = run(TrailRule(kind=kind, value=10), [0, -1, -50_000, -10, 0])
    assert (set(stops), left) == ({None}, None)


def test_activation_waits_for_its_profit() -> None:
    rule = TrailRule(kind=TrailKind.AMOUNT, value=100, activation=500)
    assert run(rule, [400, 200, 500, 501, 400])[0] == [None, None, None, 401, 401]


def test_from_entry_begins_below_what_the_entry_cost_and_follows_the_peak() -> None:
    rule = TrailRule(kind=TrailKind.PERCENTAGE, value=20, from_entry=True)
    stops, left = run(rule, [-10, 1000, 5000, 951, 950])
    assert stops == [-4050, -3050, 950, 950, 950]
    assert left == 950
    bull_call = RunBasis(units=75, premium=3750.0)
    assert run(rule, [0, -750], bull_call) == ([-750, -750], -750)


def test_from_entry_in_points_begins_so_many_points_a_unit_below_zero() -> None:
    assert run(TrailRule(kind=TrailKind.POINTS, value=4, from_entry=True), [0, -300]) == ([-300, -300], -300)


def test_stop_stays_when_the_size_shrinks_the_distance_or_grows_it() -> None:
    rule = TrailRule(kind=TrailKind.POINTS, value=4)
    trail = WAITING.advance(rule, 900, RunBasis(75))
    assert trail == Trail(900, 600)
    assert trail.advance(rule, 1000, RunBasis(150)) == Trail(1000, 600)


@settings(max_examples=examples(50), deadline=None)
@given(
    profits=st.lists(st.floats(-1e5, 1e5), min_size=1, max_size=30),
    sizes=st.lists(st.integers(1, 500), min_size=30, max_size=30),
    kind=st.sampled_from(TrailKind),
    value=st.floats(0.5, 99.0),
    from_entry=st.booleans(),
)
def test_stop_never_loosens_and_the_peak_is_the_highest_profit_since(
    profits: list[float], sizes: list[int], kind: TrailKind, value: float, from_entry: bool
) -> None:
    rule = TrailRule(kind=kind, value=value, from_entry=from_entry)
    trail, begun = WAITING, False
    for profit, units in zip(profits, sizes, strict=False):
        before, trail = trail, trail.advance(rule, profit, RunBasis(units, units * 100.0))
        assert before.stop is None or (trail.stop is not None and trail.stop >= before.stop)
        begun = begun or from_entry or profit > 0
        assert (trail.stop is not None) == begun
        assert trail.peak >= before.peak


@pytest.mark.parametrize(
    ("kind", "value", "long", "short", "target"),
    [
        (LevelKind.PERCENTAGE, 30, 70.0, 130.0, 130.0),
        (LevelKind.POINTS, 12.5, 87.5, 112.5, 112.5),
        (LevelKind.PREMIUM, 80, 80.0, 80.0, 80.0),
    ],
)
def test_level_of_a_leg_lies_behind_its_price_or_ahead_of_it(
    kind: LevelKind, value: float, long: float, short: float, target: float
) -> None:
    rule = LevelRule(kind=kind, value=value)
    losses = level_price(rule, 100.0, 65, gain=False), level_price(rule, 100.0, -65, gain=False)
    assert (*losses, level_price(rule, 100.0, 65, gain=True)) == (long, short, target)
