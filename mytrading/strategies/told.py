"""What an engine tells of its strategies beside what they wish: that they have started, and their faults.

Used by `strategies/engine_machine`. The one rule: a fault is told once a run.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from mytrading.messages.signals import StrategyFaulted, StrategyStarted
from mytrading.strategies.hosted import Hosted


def started_row(hosted: Hosted, now: int) -> StrategyStarted:
    """That a strategy runs from now on, with what it was given."""
    return StrategyStarted(
        strategy=hosted.run.name,
        parameters=dict(hosted.strategy.parameters),
        watches=hosted.run.symbols,
        warm_bars=hosted.warm_bars,
        at_ns=now,
    )


def new_faults(hosted: Iterable[Hosted], told: Container[str], now: int) -> tuple[StrategyFaulted, ...]:
    """The faults of strategies that are not among those `told` already."""
    return tuple(
        StrategyFaulted(strategy=one.run.name, **one.fault._asdict(), at_ns=now)
        for one in hosted
        if one.fault is not None and one.run.name not in told
    )
