"""An entry that was lost on its way: its side stays reserved and says so, the other side is free."""

from __future__ import annotations

import pytest

from mytrading.messages.commands import PlaceEntry, SignalDenied, WithdrawEntries
from mytrading.messages.enums import Action, OrderState, Side
from mytrading.messages.signals import Leg
from tests.unit.core.test_risk_machine import SHARE, Desk

BUY, SELL = Leg(instrument=SHARE, lots=10), Leg(instrument=SHARE, lots=-10)


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.quote(SHARE)
    return made


def entered(desk: Desk, state: OrderState) -> PlaceEntry:
    """A BUY of ten shares whose order is in such a state."""
    (entry,) = desk.wish("a", BUY)
    assert isinstance(entry, PlaceEntry)
    desk.order(entry, OrderState.UNKNOWN)
    if state is not OrderState.UNKNOWN:
        desk.order(entry, state)
    return entry


def test_other_side_of_a_lost_entry_is_entered_at_once_and_for_what_it_wants(desk: Desk) -> None:
    entered(desk, OrderState.LOST)
    (entry,) = desk.wish("b", SELL, action=Action.SELL)
    assert isinstance(entry, PlaceEntry)
    assert (entry.side, entry.quantity) == (Side.SELL, 10)


@pytest.mark.parametrize("waited", [False, True])
def test_side_of_a_lost_entry_is_denied_with_a_code_and_the_cure(desk: Desk, waited: bool) -> None:
    lost = entered(desk, OrderState.LOST)
    if waited:
        desk.wish("x", action=Action.EXIT)
        desk.pass_time(90)
        desk.quote(SHARE)
    (denied,) = desk.wish("b", BUY)
    assert isinstance(denied, SignalDenied)
    assert denied.code == "RESERVED" and f"mytrading orders resolve {lost.id} --not-placed" in denied.message


def test_side_is_free_once_a_person_says_that_the_lost_entry_was_never_placed(desk: Desk) -> None:
    lost = entered(desk, OrderState.LOST)
    desk.order(lost, OrderState.GHOST)
    (entry,) = desk.wish("b", BUY)
    assert isinstance(entry, PlaceEntry) and entry.id != lost.id


def test_lost_entry_that_appears_and_fills_is_what_is_held(desk: Desk) -> None:
    lost = entered(desk, OrderState.LOST)
    desk.fill(lost)
    assert desk.wish("b", BUY) == ()
    goals = desk.wish("c", action=Action.EXIT)
    assert len(goals) == 1, "it is closed like any other"


def test_wish_that_waits_for_an_entry_of_unknown_fate_ends_with_a_denial_that_names_it(desk: Desk) -> None:
    doubted = entered(desk, OrderState.UNKNOWN)
    (withdrawal,) = desk.wish("b", SELL, action=Action.SELL)
    assert isinstance(withdrawal, WithdrawEntries)
    assert desk.quote(SHARE) == (), "it may become known in time"
    (denied,) = desk.pass_time(61)
    assert isinstance(denied, SignalDenied)
    assert denied.code == "RESERVED" and f"mytrading orders resolve {doubted.id}" in denied.message
    assert "UNKNOWN" in denied.message


def test_wish_that_waits_for_an_entry_which_becomes_lost_is_entered_then(desk: Desk) -> None:
    doubted = entered(desk, OrderState.UNKNOWN)
    desk.wish("b", SELL, action=Action.SELL)
    (entry,) = desk.order(doubted, OrderState.LOST)
    assert isinstance(entry, PlaceEntry) and (entry.side, entry.quantity) == (Side.SELL, 10)
