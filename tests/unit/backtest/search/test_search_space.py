"""Ranges as they are written: values, types, and what is wrong with them."""

from __future__ import annotations

import pytest

from mytrading.backtest.search.space import Axis, SpaceError, parse_space
from mytrading.strategies import BaseStrategy, ParameterError


class Many(BaseStrategy):
    fast_period: int = 5
    level: float = 0.5
    mode: str = "a"
    loud: bool = False


def test_range_has_both_ends_in_the_type_of_the_parameter() -> None:
    space = parse_space(
        Many, ["fast=5:15:5".replace("fast", "fast_period"), "level=0.1:0.3:0.1", "mode=a,b", "loud=true"]
    )
    assert space.axes == (
        Axis("fast_period", (5, 10, 15)),
        Axis("level", (0.1, 0.2, 0.3)),
        Axis("mode", ("a", "b")),
    )
    assert space.fixed == {"loud": True}
    assert len(space) == len(list(space.points())) == 18


def test_points_run_the_last_axis_fastest_and_carry_what_is_fixed() -> None:
    space = parse_space(Many, ["FastPeriod=1:2", "mode=x,y", "level=0.7"])
    assert list(space.points()) == [
        {"level": 0.7, "fast_period": fast, "mode": mode} for fast in (1, 2) for mode in ("x", "y")
    ]
    assert space.index_of({"fast_period": 2, "mode": "x"}) == (1, 0)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["fast_period"], "expected NAME=LOW:HIGH:STEP"),
        (["fast_period=5:1:1"], "LOW ≤ HIGH"),
        (["fast_period=1:9:0"], "STEP above 0"),
        (["fast_period=a:b"], "in numbers"),
        (["level=0:1:0.00001"], "at most 10,000"),
        (["fast_period=5"], "expected a range to search"),
        (["fast_period=1:3", "FAST_PERIOD=1:3"], "found again as .FAST_PERIOD=1:3.; leave one of them out"),
    ],
)
def test_range_that_cannot_be_met_is_refused(texts: list[str], said: str) -> None:
    with pytest.raises(SpaceError, match=said):
        parse_space(Many, texts)


def test_unknown_parameter_and_wrong_type_are_named() -> None:
    with pytest.raises(ParameterError, match="did you mean fast_period"):
        parse_space(Many, ["fast_perod=1:3"])
    with pytest.raises(ParameterError, match="whole number"):
        parse_space(Many, ["fast_period=1:2:0.5"])
