"""Targets of single legs: levels that survive, prices that close a leg once, and hedges that have none."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.messages.commands import CloseGoal, PlaceEntry
from mytrading.messages.enums import Action
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.run_config import StopPlan
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import CALL, SHARE, RiskBench

NAME = f"target main {SHARE} MIS S"


def held(lots: int = 10, target: float = 840.0, stop: StopPlan = StopPlan.NONE) -> RiskBench:
    bench = RiskBench()
    (run,) = bench.machine.environment.strategies.values()
    bench.machine.environment.strategies["S"] = replace(run, stop=stop)
    bench.quote(SHARE, 800.0)
    leg = Leg(instrument=SHARE, lots=lots, target_price=target)
    rows = bench.intent("a", leg, action=Action.BUY if lots > 0 else Action.SELL)
    assert (NAME, target) in levels(rows)
    bench.fill(next(row for row in rows if isinstance(row, PlaceEntry)))
    return bench


def levels(rows: Any) -> list[tuple[str, float]]:
    return [(row.name, row.value) for row in rows if isinstance(row, LevelMoved)]


def goals(rows: Any) -> list[CloseGoal]:
    return [row for row in rows if isinstance(row, CloseGoal)]


@pytest.mark.parametrize(("lots", "target", "before", "there"), [(10, 840.0, 839.0, 840.0), (-10, 760.0, 761.0, 759.5)])
def test_price_at_the_target_closes_the_leg(lots: int, target: float, before: float, there: float) -> None:
    bench = held(lots, target)
    assert goals(bench.quote(SHARE, before)) == []
    (goal,) = goals(bench.quote(SHARE, there))
    assert goal.instrument == SHARE and "target" in goal.reason


def test_target_stands_beside_a_stop_that_risk_holds() -> None:
    bench = held(stop=StopPlan.ENGINE)
    (goal,) = goals(bench.quote(SHARE, 700.0))
    assert "stop" in goal.reason
    assert len(goals(held(stop=StopPlan.ENGINE).quote(SHARE, 850.0))) == 1


def test_leg_without_a_target_has_no_level() -> None:
    bench = RiskBench()
    bench.quote()
    assert not [
        name for name, _ in levels(bench.intent("a", Leg(instrument=CALL, lots=1))) if name.startswith("target")
    ]


def test_target_survives_the_turn_of_a_day() -> None:
    assert held().machine.snapshot("2026-01-06").levels[NAME] == 840.0


@pytest.mark.parametrize("target", [760.0, 0.0])
def test_target_of_the_side_before_is_none_of_a_reversed_position(target: float) -> None:
    """The close is not done yet when the other side is entered, at a price that the old target lies beyond."""
    bench = held()
    leg = Leg(instrument=SHARE, lots=-10, target_price=target)
    assert len(goals(bench.intent("b", leg, action=Action.SELL))) == 1
    rows = bench.hold(SHARE, 0, order="exit")
    assert (NAME, target) in levels(rows)
    bench.fill(next(row for row in rows if isinstance(row, PlaceEntry)))
    assert goals(bench.quote(SHARE, 800.0)) == []
