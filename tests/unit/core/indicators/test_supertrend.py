"""Supertrend: the golden vector, its seed, that it is causal, and which turn of it ends a run."""

from __future__ import annotations

import numpy as np
import pytest

from mytrading.core.indicators.supertrend import supertrend
from mytrading.core.risk.runs.trend_series import trend_turn
from mytrading.core.time import MINUTE
from mytrading.messages.exit_rules import TrendExit, TrendRule
from mytrading.messages.market import Bar
from tests.kit.trend_prices import CLOSES

LINE = [
    105.5, 104.5, 104.5, 101.0833, 104.1389, 107.0093, 107.0093, 107.0093,
    110.0898, 106.3932, 103.0955, 102.8970, 102.8970, 98.3513,
]  # fmt: skip
TREND = [0, 0, -1, -1, -1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, 1]


def columns(size: int = 16) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    close = np.array(CLOSES[:size], float)
    return close + 1.0, close - 1.5, close


def bars(size: int = 16) -> list[Bar]:
    return [
        Bar("X", "5m", n * 5 * MINUTE, (n + 1) * 5 * MINUTE, c, c + 1.0, c - 1.5, c)
        for n, c in enumerate(CLOSES[:size])
    ]


def test_golden_vector_matches_to_four_places_with_one_for_bullish() -> None:
    found = supertrend(*columns(), 3, 1.5)
    assert np.isnan(found.line[:2]).all()
    assert found.line[2:] == pytest.approx(LINE, abs=1e-4)
    assert found.direction.tolist() == TREND


def test_every_value_is_that_of_the_bars_up_to_it() -> None:
    whole = supertrend(*columns(), 3, 1.5)
    for size in range(1, 17):
        part = supertrend(*columns(size), 3, 1.5)
        assert part.line.tobytes() == whole.line[:size].tobytes()
        assert part.direction.tobytes() == whole.direction[:size].tobytes()


def test_fewer_bars_than_the_period_have_no_value() -> None:
    found = supertrend(*columns(6), 7, 3.0)
    assert np.isnan(found.line).all()
    assert not found.direction.any()
    assert supertrend(*columns(0)).line.size == 0


@pytest.mark.parametrize(("period", "multiplier"), [(0, 3.0), (7, 0.0), (7, float("nan"))])
def test_parameters_out_of_range_are_refused(period: int, multiplier: float) -> None:
    with pytest.raises(ValueError, match="period must be at least 1"):
        supertrend(*columns(), period, multiplier)


def rule(exits: TrendExit, require_cross: bool = True) -> TrendRule:
    return TrendRule(exit=exits, period=3, multiplier=1.5, require_cross=require_cross)


def test_breakout_ends_on_the_bar_that_turns_up_and_breakdown_on_the_one_that_turns_down() -> None:
    ends = {
        exits: [size for size in range(1, 17) if trend_turn(bars(size), rule(exits), 0)] for exits in TrendExit
    }  # fmt: skip
    assert ends[TrendExit.BREAKOUT] == [6, 7, 8, 9, 10, 16]
    assert ends[TrendExit.BREAKDOWN] == [11, 12, 13, 14, 15]


def test_trend_that_stood_before_the_entry_ends_a_run_only_without_require_cross() -> None:
    entered = 8 * 5 * MINUTE
    assert trend_turn(bars(9), rule(TrendExit.BREAKOUT), entered) is None
    found = trend_turn(bars(9), rule(TrendExit.BREAKOUT, require_cross=False), entered)
    assert found is not None
    assert (found.close, found.line) == (112.0, pytest.approx(107.0093, abs=1e-4))


def test_bar_that_had_ended_before_the_entry_ends_nothing() -> None:
    assert trend_turn(bars(6), rule(TrendExit.BREAKOUT, require_cross=False), 6 * 5 * MINUTE) is None
