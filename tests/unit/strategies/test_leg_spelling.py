"""Legs by rule as authors write them: what they make, and what is said of a word that cannot stand."""

from __future__ import annotations

import pytest

from mytrading.messages.enums import Product
from mytrading.messages.leg_plan import LegKind, LegStop
from mytrading.strategies import future, option
from mytrading.strategies.errors import StrategyError


def test_option_and_future_by_rule() -> None:
    sold = option("otm 2 pe", lots=-1, expiry="next", stop_pct=30)
    assert (sold.lots, sold.strike, sold.right, sold.expiry) == (-1, "OTM 2", "PE", "next")
    assert (sold.stop, sold.product) == (LegStop(value=30), None)
    assert (future(1).kind, future(1).product) == (LegKind.FUTURE, None)


def test_leg_may_have_a_product_of_its_own() -> None:
    assert option("ATM CE", lots=1, product="nrml").product is Product.NRML
    assert future(-1, product="MIS").product is Product.MIS


@pytest.mark.parametrize("word", ["CNC", "NRM"])
def test_product_that_no_contract_has_is_refused_with_those_there_are(word: str) -> None:
    with pytest.raises(StrategyError, match=rf"product: found '{word}'.*(MIS|NRML)"):
        option("ATM CE", lots=1, product=word)


def test_strike_further_than_twenty_is_refused_in_code() -> None:
    with pytest.raises(StrategyError, match=r"1 to 20.*found 'OTM 25'"):
        option("OTM 25 CE", lots=1)
