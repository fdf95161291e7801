"""Risk with margin: what is admitted, what is left out and why, and how intents are sized in one account or several."""

from __future__ import annotations

from datetime import date, time
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from mytrading.core.accounting.margin import MarginLeg
from mytrading.core.accounting.margin_tables import BrokerMargin
from mytrading.core.time import to_ns
from mytrading.messages.commands import CloseGoal, SignalDenied
from mytrading.messages.enums import Action, Product, Side
from mytrading.messages.journal_rows import IntentSized, LevelMoved
from mytrading.messages.reports import MarginAnswer, MarginRequest
from mytrading.messages.run_config import AllocationMode, SizingRule
from mytrading.messages.signals import Leg
from tests.kit.margin_tables import TABLES
from tests.kit.risk_bench import CALL, NEAR, PUT, SECOND, WATCH, codes
from tests.kit.risk_margin_bench import FUTURE, LOT, SHORT_CALL, SHORT_PUT, MarginBench, entries, sized


def test_sold_option_with_enough_margin_is_ordered_and_reserves_it() -> None:
    bench = MarginBench()
    bench.fund(300_000)
    (entry,) = bench.sell("a")
    assert (entry.side, entry.quantity, entry.margin) == (Side.SELL, LOT, 250_000)
    assert bench.machine.margins.available_margin("main") == 50_000


def test_future_with_enough_margin_is_ordered() -> None:
    bench = MarginBench()
    bench.fund(300_000)
    (entry,) = bench.sell("a", Leg(instrument=FUTURE, lots=-1))
    assert (entry.side, entry.margin) == (Side.SELL, 215_000)


def test_sold_option_needs_the_buffer_too() -> None:
    bench = MarginBench()
    bench.fund(274_999)
    (denied,) = bench.sell("a")
    assert (denied.code, denied.account) == ("INSUFFICIENT_MARGIN", "main")
    assert "₹2,75,000 of margin needed, ₹2,74,999 free" in denied.message


def test_sold_option_waits_for_nothing_and_is_denied_while_funds_are_not_known() -> None:
    assert codes(MarginBench().sell("a")) == ["MARGIN_UNKNOWN"]


def test_second_order_sees_what_the_first_reserved() -> None:
    bench = MarginBench()
    bench.fund(500_000)
    (call,) = bench.sell("a")
    bench.fill_in(call)
    (exit_first, *_) = bench.sell("b", SHORT_PUT)
    assert isinstance(exit_first, CloseGoal)  # the call is not wanted any more
    assert bench.machine.margins.available_margin("main") == 250_000


def test_collateral_counts_for_sellers_and_not_for_buyers() -> None:
    bench = MarginBench()
    bench.fund(1_000, collateral=400_000)
    assert entries(bench.sell("a"))
    bench = MarginBench()
    bench.fund(1_000, collateral=400_000)
    assert codes(bench.intent("b", Leg(instrument=CALL, lots=1))) == ["INSUFFICIENT_MARGIN"]


def test_straddle_is_charged_once_and_neither_leg_goes_if_it_is_too_much() -> None:
    bench = MarginBench()
    bench.fund(352_000)
    assert len(entries(bench.sell("a", SHORT_CALL, SHORT_PUT))) == 2
    bench = MarginBench()
    bench.fund(351_000)
    assert codes(bench.sell("a", SHORT_CALL, SHORT_PUT)) == ["INSUFFICIENT_MARGIN"] * 2


def test_hedge_goes_first_once_the_whole_basket_can_be_paid() -> None:
    bench = MarginBench()
    bench.fund(270_000)
    legs = (SHORT_CALL, Leg(instrument=PUT, lots=1))
    assert codes(bench.sell("a", *legs)) == ["INSUFFICIENT_MARGIN"] * 2
    bench.fund(290_000)
    (hedge,) = entries(bench.sell("b", *legs))
    assert hedge.instrument == PUT


# sizing


@pytest.mark.parametrize(
    ("by", "margin", "lots"),
    [("conservative", 1_000_000, 1), ("balanced", 1_000_000, 2), ("aggressive", 1_000_000, 3), ("A", 1_000_000, 3),
     ("B", 1_000_000, 2), ("C", 1_000_000, 1)],
)  # fmt: skip
def test_profile_sizes_a_sold_option_by_the_margin_of_its_account(by: str, margin: float, lots: int) -> None:
    bench = MarginBench(SizingRule(by=by))
    bench.fund(margin)
    assert sized(bench) == {CALL: -lots * LOT}


def test_profile_gives_both_legs_of_a_straddle_the_same_quantity() -> None:
    bench = MarginBench(SizingRule(by="balanced"))
    bench.fund(1_000_000)
    assert sized(bench, SHORT_CALL, SHORT_PUT) == {CALL: -2 * LOT, PUT: -2 * LOT}


def test_profile_sizes_a_buyer_from_cash_and_the_budget_per_lot() -> None:
    bench = MarginBench(SizingRule(by="C"))
    bench.fund(1_000_000, collateral=5_000_000)
    assert sized(bench, Leg(instrument=CALL, lots=1)) == {CALL: 18 * LOT}


def test_grade_for_sellers_leaves_a_buyer_the_lots_of_its_intent() -> None:
    bench = MarginBench(SizingRule(by="A"))
    bench.machine.environment.tables = msgspec.convert(
        msgspec.to_builtins(TABLES) | {"grades": {"A": {"share": 0.95, "source": "available"}}}, type(TABLES)
    )
    bench.fund(1_000_000)
    assert sized(bench, Leg(instrument=CALL, lots=3)) == {CALL: 3 * LOT}


def test_account_below_one_lot_is_left_out_with_a_reason_and_without_an_order() -> None:
    bench = MarginBench(SizingRule(by="A"))
    bench.fund(200_000)
    (denied,) = bench.sell("a")
    assert denied.code == "INSUFFICIENT_MARGIN"
    assert "insufficient margin in main: 95% of ₹200,000 free is ₹190,000, one lot needs ₹250,000" in denied.message


def test_profile_waits_for_the_funds_of_its_account() -> None:
    bench = MarginBench(SizingRule(by="balanced"))
    assert bench.sell("a") == ()
    bench.fund(1_000_000)
    (row, entry) = bench.pass_time(0.25)
    assert isinstance(row, IntentSized) and entry.quantity == 2 * LOT


def test_size_stays_when_the_same_intent_comes_again_with_other_margin() -> None:
    bench = MarginBench(SizingRule(by="balanced"))
    bench.fund(1_000_000)
    (_, entry) = bench.sell("a")
    bench.fill_in(entry)
    bench.fund(4_000_000)
    assert bench.sell("b") == ()
    assert bench.pass_time(1) == ()


def test_size_survives_a_restart_and_the_turn_of_a_day() -> None:
    bench = MarginBench(SizingRule(by="balanced"))
    bench.fund(1_000_000)
    (_, entry) = bench.sell("a")
    bench.fill_in(entry)
    carried = bench.machine.snapshot("2026-03-19")
    again = MarginBench(SizingRule(by="balanced"))
    again.machine.apply(carried)
    again.fund(4_000_000)
    assert again.pass_time(1) == ()


def test_risk_per_trade_over_the_stop_distance_gives_the_lots() -> None:
    bench = MarginBench(SizingRule(by="risk", risk_per_trade=6500, max_lots=10))
    bench.fund(10_000_000)
    assert sized(bench, Leg(instrument=CALL, lots=1, stop_price=80.05)) == {CALL: 5 * LOT}  # bought at 100.05
    bench = MarginBench(SizingRule(by="risk", risk_per_trade=6500, max_lots=10))
    bench.fund(10_000_000)
    assert sized(bench, Leg(instrument=CALL, lots=1, stop_price=99.05)) == {CALL: 10 * LOT}


def test_confidence_scales_the_lots() -> None:
    bench = MarginBench(SizingRule(by="fixed", confidence_scaling=True))
    bench.fund(10_000_000)
    signal = bench.machine.state
    assert signal.intents == {}
    (_, entry) = bench.give(_with_confidence(bench, 0.5, Leg(instrument=CALL, lots=4)))
    assert entry.quantity == 2 * LOT


def _with_confidence(bench: MarginBench, confidence: float, leg: Leg) -> Any:
    from mytrading.messages.signals import Signal

    return Signal(
        id="c", strategy="S", watch=WATCH, action=Action.BUY, legs=(leg,), created_ns=bench.now, confidence=confidence,
        expires_ns=bench.now + 60 * SECOND, expires_machine_ns=bench.machine_ns + 2 * SECOND,
    )  # fmt: skip


def test_leg_of_more_than_a_hundred_lots_is_denied() -> None:
    bench = MarginBench()
    bench.fund(1e9)
    assert codes(bench.intent("a", Leg(instrument=CALL, lots=101))) == ["LOTS_PER_LEG"]
    assert entries(bench.intent("b", Leg(instrument=CALL, lots=100)))


# accounts

TEN = tuple(f"a{number}" for number in range(10))


def test_ten_accounts_are_ordered_in_one_decision_each_by_its_own_margin() -> None:
    bench = MarginBench(SizingRule(by="balanced"), TEN)
    for number, account in enumerate(TEN):
        bench.fund(400_000 * number, account)
    rows = bench.sell("a")
    lots = {entry.account: entry.quantity // LOT for entry in entries(rows)}
    assert lots == {f"a{number}": int(400_000 * number * 0.65 // 250_000) for number in range(1, 10)}
    denied = [row for row in rows if isinstance(row, SignalDenied)]
    assert [(row.account, row.code) for row in denied] == [("a0", "INSUFFICIENT_MARGIN")]


def test_refusal_in_one_account_leaves_the_others() -> None:
    bench = MarginBench(accounts=("a", "b"))
    bench.fund(300_000, "a")
    bench.fund(1_000, "b")
    rows = bench.sell("x")
    assert [row.account for row in entries(rows)] == ["a"]
    assert codes(rows) == ["INSUFFICIENT_MARGIN"]
    bench.fill_in(entries(rows)[0])
    assert bench.machine.state.intents["S", WATCH].settled


def test_proportional_allocation_shares_the_lots_by_free_margin() -> None:
    bench = MarginBench(SizingRule(allocation=AllocationMode.PROPORTIONAL), ("a", "b"))
    bench.fund(3_000_000, "a")
    bench.fund(1_000_000, "b")
    lots = {entry.account: entry.quantity // LOT for entry in entries(bench.sell("x", Leg(instrument=CALL, lots=-4)))}
    assert lots == {"a": 6, "b": 2}


def shares(*funds: float, asks: bool = False) -> MarginBench:
    """A bench that shares the lots of an intent to accounts a, b, c by what they have free; 0 is not reported yet."""
    names = tuple("abc"[: len(funds)])
    bench = MarginBench(SizingRule(allocation=AllocationMode.PROPORTIONAL), names)
    bench.machine.environment.needs_funds, bench.machine.environment.asks_broker = True, asks
    for name, free in zip(names, funds, strict=True):
        if free:
            bench.fund(free, name)
    return bench


def lots_of(rows: Any) -> dict[str, int]:
    return {entry.account: entry.quantity // LOT for entry in entries(rows)}


FOUR = Leg(instrument=CALL, lots=-4)


def test_proportional_allocation_waits_for_the_funds_of_every_account() -> None:
    bench = shares(3_000_000, 0)
    assert bench.sell("x", FOUR) == ()
    bench.fund(1_000_000, "b")
    assert lots_of(bench.pass_time(1)) == {"a": 6, "b": 2}


def test_proportional_lots_are_shared_once_though_the_broker_answers_for_one_account_first() -> None:
    bench = shares(3_000_000, 1_000_000, asks=True)
    rows = bench.sell("x", FOUR)
    asked = [row for row in rows if isinstance(row, MarginRequest)]
    assert [(row.account, row.lines[0].quantity // LOT) for row in asked] == [("a", 6), ("b", 2)]
    rows = ()
    for row, total in zip(asked, (1_500_000, 500_000), strict=True):
        rows += bench.give(MarginAnswer(id=row.id, account=row.account, total=total, machine_ns=bench.machine_ns))
    assert lots_of(rows) == {"a": 6, "b": 2}
    assert not any(isinstance(row, MarginRequest) for row in rows)


def test_account_that_is_sized_later_gets_of_what_the_others_left() -> None:
    bench = shares(3_000_000, 1_000_000, 2_000_000)
    bench.machine.state.closing.add(("b", CALL, "NRML", "S"))
    assert lots_of(bench.sell("x", FOUR)) == {"a": 6, "c": 4}
    bench.machine.state.closing.clear()
    bench.fund(9_000_000, "b")
    assert lots_of(bench.pass_time(1)) == {"b": 2}


def test_account_whose_funds_do_not_come_neither_keeps_the_others_for_long_nor_passes_its_lots_on() -> None:
    bench = shares(3_000_000, 1_000_000, 0)
    assert bench.sell("x", FOUR) == ()
    rows: tuple[Any, ...] = ()
    for _ in range(12):
        rows += (*bench.pass_time(1), *bench.quote(CALL))
    assert lots_of(rows) == {"a": 6, "b": 2}
    bench.now += 60 * SECOND
    rows = bench.pass_time(1)
    assert [(row.account, row.code) for row in rows if isinstance(row, SignalDenied)] == [("c", "EXPIRED")]


def test_account_whose_funds_come_after_the_others_were_sized_gets_its_even_part() -> None:
    bench = shares(3_000_000, 0)
    bench.sell("x", FOUR)
    rows: tuple[Any, ...] = ()
    for _ in range(12):
        rows += (*bench.pass_time(1), *bench.quote(CALL))
    assert lots_of(rows) == {"a": 4}
    bench.fund(9_000_000, "b")
    assert lots_of(bench.pass_time(1)) == {"b": 4}


def test_custom_allocation_takes_each_accounts_factor() -> None:
    bench = MarginBench(SizingRule(allocation=AllocationMode.CUSTOM, factors={"b": 0.5}), ("a", "b"))
    for account in ("a", "b"):
        bench.fund(3_000_000, account)
    lots = {entry.account: entry.quantity // LOT for entry in entries(bench.sell("x", Leg(instrument=CALL, lots=-4)))}
    assert lots == {"a": 4, "b": 2}


# the buffer


def test_refusal_for_want_of_margin_raises_the_buffer_until_quiet_days_lower_it() -> None:
    bench = MarginBench()
    bench.fund(300_000)
    (entry,) = bench.sell("a")
    moved = bench.reject(entry, "RMS: Margin Exceeds, shortage: 12000")
    assert next(row.value for row in moved if isinstance(row, LevelMoved)) == pytest.approx(0.12)
    assert bench.machine.margins.available_margin("main") == 300_000
    next_day = MarginBench()
    next_day.machine.apply(bench.machine.snapshot("2026-03-19"))
    assert next_day.machine.margins.buffer("main") == pytest.approx(0.12)
    day_after = MarginBench()
    day_after.machine.apply(next_day.machine.snapshot("2026-03-20"))
    assert day_after.machine.margins.buffer("main") == pytest.approx(0.10)


def test_other_refusal_teaches_nothing_about_margin() -> None:
    bench = MarginBench()
    bench.fund(300_000)
    (entry,) = bench.sell("a")
    assert not [row for row in bench.reject(entry, "price band") if isinstance(row, LevelMoved)]


def test_expiry_column_counts_on_the_day_of_expiry_alone() -> None:
    bench = MarginBench()
    bench.now = to_ns(date(2026, 3, 24), time(11, 0))  # a Tuesday, the expiry of both options
    bench.beat()
    for instrument in (CALL, PUT):
        bench.quote(instrument)
    bench.fund(300_000)
    (entry,) = bench.sell("a")
    assert entry.margin == 205_000


# the broker's own figure


def ask(bench: MarginBench) -> MarginRequest:
    bench.machine.environment.asks_broker = True
    (question,) = bench.sell("a", SHORT_CALL, SHORT_PUT)
    assert isinstance(question, MarginRequest)
    return question


def answer(bench: MarginBench, question: MarginRequest, total: float | None) -> tuple[Any, ...]:
    return bench.give(MarginAnswer(id=question.id, account="main", machine_ns=bench.machine_ns, total=total))


def test_broker_is_asked_for_all_legs_before_any_is_ordered() -> None:
    bench = MarginBench()
    bench.fund(1_000_000)
    question = ask(bench)
    assert [(line.instrument, line.side, line.quantity) for line in question.lines] == [
        (CALL, Side.SELL, LOT),
        (PUT, Side.SELL, LOT),
    ]
    assert bench.pass_time(0.25) == ()
    rows = answer(bench, question, 300_000.0)
    assert sum(entry.margin for entry in entries(rows)) == pytest.approx(320_000)  # the table's is more


def test_brokers_larger_figure_counts() -> None:
    bench = MarginBench()
    bench.fund(500_000)
    assert len(entries(answer(bench, ask(bench), 400_000.0))) == 2
    bench = MarginBench()
    bench.fund(439_000)
    assert codes(answer(bench, ask(bench), 400_000.0)) == ["INSUFFICIENT_MARGIN"] * 2


def test_brokers_figure_replaces_the_tables_where_that_is_wanted() -> None:
    bench = MarginBench()
    bench.machine.environment.tables = replace(TABLES, broker_margin=BrokerMargin.REPLACES)
    bench.fund(230_000)
    rows = answer(bench, ask(bench), 200_000.0)
    assert sum(entry.margin for entry in entries(rows)) == pytest.approx(200_000)


def test_brokers_figure_of_less_than_a_tenth_is_no_margin_even_where_it_replaces() -> None:
    bench = MarginBench()
    bench.machine.environment.tables = replace(TABLES, broker_margin=BrokerMargin.REPLACES)
    bench.fund(230_000)
    assert codes(answer(bench, ask(bench), 31_000.0)) == ["INSUFFICIENT_MARGIN"] * 2


def test_brokers_figure_for_a_whole_basket_holds_for_the_legs_that_wait_for_the_hedge() -> None:
    bench = MarginBench()
    bench.machine.environment.tables = replace(TABLES, broker_margin=BrokerMargin.REPLACES)
    bench.machine.environment.asks_broker = True
    bench.quote(NEAR)
    bench.fund(45_000)
    (question,) = bench.sell("a", *SPREAD)
    (hedge,) = entries(answer(bench, question, 35_000.0))
    before = len(bench.rows)
    bench.fill_in(hedge)
    (sold_leg,) = entries(tuple(bench.rows[before:]))
    assert sold_leg.instrument == NEAR
    assert hedge.margin + sold_leg.margin == pytest.approx(35_000, rel=0.1)


# hedges

SPREAD = (Leg(instrument=CALL, lots=1), Leg(instrument=NEAR, lots=-1))


def test_spread_is_admitted_by_its_bounded_loss_and_its_sold_leg_waits_for_the_hedge() -> None:
    bench = MarginBench()
    bench.quote(NEAR)
    bench.fund(60_000)
    (hedge,) = entries(bench.sell("a", *SPREAD))
    assert (hedge.instrument, hedge.side) == (CALL, Side.BUY)
    exposure, width, premium = 0.02 * 23_000 * LOT, 200 * LOT, hedge.reference_price * LOT
    assert hedge.margin + hedge.basket_margin == pytest.approx(exposure + width + premium, abs=0.02)
    before = len(bench.rows)
    bench.fill_in(hedge)
    (sold_leg,) = entries(tuple(bench.rows[before:]))
    assert (sold_leg.instrument, sold_leg.margin) == (NEAR, pytest.approx(exposure + width))


def test_bought_option_that_is_on_its_way_or_being_closed_hedges_nothing() -> None:
    bench = MarginBench()
    bench.quote(NEAR)
    bench.fund(60_000)
    (hedge,) = entries(bench.sell("a", *SPREAD))
    naked = [MarginLeg(bench.machine.environment.instruments.get(NEAR), -LOT, 100.0, Product.NRML)]
    signal, check = bench.machine.state.intents["S", WATCH].signal, bench.machine.margins
    assert check.required_margin(naked, signal, "main", bench.now).joint == 250_000, "no fill has come"
    bench.fill_in(hedge)
    assert check.required_margin(naked, signal, "main", bench.now).joint < 50_000
    (held,) = bench.machine.state.open_positions()
    bench.machine.state.closing.add(held.owner)
    assert check.required_margin(naked, signal, "main", bench.now).joint == 250_000


@pytest.mark.parametrize("total", [None, 0.0, -5.0, 99_000_000.0])
def test_brokers_senseless_figure_leaves_the_table(total: float | None) -> None:
    bench = MarginBench()
    bench.fund(352_000)
    assert len(entries(answer(bench, ask(bench), total))) == 2


def test_broker_that_is_silent_is_waited_for_a_moment_only() -> None:
    bench = MarginBench()
    bench.fund(352_000)
    ask(bench)
    assert bench.pass_time(1.0) == ()
    for instrument in (CALL, PUT):
        bench.quote(instrument)
    assert len(entries(bench.pass_time(1.0))) == 2


def test_bought_option_is_not_asked_for() -> None:
    bench = MarginBench()
    bench.machine.environment.asks_broker = True
    bench.fund(352_000)
    assert entries(bench.intent("a", Leg(instrument=CALL, lots=1)))
