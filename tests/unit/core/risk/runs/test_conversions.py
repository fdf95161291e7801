"""A position that is converted to another product: its run goes on, no intent is spent, and exits name the new one."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.accounting.position_ledger import correct_quantity
from mytrading.messages.commands import CloseGoal, PlaceEntry
from mytrading.messages.enums import Action, Product
from mytrading.messages.exit_rules import LevelKind, LevelRule, StrategyRules
from mytrading.messages.orders import Position, PositionAdjusted
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import CALL, SHARE, RiskBench, decisions
from tests.kit.risk_run_bench import RunBench, goals


def conversion(held: Position, units: int, product: Product, now: int) -> PositionAdjusted:
    """The router's row: `units` of a position now stand under `product`."""
    there = replace(
        held, product=product, quantity=units, quantity_seen=units, realised=0.0, trip_quantity=abs(units),
        trip_value=abs(units) * held.average_price, updated_ns=now,
    )  # fmt: skip
    left = correct_quantity(held, held.quantity - units, now)
    return PositionAdjusted(
        position=there, cause="conversion", quantity=units, price=held.average_price, at_ns=now, source=left
    )


def wanted(rows: Any) -> list[Any]:
    return [row for row in rows if isinstance(row, PlaceEntry | CloseGoal)]


def held(bench: RiskBench, instrument: str) -> list[Position]:
    return [position for position in bench.machine.state.open_positions() if position.instrument == instrument]


def test_intent_of_a_converted_position_neither_enters_again_nor_closes_and_its_exit_names_the_product() -> None:
    """A position gone from its product counted as closed by somebody: its signal was used up."""
    bench = RiskBench()
    bench.quote()
    (entry,) = [row for row in bench.intent("i1", Leg(instrument=CALL, lots=1)) if isinstance(row, PlaceEntry)]
    bench.fill(entry)
    (position,) = held(bench, CALL)
    rows = bench.give(conversion(position, position.quantity, Product.NRML, bench.now))
    for _ in range(10):
        bench.quote()
        rows = (*rows, *bench.pass_time(1))
    rows = (*rows, *bench.intent("i2", Leg(instrument=CALL, lots=1)))
    assert wanted(decisions(rows)) == []
    (intent,) = bench.machine.state.intents.values()
    assert not intent.spent
    assert [(p.product, p.quantity) for p in held(bench, CALL)] == [(Product.NRML, 65)]
    bench.quote()
    (goal,) = wanted(bench.intent("i3", action=Action.EXIT))
    assert (type(goal), goal.product, goal.instrument) == (CloseGoal, Product.NRML, CALL)


@pytest.mark.parametrize("units", [65, 40])
def test_run_of_a_converted_leg_goes_on_with_its_profit_and_its_best_price(units: int) -> None:
    """Were the units seen twice for a moment, its profit would double and its trailing stop follow that."""
    rules = StrategyRules(leg_trailing=LevelRule(kind=LevelKind.POINTS, value=10.0))
    bench = RunBench(rules, product=Product.MIS)
    bench.at(CALL, 100.0)
    bench.take(CALL, 65, 100.0)
    bench.at(CALL, 130.0)
    books = bench.machine.runs.books
    run = books.runs["S"]
    before = (run.id, run.basis, run.realised, books.profit(run, bench.now)[0], run.opened_ns)
    rows = bench.give(conversion(bench.positions["main", CALL], units, Product.NRML, bench.now))
    assert wanted(rows) == []
    after = books.runs["S"]
    assert (after.id, after.basis, after.realised, books.profit(after, bench.now)[0], after.opened_ns) == before
    legs = {leg.key.product: (leg.quantity, leg.best) for leg in after.legs.values()}
    assert legs == {Product.NRML: (units, 130.0)} | ({Product.MIS: (65 - units, 130.0)} if units < 65 else {})
    closed = goals(bench.at(CALL, 119.0))
    assert sorted(goal.product for goal in closed) == sorted(legs)


def test_engine_held_stop_is_armed_for_the_product_that_the_units_have_now() -> None:
    bench = RiskBench()
    position = Position(
        account="main", instrument=SHARE, product=Product.MIS, strategy="S", run="r", quantity=10, quantity_seen=10,
        average_price=100.0, opened_ns=bench.now, updated_ns=bench.now, held_stop=90.0,
    )  # fmt: skip
    bench.hold(SHARE, 10)
    bench.machine.state.positions[position.owner] = position
    bench.pass_time(1)
    bench.give(conversion(position, 10, Product.CNC, bench.now))
    bench.pass_time(1)
    assert [key.product for key in bench.machine.state.stop_levels] == [Product.CNC]
    (goal,) = goals(bench.quote(SHARE, 89.0))
    assert goal.product is Product.CNC
