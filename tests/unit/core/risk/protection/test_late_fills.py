"""Entries that fill after they were given up as lost, or cancelled: what they bring is guarded as ever."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.messages.commands import CloseGoal, PlaceEntry
from mytrading.messages.enums import Action, OrderState
from mytrading.messages.orders import Position, PositionChanged
from mytrading.messages.run_config import StopPlan
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import SHARE, TODAY, RiskBench

KEY = ("main", SHARE, "MIS", "S")
HOW = ("", "replayed", "snapshot")
"""State of risk before the late fill: as it was, killed and replayed from its rows, or over the turn of a day."""


class LateBench(RiskBench):
    """With an engine stop; positions carry the levels of the entry that opened them, as the router's do."""

    def __init__(self) -> None:
        super().__init__()
        self.machine.environment.strategies["S"] = replace(
            self.machine.environment.strategies["S"], stop=StopPlan.ENGINE
        )
        self.quote(SHARE, 800.0)

    def again(self, how: str) -> None:
        """Risk is started again, as `HOW` says."""
        rows = self.rows if how == "replayed" else (self.machine.snapshot(TODAY),)
        if how:
            strategies = dict(self.machine.environment.strategies)
            self.machine = RiskMachine(RiskEnvironment(*self.parts))
            self.machine.environment.strategies.update(strategies)
            for row in rows:
                self.machine.apply(row)
            self.beat()
            self.quote(SHARE, 800.0)

    def given_up(self, lots: int, state: OrderState, target: float = 0.0) -> PlaceEntry:
        """An entry of unknown fate that ended so, which everything but the fill has followed."""
        leg = Leg(instrument=SHARE, lots=lots, target_price=target)
        rows = self.intent("a", leg, action=Action.BUY if lots > 0 else Action.SELL)
        (entry,) = (row for row in rows if isinstance(row, PlaceEntry))
        self.order(entry, OrderState.UNKNOWN)
        self.order(entry, state)
        self.pass_time(1)
        return entry

    def reported(self, entry: PlaceEntry, confirmed: bool = True) -> tuple[Any, ...]:
        """The router tells that an entry filled after all, by one source or by two."""
        units = entry.quantity * entry.side.sign
        self.order(entry, OrderState.FILLED if confirmed else OrderState.ACCEPTED, entry.quantity * confirmed)
        position = Position(
            account="main", instrument=entry.instrument, product=entry.product, strategy="S", run=entry.run,
            quantity=units * confirmed, quantity_seen=units, average_price=800.0 * confirmed, opened_ns=self.now,
            updated_ns=self.now, held_stop=entry.held_stop, held_target=entry.held_target,
        )  # fmt: skip
        fill = PositionChanged(
            position=position, client_order_id=entry.id, fill_quantity=units * confirmed, fill_price=800.0,
            at_ns=self.now,
        )  # fmt: skip
        return self.give(fill)


def goals(rows: Any) -> list[CloseGoal]:
    return [row for row in rows if isinstance(row, CloseGoal)]


@pytest.mark.parametrize("confirmed", [True, False])
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("state", [OrderState.LOST, OrderState.CANCELLED, OrderState.GHOST])
@pytest.mark.parametrize(("lots", "before", "at"), [(10, 784.05, 784.0), (-10, 815.9, 815.95)])
def test_late_fill_has_the_stop_of_its_entry_long_and_short(
    lots: int, before: float, at: float, state: OrderState, how: str, confirmed: bool
) -> None:
    bench = LateBench()
    entry = bench.given_up(lots, state)
    bench.again(how)
    assert bench.machine.state.stop_levels == {}, "nothing is waited for, so the level has ended"
    bench.reported(entry, confirmed)
    bench.pass_time(1)
    assert bench.machine.state.stop_levels == {KEY: at}
    bench.again(how)
    assert goals(bench.quote(SHARE, before)) == []
    assert len(goals(bench.quote(SHARE, at))) == 1


@pytest.mark.parametrize(("lots", "price"), [(10, 783.0), (-10, 816.0)])
def test_late_fill_beyond_its_stop_is_closed_with_the_fill(lots: int, price: float) -> None:
    bench = LateBench()
    entry = bench.given_up(lots, OrderState.LOST)
    bench.quote(SHARE, price)
    assert len(goals(bench.reported(entry))) == 1


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("state", [OrderState.LOST, OrderState.CANCELLED])
@pytest.mark.parametrize(("lots", "target", "before"), [(10, 840.0, 839.0), (-10, 786.0, 787.0)])
def test_late_fill_has_the_target_of_its_entry(
    lots: int, target: float, before: float, state: OrderState, how: str
) -> None:
    bench = LateBench()
    entry = bench.given_up(lots, state, target)
    bench.again(how)
    assert bench.machine.state.target_levels == {}
    bench.reported(entry)
    bench.pass_time(1)
    bench.again(how)
    assert goals(bench.quote(SHARE, before)) == []
    (goal,) = goals(bench.quote(SHARE, target))
    assert "target" in goal.reason


def test_late_fill_is_judged_by_its_own_levels_while_the_other_side_is_on_its_way() -> None:
    """The level under its owner is by then that of the other side, which lies beyond every price of this one."""
    bench = LateBench()
    late = bench.given_up(-10, OrderState.LOST)
    (other,) = (row for row in bench.intent("b", Leg(instrument=SHARE, lots=10)) if isinstance(row, PlaceEntry))
    assert bench.machine.state.stop_levels == {KEY: 784.0} != {KEY: late.held_stop}
    reported = bench.reported(late)
    assert [goal.reason for goal in goals(reported)] == ["BUY"], "the signal that stands has no room for it"
    assert goals(bench.quote(SHARE, 800.0)) == []
    bench.hold(SHARE, 0, order="exit")
    bench.pass_time(1)
    assert bench.machine.state.stop_levels == {KEY: other.held_stop}
