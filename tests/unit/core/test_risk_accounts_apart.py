"""Risk with several accounts of which one closes something slowly: the others go on, and none keeps a bare hedge."""

from __future__ import annotations

from typing import Any

from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied, SignalExpired
from mytrading.messages.control import Alert
from mytrading.messages.enums import OrderState
from mytrading.messages.signals import Leg
from tests.unit.core.test_risk_baskets import HEDGE, SOLD, Basket, alarms, closed, entries
from tests.unit.core.test_risk_machine import CALL, NEAR, PUT, WATCH


def broken_in_main(desk: Basket) -> PlaceEntry:
    """The sold leg of main is refused, its hedge is being closed for long; the hedge of the second account."""
    first, second = entries(desk.wish("a", HEDGE, SOLD))
    (sold,) = entries(desk.filled(first))
    goals = [row for row in desk.tell(sold, OrderState.REJECTED) if isinstance(row, CloseGoal)]
    assert [(goal.account, goal.instrument) for goal in goals] == [("main", CALL)]
    assert second.account == "second"
    return second


def fresh(desk: Basket, seconds: float) -> tuple[Any, ...]:
    """Time goes by in steps in which all is quoted and well."""
    rows: list[Any] = []
    for _ in range(int(seconds)):
        desk.beat()
        rows += [*desk.pass_time(1), *desk.quote(), *desk.quote(PUT), *desk.quote(NEAR, 200.0)]
    return tuple(rows)


def test_unwinding_in_one_account_does_not_keep_the_sold_leg_of_another() -> None:
    desk = Basket(("main", "second"))
    (sold,) = entries(desk.filled(broken_in_main(desk)))
    assert (sold.account, sold.instrument) == ("second", NEAR)
    desk.filled(sold)
    assert alarms(fresh(desk, 120)) == []
    desk.held("main", CALL, 0)
    assert desk.machine.state.wishes["S", WATCH].settled


def test_basket_that_began_is_broken_and_unwound_though_another_account_is_closing_past_the_end_of_the_wish() -> None:
    desk = Basket(("main", "second"))
    second = broken_in_main(desk)
    rows = (*fresh(desk, 95), *desk.filled(second))
    goals = [(row.account, row.instrument) for row in rows if isinstance(row, CloseGoal)]
    assert (goals, alarms(rows), entries(rows)) == ([("second", CALL)], ["BASKET_BROKEN"], [])
    assert desk.machine.state.wishes["S", WATCH].ended == {"main", "second"}


def test_basket_that_waits_for_a_close_of_its_own_account_is_unwound_once_it_is_late() -> None:
    desk = Basket(("main",))
    desk.quote(PUT)
    (old,) = entries(desk.wish("a", Leg(instrument=PUT, lots=1)))
    desk.tell(old, OrderState.ACCEPTED)
    (hedge,) = entries((*desk.wish("b", HEDGE, SOLD), *desk.quote()))
    assert closed(desk.filled(old)) == [PUT], "filled after it was withdrawn"
    assert entries(desk.filled(hedge)) == []
    rows = fresh(desk, 130)
    assert (closed(rows), alarms(rows), entries(rows)) == ([CALL], ["BASKET_BROKEN"], [])


def test_account_whose_close_outlasts_the_wish_is_left_out_by_itself() -> None:
    desk = Basket(("main", "second"))
    desk.quote(PUT)
    (old, other) = entries(desk.wish("a", Leg(instrument=PUT, lots=1)))
    desk.filled(old)
    desk.tell(other, OrderState.REJECTED)
    rows = (*desk.wish("b", Leg(instrument=CALL, lots=1)), *desk.quote())
    assert (closed(rows), [entry.account for entry in entries(rows)]) == ([PUT], ["second"])
    desk.filled(entries(rows)[0])
    rows = fresh(desk, 120)
    assert [(row.code, row.account) for row in rows if isinstance(row, SignalDenied)] == [("EXPIRED", "main")]
    assert not any(isinstance(row, SignalExpired | PlaceEntry | Alert) for row in rows)
    desk.held("main", PUT, 0)
    assert desk.machine.state.wishes["S", WATCH].settled


def test_wish_of_which_nothing_began_expires_as_a_whole_while_all_is_being_closed() -> None:
    desk = Basket(("main", "second"))
    desk.quote(PUT)
    for old in entries(desk.wish("a", Leg(instrument=PUT, lots=1))):
        desk.filled(old)
    rows = (*desk.wish("b", HEDGE, SOLD), *fresh(desk, 90))
    assert closed(rows) == [PUT, PUT]
    assert [type(row) for row in rows if isinstance(row, SignalDenied | SignalExpired)] == [SignalExpired]
    assert desk.machine.state.wishes["S", WATCH].settled
