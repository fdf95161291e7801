"""Risk with several accounts of which one closes something slowly: the others go on, and none keeps a bare hedge."""

from __future__ import annotations

from typing import Any

from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied, SignalExpired
from mytrading.messages.control import Alert
from mytrading.messages.enums import OrderState
from mytrading.messages.signals import Leg
from tests.kit.risk_basket_bench import HEDGE, SOLD, Basket, alarms, closed, entries
from tests.kit.risk_bench import CALL, NEAR, PUT, WATCH


def broken_in_main(bench: Basket) -> PlaceEntry:
    """The sold leg of main is refused, its hedge is being closed for long; the hedge of the second account."""
    first, second = entries(bench.intent("a", HEDGE, SOLD))
    (sold,) = entries(bench.filled(first))
    goals = [row for row in bench.report_order(sold, OrderState.REJECTED) if isinstance(row, CloseGoal)]
    assert [(goal.account, goal.instrument) for goal in goals] == [("main", CALL)]
    assert second.account == "second"
    return second


def fresh(bench: Basket, seconds: float) -> tuple[Any, ...]:
    """Time goes by in steps in which all is quoted and well."""
    rows: list[Any] = []
    for _ in range(int(seconds)):
        bench.beat()
        rows += [*bench.pass_time(1), *bench.quote(), *bench.quote(PUT), *bench.quote(NEAR, 200.0)]
    return tuple(rows)


def test_unwinding_in_one_account_does_not_keep_the_sold_leg_of_another() -> None:
    bench = Basket(("main", "second"))
    (sold,) = entries(bench.filled(broken_in_main(bench)))
    assert (sold.account, sold.instrument) == ("second", NEAR)
    bench.filled(sold)
    assert alarms(fresh(bench, 120)) == []
    bench.held("main", CALL, 0)
    assert bench.machine.state.intents["S", WATCH].settled


def test_basket_that_began_is_broken_and_unwound_though_another_account_is_closing_past_the_end_of_the_intent() -> None:
    bench = Basket(("main", "second"))
    second = broken_in_main(bench)
    rows = (*fresh(bench, 95), *bench.filled(second))
    goals = [(row.account, row.instrument) for row in rows if isinstance(row, CloseGoal)]
    assert (goals, alarms(rows), entries(rows)) == ([("second", CALL)], ["BASKET_BROKEN"], [])
    assert bench.machine.state.intents["S", WATCH].ended == {"main", "second"}


def test_basket_that_waits_for_a_close_of_its_own_account_is_unwound_once_it_is_late() -> None:
    bench = Basket(("main",))
    bench.quote(PUT)
    (old,) = entries(bench.intent("a", Leg(instrument=PUT, lots=1)))
    bench.report_order(old, OrderState.ACCEPTED)
    (hedge,) = entries((*bench.intent("b", HEDGE, SOLD), *bench.quote()))
    assert closed(bench.filled(old)) == [PUT], "filled after it was withdrawn"
    assert entries(bench.filled(hedge)) == []
    rows = fresh(bench, 130)
    assert (closed(rows), alarms(rows), entries(rows)) == ([CALL], ["BASKET_BROKEN"], [])


def test_account_whose_close_outlasts_the_intent_is_left_out_by_itself() -> None:
    bench = Basket(("main", "second"))
    bench.quote(PUT)
    (old, other) = entries(bench.intent("a", Leg(instrument=PUT, lots=1)))
    bench.filled(old)
    bench.report_order(other, OrderState.REJECTED)
    rows = (*bench.intent("b", Leg(instrument=CALL, lots=1)), *bench.quote())
    assert (closed(rows), [entry.account for entry in entries(rows)]) == ([PUT], ["second"])
    bench.filled(entries(rows)[0])
    rows = fresh(bench, 120)
    assert [(row.code, row.account) for row in rows if isinstance(row, SignalDenied)] == [("EXPIRED", "main")]
    assert not any(isinstance(row, SignalExpired | PlaceEntry | Alert) for row in rows)
    bench.held("main", PUT, 0)
    assert bench.machine.state.intents["S", WATCH].settled


def test_intent_of_which_nothing_began_expires_as_a_whole_while_all_is_being_closed() -> None:
    bench = Basket(("main", "second"))
    bench.quote(PUT)
    for old in entries(bench.intent("a", Leg(instrument=PUT, lots=1))):
        bench.filled(old)
    rows = (*bench.intent("b", HEDGE, SOLD), *fresh(bench, 90))
    assert closed(rows) == [PUT, PUT]
    assert [type(row) for row in rows if isinstance(row, SignalDenied | SignalExpired)] == [SignalExpired]
    assert bench.machine.state.intents["S", WATCH].settled
