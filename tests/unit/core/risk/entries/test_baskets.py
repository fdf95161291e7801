"""Baskets: hedges first, and what follows when a leg cannot be had."""

from __future__ import annotations

import pytest

from mytrading.core.risk.entries.baskets import BasketMove, LegStatus, next_basket_move
from mytrading.messages.run_config import OrphanLegs

CALL, PUT, HEDGE = "NFO:C", "NFO:P", "NFO:H"


def leg(name: str, target: int, held: int = 0, coming: int = 0, attempts: int = 0, failed: int = 0) -> LegStatus:
    return LegStatus(name, target, held, coming, attempts, failed)


def test_hedge_goes_first_and_sold_legs_wait_for_all_of_it() -> None:
    sold = (leg(CALL, -65), leg(PUT, -65))
    assert next_basket_move((leg(HEDGE, 65), *sold), OrphanLegs.UNWIND, 0).enter == (HEDGE,)
    assert next_basket_move((leg(HEDGE, 65, coming=65, attempts=1), *sold), OrphanLegs.UNWIND, 0) == BasketMove()
    half = leg(HEDGE, 65, held=30, coming=35, attempts=1)
    assert next_basket_move((half, *sold), OrphanLegs.UNWIND, 0) == BasketMove()
    whole = leg(HEDGE, 65, held=65, attempts=1)
    assert next_basket_move((whole, *sold), OrphanLegs.UNWIND, 0).enter == (CALL, PUT)


def test_legs_without_a_sold_one_go_together() -> None:
    assert next_basket_move((leg(CALL, 65), leg(PUT, 65)), OrphanLegs.UNWIND, 0).enter == (CALL, PUT)


def test_sold_legs_without_a_hedge_go_together() -> None:
    assert next_basket_move((leg(CALL, -65), leg(PUT, -65)), OrphanLegs.UNWIND, 0).enter == (CALL, PUT)


def test_failed_hedge_stops_the_sold_legs() -> None:
    legs = (leg(HEDGE, 65, attempts=1, failed=1), leg(CALL, -65))
    move = next_basket_move(legs, OrphanLegs.UNWIND, 0)
    assert move.enter == ()
    assert "hedge NFO:H could not be had: +0 of +65" in move.broken


def test_failed_leg_closes_the_others_or_leaves_them_as_configured() -> None:
    legs = (leg(HEDGE, 65, held=65, attempts=1), leg(CALL, -65, attempts=1, failed=1))
    assert next_basket_move(legs, OrphanLegs.UNWIND, 0).unwind
    reported = next_basket_move(legs, OrphanLegs.REPORT, 0)
    assert reported.broken
    assert not reported.unwind


def test_failed_leg_is_tried_again_as_often_as_allowed_then_the_others_are_closed() -> None:
    held = leg(HEDGE, 65, held=65, attempts=1)
    assert next_basket_move((held, leg(CALL, -65, attempts=1, failed=1)), OrphanLegs.RETRY, 2).enter == (CALL,)
    assert (
        next_basket_move((held, leg(CALL, -65, coming=-65, attempts=2, failed=1)), OrphanLegs.RETRY, 2) == BasketMove()
    )
    assert next_basket_move((held, leg(CALL, -65, attempts=3, failed=3)), OrphanLegs.RETRY, 2).unwind


def test_partly_filled_hedge_that_ended_is_tried_again_for_the_rest() -> None:
    legs = (leg(HEDGE, 130, held=65, attempts=1, failed=1), leg(CALL, -130))
    assert next_basket_move(legs, OrphanLegs.RETRY, 1).enter == (HEDGE,)


def test_intent_that_is_late_breaks_a_basket_that_began_and_no_other() -> None:
    begun = (leg(HEDGE, 65, held=65, attempts=1), leg(CALL, -65))
    assert next_basket_move(begun, OrphanLegs.UNWIND, 0, late=True).unwind
    assert next_basket_move((leg(HEDGE, 65), leg(CALL, -65)), OrphanLegs.UNWIND, 0, late=True).broken == ""


def test_filled_basket_asks_for_nothing() -> None:
    legs = (leg(HEDGE, 65, held=65, attempts=1), leg(CALL, -65, held=-65, attempts=1))
    assert next_basket_move(legs, OrphanLegs.RETRY, 2, late=True) == BasketMove()


@pytest.mark.parametrize("orphans", list(OrphanLegs))
def test_one_leg_alone_is_no_basket(orphans: OrphanLegs) -> None:
    assert next_basket_move((leg(CALL, -65),), orphans, 2).enter == (CALL,)
    assert next_basket_move((leg(CALL, -65, attempts=1, failed=1),), orphans, 2) == BasketMove()
