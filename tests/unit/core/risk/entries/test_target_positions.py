"""Target positions, computed here from the strategy's own quantity: what is traded for each of them, and in slices."""

from __future__ import annotations

import re
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.accounting.margin_tables import RiskTables
from mytrading.core.ids import client_order_id
from mytrading.core.time import MINUTE
from mytrading.messages.commands import CloseGoal, PlaceEntry, WithdrawEntries
from mytrading.messages.enums import Action, OrderState, Product, Purpose
from mytrading.messages.orders import Goal, GoalChanged, Order, OrderChanged, Position, PositionChanged
from mytrading.messages.signals import Leg
from tests.kit.order_samples import order_of
from tests.kit.project import ROOT
from tests.kit.risk_bench import CALL, LIMITS, SHARE, RiskBench

ROOMY = replace(LIMITS, max_position_size=1e9, max_order_size=1e9)
LOT = 65


def traded(bench: RiskBench, rows: tuple[Any, ...], current: int) -> tuple[int, int]:
    """Units closed, and signed units entered, with what is closed gone before the entry is asked for."""
    closed = entered = 0
    for _ in range(3):
        for row in rows:
            if isinstance(row, CloseGoal):
                closed += abs(current)
                flat = bench.hold(row.instrument, 0, order="exit")
                goal = Goal(id=row.id, account=row.account, instrument=row.instrument, product=row.product,
                            strategy=row.strategy, run=row.run, cause=row.cause, reason=row.reason,
                            purpose=Purpose.EXIT, state="done")  # fmt: skip
                rows = (*flat, *bench.give(GoalChanged(goal=goal, at_ns=bench.now)))
                break
            if isinstance(row, PlaceEntry):
                entered += row.quantity * row.side.sign
                rows = bench.order(row, OrderState.ACCEPTED)
                break
        else:
            return closed, entered
    raise AssertionError(f"more than one close and one entry: {rows}")


@pytest.mark.parametrize(
    ("current", "target", "closes", "enters"),
    [
        (0, 0, 0, 0),
        (0, 100, 0, 100),
        (0, -100, 0, -100),
        (100, 0, 100, 0),
        (-100, 0, 100, 0),
        (100, -100, 100, -100),
        (-50, 50, 50, 50),
        (100, 100, 0, 0),
        (-100, -100, 0, 0),
        (40, 100, 0, 60),
    ],
)
def test_target_is_reached_by_what_is_missing_of_the_own_position(
    current: int, target: int, closes: int, enters: int
) -> None:
    bench = RiskBench(ROOMY)
    bench.quote(SHARE)
    if current:
        bench.hold(SHARE, current)
    action = Action.BUY if target > 0 else Action.SELL if target < 0 else Action.EXIT
    rows = bench.intent("a", Leg(instrument=SHARE, lots=target), action=action)
    assert traded(bench, rows, current) == (closes, enters)


@pytest.mark.parametrize("action", list(Action))
def test_flat_target_on_a_flat_position_places_nothing_whatever_the_action_says(action: Action) -> None:
    bench = RiskBench()
    bench.quote(SHARE)
    for name in ("a", "b"):
        assert bench.intent(name, Leg(instrument=SHARE, lots=0), action=action) == ()
        assert bench.intent(f"{name}-bare", action=action) == ()
    assert bench.pass_time(1) == ()


def test_flat_target_leaves_what_others_hold_of_the_same_instrument() -> None:
    bench = RiskBench()
    bench.quote(SHARE)
    other = Position(account="main", instrument=SHARE, product=Product.MIS, strategy="Other", run="r", quantity=300,
                     quantity_seen=300, average_price=100.0)  # fmt: skip
    bench.give(
        PositionChanged(position=other, client_order_id="o", fill_quantity=300, fill_price=100.0, at_ns=bench.now)
    )
    bench.hold(SHARE, 100)
    (goal,) = bench.intent("a", Leg(instrument=SHARE, lots=0), action=Action.EXIT)
    assert isinstance(goal, CloseGoal) and goal.strategy == "S"
    bench.hold(SHARE, 0)
    assert bench.intent("b", Leg(instrument=SHARE, lots=0), action=Action.EXIT) == ()


def test_flat_target_given_twice_closes_once() -> None:
    bench = RiskBench()
    bench.quote(SHARE)
    bench.hold(SHARE, 100)
    assert len(bench.intent("a", action=Action.EXIT)) == 1
    assert bench.intent("b", action=Action.EXIT) == ()


def test_smart_orders_are_called_by_nothing_that_trades() -> None:
    """Smart orders act on the whole account, others' and a person's positions too, and a flat target may open one."""
    named = re.compile(r"place_?smart", re.IGNORECASE)
    users = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "mytrading").rglob("*.py")
        if named.search(path.read_text(encoding="utf-8"))
    }
    allowed = {"mytrading/adapters/openalgo/sdk.py"}
    assert {name for name in users if not name.startswith("mytrading/simulator/")} <= allowed
    text = (ROOT / "mytrading/adapters/venues.py").read_text(encoding="utf-8")
    assert "openalgo.endpoints" not in text and "smart" not in text.lower()


# slices


def sliced(bench: RiskBench, entry: PlaceEntry, *quantities: int) -> list[Order]:
    """Report the router's slices of an entry above the freeze quantity, row by row."""
    made = []
    for number, quantity in enumerate(quantities, 1):
        order = order_of(
            client_order_id=client_order_id("main", entry.id, Purpose.ENTRY, entry.instrument, number), account="main",
            instrument=entry.instrument, product=entry.product, strategy="S", run=entry.run, cause=entry.cause,
            purpose=Purpose.ENTRY, side=entry.side, quantity=quantity, order_type=entry.order_type,
            state=OrderState.SUBMITTED, created_ns=bench.now, updated_ns=bench.now, parent=entry.id, slice=number,
        )  # fmt: skip
        made.append(order)
    return made


def report(bench: RiskBench, order: Order, **fields: Any) -> tuple[Any, ...]:
    changed = replace(order, **fields)
    return bench.give(OrderChanged(event=changed.state.value.lower(), order=changed, machine_ns=bench.machine_ns))


def test_commands_carry_lot_and_freeze_quantity_of_the_day() -> None:
    bench = RiskBench(ROOMY)
    bench.quote()
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=40))
    assert (entry.quantity, entry.lot, entry.freeze) == (40 * LOT, LOT, 1800)
    bench.fill(entry)
    (goal,) = bench.intent("b", action=Action.EXIT)
    assert (goal.lot, goal.freeze) == (LOT, 1800)


def test_slices_count_together_at_every_moment() -> None:
    bench = RiskBench(ROOMY)
    bench.quote()
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=40))
    first, second = sliced(bench, entry, 27 * LOT, 13 * LOT)
    for order in (first, second, first):
        assert report(bench, order) == ()
        assert bench.machine.state.pending_units("S", CALL, "main") == 40 * LOT
    assert bench.intent("again", Leg(instrument=CALL, lots=40)) == ()
    assert bench.intent("a", Leg(instrument=CALL, lots=40)) == ()
    report(bench, first, state=OrderState.FILLED, filled=first.quantity)
    bench.hold(CALL, first.quantity, order=first.client_order_id)
    assert bench.machine.state.pending_units("S", CALL, "main") == 13 * LOT
    report(bench, second, state=OrderState.REJECTED)
    report(bench, first, state=OrderState.FILLED, filled=first.quantity)
    assert bench.machine.state.pending_units("S", CALL, "main") == 0
    assert bench.intent("a", Leg(instrument=CALL, lots=40)) == ()


def test_slices_are_withdrawn_by_one_command_and_count_as_one_entry() -> None:
    bench = RiskBench(ROOMY)
    bench.quote()
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=40))
    for order in sliced(bench, entry, 27 * LOT, 13 * LOT):
        report(bench, order, state=OrderState.ACCEPTED)
    rows = bench.intent("b", action=Action.EXIT)
    assert [type(row) for row in rows] == [WithdrawEntries]
    assert bench.pass_time(0.25) == ()
    assert bench.machine.state.entries_since("S", bench.now - MINUTE + 1) == 1


def test_quantity_that_no_slices_make_up_is_denied_with_the_most_that_they_do() -> None:
    bench = RiskBench(ROOMY)
    bench.machine.environment.tables = RiskTables(max_lots_per_leg=1000)
    bench.quote()
    (denial,) = bench.intent("a", Leg(instrument=CALL, lots=400))
    assert denial.code == "FREEZE" and f"use at most {27 * 28 // 2 * LOT}" in denial.message
