"""Two legs of one instrument: each says what is to be held of it, so one basket cannot have both."""

from __future__ import annotations

import pytest

from mytrading.messages.leg_plan import LegRule
from mytrading.messages.signals import Leg
from mytrading.strategies.errors import StrategyError
from mytrading.strategies.signals import check_duplicate_legs, duplicate_leg

CALL, PUT = "NFO:NIFTY30DEC2526000CE", "NFO:NIFTY30DEC2526000PE"


def test_two_legs_of_one_instrument_are_refused_by_name() -> None:
    with pytest.raises(StrategyError, match=f"create_signal: .*two of {CALL}; add their lots up"):
        check_duplicate_legs((Leg(instrument=CALL, lots=1), Leg(instrument=PUT, lots=1), Leg(instrument=CALL, lots=-2)))


def test_legs_of_different_instruments_and_rules_without_a_contract_stand_side_by_side() -> None:
    check_duplicate_legs((Leg(instrument=CALL, lots=1), Leg(instrument=PUT, lots=1)))
    assert not duplicate_leg((LegRule(lots=1, strike="ATM", right="CE"), LegRule(lots=1, strike="ATM", right="CE")))
