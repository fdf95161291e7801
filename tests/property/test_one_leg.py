"""An intent of one leg takes a shorter way to its entry than one of several: what it leads to is the same."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from mytrading.core.risk.entries.baskets import BasketMove, LegStatus
from mytrading.core.risk.entries.entry_planner import EntryPlanner
from mytrading.core.risk.state.intent import Intent
from mytrading.messages.commands import PlaceEntry
from mytrading.messages.enums import Action, OrderType
from mytrading.messages.signals import Leg
from tests.kit.hypothesis_budget import examples
from tests.kit.risk_bench import CALL, PUT, SHARE, RiskBench
from tests.kit.risk_histories import SignalHistory

PLACES = st.sampled_from([(CALL, 1), (CALL, -1), (CALL, 2), (PUT, 1), (PUT, -2), (SHARE, 5), (SHARE, -5), (SHARE, 10)])
Plan = tuple[tuple[LegStatus, ...], BasketMove]


class Several(tuple[LegStatus, ...]):
    """Legs that pass for more than one, so that they go the way of baskets."""

    def __len__(self) -> int:
        return max(2, super().__len__())


class BothWays(EntryPlanner):
    """Goes both ways, and holds one against the other."""

    compared = 0

    def _enter(self, intent: Intent, account: str, now: int, plan: Plan, rows: list[Any]) -> list[Any]:
        legs, move = plan
        general = super()._enter(intent, account, now, (Several(legs), move), list(rows))
        found = super()._enter(intent, account, now, plan, list(rows))
        assert found == general
        self.compared += len(legs) == 1 and any(isinstance(row, PlaceEntry) for row in found)
        return found


def both_ways(bench: RiskBench) -> BothWays:
    """Have a bench's risk go both ways."""
    machine, entries = bench.machine, bench.machine._entries
    made = BothWays(machine.state, entries._margins, machine.limits)
    machine._entries = made
    return made


class OneLeg(SignalHistory):
    """The intents, orders and times of the risk machine's test, with legs that are sold, and that rest."""

    def __init__(self) -> None:
        super().__init__()
        both_ways(self.bench)

    @rule(place=PLACES, kind=st.sampled_from([OrderType.LIMIT, OrderType.SL]))
    def intent_that_rests(self, place: tuple[str, int], kind: OrderType) -> None:
        self.serial += 1
        instrument, lots = place
        self.intended = (place,)
        self.bench.now += 1000
        trigger = 101.0 if kind is OrderType.SL else 0.0
        leg = Leg(instrument=instrument, lots=lots, order_type=kind, limit_price=102.0, trigger_price=trigger)
        self.bench.intent(f"s{self.serial}", leg, action=Action.BUY if lots > 0 else Action.SELL)

    def teardown(self) -> None:
        """Positions in the end are the other test's subject, for intents that do not turn."""


TestOneLeg = OneLeg.TestCase
TestOneLeg.settings = settings(
    max_examples=examples(40), stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_one_leg_keeps_neither_margin_nor_calls_for_others_on_both_ways() -> None:
    bench = RiskBench()
    entries = both_ways(bench)
    bench.quote(CALL)
    (entry,) = (row for row in bench.intent("s1", Leg(instrument=CALL, lots=1)) if isinstance(row, PlaceEntry))
    assert (entry.basket_margin, entry.basket_calls, entries.compared) == (0.0, 0, 1)
