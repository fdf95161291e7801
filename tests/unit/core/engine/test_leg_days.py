"""Rolls, re-entries and ranges of a file of legs: what is due at a bar, counted over restarts."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.engine.leg_strategy import BreakoutRange, leg_strategy
from mytrading.core.engine.leg_tracker import LegTracker
from mytrading.core.engine.machine import EngineMachine
from mytrading.core.gateway.leg_reentries import leg_reentries
from mytrading.messages.control import FLATTEN
from mytrading.messages.enums import Action, OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.journal_rows import StrategyMemory
from mytrading.messages.leg_plan import Breakout, LegPlan, LegRoll, LegRule, LegStop, RangeRule, RollTrigger
from mytrading.messages.orders import Goal, GoalChanged, OrderChanged
from mytrading.messages.signals import Signal
from tests.kit.engine_bench import MINUTE, NIFTY, OPEN, make_bar, make_machine, make_run, moved, step
from tests.kit.order_samples import order_of

ENTRY = 9 * 3600 + 20 * 60
CALL, PUT, HIGHER = "NFO:NIFTY02DEC2526050CE", "NFO:NIFTY02DEC2525950PE", "NFO:NIFTY02DEC2526150CE"
ROLL = LegRoll(trigger=RollTrigger.POINTS, value=10.0, strike="OTM 2")
STRANGLE = (
    LegRule(lots=-1, strike="OTM 1", right="CE", stop=LegStop(value=30.0)),
    LegRule(lots=-1, strike="OTM 1", right="PE"),
)


def machine_of(*legs: LegRule, range_: RangeRule | None = None, minutes: int = 5) -> EngineMachine:
    plan = LegPlan(legs=legs, entry_time=ENTRY, entry_minutes=minutes, range=range_)
    run = make_run("Legs", symbols=(NIFTY,), long=None, short=None, plan=plan)
    return make_machine({"Legs": leg_strategy(plan)}, run)


def bars(machine: EngineMachine, *closes: float, first: int = 0) -> list[Signal]:
    rows = [row for k, close in enumerate(closes) for row in step(machine, make_bar(first + k, close, NIFTY))]
    return [row for row in rows if isinstance(row, Signal)]


def fill(machine: EngineMachine, name: str, lots: int, minute: int) -> None:
    step(machine, replace(moved("Legs", name, lots * 75), at_ns=OPEN + minute * MINUTE))


def entered(machine: EngineMachine) -> Signal:
    for name in (CALL, PUT):
        quoted(machine, name)
    (signal,) = bars(machine, *[26_010.0] * 5)
    for leg in signal.legs:
        quoted(machine, leg.instrument)
        fill(machine, leg.instrument, leg.lots, 5)
    return signal


def quoted(machine: EngineMachine, name: str, price: float = 100.0, minute: int = 4) -> None:
    machine.prices.note(name, price, OPEN + minute * MINUTE)


def stop_filled(machine: EngineMachine, name: str, minute: int) -> None:
    order = order_of(
        client_order_id=f"s{minute}", account="main", instrument=name, product=Product.MIS, strategy="Legs", run="r1",
        cause="c", purpose=Purpose.STOP, side=Side.BUY, quantity=75, order_type=OrderType.SL, state=OrderState.FILLED,
        created_ns=OPEN, updated_ns=OPEN, filled=75, filled_seen=75,
    )  # fmt: skip
    step(machine, OrderChanged(event="filled", order=order, machine_ns=0))
    fill(machine, name, 0, minute)


def ordered(machine: EngineMachine, signal: Signal, name: str, lots: int, minute: int) -> None:
    """An entry of a signal fills."""
    order = order_of(
        client_order_id=f"e{minute}{name}", account="main", instrument=name, product=Product.MIS, strategy="Legs",
        run="r1", cause=signal.id, purpose=Purpose.ENTRY, side=Side.SELL, quantity=75, order_type=OrderType.MARKET,
        state=OrderState.FILLED, created_ns=OPEN, updated_ns=OPEN, filled=75, filled_seen=75,
    )  # fmt: skip
    step(machine, OrderChanged(event="filled", order=order, machine_ns=0))
    fill(machine, name, lots, minute)


def test_tested_leg_is_rolled_once_with_its_own_stop() -> None:
    machine = machine_of(LegRule(lots=-1, strike="OTM 1", right="CE", roll=ROLL, stop=LegStop(value=30.0)), STRANGLE[1])
    entered(machine)
    quoted(machine, HIGHER)
    assert bars(machine, 26_039.0, first=5) == []
    (signal,) = bars(machine, 26_041.0, first=6)
    assert [(change.closes, change.opens) for change in signal.changes] == [(CALL, HIGHER)]
    (leg,) = signal.entry_legs
    assert (leg.lots, leg.stop) == (-1, LegStop(value=30.0))
    fill(machine, CALL, 0, 7)
    fill(machine, HIGHER, -1, 7)
    assert bars(machine, 26_200.0, 26_200.0, 26_200.0, first=9) == [], "once a day"


@pytest.mark.parametrize(
    ("leg", "asked"),
    [
        (LegRule(lots=-1, strike="OTM 1", right="CE", roll=ROLL, stop=LegStop(value=30.0)), HIGHER),
        (LegRule(lots=-1, strike="OTM 1", right="CE", reentries=1), "NFO:NIFTY02DEC2526100CE"),
        (LegRule(lots=-1, strike="OTM 1", right="CE"), ""),
    ],
)
def test_contract_that_a_leg_may_be_rolled_to_or_entered_as_is_quoted_after_the_entry(leg: LegRule, asked: str) -> None:
    """Its stop is counted from its price, so that without a quote the roll would wait for ever."""
    machine = machine_of(leg, STRANGLE[1])
    entered(machine)
    assert set(machine.tradable_contracts(OPEN + 5 * MINUTE)) >= {CALL, PUT}
    bars(machine, 26_060.0, first=15)
    found = set(machine.tradable_contracts(OPEN + 60 * MINUTE)) - {CALL, PUT}
    assert found == ({asked} if asked else set())


def test_leg_is_rolled_by_its_delta() -> None:
    roll = LegRoll(trigger=RollTrigger.DELTA, value=0.45, strike="OTM 2")
    machine = machine_of(LegRule(lots=-1, strike="OTM 1", right="CE", roll=roll))
    entered(machine)
    quoted(machine, CALL, 60.0, 5)
    assert bars(machine, 26_010.0, first=5) == []
    quoted(machine, CALL, 140.0, 5)
    assert bars(machine, 26_060.0, first=6) == [], "its premium is of two minutes before: no delta follows from that"
    quoted(machine, CALL, 140.0, 7)
    assert len(bars(machine, 26_060.0, first=7)) == 1


def test_rolls_are_counted_over_a_restart() -> None:
    legs = (LegRule(lots=-1, strike="OTM 1", right="CE", roll=ROLL), STRANGLE[1])
    machine = machine_of(*legs)
    rows: list[Any] = []
    rows += [entered(machine)]
    rolled = bars(machine, 26_045.0, first=6)
    memory = machine.hosts[0].journaled_memory
    again = machine_of(*legs)
    again.rebuild()
    for row in (*rows, *rolled, moved("Legs", CALL, 0), moved("Legs", HIGHER, -75), moved("Legs", PUT, -75)):
        again.apply(row)
    again.apply(StrategyMemory(strategy="Legs", text=memory, at_ns=0))
    again.open([make_bar(k, 26_010.0, NIFTY) for k in range(7)])
    assert bars(again, 26_200.0, 26_200.0, first=8) == []


def test_stopped_leg_is_added_again_one_bar_later_as_often_as_the_file_says() -> None:
    machine = machine_of(LegRule(lots=-1, strike="OTM 1", right="CE", reentries=1), STRANGLE[1])
    entered(machine)
    stop_filled(machine, CALL, 6)
    assert bars(machine, 26_110.0, first=6) == [], "a bar lies between"
    (signal,) = bars(machine, 26_110.0, first=7)
    assert [(change.closes, change.opens) for change in signal.changes] == [("", HIGHER)]
    assert [leg.instrument for leg in signal.legs] == [PUT, HIGHER]
    ordered(machine, signal, HIGHER, -1, 8)
    assert bars(machine, 26_110.0, first=8) == []
    stop_filled(machine, HIGHER, 9)
    assert bars(machine, *[26_110.0] * 3, first=9) == [], "no second time"


def test_screens_name_the_time_at_which_the_engine_enters_a_stopped_leg_again() -> None:
    legs = (LegRule(lots=-1, strike="OTM 1", right="CE", reentries=1), STRANGLE[1])
    plan = LegPlan(legs=legs, entry_time=ENTRY, exit_time=15 * 3600)
    machine, signals = machine_of(*legs), []
    signals.append(entered(machine))
    rows = {CALL: -75, PUT: -75}

    def said(minute: int, plan: LegPlan = plan) -> list[tuple[str, int, int]]:
        held = [replace(moved("Legs", name, units).position, updated_ns=OPEN + 6 * MINUTE + 1) for name, units in
                rows.items()]  # fmt: skip
        closed_by = lambda name: machine.protective_exits.closed_by("Legs", name)  # noqa: E731
        found = leg_reentries(plan, signals, held, closed_by, OPEN + minute * MINUTE + 2)
        return [(one.leg, (one.at_ns - OPEN) // MINUTE, one.left) for one in found]

    assert said(6) == []
    stop_filled(machine, CALL, 6)
    rows[CALL] = 0
    assert said(6) == said(7) == [("leg 1, SELL OTM 1 CE", 8, 1)]
    assert said(6, replace(plan, exit_time=9 * 3600 + 15 * 60 + 8 * 60)) == [], "closing has begun by then"
    assert bars(machine, 26_110.0, first=6) == []
    (signal,) = bars(machine, 26_110.0, first=7)
    assert signal.created_ns == OPEN + 8 * MINUTE
    signals.append(signal)
    assert said(8) == []
    ordered(machine, signal, HIGHER, -1, 8)
    rows[HIGHER] = -75
    stop_filled(machine, HIGHER, 9)
    rows[HIGHER] = 0
    assert said(9) == [], "no second time"


def test_leg_that_an_operator_closed_is_not_entered_again_whatever_reason_he_gave() -> None:
    machine = machine_of(LegRule(lots=-1, strike="OTM 1", right="CE", reentries=2), STRANGLE[1])
    entered(machine)
    goal = Goal(id="g", account="main", instrument=CALL, product=Product.MIS, strategy="Legs", run="r1",
                cause=f"{FLATTEN}request-main", reason="stop: enough of it", purpose=Purpose.EXIT)  # fmt: skip
    step(machine, GoalChanged(goal=goal, at_ns=OPEN))
    fill(machine, CALL, 0, 6)
    assert bars(machine, *[26_010.0] * 4, first=6) == []
    step(machine, GoalChanged(goal=replace(goal, cause="c"), at_ns=OPEN))
    assert len(bars(machine, *[26_010.0] * 2, first=10)) == 1, "by a rule it is"


def test_position_that_stops_closed_whole_is_entered_again() -> None:
    machine = machine_of(LegRule(lots=-1, strike="OTM 1", right="CE", reentries=2))
    entered(machine)
    stop_filled(machine, CALL, 6)
    (signal,) = bars(machine, 26_010.0, 26_010.0, first=6)
    assert (signal.action, [leg.instrument for leg in signal.legs], signal.changes) == (Action.BUY, [CALL], ())
    assert signal.rearmed


def test_leg_that_something_else_closed_stays_closed() -> None:
    machine = machine_of(*(LegRule(lots=-1, strike="OTM 1", right=right, reentries=3) for right in ("CE", "PE")))
    entered(machine)
    stop_filled(machine, CALL, 6)
    fill(machine, PUT, 0, 6)
    assert bars(machine, *[26_010.0] * 4, first=6) == [], "an operator or a rule of the run closed the rest"


COVERED = (
    LegRule(lots=1, strike="OTM 2", right="CE"),
    LegRule(lots=-1, strike="OTM 1", right="CE", reentries=2, roll=replace(ROLL, strike="OTM 1")),
    STRANGLE[1],
)
"""A sold call that a bought one covers, and a sold put that keeps the position while these are gone."""
FAR, FARTHER = "NFO:NIFTY02DEC2526100CE", "NFO:NIFTY02DEC2526200CE"


def covered() -> EngineMachine:
    machine = machine_of(*COVERED)
    quoted(machine, FAR)
    assert [(leg.instrument, leg.number) for leg in entered(machine).legs] == [(FAR, 1), (CALL, 2), (PUT, 3)]
    return machine


@pytest.mark.parametrize("by_stop", [True, False], ids=["its stop", "something else"])
def test_covered_leg_is_entered_again_with_its_cover_once_that_is_gone(by_stop: bool) -> None:
    machine = covered()
    stop_filled(machine, CALL, 6)
    if by_stop:
        stop_filled(machine, FAR, 6)
    else:
        fill(machine, FAR, 0, 6)
    assert bars(machine, 26_110.0, first=6) == []
    (signal,) = bars(machine, 26_110.0, first=7)
    again = {FARTHER: 1, HIGHER: 2}
    assert {change.opens: change.closes for change in signal.changes} == dict.fromkeys(again, "")
    assert {leg.instrument: leg.number for leg in signal.entry_legs} == again
    assert [leg.lots for leg in signal.entry_legs] == [1, -1]
    assert signal.reason == "entered again with its cover"
    for leg in signal.entry_legs:
        ordered(machine, signal, leg.instrument, leg.lots, 8)
    stop_filled(machine, HIGHER, 9)
    assert bars(machine, 26_060.0, first=9) == []
    (signal,) = bars(machine, 26_060.0, first=10)
    assert [leg.number for leg in signal.entry_legs] == [2], "the cover is held"


def test_whole_position_that_is_gone_is_entered_again_with_its_cover() -> None:
    machine = machine_of(*COVERED[:2])
    quoted(machine, FAR)
    entered(machine)
    stop_filled(machine, CALL, 6)
    stop_filled(machine, FAR, 7)
    assert bars(machine, 26_010.0, first=7) == []
    (signal,) = bars(machine, 26_010.0, first=8)
    assert [(leg.instrument, leg.lots) for leg in signal.legs] == [(FAR, 1), (CALL, -1)]
    assert not signal.changes


def test_rolled_leg_whose_cover_is_gone_is_covered_again_at_its_roll_and_at_its_reentry() -> None:
    machine = covered()
    fill(machine, FAR, 0, 6)
    (signal,) = bars(machine, 26_045.0, first=6)
    rolled, cover = FAR, HIGHER
    assert [(change.closes, change.opens) for change in signal.changes] == [(CALL, rolled), ("", cover)]
    assert [leg.number for leg in signal.entry_legs] == [2, 1]
    fill(machine, CALL, 0, 7)
    ordered(machine, signal, rolled, -1, 7)
    ordered(machine, signal, cover, 1, 7)
    assert bars(machine, 26_045.0, first=7) == [], "what was the cover before is the leg that is sold now"
    stop_filled(machine, rolled, 8)
    stop_filled(machine, cover, 8)
    assert bars(machine, 26_010.0, first=8) == []
    (signal,) = bars(machine, 26_010.0, first=9)
    assert {leg.instrument: leg.lots for leg in signal.entry_legs} == {FAR: 1, CALL: -1}


@pytest.mark.parametrize(
    ("breakout", "close", "enters"),
    [
        (Breakout.EITHER, 26_030.0, True), (Breakout.EITHER, 25_990.0, True), (Breakout.EITHER, 26_011.0, False),
        (Breakout.ABOVE, 25_990.0, False), (Breakout.ABOVE, 26_030.0, True), (Breakout.BELOW, 25_990.0, True),
    ],
)  # fmt: skip
def test_plan_enters_when_a_bar_closes_beyond_its_range(breakout: Breakout, close: float, enters: bool) -> None:
    ranged = RangeRule(begins=9 * 3600 + 15 * 60, ends=ENTRY, breakout=breakout)
    machine = machine_of(*STRANGLE, range_=ranged, minutes=60)
    for name in (CALL, PUT, "NFO:NIFTY02DEC2526100CE", "NFO:NIFTY02DEC2526000PE", "NFO:NIFTY02DEC2526000CE"):
        quoted(machine, name)
    assert bars(machine, 26_000.0, 26_010.0, 26_020.0, 26_005.0, 26_010.0, 26_012.0) == []
    assert len(bars(machine, close, first=6)) == enters


def test_range_without_bars_is_never_broken_and_each_day_has_its_own() -> None:
    ranged = BreakoutRange(RangeRule(begins=ENTRY - 300, ends=ENTRY))
    late = make_bar(10, 27_000.0, NIFTY)
    ranged.apply(late)
    assert not ranged.is_broken(late)
    for k in range(5):
        ranged.apply(make_bar(1440 + k, 26_000.0, NIFTY))
    assert not ranged.is_broken(make_bar(1444, 27_000.0, NIFTY)), "not before its end"
    assert ranged.is_broken(make_bar(1446, 27_000.0, NIFTY))


def test_plan_without_rolls_and_reentries_keeps_no_memory() -> None:
    memory: dict[str, Any] = {}
    assert not LegTracker(STRANGLE, lambda: memory).is_needed
    machine = machine_of(*STRANGLE)
    entered(machine)
    bars(machine, 26_010.0, first=6)
    assert machine.hosts[0].strategy.memory == {}
