"""Two legs of one instrument: each says what is to be held of it, so one basket cannot have both."""

from __future__ import annotations

import pytest

from mytrading.messages.leg_plan import LegRule
from mytrading.messages.signals import Leg
from mytrading.strategies.base_strategy import BaseStrategy
from mytrading.strategies.errors import StrategyError
from mytrading.strategies.signals import duplicate_leg
from mytrading.strategies.workspace import StrategyWorkspace

CALL, PUT = "NFO:NIFTY30DEC2526000CE", "NFO:NIFTY30DEC2526000PE"


def test_two_legs_of_one_instrument_are_refused_by_name() -> None:
    legs = (Leg(instrument=CALL, lots=1), Leg(instrument=PUT, lots=1), Leg(instrument=CALL, lots=-2))
    strategy = BaseStrategy(StrategyWorkspace(("NSE:SBIN",), ("1m",), ()))
    with pytest.raises(StrategyError, match=f"create_signal: .*two of {CALL}; add their lots up"):
        strategy.create_signal("BUY", legs=legs)


def test_legs_of_different_instruments_and_rules_without_a_contract_stand_side_by_side() -> None:
    assert not duplicate_leg((Leg(instrument=CALL, lots=1), Leg(instrument=PUT, lots=1)))
    assert not duplicate_leg((LegRule(lots=1, strike="ATM", right="CE"), LegRule(lots=1, strike="ATM", right="CE")))
