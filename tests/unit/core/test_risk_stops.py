"""Stops that risk holds or hastens: levels that survive, prices that end a position once, and old ones that do not."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.risk import stops as risk_stops
from mytrading.messages.commands import CloseGoal, PlaceEntry
from mytrading.messages.control import Alert
from mytrading.messages.enums import Action, OrderState, Product, Purpose, Side
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
from mytrading.messages.records import LevelMoved
from mytrading.messages.runconfig import StopPlan
from mytrading.messages.signals import Leg, Signal
from tests.unit.core.test_risk_machine import CALL, SECOND, SHARE, WATCH, Desk

NAME = f"stop main {SHARE} MIS S"


def desk_of(stop: StopPlan) -> Desk:
    desk = Desk()
    (run,) = desk.machine.strategies.values()
    desk.machine.strategies["S"] = replace(run, stop=stop)
    return desk


def held(stop: StopPlan = StopPlan.ENGINE, lots: int = 10) -> Desk:
    """Shares held at 800.05 or sold at 799.95, with a level 2 % away."""
    desk = desk_of(stop)
    desk.quote(SHARE, 800.0)
    action = Action.BUY if lots > 0 else Action.SELL
    entry = next(row for row in desk.wish("a", Leg(instrument=SHARE, lots=lots), action=action))
    desk.fill(entry)
    return desk


def goals(rows: Any) -> list[CloseGoal]:
    return [row for row in rows if isinstance(row, CloseGoal)]


def done(goal: CloseGoal) -> Goal:
    return Goal(
        id=goal.id, account=goal.account, instrument=goal.instrument, product=goal.product, strategy=goal.strategy,
        run=goal.run, cause=goal.cause, reason=goal.reason, purpose=Purpose.EXIT, state="done",
    )  # fmt: skip


def levels(rows: Any) -> list[tuple[str, float]]:
    return [(row.name, row.value) for row in rows if isinstance(row, LevelMoved) and row.name.startswith("stop ")]


def test_entry_carries_its_plan_to_the_router_unless_risk_or_nobody_holds_the_stop() -> None:
    plans = {}
    for stop in StopPlan:
        desk = desk_of(stop)
        desk.quote()
        rows = desk.wish("a", Leg(instrument=CALL, lots=1))
        entry = next(row for row in rows if isinstance(row, PlaceEntry))
        plans[stop] = (entry.stop_trigger, entry.stop_limit, bool(levels(rows)))
    assert plans[StopPlan.BROKER] == (70.0, 67.0, False)
    assert plans[StopPlan.ENGINE] == (0.0, 0.0, True)
    assert plans[StopPlan.NONE] == (0.0, 0.0, False)


def test_stop_on_the_wrong_side_denies_the_entry() -> None:
    desk = desk_of(StopPlan.BROKER)
    desk.quote()
    (denied,) = desk.wish("a", Leg(instrument=CALL, lots=1, stop_price=101.0))
    assert denied.code == "STOP_LEVEL"


@pytest.mark.parametrize(("lots", "before", "at"), [(10, 784.05, 784.0), (-10, 815.9, 815.95)])
def test_price_at_the_level_closes_a_long_and_a_short_once(lots: int, before: float, at: float) -> None:
    desk = held(lots=lots)
    assert goals(desk.quote(SHARE, before)) == []
    (goal,) = goals(desk.quote(SHARE, at))
    assert "is at or beyond" in goal.reason
    assert goals(desk.quote(SHARE, at)) == []
    assert goals(desk.pass_time(1)) == []


def test_old_quote_ends_nothing() -> None:
    desk = held()
    desk.pass_time(30)
    old = Quote(SHARE, desk.now - 20 * SECOND, desk.machine_ns - 20 * SECOND, 700.0, 699.0, 701.0)
    assert goals(desk.give(old)) == []
    assert goals(desk.quote(SHARE, 700.0))


def test_level_stays_where_it_was_when_more_is_filled_and_after_a_restart() -> None:
    desk = held()
    desk.pass_time(1)
    desk.quote(SHARE, 810.0)
    entry = next(row for row in desk.wish("b", Leg(instrument=SHARE, lots=20)) if isinstance(row, PlaceEntry))
    desk.order(entry, OrderState.FILLED, 10)
    desk.hold(SHARE, 20, price=805.0, order=entry.id)
    assert levels(desk.rows) == [(NAME, 784.0)]
    again = Desk()
    again.machine.strategies.update(desk.machine.strategies)
    again.now, again.machine_ns = desk.now, desk.machine_ns
    again.beat()
    again.machine.apply(desk.machine.snapshot("2026-03-19"))
    assert goals(again.quote(SHARE, 783.0))


def test_level_ends_with_the_position_and_a_new_one_gets_its_own() -> None:
    desk = held()
    desk.quote(SHARE, 784.0)
    desk.hold(SHARE, 0, order="exit")
    goal = Goal(
        id="g", account="main", instrument=SHARE, product=Product.MIS, strategy="S", run="r", cause="x", reason="x",
        purpose=Purpose.EXIT, state="done",
    )  # fmt: skip
    desk.give(GoalChanged(goal=goal, at_ns=desk.now))
    assert levels(desk.pass_time(1)) == [(NAME, 0.0)]
    assert desk.machine.state.stop_levels == {}
    desk.wish("b", action=Action.EXIT)
    desk.quote(SHARE, 700.0)
    rows = desk.wish("c", Leg(instrument=SHARE, lots=10))
    assert levels(rows) == [(NAME, 686.0)]


def reopened(desk: Desk, how: str) -> Desk:
    """The desk as it goes on: itself, replayed from its rows, or begun with the day's first row."""
    if not how:
        return desk
    again = desk_of(desk.machine.strategies["S"].stop)
    again.now, again.machine_ns = desk.now, desk.machine_ns
    for row in desk.rows if how == "replayed" else (desk.machine.snapshot("2026-03-18"),):
        again.machine.apply(row)
    again.beat()
    return again


@pytest.mark.parametrize("how", ["", "replayed", "snapshot"])
@pytest.mark.parametrize(("first", "then", "level"), [(10, -10, 815.95), (-10, 10, 784.0), (10, -20, 815.95)])
def test_reversal_before_the_close_is_done_gets_the_level_of_its_own_side(
    first: int, then: int, level: float, how: str
) -> None:
    desk = held(lots=first)
    action = Action.BUY if then > 0 else Action.SELL
    (goal,) = goals(desk.wish("b", Leg(instrument=SHARE, lots=then), action=action))
    rows = desk.hold(SHARE, 0, order="exit")
    (entry,) = (row for row in rows if isinstance(row, PlaceEntry))
    assert (entry.held_stop, levels(rows)) == (level, [(NAME, level)])
    desk = reopened(desk, how)
    assert desk.machine.state.closing, "the router has not said that the close is done"
    desk.fill(entry)
    assert goals(desk.quote(SHARE, 800.0)) == []
    desk.give(GoalChanged(goal=done(goal), at_ns=desk.now))
    desk.pass_time(1)
    way = 1 if then > 0 else -1
    assert goals(desk.quote(SHARE, level + way * 0.05)) == []
    assert len(goals(desk.quote(SHARE, level))) == 1


def test_same_side_again_before_the_close_is_done_gets_the_level_of_its_own_price() -> None:
    desk = held()
    (goal,) = goals(desk.wish("b", action=Action.EXIT))
    desk.hold(SHARE, 0, order="exit")
    desk.quote(SHARE, 900.0)
    rows = desk.wish("c", Leg(instrument=SHARE, lots=10))
    assert levels(rows) == [(NAME, 882.0)]
    desk.fill(next(row for row in rows if isinstance(row, PlaceEntry)))
    desk.give(GoalChanged(goal=done(goal), at_ns=desk.now))
    assert len(goals(desk.quote(SHARE, 882.0))) == 1


def test_level_of_the_side_before_ends_where_the_next_position_has_none_here() -> None:
    desk = held()
    (run,) = desk.machine.strategies.values()
    desk.machine.strategies["S"] = replace(run, stop=StopPlan.BROKER)
    desk.wish("b", Leg(instrument=SHARE, lots=-10), action=Action.SELL)
    rows = desk.hold(SHARE, 0, order="exit")
    assert levels(rows) == [(NAME, 0.0)]
    desk.fill(next(row for row in rows if isinstance(row, PlaceEntry)))
    assert goals(desk.quote(SHARE, 800.0)) == []


@pytest.mark.parametrize(("side", "closes"), [(Side.SELL, True), (Side.BUY, False)])
def test_fill_is_judged_by_the_stop_of_its_own_side_alone(side: Side, closes: bool) -> None:
    """The stop of the side before is not done while it is still being cancelled."""
    desk = desk_of(StopPlan.BROKER)
    desk.quote(SHARE, 800.0)
    (entry,) = desk.wish("a", Leg(instrument=SHARE, lots=10))
    guard = Protection(
        id="p", account="main", instrument=SHARE, product=Product.MIS, strategy="S", run="r", cause="before",
        side=side, trigger=815.95, limit=820.0,
    )  # fmt: skip
    desk.give(ProtectionChanged(protection=guard, at_ns=desk.now))
    assert bool(goals(desk.hold(SHARE, 10, order=entry.id))) is closes


def test_fill_beyond_the_trigger_of_a_stop_at_the_broker_is_closed_at_once() -> None:
    desk = desk_of(StopPlan.BROKER)
    desk.quote(SHARE, 800.0)
    (entry,) = desk.wish("a", Leg(instrument=SHARE, lots=10))
    desk.quote(SHARE, 780.0)
    guard = Protection(
        id="p", account="main", instrument=SHARE, product=Product.MIS, strategy="S", run="r", cause=entry.id,
        side=Side.SELL, trigger=entry.stop_trigger, limit=entry.stop_limit,
    )  # fmt: skip
    desk.give(ProtectionChanged(protection=guard, at_ns=desk.now))
    rows = desk.hold(SHARE, 10, order=entry.id)
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
    """The exit took the triggered stop away, and nobody was told why: the position was bare until that was proven."""
    desk = desk_of(StopPlan.BROKER)
    desk.quote(SHARE, 800.0)
    (entry,) = desk.wish("a", Leg(instrument=SHARE, lots=10))
    guard = Protection(
        id="p", account="main", instrument=SHARE, product=Product.MIS, strategy="S", run="r", cause=entry.id,
        side=Side.SELL, trigger=entry.stop_trigger, limit=entry.stop_limit,
    )  # fmt: skip
    sighted = Position(
        account="main", instrument=SHARE, product=Product.MIS, strategy="S", run="r", quantity_seen=10,
        opened_ns=desk.now, updated_ns=desk.now,
    )  # fmt: skip
    news = PositionChanged(position=sighted, client_order_id=entry.id, fill_quantity=0, fill_price=0.0, at_ns=desk.now)
    desk.give(news)
    desk.give(ProtectionChanged(protection=guard, at_ns=desk.now))
    stop = replace(
        desk.order_of(entry, state, 0), client_order_id="s", purpose=Purpose.STOP, side=Side.SELL, quantity=covered
    )
    desk.give(OrderChanged(event="stop", order=stop, machine_ns=desk.machine_ns))
    desk.quote(SHARE, 780.0)
    confirmed = replace(news, position=replace(sighted, quantity=10, quantity_seen=seen), fill_quantity=10)
    assert bool(goals(desk.give(confirmed))) is closes


def test_stop_that_risk_holds_closes_without_an_alarm() -> None:
    desk = held()
    rows = desk.quote(SHARE, 784.0)
    assert len(goals(rows)) == 1
    assert not [row for row in rows if isinstance(row, Alert)]


def test_price_beyond_a_stop_at_the_broker_is_left_to_the_stop() -> None:
    desk = held(StopPlan.BROKER)
    assert goals(desk.quote(SHARE, 700.0)) == []


def test_watched_index_has_no_level_of_its_own() -> None:
    desk = held()
    assert desk.machine.exits.at_price(WATCH, desk.now) == ()


def carried(stop: float, quantity: int = 10) -> PositionChanged:
    position = Position(
        account="main", instrument=SHARE, product=Product.MIS, strategy="S", run="r", quantity=quantity,
        quantity_seen=quantity, average_price=800.0, opened_ns=1, updated_ns=1, held_stop=stop,
    )  # fmt: skip
    return PositionChanged(position=position, client_order_id="x", fill_quantity=10, fill_price=800.0, at_ns=1)


def test_level_held_by_risk_outlives_its_journal_with_the_position() -> None:
    """A journal that is learnt again from its readers holds no levels: they were rows of risk alone."""
    desk = desk_of(StopPlan.ENGINE)
    desk.give(carried(784.0))
    for row in risk_stops.restore(desk.machine.state, desk.now):
        desk.machine.apply(row)
    assert desk.machine.state.stop_levels == {("main", SHARE, "MIS", "S"): 784.0}
    assert risk_stops.restore(desk.machine.state, desk.now) == []
    assert len(goals(desk.quote(SHARE, 784.0))) == 1


def test_level_of_an_entry_on_its_way_outlives_the_journal() -> None:
    before = held()
    entry = next(row for row in before.rows if isinstance(row, PlaceEntry))
    assert entry.held_stop == before.machine.state.stop_levels["main", SHARE, "MIS", "S"]
    desk = desk_of(StopPlan.ENGINE)
    signal = next(row for row in before.rows if isinstance(row, Signal))
    desk.machine.apply(signal)
    desk.machine.apply(entry)
    assert levels(risk_stops.restore(desk.machine.state, desk.now)) == [(NAME, entry.held_stop)]


def test_flat_position_brings_no_level_back() -> None:
    desk = desk_of(StopPlan.ENGINE)
    desk.give(carried(784.0, quantity=0))
    assert risk_stops.restore(desk.machine.state, desk.now) == []
