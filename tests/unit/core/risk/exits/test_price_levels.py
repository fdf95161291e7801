"""Stops that risk holds or hastens: levels that survive, prices that end a position once, and old ones that do not."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.risk.exits import price_exits
from mytrading.core.risk.exits.price_levels import restore_stops
from mytrading.messages.commands import PlaceEntry
from mytrading.messages.control import Alert
from mytrading.messages.enums import Action, OrderState, Product, Purpose, Side
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.market import Quote
from mytrading.messages.orders import (
    Goal,
    GoalChanged,
    OrderChanged,
    Position,
    PositionChanged,
    Protection,
    ProtectionChanged,
)
from mytrading.messages.run_config import StopPlan
from mytrading.messages.signals import Leg, Signal
from tests.kit.risk_bench import CALL, SECOND, SHARE, WATCH, RiskBench
from tests.kit.risk_stop_bench import bench_with, done, goals, held

NAME = f"stop main {SHARE} MIS S"


def levels(rows: Any) -> list[tuple[str, float]]:
    return [(row.name, row.value) for row in rows if isinstance(row, LevelMoved) and row.name.startswith("stop ")]


def test_entry_carries_its_plan_to_the_router_unless_risk_or_nobody_holds_the_stop() -> None:
    plans = {}
    for stop in StopPlan:
        bench = bench_with(stop)
        bench.quote()
        rows = bench.intent("a", Leg(instrument=CALL, lots=1))
        entry = next(row for row in rows if isinstance(row, PlaceEntry))
        plans[stop] = (entry.stop_trigger, entry.stop_limit, bool(levels(rows)))
    assert plans[StopPlan.BROKER] == (70.0, 67.0, False)
    assert plans[StopPlan.ENGINE] == (0.0, 0.0, True)
    assert plans[StopPlan.NONE] == (0.0, 0.0, False)


def test_stop_on_the_wrong_side_denies_the_entry() -> None:
    bench = bench_with(StopPlan.BROKER)
    bench.quote()
    (denied,) = bench.intent("a", Leg(instrument=CALL, lots=1, stop_price=101.0))
    assert denied.code == "STOP_LEVEL"


@pytest.mark.parametrize(("lots", "before", "at"), [(10, 784.05, 784.0), (-10, 815.9, 815.95)])
def test_price_at_the_level_closes_a_long_and_a_short_once(lots: int, before: float, at: float) -> None:
    bench = held(lots=lots)
    assert goals(bench.quote(SHARE, before)) == []
    (goal,) = goals(bench.quote(SHARE, at))
    assert "is at or beyond" in goal.reason
    assert goals(bench.quote(SHARE, at)) == []
    assert goals(bench.pass_time(1)) == []


def test_old_quote_ends_nothing() -> None:
    bench = held()
    bench.pass_time(30)
    old = Quote(SHARE, bench.now - 20 * SECOND, bench.machine_ns - 20 * SECOND, 700.0, 699.0, 701.0)
    assert goals(bench.give(old)) == []
    assert goals(bench.quote(SHARE, 700.0))


def test_level_stays_where_it_was_when_more_is_filled_and_after_a_restart() -> None:
    bench = held()
    bench.pass_time(1)
    bench.quote(SHARE, 810.0)
    entry = next(row for row in bench.intent("b", Leg(instrument=SHARE, lots=20)) if isinstance(row, PlaceEntry))
    bench.order(entry, OrderState.FILLED, 10)
    bench.hold(SHARE, 20, price=805.0, order=entry.id)
    assert levels(bench.rows) == [(NAME, 784.0)]
    again = RiskBench()
    again.machine.environment.strategies.update(bench.machine.environment.strategies)
    again.now, again.machine_ns = bench.now, bench.machine_ns
    again.beat()
    again.machine.apply(bench.machine.snapshot("2026-03-19"))
    assert goals(again.quote(SHARE, 783.0))


def test_level_ends_with_the_position_and_a_new_one_gets_its_own() -> None:
    bench = held()
    bench.quote(SHARE, 784.0)
    bench.hold(SHARE, 0, order="exit")
    goal = Goal(
        id="g", account="main", instrument=SHARE, product=Product.MIS, strategy="S", run="r", cause="x", reason="x",
        purpose=Purpose.EXIT, state="done",
    )  # fmt: skip
    bench.give(GoalChanged(goal=goal, at_ns=bench.now))
    assert levels(bench.pass_time(1)) == [(NAME, 0.0)]
    assert bench.machine.state.stop_levels == {}
    bench.intent("b", action=Action.EXIT)
    bench.quote(SHARE, 700.0)
    rows = bench.intent("c", Leg(instrument=SHARE, lots=10))
    assert levels(rows) == [(NAME, 686.0)]


def reopened(bench: RiskBench, how: str) -> RiskBench:
    """The bench as it goes on: itself, replayed from its rows, or begun with the day's first row."""
    if not how:
        return bench
    again = bench_with(bench.machine.environment.strategies["S"].stop)
    again.now, again.machine_ns = bench.now, bench.machine_ns
    for row in bench.rows if how == "replayed" else (bench.machine.snapshot("2026-03-18"),):
        again.machine.apply(row)
    again.beat()
    return again


@pytest.mark.parametrize("how", ["", "replayed", "snapshot"])
@pytest.mark.parametrize(("first", "then", "level"), [(10, -10, 815.95), (-10, 10, 784.0), (10, -20, 815.95)])
def test_reversal_before_the_close_is_done_gets_the_level_of_its_own_side(
    first: int, then: int, level: float, how: str
) -> None:
    bench = held(lots=first)
    action = Action.BUY if then > 0 else Action.SELL
    (goal,) = goals(bench.intent("b", Leg(instrument=SHARE, lots=then), action=action))
    rows = bench.hold(SHARE, 0, order="exit")
    (entry,) = (row for row in rows if isinstance(row, PlaceEntry))
    assert (entry.held_stop, levels(rows)) == (level, [(NAME, level)])
    bench = reopened(bench, how)
    assert bench.machine.state.closing, "the router has not said that the close is done"
    bench.fill(entry)
    assert goals(bench.quote(SHARE, 800.0)) == []
    bench.give(GoalChanged(goal=done(goal), at_ns=bench.now))
    bench.pass_time(1)
    way = 1 if then > 0 else -1
    assert goals(bench.quote(SHARE, level + way * 0.05)) == []
    assert len(goals(bench.quote(SHARE, level))) == 1


def test_same_side_again_before_the_close_is_done_gets_the_level_of_its_own_price() -> None:
    bench = held()
    (goal,) = goals(bench.intent("b", action=Action.EXIT))
    bench.hold(SHARE, 0, order="exit")
    bench.quote(SHARE, 900.0)
    rows = bench.intent("c", Leg(instrument=SHARE, lots=10))
    assert levels(rows) == [(NAME, 882.0)]
    bench.fill(next(row for row in rows if isinstance(row, PlaceEntry)))
    bench.give(GoalChanged(goal=done(goal), at_ns=bench.now))
    assert len(goals(bench.quote(SHARE, 882.0))) == 1


def test_level_of_the_side_before_ends_where_the_next_position_has_none_here() -> None:
    bench = held()
    (run,) = bench.machine.environment.strategies.values()
    bench.machine.environment.strategies["S"] = replace(run, stop=StopPlan.BROKER)
    bench.intent("b", Leg(instrument=SHARE, lots=-10), action=Action.SELL)
    rows = bench.hold(SHARE, 0, order="exit")
    assert levels(rows) == [(NAME, 0.0)]
    bench.fill(next(row for row in rows if isinstance(row, PlaceEntry)))
    assert goals(bench.quote(SHARE, 800.0)) == []


@pytest.mark.parametrize(("side", "closes"), [(Side.SELL, True), (Side.BUY, False)])
def test_fill_is_judged_by_the_stop_of_its_own_side_alone(side: Side, closes: bool) -> None:
    """The stop of the side before is not done while it is still being cancelled."""
    bench = bench_with(StopPlan.BROKER)
    bench.quote(SHARE, 800.0)
    (entry,) = bench.intent("a", Leg(instrument=SHARE, lots=10))
    guard = Protection(
        id="p", account="main", instrument=SHARE, product=Product.MIS, strategy="S", run="r", cause="before",
        side=side, trigger=815.95, limit=820.0,
    )  # fmt: skip
    bench.give(ProtectionChanged(protection=guard, at_ns=bench.now))
    assert bool(goals(bench.hold(SHARE, 10, order=entry.id))) is closes


def test_fill_beyond_the_trigger_of_a_stop_at_the_broker_is_closed_at_once() -> None:
    bench = bench_with(StopPlan.BROKER)
    bench.quote(SHARE, 800.0)
    (entry,) = bench.intent("a", Leg(instrument=SHARE, lots=10))
    bench.quote(SHARE, 780.0)
    guard = Protection(
        id="p", account="main", instrument=SHARE, product=Product.MIS, strategy="S", run="r", cause=entry.id,
        side=Side.SELL, trigger=entry.stop_trigger, limit=entry.stop_limit,
    )  # fmt: skip
    bench.give(ProtectionChanged(protection=guard, at_ns=bench.now))
    rows = bench.hold(SHARE, 10, order=entry.id)
    (goal,) = goals(rows)
    assert goal.reason == "stop: 780 is at or beyond 784"
    assert [(row.code, row.subject) for row in rows if isinstance(row, Alert)] == [("STOP_FAILED", "p")]


@pytest.mark.parametrize(("state", "covered", "seen", "closes"), [
    (OrderState.TRIGGERED, 10, 10, False), (OrderState.ACCEPTED, 10, 10, False), (OrderState.ACCEPTED, 9, 10, True),
    (OrderState.SUBMITTED, 10, 10, True), (OrderState.REJECTED, 10, 10, True), (OrderState.FILLED, 10, 0, False),
])  # fmt: skip
def test_fill_that_is_confirmed_beyond_a_stop_that_covers_it_is_left_to_the_stop(
    state: OrderState, covered: int, seen: int, closes: bool
) -> None:
    """The exit took the triggered stop away, without an alert: the position was bare until that was proven."""
    bench = bench_with(StopPlan.BROKER)
    bench.quote(SHARE, 800.0)
    (entry,) = bench.intent("a", Leg(instrument=SHARE, lots=10))
    guard = Protection(
        id="p", account="main", instrument=SHARE, product=Product.MIS, strategy="S", run="r", cause=entry.id,
        side=Side.SELL, trigger=entry.stop_trigger, limit=entry.stop_limit,
    )  # fmt: skip
    sighted = Position(
        account="main", instrument=SHARE, product=Product.MIS, strategy="S", run="r", quantity_seen=10,
        opened_ns=bench.now, updated_ns=bench.now,
    )  # fmt: skip
    news = PositionChanged(position=sighted, client_order_id=entry.id, fill_quantity=0, fill_price=0.0, at_ns=bench.now)
    bench.give(news)
    bench.give(ProtectionChanged(protection=guard, at_ns=bench.now))
    stop = replace(
        bench.order_of(entry, state, 0), client_order_id="s", purpose=Purpose.STOP, side=Side.SELL, quantity=covered
    )
    bench.give(OrderChanged(event="stop", order=stop, machine_ns=bench.machine_ns))
    bench.quote(SHARE, 780.0)
    confirmed = replace(news, position=replace(sighted, quantity=10, quantity_seen=seen), fill_quantity=10)
    assert bool(goals(bench.give(confirmed))) is closes


def test_stop_that_risk_holds_closes_without_an_alarm() -> None:
    bench = held()
    rows = bench.quote(SHARE, 784.0)
    assert len(goals(rows)) == 1
    assert not [row for row in rows if isinstance(row, Alert)]


def test_price_beyond_a_stop_at_the_broker_is_left_to_the_stop() -> None:
    bench = held(StopPlan.BROKER)
    assert goals(bench.quote(SHARE, 700.0)) == []


def test_watched_index_has_no_level_of_its_own() -> None:
    bench = held()
    assert price_exits.on_quote(bench.machine.state, WATCH, bench.now) == ()


def carried(stop: float, quantity: int = 10) -> PositionChanged:
    position = Position(
        account="main", instrument=SHARE, product=Product.MIS, strategy="S", run="r", quantity=quantity,
        quantity_seen=quantity, average_price=800.0, opened_ns=1, updated_ns=1, held_stop=stop,
    )  # fmt: skip
    return PositionChanged(position=position, client_order_id="x", fill_quantity=10, fill_price=800.0, at_ns=1)


def test_level_held_by_risk_outlives_its_journal_with_the_position() -> None:
    """A journal that is learnt again from its readers holds no levels: they were rows of risk alone."""
    bench = bench_with(StopPlan.ENGINE)
    bench.give(carried(784.0))
    for row in restore_stops(bench.machine.state, bench.now):
        bench.machine.apply(row)
    assert bench.machine.state.stop_levels == {("main", SHARE, "MIS", "S"): 784.0}
    assert restore_stops(bench.machine.state, bench.now) == []
    assert len(goals(bench.quote(SHARE, 784.0))) == 1


def test_level_of_an_entry_on_its_way_outlives_the_journal() -> None:
    before = held()
    entry = next(row for row in before.rows if isinstance(row, PlaceEntry))
    assert entry.held_stop == before.machine.state.stop_levels["main", SHARE, "MIS", "S"]
    bench = bench_with(StopPlan.ENGINE)
    signal = next(row for row in before.rows if isinstance(row, Signal))
    bench.machine.apply(signal)
    bench.machine.apply(entry)
    assert levels(restore_stops(bench.machine.state, bench.now)) == [(NAME, entry.held_stop)]


def test_flat_position_brings_no_level_back() -> None:
    bench = bench_with(StopPlan.ENGINE)
    bench.give(carried(784.0, quantity=0))
    assert restore_stops(bench.machine.state, bench.now) == []
