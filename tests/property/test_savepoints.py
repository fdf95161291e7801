"""A state that was kept, and the rows behind it, are the state of all rows: on random days, kept at random moments."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule
from msgspec.structs import replace

from mytrading.core.oms import OrderMachine
from mytrading.core.risk.machine import RiskMachine
from mytrading.messages.strategy_rules import LevelRule, StrategyRules, TrailKind, TrailRule
from mytrading.runtime.savepoint import fingerprint, pack, take_up
from tests.examples import examples
from tests.property.test_oms_machine import PACE, TradingInSlices, TradingWithStops
from tests.property.test_risk_machine import LIMITS, SIGNALS_PER_MINUTE, TestWishing, Wishing
from tests.unit.core.run_desks import RunDesk
from tests.unit.core.test_risk_machine import SHARE, Desk


def assert_kept_alike(make: Any, rows: list[Any], moments: list[int]) -> None:
    """Whatever the moments at which a machine was kept and another began with that: it is what all rows make of one."""
    whole, kept = make(), make()
    for row in rows:
        whole.apply(row)
    begin = 0
    for moment in sorted({*moments, len(rows)}):
        for row in rows[begin:moment]:
            kept.apply(row)
        begin, packed = moment, pack(kept)
        kept = make()
        take_up(kept, packed)
    assert fingerprint(kept) == fingerprint(whole)


class KeptWishing(Wishing):
    """Risk, kept now and then; what is not journaled (heartbeats) no replay knows."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[int] = []

    @rule()
    def keep(self) -> None:
        self.kept.append(len(self.desk.rows))

    @staticmethod
    def _fresh() -> RiskMachine:
        limits = replace(LIMITS, min_order_size=0, max_daily_loss=1e9)
        return RiskMachine(*Desk(limits, SIGNALS_PER_MINUTE).parts)

    def teardown(self) -> None:
        super().teardown()
        assert_kept_alike(self._fresh, self.desk.rows, self.kept)


class _Kept:
    """Orders, kept now and then, through all that a router and its broker do, its death included."""

    bench: Any

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[int] = []

    @rule()
    def keep(self) -> None:
        self.kept.append(len(self.bench.journal))

    def teardown(self) -> None:
        bench = self.bench
        super().teardown()  # type: ignore[misc]
        assert_kept_alike(
            lambda: OrderMachine(bench.limits, bench._is_open, bench._squares_off), bench.journal, self.kept
        )


class KeptStops(_Kept, TradingWithStops):
    """With stops."""


class KeptSlices(_Kept, TradingInSlices):
    """With slices."""


TestKeptWishing = KeptWishing.TestCase
TestKeptWishing.settings = settings(TestWishing.settings, max_examples=examples(15))
TestKeptStops = KeptStops.TestCase
TestKeptStops.settings = settings(PACE, max_examples=examples(6))
TestKeptSlices = KeptSlices.TestCase
TestKeptSlices.settings = settings(PACE, max_examples=examples(6))


@settings(max_examples=examples(20), deadline=None)
@given(
    prices=st.lists(st.floats(900.0, 1100.0), min_size=1, max_size=12),
    moments=st.lists(st.integers(0, 40), max_size=3),
    kind=st.sampled_from(TrailKind),
    quantity=st.sampled_from([100, -100]),
)
def test_runs_with_trails_are_kept_with_their_levels(
    prices: list[float], moments: list[int], kind: TrailKind, quantity: int
) -> None:
    trailing = TrailRule(kind=kind, value=5.0, from_entry=True)
    desk = RunDesk(StrategyRules(max_loss=3000, max_profit=6000, trailing=trailing, leg_trailing=LevelRule(value=5)))
    desk.take(SHARE, quantity, 1000.0)
    for price in prices:
        desk.at(SHARE, price, seconds=1.1)
    moments = [min(moment, len(desk.rows)) for moment in moments]
    assert_kept_alike(lambda: RiskMachine(*desk.parts), desk.rows, moments)
