"""Legs that name a profile instead of lots: worked numbers, alone, together, beside legs with lots, in each account."""

from __future__ import annotations

from datetime import date

import pytest
from msgspec.structs import replace

from mytrading.core.accounting.margin import MarginLeg
from mytrading.core.accounting.margin_tables import RiskTables, Share, Source
from mytrading.core.risk.sizing.lots import FreeFunds, plan_profiles
from mytrading.core.risk.state.intent import Intent
from mytrading.messages.commands import SignalDenied
from mytrading.messages.enums import Side
from mytrading.messages.instruments import InstrumentKind
from mytrading.messages.journal_rows import IntentSized
from mytrading.messages.run_config import AllocationMode, SizingRule
from mytrading.messages.signals import Leg
from tests.kit.margin_tables import LATER, TABLES, TODAY, contract
from tests.kit.risk_bench import CALL, PUT, SHARE, WATCH, codes
from tests.kit.risk_margin_bench import FUTURE, LOT, MarginBench, entries, sized

CE, PE, FUT = InstrumentKind.CE, InstrumentKind.PE, InstrumentKind.FUT
MILLION = FreeFunds(1_000_000, 1_000_000)


def leg(kind: InstrumentKind, lots: int, price: float = 100.0, strike: float = 26_000) -> MarginLeg:
    return MarginLeg(contract(kind, LATER, "NIFTY", strike), lots * 65, price)


def times(
    profiles: dict[str, list[MarginLeg]], fixed: list[MarginLeg] | None = None, purse: FreeFunds = MILLION,
    tables: RiskTables = TABLES, day: date = TODAY,
) -> dict[str, int]:  # fmt: skip
    plans = plan_profiles(fixed or [], profiles, purse, "main", tables, day)
    return {name: plan.times for name, plan in plans.items()}


@pytest.mark.parametrize(
    ("profile", "legs", "lots"),
    [
        ("balanced", [leg(CE, -1)], 2),  # 6,50,000 / 2,50,000
        ("aggressive", [leg(CE, -1)], 3),  # 8,00,000 / 2,50,000
        ("A", [leg(FUT, 1)], 4),  # 9,50,000 / 2,15,000
        ("C", [leg(CE, 1)], 18),  # 3,60,000 / 20,000
        ("C", [leg(CE, 1, price=400.0)], 13),  # 3,60,000 / 26,000 of premium
        ("balanced", [leg(CE, -1), leg(PE, -1)], 2),  # 6,50,000 / 3,20,000, the pair charged once
        ("balanced", [leg(CE, -1), leg(CE, 1, strike=26_500)], 2),  # the hedge takes the quantity of what it covers
    ],
)
def test_profile_of_a_leg_gives_the_lots_of_the_strategy_level_rule(
    profile: str, legs: list[MarginLeg], lots: int
) -> None:
    assert times({profile: legs}) == {profile: lots}


def test_legs_with_lots_are_paid_first_with_their_buffer() -> None:
    purse = FreeFunds(1_000_000, 1_000_000, buffer=0.10)
    # 10,00,000 − 2,75,000 = 7,25,000 are left: 65 % of it is 4,71,250
    assert times({"balanced": [leg(PE, -1)]}, [leg(CE, -1)], purse) == {"balanced": 1}
    # 36 % of 7,25,000 is 2,61,000
    assert times({"C": [leg(PE, 1)]}, [leg(CE, -1)], purse) == {"C": 13}
    # a bought leg costs its premium, 65 × 100 × 2, and no buffer
    assert times({"A": [leg(FUT, -1)]}, [leg(CE, 2)], purse) == {"A": 4}


def test_second_profile_takes_its_share_but_never_what_the_first_has_taken() -> None:
    # A takes 3 × 2,50,000; B would have 65 % = 6,50,000, and 2,50,000 are left
    assert times({"A": [leg(CE, -1)], "B": [leg(FUT, 1)]}) == {"A": 3, "B": 1}
    # B takes 2 × 2,50,000, C 36 % = 3,60,000 of the 5,00,000 left
    assert times({"B": [leg(CE, -1)], "C": [leg(FUT, 1)]}) == {"B": 2, "C": 1}


def test_profile_that_nothing_is_left_for_ends_the_plan_with_zero_and_says_why() -> None:
    purse = FreeFunds(800_000, 800_000)
    plans = plan_profiles([], {"A": [leg(CE, -1)], "B": [leg(FUT, 1)], "C": [leg(PE, 1)]}, purse, "main", TABLES, TODAY)
    assert [(name, plan.times) for name, plan in plans.items()] == [("A", 3), ("B", 0)]
    assert "insufficient margin in main" in plans["B"].why and "one lot needs ₹215,000" in plans["B"].why


def test_bought_legs_are_sized_from_cash_and_sold_ones_from_cash_and_collateral() -> None:
    purse = FreeFunds(cash=100_000, available=1_000_000)
    assert times({"C": [leg(CE, 1)]}, purse=purse) == {"C": 1}  # 36,000 / 20,000
    assert times({"balanced": [leg(CE, -1)]}, purse=purse) == {"balanced": 2}


def test_refusals_leave_less_for_a_share_that_would_use_all() -> None:
    tables = replace(TABLES, grades={**TABLES.grades, "FULL": 1.0})
    assert times({"full": [leg(CE, -1)]}, tables=tables) == {"full": 4}
    assert times({"full": [leg(CE, -1)]}, tables=tables, purse=MILLION._replace(learnt=0.02)) == {"full": 3}


def test_share_for_sellers_and_unknown_profile_give_nothing_and_say_so() -> None:
    tables = replace(TABLES, grades={**TABLES.grades, "D": Share(0.5, Source.AVAILABLE)})
    bought = plan_profiles([], {"d": [leg(CE, 1)]}, MILLION, "main", tables, TODAY)["d"]
    assert (bought.times, "does not size what only buys options" in bought.why) == (0, True)
    assert times({"d": [leg(CE, -1)]}, tables=tables) == {"d": 2}
    gone = plan_profiles([], {"bold": [leg(CE, -1)]}, MILLION, "main", TABLES, TODAY)["bold"]
    assert (gone.times, "expected one of" in gone.why) == (0, True)


# through risk


def by(instrument: str, way: int, profile: str) -> Leg:
    return Leg(instrument=instrument, lots=way, profile=profile)


@pytest.mark.parametrize("profile", ["Balanced", "balanced", "B", "grade_b"])
def test_sold_leg_with_a_profile_is_ordered_by_the_margin_of_its_account(profile: str) -> None:
    bench = MarginBench()
    bench.fund(1_000_000)
    assert sized(bench, by(CALL, -1, profile)) == {CALL: -2 * LOT}


def test_straddle_of_two_legs_of_one_profile_has_equal_quantities() -> None:
    bench = MarginBench()
    bench.fund(1_000_000)
    assert sized(bench, by(CALL, -1, "Balanced"), by(PUT, -1, "balanced")) == {CALL: -2 * LOT, PUT: -2 * LOT}


def test_leg_with_lots_keeps_them_beside_one_with_a_profile() -> None:
    bench = MarginBench()
    bench.fund(1_000_000)
    # 3 × 65 × 100.05 of premium go first: 65 % of what is left is 6,37,319
    rows = bench.sell("a", Leg(instrument=PUT, lots=3), by(CALL, -1, "balanced"))
    (row,) = [row for row in rows if isinstance(row, IntentSized)]
    assert row.lots == {PUT: 3, CALL: -2}
    (hedge,) = entries(rows)
    assert (hedge.instrument, hedge.side, hedge.quantity) == (PUT, Side.BUY, 3 * LOT)


def test_two_profiles_share_one_account_and_both_go() -> None:
    bench = MarginBench()
    bench.fund(1_000_000)
    assert sized(bench, by(CALL, -1, "A"), by(FUTURE, -1, "B")) == {CALL: -3 * LOT, FUTURE: -LOT}


def test_accounts_are_sized_each_by_itself_and_one_without_a_lot_is_left_out_whole() -> None:
    bench = MarginBench(accounts=("a", "b", "c"))
    for account, funds in (("a", 1_000_000), ("b", 2_000_000), ("c", 300_000)):
        bench.fund(funds, account)
    rows = bench.sell("x", by(CALL, -1, "B"), Leg(instrument=PUT, lots=1))
    sizes = {row.account: row.lots for row in rows if isinstance(row, IntentSized)}
    assert sizes == {"a": {CALL: -2, PUT: 1}, "b": {CALL: -5, PUT: 1}}
    assert {row.account for row in entries(rows)} == {"a", "b"}, "never a part of a basket"
    denied = [row for row in rows if isinstance(row, SignalDenied)]
    assert {(row.account, row.code) for row in denied} == {("c", "INSUFFICIENT_MARGIN")}
    assert all(f"B ({CALL}): insufficient margin in c: 65%" in row.message for row in denied)


def test_lots_of_a_profile_are_capped_by_max_lots() -> None:
    bench = MarginBench(SizingRule(max_lots=3))
    bench.fund(10_000_000)
    assert sized(bench, by(CALL, -1, "A")) == {CALL: -3 * LOT}
    bench = MarginBench()
    bench.machine.environment.tables = replace(TABLES, max_lots_per_leg=5)
    bench.fund(10_000_000)
    assert sized(bench, by(CALL, -1, "A")) == {CALL: -5 * LOT}


def test_own_lots_above_the_cap_are_denied_beside_a_profile_too() -> None:
    bench = MarginBench(SizingRule(max_lots=3))
    bench.fund(10_000_000)
    assert "LOTS_PER_LEG" in codes(bench.sell("a", by(CALL, -1, "A"), Leg(instrument=PUT, lots=4)))


def test_factor_of_an_account_scales_profiles_and_lots() -> None:
    bench = MarginBench(SizingRule(allocation=AllocationMode.CUSTOM, factors={"b": 0.5}), ("a", "b"))
    for account in ("a", "b"):
        bench.fund(2_000_000, account)
    rows = bench.sell("x", by(CALL, -1, "B"), Leg(instrument=PUT, lots=4))
    sizes = {row.account: row.lots for row in rows if isinstance(row, IntentSized)}
    assert sizes == {"a": {CALL: -5, PUT: 4}, "b": {CALL: -2, PUT: 2}}


def test_shares_beside_a_profile_follow_the_factor_and_are_no_lots() -> None:
    bench = MarginBench(SizingRule(allocation=AllocationMode.CUSTOM, factors={"main": 0.5}))
    bench.fund(5_000_000)
    bench.quote(SHARE)
    rows = bench.intent("a", Leg(instrument=SHARE, lots=500), by(CALL, -1, "B"))
    (row,) = [row for row in rows if isinstance(row, IntentSized)]
    # 500 × 100.05 × 20 % are set aside: 65 % of 49,89,995 / 2,50,000 is 12
    assert row.lots == {SHARE: 250, CALL: -6}


def test_profile_uses_its_share_where_a_fixed_intent_would_keep_a_buffer() -> None:
    bench = MarginBench()
    bench.fund(1_060_000)
    # 95 % of 10,60,000 is 10,07,000: four lots, which with a tenth on top would be 11,00,000
    assert sized(bench, by(CALL, -1, "A")) == {CALL: -4 * LOT}


def test_intent_with_a_profile_waits_for_the_funds_of_its_account() -> None:
    bench = MarginBench()
    assert bench.sell("a", by(CALL, -1, "balanced")) == ()
    bench.fund(1_000_000)
    (row, entry) = bench.pass_time(0.25)
    assert isinstance(row, IntentSized) and entry.quantity == 2 * LOT


def test_size_of_legs_is_decided_once_and_the_rows_alone_bring_it_back() -> None:
    bench = MarginBench()
    bench.fund(1_000_000)
    legs = (Leg(instrument=PUT, lots=2), by(CALL, -1, "balanced"))
    (hedge,) = entries(bench.sell("a", *legs))
    again = MarginBench()
    for message in bench.rows:  # a restart applies what was journaled, and its account is richer by then
        again.machine.apply(message)
    again.fund(9_000_000)
    for one in (bench, again):
        one.fill_in(hedge)
    (here,), (there,) = (
        [row for row in one.rows if getattr(row, "instrument", "") == CALL and getattr(row, "side", "") is Side.SELL]
        for one in (bench, again)
    )
    assert (here, here.quantity) == (there, 2 * LOT)


def test_intent_for_lots_and_one_for_a_profile_are_not_the_same_intent() -> None:
    bench = MarginBench()
    bench.fund(1_000_000)
    bench.sell("a", by(CALL, -1, "balanced"))
    intent = bench.machine.state.intents["S", WATCH]
    assert intent.lots(intent.legs[0], "main") == -2
    plain = replace(intent.signal, legs=(Leg(instrument=CALL, lots=-1),))
    assert Intent(signal=plain).wanted_position != intent.wanted_position
