"""Stops in words: who holds each, where it lies, and which setting put it there."""

from __future__ import annotations

import pytest

from mytrading.core.risk.pretrade.planned_stops import PlannedStop, StopRules, planned_stops, stops_of_signals
from mytrading.messages.leg_plan import LegPlan, LegRule, LegStop
from mytrading.messages.run_config import StopPlan

RULES = StopRules(StopPlan.BROKER, 0.0, 0.02, 0.25)
SOLD = LegRule(lots=-1, strike="ATM", right="CE", watch="NSE_INDEX:NIFTY")


def of_legs(rules: StopRules, *legs: LegRule) -> list[str]:
    return [stop.text for stop in planned_stops(LegPlan(legs=legs, entry_time=33_600), rules)]


@pytest.mark.parametrize(
    ("rules", "stop", "text"),
    [
        (RULES, 0.0, "broker, 25 % of premium: default, DEFAULT_STOP_LOSS_OPTIONS"),
        (RULES._replace(own=0.3), 0.0, "broker, 30 % of premium: stop_loss_percent of the strategy"),
        (RULES._replace(own=0.3), 20.0, "broker, 20 % of premium: the leg's own stop"),
        (RULES._replace(plan=StopPlan.ENGINE), 20.0, "engine, 20 % of premium: the leg's own stop"),
        (RULES._replace(plan=StopPlan.NONE), 20.0, 'none: stop = "none"'),
    ],
)
def test_stop_of_a_leg_names_holder_level_and_origin(rules: StopRules, stop: float, text: str) -> None:
    leg = LegRule(lots=-1, strike="ATM", right="CE", watch="NSE_INDEX:NIFTY", stop=LegStop(value=stop))
    assert of_legs(rules, leg) == [text]


def test_hedge_has_none_and_says_of_what() -> None:
    hedge = LegRule(lots=1, strike="OTM 4", right="CE", watch="NSE_INDEX:NIFTY")
    assert of_legs(RULES, SOLD, hedge)[1] == "none; it hedges legs[1], and needs no stop until that is gone"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({True}, "broker: the signal's own stop_price"),
        ({False}, "broker, 25 % of premium: default, DEFAULT_STOP_LOSS_OPTIONS"),
        ({True, False}, "broker, 25 % of premium: default, DEFAULT_STOP_LOSS_OPTIONS; or the signal's own stop_price"),
        (set(), "broker, 25 % of premium: default, DEFAULT_STOP_LOSS_OPTIONS; or the signal's own stop_price"),
    ],
)
def test_stop_of_a_class_is_that_of_its_signals_or_the_default(given: set[bool], text: str) -> None:
    assert [stop.text for stop in stops_of_signals(RULES, options=frozenset(given), others=None)] == [text]


def test_class_without_stops_has_none_also_where_signals_give_one() -> None:
    rules = RULES._replace(plan=StopPlan.NONE)
    found = list(stops_of_signals(rules, options=frozenset({True}), others=frozenset(), hedges=True))
    assert found == [
        PlannedStop("options", "none", origin='stop = "none"'),
        PlannedStop("shares and futures", "none", origin='stop = "none"'),
    ]
