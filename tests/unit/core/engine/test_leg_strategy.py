"""A strategy of legs in the engine's machine: once a day at its time, the same strikes, flat at the end."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.engine.leg_strategy import leg_strategy, missed_entry_window
from mytrading.core.engine.leg_tracker import closing_second
from mytrading.core.engine.machine import EngineMachine
from mytrading.messages.control import CancelRequested, StrategySwitch
from mytrading.messages.enums import Action, OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.leg_plan import Comparison, DayKind, LegPlan, LegRule, LegStop, Operand, StopKind
from mytrading.messages.market import Quote
from mytrading.messages.orders import OrderChanged
from mytrading.messages.signals import Signal
from tests.kit.engine_bench import MINUTE, NIFTY, OPEN, make_bar, make_machine, make_run, moved, step
from tests.kit.order_samples import order_of

ENTRY = 9 * 3600 + 20 * 60
CALL, PUT = "NFO:NIFTY02DEC2526050CE", "NFO:NIFTY02DEC2525950PE"
STRANGLE = (LegRule(lots=1, strike="OTM 1", right="CE"), LegRule(lots=1, strike="OTM 1", right="PE"))
DAY = 24 * 60


def plan(**changes: Any) -> LegPlan:
    given: dict[str, Any] = {"legs": STRANGLE, "entry_time": ENTRY, "entry_minutes": 5}
    return LegPlan(**{**given, **changes})


def machine_of(of: LegPlan, **options: Any) -> EngineMachine:
    run = make_run("Legs", symbols=(NIFTY,), long=None, short=None, plan=of)
    return make_machine({"Legs": leg_strategy(of)}, run, **options)


def run(machine: EngineMachine, first: int, last: int, price: float = 26_010.0) -> list[tuple[int, Signal]]:
    """Minutes `first` to `last`, each as (its number, the signal of it)."""
    return [
        (k, row)
        for k in range(first, last + 1)
        for row in step(machine, make_bar(k, price, NIFTY))
        if isinstance(row, Signal)
    ]


def fill(machine: EngineMachine, signal: Signal, at: int) -> None:
    for leg in signal.legs:
        change = moved("Legs", leg.instrument, leg.lots * 75)
        step(machine, type(change)(**{**{f: getattr(change, f) for f in change.__struct_fields__}, "at_ns": at}))


def close(machine: EngineMachine, at: int) -> None:
    for name in (CALL, PUT):
        change = moved("Legs", name, 0)
        step(machine, type(change)(**{**{f: getattr(change, f) for f in change.__struct_fields__}, "at_ns": at}))


def test_legs_are_signalled_with_the_bar_that_ends_at_the_entry_time() -> None:
    ((minute, signal),) = run(machine_of(plan()), 0, 4)
    assert minute == 4 and signal.bar_ns == OPEN + 5 * MINUTE
    assert signal.action is Action.BUY
    assert [(leg.instrument, leg.lots) for leg in signal.legs] == [(CALL, 1), (PUT, 1)]


def test_entered_once_and_not_again_when_it_is_flat_the_same_day() -> None:
    machine = machine_of(plan())
    ((_, signal),) = run(machine, 0, 4)
    fill(machine, signal, OPEN + 5 * MINUTE)
    assert run(machine, 5, 6) == []
    close(machine, OPEN + 7 * MINUTE)
    assert run(machine, 7, 8) == []


def ended(signal: Signal, request: str, filled: int = 0, state: OrderState = OrderState.CANCELLED) -> OrderChanged:
    """The end of the order behind the first leg of a signal."""
    order = order_of(
        client_order_id="o", account="main", instrument=signal.legs[0].instrument, product=Product.MIS, strategy="Legs",
        run="r", cause=signal.id, purpose=Purpose.ENTRY, side=Side.BUY, quantity=75, order_type=OrderType.LIMIT,
        state=state, created_ns=OPEN, updated_ns=OPEN + 6 * MINUTE, filled=filled, request=request,
    )  # fmt: skip
    return OrderChanged(event="cancelled", order=order, machine_ns=0)


CANCEL = CancelRequested(id="c", order="o", at_ns=OPEN + 5 * MINUTE)


@pytest.mark.parametrize("late", [False, True], ids=["asked first", "ended first"])
def test_entry_that_a_person_cancelled_stays_away_for_the_day(late: bool) -> None:
    machine = machine_of(plan(entry_minutes=60))
    ((_, signal),) = run(machine, 0, 4)
    for row in (ended(signal, "c"), CANCEL) if late else (CANCEL, ended(signal, "c")):
        step(machine, row)
    assert run(machine, 6, 20) == []
    assert len(run(machine, DAY, DAY + 4)) == 1, "the next day is another"


def test_entry_that_a_person_cancelled_stays_away_after_a_restart() -> None:
    machine = machine_of(plan(entry_minutes=60))
    ((_, signal),) = run(machine, 0, 4)
    again = machine_of(plan(entry_minutes=60))
    again.rebuild()
    for row in (signal, CANCEL, ended(signal, "c")):
        again.apply(row)
    again.open([])
    assert run(again, 6, 20) == []


@pytest.mark.parametrize("request_id", ["", "m"], ids=["nobody asked", "a change of prices"])
def test_entry_that_ended_without_a_persons_cancel_is_tried_again(request_id: str) -> None:
    machine = machine_of(plan(entry_minutes=60))
    ((_, signal),) = run(machine, 0, 4)
    step(machine, CANCEL)
    step(machine, ended(signal, request_id))
    assert len(run(machine, 6, 8)) >= 1


def test_entered_again_on_the_next_day() -> None:
    machine = machine_of(plan(legs=(LegRule(lots=1, strike="ATM", right="CE", expiry="monthly"),)))
    ((_, signal),) = run(machine, 0, 4)
    fill(machine, signal, OPEN + 5 * MINUTE)
    step(machine, moved("Legs", signal.legs[0].instrument, 0))
    assert [minute for minute, _ in run(machine, DAY, DAY + 4)] == [DAY + 4]


def test_restart_after_the_fill_enters_nothing_although_it_is_flat() -> None:
    first = machine_of(plan())
    ((_, signal),) = run(first, 0, 4)
    again = EngineMachine([first.hosts[0].run], {"Legs": leg_strategy(plan())}, first.book)
    again.apply(signal)
    for name in (CALL, PUT):
        for quantity in (75, 0):
            again.apply(moved("Legs", name, quantity))
    again.open([make_bar(k, 26_010.0, NIFTY) for k in range(5)])
    assert run(again, 5, 8) == []


def test_missed_entry_time_is_made_up_within_the_minutes_given() -> None:
    late = machine_of(plan(), history=[make_bar(k, 26_010.0, NIFTY) for k in range(6)])
    assert [minute for minute, _ in run(late, 6, 6)] == [6]
    too_late = machine_of(plan(), history=[make_bar(k, 26_010.0, NIFTY) for k in range(9)])
    assert run(too_late, 9, 12) == []


def test_strikes_stay_while_the_signal_stands_though_the_price_moves() -> None:
    machine = machine_of(plan())
    ((_, signal),) = run(machine, 0, 4)
    change = moved("Legs", CALL, 75)
    step(machine, change)
    assert run(machine, 5, 7, 26_160.0) == []
    assert signal.legs[0].instrument == CALL


@pytest.mark.parametrize(("times", "begins"), [({"exit_time": 34_200}, 34_200), ({"square_off_time": 34_380}, 34_200)])
def test_flat_is_signalled_at_the_exit_time_and_three_minutes_before_square_off(
    times: dict[str, int], begins: int
) -> None:
    assert closing_second(plan(**times)) == begins
    machine = machine_of(plan(**times))
    ((_, signal),) = run(machine, 0, 4)
    fill(machine, signal, OPEN + 5 * MINUTE)
    found = run(machine, 5, 15)
    assert found[0][0] == 14 and found[0][1].action is Action.EXIT


def test_exit_is_signalled_by_a_process_that_started_a_minute_before() -> None:
    of = plan(exit_time=34_200)
    machine = machine_of(of, history=[make_bar(k, 26_010.0, NIFTY) for k in range(13)])
    step(machine, moved("Legs", CALL, 75))
    assert [(minute, signal.action) for minute, signal in run(machine, 13, 14)] == [(14, Action.EXIT)]


def test_disabled_strategy_enters_nothing_and_still_exits() -> None:
    machine = machine_of(plan(exit_time=34_200))
    step(machine, StrategySwitch(strategy="Legs", enabled=False, generation=1, at_ns=OPEN))
    assert run(machine, 0, 8) == []
    step(machine, moved("Legs", CALL, 75))
    assert [signal.action for _, signal in run(machine, 9, 14)] == [Action.EXIT]


def test_when_holds_the_entry_back_until_it_is_true() -> None:
    above = Comparison(left=Operand(word="close"), above=True, right=Operand(word="SMA", parameters={"period": 3}))
    machine = machine_of(plan(when=(above,)))
    assert run(machine, 0, 5) == []
    assert [minute for minute, _ in run(machine, 6, 6, 26_020.0)] == [6]


def test_days_hold_the_entry_back() -> None:
    assert run(machine_of(plan(days=DayKind.EXPIRY)), 0, 8) == []
    assert [minute for minute, _ in run(machine_of(plan(days=DayKind.NON_EXPIRY)), 0, 4)] == [4]


def quote(name: str, price: float) -> Quote:
    return Quote(name, OPEN, 0, price)


def test_premium_rule_waits_for_quotes_which_it_asks_for_before_the_entry_time() -> None:
    legs = (LegRule(lots=1, strike="PREMIUM 100", right="CE", stop=LegStop(value=30)),)
    machine = machine_of(plan(legs=legs))
    run(machine, 0, 0)
    assert len(machine.tradable_contracts(OPEN + MINUTE)) == 18
    assert machine.tradable_contracts(OPEN - 2 * MINUTE) == ()
    assert run(machine, 1, 4) == []
    (problem,) = machine.problems.values()
    assert "has a price yet" in problem
    for strike, price in ((26_000, 130.0), (26_050, 104.0), (26_100, 70.0)):
        machine.note_price(replace(quote(f"NFO:NIFTY02DEC25{strike}CE", price), market_ns=OPEN + 6 * MINUTE))
    ((_, signal),) = run(machine, 5, 5)
    assert [(leg.instrument, leg.stop) for leg in signal.legs] == [(CALL, LegStop(value=30))]
    assert machine.problems == {}


def test_limit_leg_is_signalled_once_and_stays_where_it_was_put_while_its_order_lives() -> None:
    legs = (
        LegRule(
            lots=-1, strike="ATM", right="CE", order_type=OrderType.LIMIT,
            limit=LegStop(kind=StopKind.POINTS, value=5), stop=LegStop(value=30),
        ),
    )  # fmt: skip
    machine = machine_of(plan(legs=legs, exit_time=34_200))
    machine.note_price(quote("NFO:NIFTY02DEC2526000CE", 130.0))
    ((minute, signal),) = run(machine, 0, 4)
    (leg,) = signal.legs
    assert (minute, leg.order_type, leg.limit, leg.stop) == (4, OrderType.LIMIT, legs[0].limit, legs[0].stop)
    resting = order_of(
        client_order_id="o", account="main", instrument=leg.instrument, product=Product.MIS, strategy="Legs", run="r",
        cause=signal.id, purpose=Purpose.ENTRY, side=Side.SELL, quantity=75, order_type=OrderType.LIMIT, price=135.0,
        state=OrderState.ACCEPTED, created_ns=1, updated_ns=1,
    )  # fmt: skip
    step(machine, OrderChanged(event="accepted", order=resting, machine_ns=1))
    machine.note_price(quote("NFO:NIFTY02DEC2526000CE", 120.0))
    assert run(machine, 5, 8, 26_160.0) == []
    assert [(k, row.action, row.keeps) for k, row in run(machine, 9, 14)] == [(14, Action.EXIT, False)]


def test_entry_window_is_missed_once_it_is_over_and_no_minute_of_it_was_made_of_quotes() -> None:
    fetched = [make_bar(minute, 100.0) for minute in range(30)]
    quoted = [*fetched[:7], make_bar(7, 100.0, ticks=40), *fetched[8:]]
    over = OPEN + 10 * MINUTE
    assert missed_entry_window(plan(), fetched, over) == "09:20-09:25"
    assert missed_entry_window(plan(), fetched, over - 1) == ""
    assert missed_entry_window(plan(), quoted, over) == ""
