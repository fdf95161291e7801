"""`mytrading legs show` and `check` of legs with a profile: lots by what each account has free."""

from __future__ import annotations

from datetime import date

import pytest

from mytrading.cli.legs.command import risk_notes
from mytrading.cli.legs.show import LegSizer, free_funds_by_account
from mytrading.messages.enums import Product
from mytrading.messages.instruments import InstrumentKind
from mytrading.messages.leg_plan import LegPlan, LegRule
from mytrading.messages.run_config import AllocationMode, SizingRule
from mytrading.messages.signals import Leg
from tests.kit.margin_tables import LATER, TABLES, contract

CALL, PUT = contract(InstrumentKind.CE, LATER), contract(InstrumentKind.PE, LATER)
LEGS = (Leg(instrument=CALL.id, lots=-1, profile="Balanced"), Leg(instrument=PUT.id, lots=2))
PRICES = {CALL.id: 100.0, PUT.id: 50.0}
DAY = date(2026, 11, 23)
STATUS = {
    "daemons": [
        {"daemon": "feed"},
        {"daemon": "risk", "figures": {"margin_free:one": 1_000_000.0, "margin_cash:one": 900_000.0,
                                       "margin_buffer:one": 0.1, "margin_free:two": 200_000.0}},
    ]
}  # fmt: skip


def test_lots_are_shown_for_each_account_by_its_own_margin() -> None:
    sizes = LegSizer(Product.MIS, SizingRule(), ("two", "one", "three"), free_funds_by_account(STATUS))
    legs, rows = sizes.size_legs(LEGS, (CALL, PUT), PRICES, TABLES, DAY)
    assert [(leg.instrument, leg.lots) for leg in legs] == [(CALL.id, -2), (PUT.id, 2)], "the first that gets any"
    assert [(row["account"], row["lots"]) for row in rows] == [("two", []), ("one", [2, 2]), ("three", [])]
    assert "insufficient margin in two" in rows[0]["why"]
    assert "645,775 of 993,500 free (65%) / 250,000 = 2.58" in rows[1]["why"]
    assert "has not reported its funds" in rows[2]["why"]


def test_factor_and_most_lots_count_as_in_risk() -> None:
    rule = SizingRule(allocation=AllocationMode.CUSTOM, factors={"one": 3.0}, max_lots=5)
    (legs, _) = LegSizer(Product.MIS, rule, ("one",), free_funds_by_account(STATUS)).size_legs(
        LEGS, (CALL, PUT), PRICES, TABLES, DAY
    )
    assert legs[0].lots == -5


def test_legs_with_lots_alone_are_shown_as_they_are() -> None:
    given = LEGS[1:]
    assert LegSizer(Product.MIS, SizingRule(), ("one",), {}).size_legs(given, (PUT,), PRICES, TABLES, DAY) == (
        given,
        [],
    )


@pytest.mark.parametrize(
    ("bought", "sold", "notes"),
    [(("", 1), ("", -1), 0), (("A", 1), ("A", -1), 0), (("", 5), ("A", -1), 1), (("A", 1), ("B", -1), 1)],
)
def test_check_says_when_bought_legs_may_be_fewer_than_sold_ones(
    bought: tuple[str, int], sold: tuple[str, int], notes: int
) -> None:
    rules = [LegRule(lots=lots, right="CE", strike="ATM", profile=profile) for profile, lots in (bought, sold)]
    plan = LegPlan(legs=tuple(rules), entry_time=33_600, exit_time=50_000)
    assert len([note for note in risk_notes(plan, Product.MIS) if "covers a rise" in note]) == notes


def test_check_says_that_a_bought_share_loses_with_a_fall() -> None:
    legs = (LegRule(lots=1, right="", strike=""), LegRule(lots=-1, right="CE", strike="OTM 1"))
    found = risk_notes(LegPlan(legs=legs, entry_time=33_600, exit_time=50_000), Product.MIS)
    assert found == ["no bought put covers a fall: the loss grows with it, down to a price of nothing"]
