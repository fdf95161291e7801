"""A wish of one leg takes a shorter way to its entry than one of several: what it leads to is the same."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from mytrading.core.baskets import LegStanding, Move
from mytrading.core.risk.entries import Entries
from mytrading.core.risk.wish import Wish
from mytrading.messages.commands import PlaceEntry
from mytrading.messages.enums import Action, OrderType
from mytrading.messages.signals import Leg
from tests.examples import examples
from tests.property.test_risk_machine import Wishing
from tests.unit.core.test_risk_machine import CALL, PUT, SHARE, Desk

PLACES = st.sampled_from([(CALL, 1), (CALL, -1), (CALL, 2), (PUT, 1), (PUT, -2), (SHARE, 5), (SHARE, -5), (SHARE, 10)])
Plan = tuple[tuple[LegStanding, ...], Move]


class Several(tuple[LegStanding, ...]):
    """Legs that pass for more than one, so that they go the way of baskets."""

    def __len__(self) -> int:
        return max(2, super().__len__())


class BothWays(Entries):
    """Goes both ways, and holds one against the other."""

    compared = 0

    def _enter(self, wish: Wish, account: str, now: int, plan: Plan, rows: list[Any]) -> list[Any]:
        legs, move = plan
        general = super()._enter(wish, account, now, (Several(legs), move), list(rows))
        found = super()._enter(wish, account, now, plan, list(rows))
        assert found == general
        self.compared += len(legs) == 1 and any(isinstance(row, PlaceEntry) for row in found)
        return found


def both_ways(desk: Desk) -> BothWays:
    """Have a desk's risk go both ways."""
    machine, entries = desk.machine, desk.machine._entries
    made = BothWays(machine.state, entries._scene, entries._closing, entries._margins, machine.limits)
    machine._entries = made
    return made


class OneLeg(Wishing):
    """The wishes, orders and times of the risk machine's test, with legs that are sold, and that rest."""

    def __init__(self) -> None:
        super().__init__()
        both_ways(self.desk)

    @rule(place=PLACES, kind=st.sampled_from([OrderType.LIMIT, OrderType.SL]))
    def wish_that_rests(self, place: tuple[str, int], kind: OrderType) -> None:
        self.serial += 1
        instrument, lots = place
        self.wished = (place,)
        self.desk.now += 1000
        trigger = 101.0 if kind is OrderType.SL else 0.0
        leg = Leg(instrument=instrument, lots=lots, order_type=kind, limit_price=102.0, trigger_price=trigger)
        self.desk.wish(f"s{self.serial}", leg, action=Action.BUY if lots > 0 else Action.SELL)

    def teardown(self) -> None:
        """What is held in the end is the other test's subject, and of wishes that do not turn."""


TestOneLeg = OneLeg.TestCase
TestOneLeg.settings = settings(
    max_examples=examples(40), stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_one_leg_keeps_neither_margin_nor_calls_for_others_on_both_ways() -> None:
    desk = Desk()
    entries = both_ways(desk)
    desk.quote(CALL)
    (entry,) = (row for row in desk.wish("s1", Leg(instrument=CALL, lots=1)) if isinstance(row, PlaceEntry))
    assert (entry.basket_margin, entry.basket_calls, entries.compared) == (0.0, 0, 1)
