"""All rules are evaluated: a size that cannot be had is one reason among the others; hedges, funds and baskets."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.config.loading import load_settings
from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.snapshot import risk_snapshot
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.core.time import to_ns
from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied
from mytrading.messages.control import TradingState
from mytrading.messages.enums import Action, LimitAction, Product, TradingLevel
from mytrading.messages.exit_rules import StrategyRules
from mytrading.messages.reports import AccountHealth, Funds
from mytrading.messages.run_config import RiskLimits, SizingRule, StrategyRun
from mytrading.messages.signals import Leg, Signal
from tests.kit.project import ROOT
from tests.kit.risk_bench import CALL, DAY, LIMITS, NEAR, PUT, SECOND, RiskBench
from tests.kit.risk_limit_bench import LARGE, events, holding, price, restarted
from tests.kit.risk_margin_bench import FUTURE, LOT, NONE_OF_IT, SHORT_CALL, MarginBench, entries

HALT = TradingState(level=TradingLevel.HALT, generation=1, reason="by hand", at_ns=1)
HEDGED = (SHORT_CALL, Leg(instrument=PUT, lots=1))


def denials(rows: tuple[Any, ...]) -> list[SignalDenied]:
    return [row for row in rows if isinstance(row, SignalDenied)]


def test_too_many_lots_are_reported_beside_every_other_reason() -> None:
    bench = MarginBench()
    bench.fund(1_000.0)
    bench.give(HALT)
    (denied,) = denials(bench.intent("a", Leg(instrument=CALL, lots=101)))
    assert denied.code == "HALTED"
    assert set(denied.codes) == {"HALTED", "INSUFFICIENT_MARGIN", "LOTS_PER_LEG"}
    assert "at most 100 a leg" in denied.message


def test_account_that_cannot_pay_for_a_lot_hears_every_other_reason_too() -> None:
    bench = MarginBench(SizingRule(by="balanced"))
    bench.fund(1_000.0)
    bench.give(HALT)
    (denied,) = denials(bench.sell("a"))
    assert denied.codes == ("HALTED", "INSUFFICIENT_MARGIN")
    assert "one lot needs ₹250,000" in denied.message


def test_cheap_hedge_is_below_no_least_size_but_the_same_leg_alone_is() -> None:
    bench = MarginBench()
    bench.fund(1_000_000.0)
    bench.quote(NEAR, 1.0)
    (hedge,) = entries(bench.sell("a", SHORT_CALL, Leg(instrument=NEAR, lots=1)))
    assert (hedge.instrument, hedge.quantity) == (NEAR, LOT)
    bench = MarginBench()
    bench.fund(1_000_000.0)
    bench.quote(PUT, 1.0)
    (denied,) = denials(bench.intent("b", Leg(instrument=PUT, lots=1)))
    assert denied.code == "MIN_ORDER_SIZE"


def test_bought_option_waits_for_funds_and_is_denied_when_none_are_reported() -> None:
    bench = MarginBench()
    bench.machine.environment.needs_funds = True
    assert bench.intent("a", Leg(instrument=CALL, lots=1)) == ()
    bench.fund(1_000_000.0)
    assert entries(bench.quote())
    silent = MarginBench()
    silent.machine.environment.needs_funds = True
    silent.intent("a", Leg(instrument=CALL, lots=1))
    silent.quote()
    silent.pass_time(61)
    assert "MARGIN_UNKNOWN" in denials(tuple(silent.rows))[-1].codes


class Unfunded(MarginBench):
    """A bench whose reconciler reads the books and not the funds."""

    why = "its funds were not read for 120 seconds (funds: an error)"

    def beat(self) -> None:
        super().beat()
        self.machine.apply(
            AccountHealth(
                account="main", connected=True, right_mode=True, stream_up=True, books_agree=True, funds_unread=self.why
            )
        )


def test_funds_that_are_not_read_any_more_deny_entries_with_the_reason() -> None:
    bench = Unfunded()
    bench.machine.environment.needs_funds = True
    bench.fund(1_000_000.0)
    assert "margin_free:main" not in bench.machine.margins.figures()
    assert risk_snapshot(bench.machine, bench.now).waits == f"account main: {bench.why}"
    assert entries(bench.intent("a", Leg(instrument=CALL, lots=1))) == []
    bench.quote()
    bench.pass_time(61)
    last = denials(tuple(bench.rows))[-1]
    assert "MARGIN_UNKNOWN" in last.codes and bench.why in last.message
    bench.why = ""
    bench.beat()
    bench.quote()
    assert entries(bench.intent("b", Leg(instrument=CALL, lots=1)))


def aged(seconds: int) -> MarginBench:
    """A bench whose funds were read so long ago, and whose reconciler says nothing of them, as one that starts anew."""
    bench = MarginBench()
    bench.machine.environment.needs_funds, bench.machine.environment.funds_stale = True, 120 * SECOND
    bench.fund(1_000_000.0)
    bench.machine_ns += seconds * SECOND
    bench.beat()
    bench.quote()
    return bench


def test_funds_read_too_long_ago_are_not_spent_whatever_the_reconciler_says_of_them() -> None:
    assert entries(aged(120).intent("a", Leg(instrument=CALL, lots=1)))
    bench, why = aged(121), "its funds were not read for 120 seconds"
    assert bench.machine.margins.cash("main") is None and "margin_free:main" not in bench.machine.margins.figures()
    assert risk_snapshot(bench.machine, bench.now).waits == f"account main: {why}"
    assert entries(bench.intent("a", Leg(instrument=CALL, lots=1))) == []
    bench.quote()
    bench.pass_time(61)
    last = denials(tuple(bench.rows))[-1]
    assert "MARGIN_UNKNOWN" in last.codes and why in last.message
    bench.fund(1_000_000.0)
    bench.quote()
    assert entries(bench.intent("b", Leg(instrument=CALL, lots=1)))


def test_funds_reported_again_as_they_were_read_grow_old_all_the_same() -> None:
    bench = MarginBench()
    bench.machine.environment.needs_funds, bench.machine.environment.funds_stale = True, 120 * SECOND
    reported = Funds(account="main", available=1_000_000.0, used=0.0, machine_ns=bench.machine_ns)
    bench.machine_ns += 121 * SECOND
    bench.beat()
    bench.quote()
    bench.machine.apply(reported)
    assert entries(bench.intent("a", Leg(instrument=CALL, lots=1))) == []


def test_funds_do_not_age_where_machine_time_does_not_count() -> None:
    bench = aged(100_000)
    bench.machine.environment.funds_stale = 0
    assert entries(bench.intent("a", Leg(instrument=CALL, lots=1)))


def test_exit_goes_on_while_funds_are_not_read() -> None:
    bench = Unfunded()
    bench.machine.environment.needs_funds = True
    bench.fund(1_000_000.0)
    bench.hold(CALL, LOT, 100.0)
    (close,) = bench.intent("a", action=Action.EXIT)
    assert isinstance(close, CloseGoal) and close.instrument == CALL


def test_size_by_margin_is_denied_with_the_reason_why_funds_are_not_known() -> None:
    bench = Unfunded(SizingRule(by="balanced"))
    bench.fund(1_000_000.0)
    bench.sell("a")
    bench.pass_time(61)
    assert bench.why in denials(tuple(bench.rows))[-1].message


def test_venue_without_funds_lets_bought_options_pass() -> None:
    bench = MarginBench()
    assert entries(bench.intent("a", Leg(instrument=CALL, lots=1)))


def basket(free: float = 600_000.0) -> tuple[MarginBench, PlaceEntry]:
    """A bench whose hedge is ordered and whose sold leg is still to come."""
    bench = MarginBench()
    bench.fund(free)
    (hedge,) = entries(bench.sell("a", *HEDGED))
    return bench, hedge


def test_first_leg_of_a_basket_reserves_what_all_its_legs_need() -> None:
    bench, hedge = basket()
    assert (hedge.margin, hedge.basket_margin) == (pytest.approx(100.05 * LOT), pytest.approx(250_000))
    assert bench.machine.margins.available_margin("main") == pytest.approx(350_000 - 100.05 * LOT)
    again = MarginBench()
    for row in bench.rows:
        again.machine.apply(row)
    again.fund(600_000)
    assert again.machine.margins.available_margin("main") == pytest.approx(350_000 - 100.05 * LOT), (
        "a restart forgets it not"
    )


def test_margin_kept_for_a_basket_is_its_own_and_goes_over_to_its_last_leg() -> None:
    bench, hedge = basket(290_000.0)
    bench.fill_in(hedge)
    bench.fund(290_000.0 - 100.05 * LOT)
    bench.quote()
    bench.pass_time(0.25)
    sold = entries(tuple(bench.rows))[-1]
    assert (sold.instrument, sold.margin, sold.basket_margin) == (CALL, pytest.approx(250_000), 0.0)
    assert bench.machine.state.margin_kept_for_baskets("main") == 0.0


def test_basket_that_is_replaced_by_another_intent_keeps_nothing() -> None:
    bench, _ = basket()
    bench.intent("x", action=Action.EXIT, product=Product.NRML)
    assert bench.machine.state.margin_kept_for_baskets("main") == 0.0


def test_places_of_legs_still_to_come_are_taken_by_no_other_intent() -> None:
    """Three baskets of two legs, five places: the third began in those that the sold legs of the others need."""
    limits = replace(NONE_OF_IT, max_positions_per_symbol=2, max_total_positions=2)
    bench = MarginBench()
    bench.machine.environment.limits = limits
    bench.fund(6_000_000.0)
    (hedge,) = entries(bench.sell("a", *HEDGED))
    assert hedge.basket_legs == (CALL,)
    other = Signal(
        id="b", strategy="S", watch="NSE_INDEX:BANKNIFTY", action=Action.BUY, legs=(Leg(instrument=FUTURE, lots=1),),
        product=Product.NRML, created_ns=bench.now, expires_ns=bench.now + 60 * SECOND,
        expires_machine_ns=bench.machine_ns + 2 * SECOND,
    )  # fmt: skip
    (denied,) = denials(bench.give(other))
    assert set(denied.codes) == {"MAX_POSITIONS_PER_SYMBOL", "MAX_TOTAL_POSITIONS"}
    bench.fill_in(hedge)
    bench.quote()
    bench.pass_time(0.25)
    sold = entries(tuple(bench.rows))[-1]
    assert (sold.instrument, sold.basket_legs) == (CALL, ())
    assert bench.machine.state.instruments_kept_for_baskets("main", ("", "")) == set()


def test_second_drawdown_of_a_day_is_an_event_of_its_own_and_the_same_after_a_restart() -> None:
    limits = replace(LARGE, max_daily_loss=1e9, max_drawdown=0.01)
    bench = holding(limits)
    (first,) = events(price(bench, 80.0))
    bench.give(TradingState(level=TradingLevel.NORMAL, generation=2, reason="go on", at_ns=bench.now))
    again = restarted(bench, limits)
    found = []
    for one in (bench, again):
        price(one, 79.9)
        found += events(price(one, 60.0))
    assert len(found) == 2 and found[0].id == found[1].id != first.id


def test_halt_of_a_daily_loss_that_was_resumed_says_so() -> None:
    bench = holding(replace(LARGE, max_daily_loss=6_500, max_daily_loss_action=LimitAction.HALT))
    price(bench, 80.0)
    assert "trading is halted until `mytrading resume`" in bench.machine.limits.entry_blocks("main", "S")["DAILY_LOSS"]
    bench.give(TradingState(level=TradingLevel.NORMAL, generation=2, reason="go on", at_ns=bench.now))
    said = bench.machine.limits.entry_blocks("main", "S")["DAILY_LOSS"]
    assert "resumed, but no more entries today" in said and "until `mytrading resume`" not in said


def test_strategys_square_off_begins_earlier_in_a_fast_replay() -> None:
    bench = RiskBench()
    run = StrategyRun(
        name="S", file="s.py", symbols=("NSE_INDEX:NIFTY",), long=None, short=None,
        rules=StrategyRules(square_off_time=14 * 3600),
    )  # fmt: skip
    bench.machine = RiskMachine(RiskEnvironment(*bench.parts[:2], (run,), *bench.parts[3:]))
    bench.machine.environment.square_off.speed = 60.0
    bench.now = to_ns(DAY, time(13, 51))
    bench.beat()
    bench.quote()
    (denied,) = denials(bench.intent("a", Leg(instrument=CALL, lots=1)))
    assert "AFTER_EXIT_TIME" in denied.codes, "ten seconds of machine time are ten minutes there"


def test_shipped_limits_let_one_lot_of_a_sold_nifty_option_through_and_no_second() -> None:
    found = load_settings(ROOT, "paper", {}).risk
    shipped = replace(
        LIMITS, max_order_size=found.max_order_size, max_position_size=found.max_position_size, min_order_size=0.0
    )
    for lots, admitted in ((1, True), (2, False)):
        bench = ShippedBench(shipped)
        bench.fund(10_000_000.0)
        rows = bench.sell("a", Leg(instrument=CALL, lots=-lots))
        assert bool(entries(rows)) == admitted
    assert denials(rows)[0].code == "MAX_ORDER_SIZE"


class ShippedBench(MarginBench):
    """With limits of its own."""

    def __init__(self, limits: RiskLimits) -> None:
        super().__init__()
        strategies = self.machine.environment.strategies.values()
        self.machine = RiskMachine(RiskEnvironment(limits, self.parts[1], strategies, "main", *self.parts[4:]))
        self.machine.environment.tables = MarginBench().machine.environment.tables
        self.beat()
        for instrument in (CALL, PUT):
            self.quote(instrument)
