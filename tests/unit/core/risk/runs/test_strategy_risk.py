"""Ends of a run: losses, profits, trailing stops and legs' levels, once each, on fresh prices, across restarts."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.risk.runs.run import WAITING
from mytrading.messages.commands import PlaceEntry, WithdrawEntries
from mytrading.messages.control import Alert
from mytrading.messages.enums import Action, OrderState, Product
from mytrading.messages.exit_rules import LevelKind, LevelRule, StrategyRules, TrailKind, TrailRule
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.market import Quote
from mytrading.messages.reports import Funds
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import CALL, LIMITS, NEAR, PUT, SECOND, SHARE, WATCH, codes
from tests.kit.risk_run_bench import TRAILING_ON, RunBench, events, goals

MAX_LOSS = StrategyRules(max_loss=5000)
TRAIL_30 = StrategyRules(trailing=TrailRule(value=30))


def share_bench(rules: StrategyRules, quantity: int = 100, **options: Any) -> RunBench:
    """So many shares at 1,000: a price of 1,010 is a profit of 1,000 rupees for 100."""
    bench = RunBench(rules, **options)
    bench.take(SHARE, quantity, 1000.0)
    return bench


# max loss and max profit


def test_loss_at_the_limit_closes_everything_once_with_one_event() -> None:
    bench = share_bench(MAX_LOSS)
    assert bench.at(SHARE, 950.0001) == ()
    rows = bench.once(SHARE, 950.0)
    (event,), (goal,) = events(rows), goals(rows)
    assert (event.kind, event.action, event.threshold, event.value) == ("max_loss", "close_all", -5000, -5000)
    assert (event.strategy, event.run, event.accounts, event.instruments) == ("S", "r", ("main",), (SHARE,))
    assert (event.at_ns, goal.cause) == (bench.now, event.cause)
    assert bench.at(SHARE, 900.0) == ()
    assert goals(bench.pass_time(1)) == events(bench.pass_time(1)) == []


def test_profit_at_the_target_closes_everything_once() -> None:
    bench = share_bench(StrategyRules(max_profit=2000))
    assert bench.at(SHARE, 1019.99) == ()
    (event,) = events(bench.at(SHARE, 1020.0))
    assert (event.kind, event.threshold, event.value) == ("max_profit", 2000, 2000)
    assert goals(bench.at(SHARE, 1030.0)) == []


def test_loss_counts_all_legs_and_accounts_and_closes_the_sold_ones_first() -> None:
    bench = RunBench(MAX_LOSS, accounts=("main", "second"))
    bench.take(CALL, -65, 100.0)
    bench.take(CALL, -65, 100.0, "second")
    bench.take(PUT, 65, 50.0)
    bench.at(PUT, 40.0)
    assert bench.at(CALL, 133.4, seconds=0.1) == ()
    rows = bench.at(CALL, 133.5)
    assert [(goal.account, goal.instrument) for goal in goals(rows)] == [
        ("main", CALL), ("second", CALL),
    ]  # fmt: skip
    assert events(rows)[0].accounts == ("main", "second")
    assert [goal.instrument for goal in goals(bench.take(CALL, 0, 0.0))] == [PUT]


def test_what_was_realised_in_the_run_counts_and_what_was_before_it_does_not() -> None:
    bench = share_bench(MAX_LOSS)
    bench.take(SHARE, 50, 1000.0, realised=-4000.0)
    assert bench.at(SHARE, 980.01) == ()
    assert [event.value for event in events(bench.at(SHARE, 980.0))] == [-5000]
    bench.take(SHARE, 0, 0.0, realised=-5000.0)
    bench.take(SHARE, 100, 1000.0, realised=-5000.0)
    assert bench.at(SHARE, 951.0) == ()


def test_next_run_is_protected_again() -> None:
    bench = share_bench(MAX_LOSS)
    first = events(bench.at(SHARE, 950.0))
    bench.take(SHARE, 0, 0.0, realised=-5000.0)
    bench.positions.clear()
    bench.machine.state.closing.clear()
    bench.pass_time(10)
    bench.take(SHARE, 100, 1000.0, realised=-5000.0)
    second = bench.at(SHARE, 950.0)
    assert len(first) == len(events(second)) == len(goals(second)) == 1


def test_auto_exit_off_alerts_once_and_closes_nothing() -> None:
    for rules in (replace(MAX_LOSS, auto_exit=False), replace(MAX_LOSS, auto_exit_on_max_loss=False)):
        bench = share_bench(rules)
        rows = bench.at(SHARE, 950.0)
        assert [event.action for event in events(rows)] == ["alert_only"]
        assert [row.code for row in rows if isinstance(row, Alert)] == ["STRATEGY_RISK"]
        assert goals(rows) == []
        assert bench.at(SHARE, 940.0) == ()


def test_entries_are_withdrawn_and_intents_end_while_the_run_is_closed() -> None:
    bench = share_bench(MAX_LOSS)
    bench.at(CALL, 100.0, 100.1)
    legs = (Leg(instrument=SHARE, lots=100), Leg(instrument=CALL, lots=1))
    (entry,) = [row for row in bench.intent("w", *legs, product=Product.NRML) if isinstance(row, PlaceEntry)]
    rows = bench.at(SHARE, 950.0)
    assert [row.instrument for row in rows if isinstance(row, WithdrawEntries)] == [CALL]
    assert codes(rows) == ["RUN_ENDING"]
    bench.order(entry, OrderState.CANCELLED, 65)
    late = bench.take(CALL, 65, 100.0)
    assert [(goal.instrument, goal.cause) for goal in goals(late)] == [(CALL, events(rows)[0].cause)]


def test_quote_that_ends_the_run_does_not_enter_what_waited_for_it() -> None:
    bench = RunBench(MAX_LOSS)
    bench.take(CALL, 65, 200.0)
    bench.intent("w", Leg(instrument=CALL, lots=2), product=Product.NRML)
    rows = [*bench.at(CALL, 100.0), *bench.pass_time(0.3)]
    assert len(events(rows)) == len(goals(rows)) == 1
    assert not [row for row in bench.rows if isinstance(row, PlaceEntry)]


def test_intent_during_the_closing_is_denied_by_name() -> None:
    bench = share_bench(MAX_LOSS)
    bench.at(SHARE, 950.0)
    bench.at(PUT, 50.0, 50.1, seconds=0.01)
    legs = (Leg(instrument=SHARE, lots=100), Leg(instrument=PUT, lots=1))
    bench.intent("w", *legs, product=Product.NRML)
    bench.machine.state.closing.clear()
    rows = bench.pass_time(0.1)
    assert "RUN_ENDING" in codes(rows)
    assert not [row for row in bench.rows if isinstance(row, PlaceEntry)]


# prices that do not count


def test_stale_or_zero_price_of_any_leg_ends_nothing() -> None:
    bench = RunBench(MAX_LOSS)
    bench.take(SHARE, 100, 1000.0)
    bench.take(CALL, 65, 100.0)
    bench.at(SHARE, 940.0)
    assert events(bench.rows) == [], "the call has no price yet"
    assert bench.give(Quote(CALL, bench.now, bench.machine_ns, 0.0, 0.0, 0.0)) == ()
    bench.at(CALL, 100.0)
    assert len(events(bench.rows)) == 1
    bench = RunBench(MAX_LOSS)
    bench.take(SHARE, 100, 1000.0)
    old = bench.now - 60 * SECOND
    bench.now += 10 * SECOND
    bench.machine_ns += 60 * SECOND
    bench.machine.set_machine_time(bench.machine_ns)
    assert bench.give(Quote(SHARE, old, bench.machine_ns - 60 * SECOND, 900.0, 900.0, 900.0)) == ()
    bench.at(SHARE, 990.0)
    bench.at(CALL, 1.0, seconds=20)
    assert events(bench.rows) == []


def test_longs_count_at_bid_and_shorts_at_ask_and_at_the_last_price_without_both() -> None:
    bench = share_bench(MAX_LOSS)
    assert bench.at(SHARE, 950.05, 960.0) == ()
    assert events(bench.at(SHARE, 950.0, 990.0))
    bench = share_bench(MAX_LOSS, quantity=-100)
    assert bench.at(SHARE, 1000.0, 1049.95) == ()
    assert events(bench.at(SHARE, 1010.0, 1050.0))
    bench = share_bench(MAX_LOSS)
    assert bench.give(Quote(SHARE, bench.now, bench.machine_ns, 951.0, 930.0, None)) == ()
    bench.now += SECOND
    assert events(bench.give(Quote(SHARE, bench.now, bench.machine_ns, 950.0, None, 970.0)))


# trailing stops


@pytest.mark.parametrize(
    ("rule", "profits", "left"),
    [
        (TrailRule(value=30), [-200, 0, 300, 1000, 800, 701, 700], 700),
        (TrailRule(kind=TrailKind.AMOUNT, value=250), [100, 600, 400, 350], 350),
        (TrailRule(kind=TrailKind.POINTS, value=4), [200, 900, 620, 600], 600),
    ],
)
def test_golden_sequences_close_the_run_at_their_last_profit(rule: TrailRule, profits: list[int], left: int) -> None:
    bench = RunBench(StrategyRules(trailing=rule))
    bench.take(SHARE, 75, 1000.0)
    for profit in profits[:-1]:
        assert events(bench.at(SHARE, 1000.0 + profit / 75)) == []
    (event,) = events(bench.at(SHARE, 1000.0 + profits[-1] / 75))
    assert (event.kind, event.threshold, event.value) == ("trailing_stop", left, left)
    assert goals(bench.at(SHARE, 900.0)) == []


def test_trailing_waits_until_the_entry_is_over() -> None:
    bench = RunBench(TRAIL_30)
    bench.at(CALL, 100.0, 100.1)
    legs = (Leg(instrument=CALL, lots=2),)
    (entry,) = [row for row in bench.intent("w", *legs, product=Product.NRML) if isinstance(row, PlaceEntry)]
    bench.take(CALL, 65, 100.0)
    bench.at(CALL, 110.0)
    assert bench.machine.runs.books.runs["S"].trail.stop is None
    bench.order(entry, OrderState.CANCELLED, 0)
    bench.at(CALL, 110.0)
    assert bench.machine.runs.books.runs["S"].trail.stop == pytest.approx(455)


def test_global_switch_turns_trailing_off() -> None:
    rules = StrategyRules(trailing=TrailRule(value=30), leg_trailing=LevelRule(value=1))
    bench = share_bench(rules, limits=replace(LIMITS, trailing_stop_enabled=False, max_daily_loss=1e9))
    for price in (1010.0, 1000.0, 900.0):
        bench.at(SHARE, price)
    assert events(bench.rows) == []


def test_peak_and_stop_are_journaled_once_a_second_and_come_back_after_a_kill() -> None:
    bench = share_bench(TRAIL_30)
    for tenth in range(20):
        bench.at(SHARE, 1010.0 + tenth, seconds=0.1)
    reported = [row for row in bench.rows if isinstance(row, LevelMoved)]
    assert 2 <= len(reported) <= 6
    bench.pass_time(1)
    bench.again([row for row in bench.rows if not isinstance(row, Quote)])
    assert bench.at(SHARE, 1020.31) == ()
    (event,) = events(bench.at(SHARE, 1020.3))
    assert event.threshold == pytest.approx(2900 * 0.7)


def test_what_spoke_does_not_speak_again_after_a_kill_and_its_closing_goes_on() -> None:
    bench = share_bench(MAX_LOSS)
    bench.at(SHARE, 950.0)
    bench.again(bench.rows)
    assert events(bench.at(SHARE, 940.0)) == []
    assert [goal.instrument for goal in goals(bench.take(CALL, 65, 100.0))] == [CALL]


def test_run_is_carried_over_to_the_next_day() -> None:
    bench = share_bench(replace(TRAIL_30, max_loss=5000, auto_exit_on_max_loss=False))
    bench.at(SHARE, 940.0)
    bench.at(SHARE, 1010.0)
    bench.take(SHARE, 50, 1000.0, realised=500.0)
    bench.next_day()
    assert bench.machine.runs.books.runs["S"].realised == 500
    rows = [*bench.at(SHARE, 940.0)]
    assert [event.kind for event in events(rows)] == ["trailing_stop"]


# legs


def leg_bench(**rules: Any) -> RunBench:
    bench = RunBench(StrategyRules(**rules), accounts=("main", "second"))
    bench.take(SHARE, 100, 1000.0)
    bench.take(SHARE, 100, 1010.0, "second")
    return bench


def sold_bench(**rules: Any) -> RunBench:
    bench = leg_bench(**rules)
    bench.take(CALL, -65, 100.0)
    return bench


def test_leg_at_its_level_is_closed_on_its_account_only() -> None:
    bench = leg_bench(leg_stop_loss=LevelRule(value=2))
    assert bench.at(SHARE, 989.81) == ()
    rows = bench.at(SHARE, 989.8)
    (event,), (goal,) = events(rows), goals(rows)
    assert (event.kind, event.action, event.accounts) == ("leg_stop_loss", "close_leg", ("second",))
    assert (event.threshold, event.value, goal.account) == (pytest.approx(989.8), 989.8, "second")
    assert goals(bench.at(SHARE, 985.0)) == []
    assert [goal.account for goal in goals(bench.at(SHARE, 980.0))] == ["main"]


@pytest.mark.parametrize(
    ("kind", "value", "stop", "target"),
    [(LevelKind.PERCENTAGE, 20, 120.0, 80.0), (LevelKind.POINTS, 15, 115.0, 85.0), (LevelKind.PREMIUM, 130, 130.0, 0)],
)
def test_levels_of_a_sold_leg_are_mirrored(kind: LevelKind, value: float, stop: float, target: float) -> None:
    bench = sold_bench(leg_stop_loss=LevelRule(kind=kind, value=value))
    assert bench.at(CALL, stop - 0.05) == ()
    assert [event.kind for event in events(bench.at(CALL, stop))] == ["leg_stop_loss"]
    if target:
        bench = sold_bench(leg_take_profit=LevelRule(kind=kind, value=value))
        assert bench.at(CALL, target + 0.05) == ()
        assert [event.kind for event in events(bench.at(CALL, target))] == ["leg_take_profit"]


def test_leg_trailing_follows_the_best_price_and_survives_a_kill() -> None:
    bench = leg_bench(leg_trailing=LevelRule(value=1))
    bench.at(SHARE, 1100.0)
    bench.pass_time(2)
    bench.again([row for row in bench.rows if not isinstance(row, Quote)])
    assert bench.at(SHARE, 1089.5) == ()
    rows = bench.at(SHARE, 1089.0)
    assert {event.kind for event in events(rows)} == {"leg_trailing"}
    assert {goal.account for goal in goals(rows)} == {"main", "second"}


@pytest.mark.parametrize(
    ("rule", "prices"),
    [("leg_stop_loss", [70.0]), ("leg_take_profit", [130.0]), ("leg_trailing", [120.0, 80.0])],
)
def test_level_of_a_leg_leaves_a_hedge_alone_until_what_it_covers_is_gone(rule: str, prices: list[float]) -> None:
    bench = RunBench(StrategyRules(**{rule: LevelRule(value=30)}), accounts=("main", "second"))
    bench.take(NEAR, 65, 100.0)
    bench.take(CALL, -65, 100.0)
    bench.take(NEAR, 65, 100.0, "second")
    last = prices[-1]
    for price in prices:
        rows = bench.at(NEAR, price)
    assert [(goal.instrument, goal.account) for goal in goals(rows)] == [(NEAR, "second")], "it covers nothing there"
    assert [event.accounts for event in events(rows)] == [("second",)]
    assert bench.machine.runs.position_levels(("main", NEAR, Product.NRML, "S")) == {}
    bench.take(CALL, 0, 0.0)
    assert [(goal.instrument, goal.account) for goal in goals(bench.at(NEAR, last))] == [(NEAR, "main")]


def test_level_of_a_leg_closes_a_hedge_whose_sold_leg_was_closed_although_the_intent_stands() -> None:
    roomy = replace(TRAILING_ON, max_order_size=1e8, max_position_size=1e8, min_order_size=0.0)
    bench = RunBench(StrategyRules(leg_stop_loss=LevelRule(value=30)), limits=roomy, product=Product.MIS)
    bench.machine.apply(Funds(account="main", available=1e9, used=0.0, machine_ns=bench.machine_ns))
    bench.at(CALL, 100.0)
    bench.at(NEAR, 100.0)
    rows = bench.intent("w", Leg(instrument=NEAR, lots=1), Leg(instrument=CALL, lots=-1))
    (hedge,) = [row for row in rows if isinstance(row, PlaceEntry)]
    bench.order(hedge, OrderState.FILLED, 65)
    rows = (*bench.hold(NEAR, 65, 100.0, order=hedge.id), *bench.at(CALL, 100.0))
    assert goals(bench.at(NEAR, 69.0)) == [], "what it hedges is on its way"
    (sold,) = [row for row in rows if isinstance(row, PlaceEntry)]
    bench.order(sold, OrderState.FILLED, 65)
    bench.hold(CALL, -65, 100.0, order=sold.id)
    assert goals(bench.at(NEAR, 69.0)) == []
    assert [goal.instrument for goal in goals(bench.at(CALL, 131.0))] == [CALL]
    bench.take(CALL, 0, 0.0)
    assert [goal.instrument for goal in goals(bench.at(NEAR, 69.0))] == [NEAR]
    assert bench.machine.runs.position_levels(("main", NEAR, Product.MIS, "S")) == {"stop_loss": 70.0}


def test_leg_entered_again_in_the_same_run_is_protected_again() -> None:
    bench = leg_bench(leg_stop_loss=LevelRule(value=2))
    bench.at(SHARE, 980.0)
    for account in ("main", "second"):
        bench.take(SHARE, 0, 0.0, account)
    bench.machine.state.closing.clear()
    bench.pass_time(5)
    bench.take(SHARE, 100, 1000.0)
    assert len(goals(bench.at(SHARE, 980.0))) == 1


@pytest.mark.parametrize("killed", [False, True])
def test_rules_of_a_reversed_position_begin_with_it_though_the_close_is_not_done(killed: bool) -> None:
    """A peak, a trailing stop, a best price or a profit of the long would end the short at its first price."""
    rules = StrategyRules(
        max_profit=50_000,
        trailing=TrailRule(value=30),
        leg_trailing=LevelRule(value=2),
        leg_take_profit=LevelRule(value=30),
    )
    limits = replace(TRAILING_ON, max_order_size=1e9, max_position_size=1e9)
    bench = share_bench(rules, limits=limits, product=Product.MIS)
    bench.at(SHARE, 1200.0, seconds=2)
    assert bench.machine.runs.books.runs["S"].trail.peak == pytest.approx(20_000)
    assert len(goals(bench.intent("b", Leg(instrument=SHARE, lots=-100), action=Action.SELL))) == 1
    assert len(bench.take(SHARE, 0, 0.0, realised=20_000.0)) == 1
    bench.take(SHARE, -100, 1200.0, realised=20_000.0)
    if killed:
        bench.again(bench.rows)
    assert bench.machine.state.closing
    assert events(bench.at(SHARE, 1200.0)) == [] == events(bench.at(SHARE, 1180.0))
    run = bench.machine.runs.books.runs["S"]
    (leg,) = run.legs.values()
    assert (run.realised, run.trail, leg.best) == (0.0, WAITING, 1180.0)


# events


def test_exit_orders_come_as_second_records_that_name_the_first() -> None:
    bench = share_bench(MAX_LOSS)
    rows = bench.at(SHARE, 950.0)
    (event,), (goal,) = events(rows), goals(rows)
    (second,) = events(bench.exit_order(goal, "o1"))
    assert (second.follows, second.exit_orders, second.kind) == (event.id, ("o1",), "max_loss")
    assert events(bench.exit_order(goal, "o1")) == []
    assert len(events(bench.exit_order(goal, "o2"))) == 1
    bench.again(bench.rows)
    assert events(bench.exit_order(goal, "o2")) == []


def test_watched_instrument_is_not_needed_without_a_trend_rule() -> None:
    assert WATCH not in share_bench(MAX_LOSS).machine.wanted_instruments()
