"""Positions with a stop that risk watches."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from mytrading.messages.commands import CloseGoal
from mytrading.messages.enums import Action, Purpose
from mytrading.messages.orders import (
    Goal,
)
from mytrading.messages.run_config import StopPlan
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import SHARE, RiskBench


def bench_with(stop: StopPlan) -> RiskBench:
    bench = RiskBench()
    (run,) = bench.machine.environment.strategies.values()
    bench.machine.environment.strategies["S"] = replace(run, stop=stop)
    return bench


def held(stop: StopPlan = StopPlan.ENGINE, lots: int = 10) -> RiskBench:
    """Shares held at 800.05 or sold at 799.95, with a level 2 % away."""
    bench = bench_with(stop)
    bench.quote(SHARE, 800.0)
    action = Action.BUY if lots > 0 else Action.SELL
    entry = next(row for row in bench.intent("a", Leg(instrument=SHARE, lots=lots), action=action))
    bench.fill(entry)
    return bench


def goals(rows: Any) -> list[CloseGoal]:
    return [row for row in rows if isinstance(row, CloseGoal)]


def done(goal: CloseGoal) -> Goal:
    return Goal(
        id=goal.id, account=goal.account, instrument=goal.instrument, product=goal.product, strategy=goal.strategy,
        run=goal.run, cause=goal.cause, reason=goal.reason, purpose=Purpose.EXIT, state="done",
    )  # fmt: skip
