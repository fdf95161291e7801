"""Limits with a memory: reached once, recorded, carried out, remembered across restarts, ended by the next session."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.messages.commands import CloseGoal, PlaceEntry, WithdrawEntries
from mytrading.messages.control import KILL, Alert, FlattenRequested, TradingState
from mytrading.messages.enums import Action, LimitAction, OrderState, Product, Side, TradingLevel
from mytrading.messages.journal_rows import LevelMoved, RiskOpened
from mytrading.messages.market import Quote
from mytrading.messages.orders import TradeClosed
from mytrading.messages.risk_events import RiskAction, RiskKind
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import CALL, LIMITS, PUT, SECOND, RiskBench, codes
from tests.kit.risk_limit_bench import LARGE, events, holding, of, price, restarted

NEXT = "2026-03-19"


def test_daily_loss_is_reached_by_the_quote_that_reaches_it_and_not_a_paisa_before() -> None:
    bench = holding(replace(LARGE, max_daily_loss=6_500))
    assert events(price(bench, 90.01)) == []
    rows = price(bench, 90.0)
    (event,) = events(rows)
    assert (event.kind, event.action, event.threshold) == (RiskKind.DAILY_LOSS, RiskAction.NO_ENTRIES, 6_500)
    assert event.value == pytest.approx(-6_500)
    assert (event.accounts, event.instruments) == (("main",), (CALL,))
    (alert,) = of(rows, Alert)
    assert "account main stands at −₹6,500, MAX_DAILY_LOSS is ₹6,500: no more entries today" in alert.message
    assert events(price(bench, 80.0)) == [], "once a day"
    bench.hold(CALL, 0, realised=-10_000.0)
    bench.quote(PUT)
    assert codes(bench.intent("b", Leg(instrument=PUT, lots=1))) == ["DAILY_LOSS"]


def test_old_or_zero_price_moves_no_profit_and_reaches_nothing() -> None:
    bench = holding(replace(LARGE, max_daily_loss=6_500))
    bench.now += 60 * SECOND
    bench.machine_ns += 60 * SECOND
    bench.quote(PUT)
    assert events(bench.give(Quote(CALL, bench.now - 30 * SECOND, bench.machine_ns - 30 * SECOND, 50.0))) == []
    assert events(bench.give(Quote(CALL, bench.now, bench.machine_ns, 0.0, 0.0, 0.0))) == []
    assert bench.machine.state.memory.money.profit(("account", "main")) == pytest.approx(0.0)


def test_position_that_begins_at_a_price_of_an_hour_ago_is_worth_what_it_cost() -> None:
    bench = RiskBench(replace(LARGE, max_daily_loss=6_500))
    price(bench, 50.0)
    bench.now += 3600 * SECOND
    bench.beat()
    rows = bench.hold(CALL, 650, 100.0)
    assert events(rows) == []
    assert bench.machine.state.memory.money.profit(("account", "main")) == 0.0
    assert [event.kind for event in events(price(bench, 89.0))] == ["daily_loss"]


@pytest.mark.parametrize(
    ("action", "closes", "flattens", "denies"),
    [
        (LimitAction.ALERT, 0, 0, False),
        (LimitAction.NO_ENTRIES, 0, 0, True),
        (LimitAction.CLOSE_LEGS, 1, 0, True),
        (LimitAction.FLATTEN, 0, 1, True),
        (LimitAction.HALT, 0, 0, True),
    ],
)
def test_action_of_a_limit_is_carried_out_once(action: LimitAction, closes: int, flattens: int, denies: bool) -> None:
    bench = holding(replace(LARGE, max_daily_loss=6_500, max_daily_loss_action=action))
    price(bench, 85.0)
    price(bench, 80.0)
    bench.pass_time(1)
    assert len(events(bench.rows)) == 1
    assert (len(of(bench.rows, CloseGoal)), len(of(bench.rows, FlattenRequested))) == (closes, flattens)
    assert bool(bench.machine.limits.entry_blocks("main", "S")) == denies


def test_exit_goes_out_though_every_limit_is_reached() -> None:
    bench = holding(replace(LARGE, max_daily_loss=1, max_drawdown=0.0001))
    price(bench, 50.0)
    assert len(events(bench.rows)) == 2
    assert [type(row) for row in bench.intent("x", action=Action.EXIT)] == [CloseGoal]


def test_late_fill_after_the_legs_were_closed_is_closed_too() -> None:
    limits = replace(LARGE, max_daily_loss=6_500, max_daily_loss_action=LimitAction.CLOSE_LEGS)
    bench = RiskBench(limits)
    bench.quote()
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=1))
    bench.order(entry, OrderState.ACCEPTED)
    rows = bench.hold(PUT, 0, realised=-7_000.0)
    assert [row.instrument for row in of(rows, WithdrawEntries)] == [CALL]
    bench.now += SECOND
    goals = of(bench.hold(CALL, 65, order=entry.id), CloseGoal)
    assert [goal.instrument for goal in goals] == [CALL]


def test_limit_of_a_strategy_counts_over_its_accounts_and_ends_only_its_entries() -> None:
    bench = RiskBench(LARGE)
    run = replace(bench.parts[2][0], max_daily_loss=1_000.0, limit_action=LimitAction.CLOSE_LEGS)
    bench.parts = (*bench.parts[:2], (run,), *bench.parts[3:])
    bench.machine = RiskMachine(RiskEnvironment(*bench.parts))
    bench.beat()
    bench.quote()
    (event,) = events(bench.hold(CALL, 65, realised=-1_000.0))
    assert (event.strategy, event.action) == ("S", RiskAction.CLOSE_ALL)
    assert bench.machine.limits.entry_blocks("main", "S").keys() == {"DAILY_LOSS"}
    assert bench.machine.limits.entry_blocks("main", "other") == {}


def test_drawdown_halts_until_a_person_resumes_and_then_counts_from_there() -> None:
    bench = holding(replace(LARGE, max_daily_loss=1e9, max_drawdown=0.05))
    price(bench, 200.0)
    assert bench.machine.state.memory.peaks["account", "main"] == pytest.approx(1_065_000)
    assert events(price(bench, 118.08)) == []
    (event,) = events(price(bench, 118.07))
    assert (event.kind, event.action) == (RiskKind.DRAWDOWN, RiskAction.HALT)
    price(bench, 200.0)
    assert "until `mytrading resume`" in bench.machine.limits.entry_blocks("main", "S")["DRAWDOWN"]
    price(bench, 118.07)
    bench.give(TradingState(level=TradingLevel.NORMAL, generation=1, reason="x", at_ns=bench.now, account=KILL))
    assert bench.machine.limits.entry_blocks("main", "S"), "the end of a KILL file is no resume"
    bench.give(TradingState(level=TradingLevel.NORMAL, generation=2, reason="seen to", at_ns=bench.now))
    assert bench.machine.limits.entry_blocks("main", "S") == {}
    assert events(price(bench, 110.0)) == []
    assert len(events(price(bench, 30.0))) == 1, "it is armed again"


def test_halt_of_a_limit_and_peak_equity_outlive_restart_and_day() -> None:
    limits = replace(LARGE, max_daily_loss=1e9, max_drawdown=0.05)
    bench = holding(limits)
    price(bench, 200.0)
    bench.pass_time(2)
    price(bench, 100.0)
    again = restarted(bench, limits)
    assert "DRAWDOWN" in again.machine.limits.entry_blocks("main", "S")
    carried = again.machine.snapshot(NEXT)
    fresh = RiskBench(limits)
    fresh.machine.apply(carried)
    assert "DRAWDOWN" in fresh.machine.limits.entry_blocks("main", "S")
    assert fresh.machine.state.memory.peaks["account", "main"] == pytest.approx(1_065_000)
    assert fresh.machine.state.memory.bases["main"] == pytest.approx(1_000_000)


def test_restart_without_quotes_knows_what_was_reached_and_what_the_day_has_cost() -> None:
    limits = replace(LARGE, max_daily_loss=6_500)
    bench = holding(limits)
    price(bench, 92.0)
    bench.pass_time(61)
    again = restarted(bench, limits)
    assert again.machine.state.memory.money.profit(("account", "main")) == pytest.approx(-5_200)
    assert len(events(price(again, 90.0))) == 1
    third = restarted(again, limits)
    assert "DAILY_LOSS" in third.machine.limits.entry_blocks("main", "S")
    assert events(price(third, 70.0)) == [], "the event of before the restart stands"


def test_day_begins_anew_with_what_is_held_valued_as_it_was() -> None:
    limits = replace(LARGE, max_daily_loss=6_500)
    bench = holding(limits)
    price(bench, 85.0)
    opened = bench.machine.snapshot(NEXT)
    assert isinstance(opened, RiskOpened)
    again = RiskBench(limits)
    again.machine.apply(opened)
    again.now += 86_400 * SECOND
    assert again.machine.limits.entry_blocks("main", "S") == {}
    assert again.machine.state.memory.money.profit(("account", "main")) == pytest.approx(0.0)
    assert events(price(again, 75.01)) == [], "the loss of the day before is not counted again"
    assert len(events(price(again, 75.0))) == 1
    assert again.machine.state.memory.equity("main") == pytest.approx(1_000_000 - 25 * 650)


def test_r_of_the_day_stops_and_ends_a_day_that_won_enough() -> None:
    limits = replace(LARGE, max_daily_loss=1e9, r_value=6_500, daily_stop_r=1, daily_target_r=2)
    lost, won = holding(limits), holding(limits)
    assert events(price(lost, 90.01)) == []
    (event,) = events(price(lost, 90.0))
    assert (event.kind, event.action, event.value) == (RiskKind.DAILY_STOP_R, RiskAction.CLOSE_ALL, pytest.approx(-1))
    assert [goal.instrument for goal in of(lost.rows, CloseGoal)] == [CALL]
    assert events(price(won, 119.99)) == []
    (event,) = events(price(won, 120.0))
    assert (event.kind, event.value) == (RiskKind.DAILY_TARGET_R, pytest.approx(2))
    assert (
        "stands at +2.00 R, DAILY_TARGET_R is +2.00 R" in won.machine.limits.entry_blocks("main", "S")["DAILY_TARGET_R"]
    )


def test_several_limits_at_once_close_a_position_by_one_goal() -> None:
    close = LimitAction.CLOSE_LEGS
    bench = holding(replace(LARGE, max_daily_loss=100, max_daily_loss_action=close, max_drawdown=0.0001,
                           max_drawdown_action=close, r_value=100, daily_stop_r=1))  # fmt: skip
    price(bench, 50.0)
    assert len(events(bench.rows)) == 3
    assert len(of(bench.rows, CloseGoal)) == 1


def test_price_is_noted_once_a_minute_and_a_peak_once_a_second() -> None:
    bench = holding()
    for step in range(100):
        price(bench, 100.0 + step)
        bench.pass_time(0.1)
    names = [row.name for row in of(bench.rows, LevelMoved)]
    assert 0 < names.count(f"limit mark_long {CALL}") <= 4
    assert 0 < names.count("limit peak account main") <= 112


def test_losses_in_a_row_pause_the_strategy_for_a_while() -> None:
    bench = RiskBench(replace(LIMITS, max_consecutive_losses=2, loss_pause_minutes=30))
    bench.quote()

    def trade(realised: float) -> None:
        bench.give(
            TradeClosed(
                account="main", instrument=PUT, product=Product.MIS, strategy="S", run="r", side=Side.BUY, quantity=65,
                entry_price=1.0, exit_price=1.0, realised=realised, opened_ns=bench.now, closed_ns=bench.now,
            )
        )  # fmt: skip

    trade(-1.0)
    trade(5.0)
    trade(-1.0)
    assert not denied(bench, "a")
    trade(-1.0)
    assert "2 losing trades of S in a row reach MAX_CONSECUTIVE_LOSSES 2" in denied(bench, "b")
    bench.now += 31 * 60 * SECOND
    bench.beat()
    bench.quote()
    assert not denied(bench, "c")


def denied(bench: RiskBench, name: str) -> str:
    rows = bench.intent(name, Leg(instrument=CALL, lots=1))
    for entry in of(rows, PlaceEntry):
        bench.order(entry, OrderState.REJECTED)
    return " ".join(row.message for row in rows if codes((row,)))
