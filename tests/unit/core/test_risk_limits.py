"""Limits with a memory: reached once, recorded, carried out, remembered across restarts, ended by the next session."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.messages.commands import CloseGoal, PlaceEntry, WithdrawEntries
from mytrading.messages.control import KILL, Alert, FlattenRequested, TradingState
from mytrading.messages.enums import Action, LimitAction, OrderState, Product, Side, TradingLevel
from mytrading.messages.market import Quote
from mytrading.messages.orders import TradeClosed
from mytrading.messages.records import LevelMoved, RiskOpened
from mytrading.messages.reports import Funds
from mytrading.messages.risk_events import RiskAction, RiskEventRecorded, RiskKind
from mytrading.messages.runconfig import RiskLimits
from mytrading.messages.signals import Leg
from tests.unit.core.test_risk_machine import CALL, LIMITS, PUT, SECOND, Desk, codes

NEXT = "2026-03-19"
LARGE = replace(LIMITS, max_position_size=1e9, max_order_size=1e9, min_order_size=0)


def events(rows: Any) -> list[RiskEventRecorded]:
    return [row for row in rows if isinstance(row, RiskEventRecorded)]


def of(rows: Any, kind: type) -> list[Any]:
    return [row for row in rows if isinstance(row, kind)]


def holding(limits: RiskLimits = LARGE, lots: int = 10, price: float = 100.0) -> Desk:
    """A desk that holds lots of 65 calls bought at a price, valued at it."""
    desk = Desk(limits)
    desk.quote()
    desk.hold(CALL, 65 * lots, price)
    desk.give(Quote(CALL, desk.now, desk.machine_ns, price, price, price))
    desk.give(Funds(account="main", available=900_000.0, used=100_000.0))
    desk.pass_time(1)
    return desk


def price(desk: Desk, value: float) -> tuple[Any, ...]:
    """Two quotes that agree, the second within the second."""
    first = once(desk, value, SECOND - SECOND // 10)
    return (*first, *once(desk, value, SECOND // 10))


def once(desk: Desk, value: float, later: int = SECOND) -> tuple[Any, ...]:
    desk.now += later
    desk.machine_ns += later
    desk.beat()
    return desk.give(Quote(CALL, desk.now, desk.machine_ns, value, value, value))


def restarted(desk: Desk, limits: RiskLimits = LARGE) -> Desk:
    """A machine that learnt what the journal holds: no quote that led to nothing, no heartbeats, no funds."""
    again = Desk(limits)
    again.now, again.machine_ns = desk.now, desk.machine_ns
    again.beat()
    volatile = (Quote, Funds)
    for row in desk.rows:
        if not isinstance(row, volatile):
            again.machine.apply(row)
    again.rows = list(desk.rows)
    return again


def test_daily_loss_is_reached_by_the_quote_that_reaches_it_and_not_a_paisa_before() -> None:
    desk = holding(replace(LARGE, max_daily_loss=6_500))
    assert events(price(desk, 90.01)) == []
    rows = price(desk, 90.0)
    (event,) = events(rows)
    assert (event.kind, event.action, event.threshold) == (RiskKind.DAILY_LOSS, RiskAction.NO_ENTRIES, 6_500)
    assert event.value == pytest.approx(-6_500)
    assert (event.accounts, event.instruments) == (("main",), (CALL,))
    (alert,) = of(rows, Alert)
    assert "account main stands at −₹6,500, MAX_DAILY_LOSS is ₹6,500: no more entries today" in alert.message
    assert events(price(desk, 80.0)) == [], "once a day"
    desk.hold(CALL, 0, realised=-10_000.0)
    desk.quote(PUT)
    assert codes(desk.wish("b", Leg(instrument=PUT, lots=1))) == ["DAILY_LOSS"]


def test_old_or_zero_price_moves_no_profit_and_reaches_nothing() -> None:
    desk = holding(replace(LARGE, max_daily_loss=6_500))
    desk.now += 60 * SECOND
    desk.machine_ns += 60 * SECOND
    desk.quote(PUT)
    assert events(desk.give(Quote(CALL, desk.now - 30 * SECOND, desk.machine_ns - 30 * SECOND, 50.0))) == []
    assert events(desk.give(Quote(CALL, desk.now, desk.machine_ns, 0.0, 0.0, 0.0))) == []
    assert desk.machine.state.memory.money.profit(("account", "main")) == pytest.approx(0.0)


def test_position_that_begins_at_a_price_of_an_hour_ago_is_worth_what_it_cost() -> None:
    desk = Desk(replace(LARGE, max_daily_loss=6_500))
    price(desk, 50.0)
    desk.now += 3600 * SECOND
    desk.beat()
    rows = desk.hold(CALL, 650, 100.0)
    assert events(rows) == []
    assert desk.machine.state.memory.money.profit(("account", "main")) == 0.0
    assert [event.kind for event in events(price(desk, 89.0))] == ["daily_loss"]


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
    desk = holding(replace(LARGE, max_daily_loss=6_500, max_daily_loss_action=action))
    price(desk, 85.0)
    price(desk, 80.0)
    desk.pass_time(1)
    assert len(events(desk.rows)) == 1
    assert (len(of(desk.rows, CloseGoal)), len(of(desk.rows, FlattenRequested))) == (closes, flattens)
    assert bool(desk.machine.limits.reached("main", "S")) == denies


def test_exit_goes_out_though_every_limit_is_reached() -> None:
    desk = holding(replace(LARGE, max_daily_loss=1, max_drawdown=0.0001))
    price(desk, 50.0)
    assert len(events(desk.rows)) == 2
    assert [type(row) for row in desk.wish("x", action=Action.EXIT)] == [CloseGoal]


def test_late_fill_after_the_legs_were_closed_is_closed_too() -> None:
    limits = replace(LARGE, max_daily_loss=6_500, max_daily_loss_action=LimitAction.CLOSE_LEGS)
    desk = Desk(limits)
    desk.quote()
    (entry,) = desk.wish("a", Leg(instrument=CALL, lots=1))
    desk.order(entry, OrderState.ACCEPTED)
    rows = desk.hold(PUT, 0, realised=-7_000.0)
    assert [row.instrument for row in of(rows, WithdrawEntries)] == [CALL]
    desk.now += SECOND
    goals = of(desk.hold(CALL, 65, order=entry.id), CloseGoal)
    assert [goal.instrument for goal in goals] == [CALL]


def test_limit_of_a_strategy_counts_over_its_accounts_and_ends_only_its_entries() -> None:
    desk = Desk(LARGE)
    run = replace(desk.parts[2][0], max_daily_loss=1_000.0, limit_action=LimitAction.CLOSE_LEGS)
    desk.parts = (*desk.parts[:2], (run,), *desk.parts[3:])
    desk.machine = type(desk.machine)(*desk.parts)
    desk.beat()
    desk.quote()
    (event,) = events(desk.hold(CALL, 65, realised=-1_000.0))
    assert (event.strategy, event.action) == ("S", RiskAction.CLOSE_ALL)
    assert desk.machine.limits.reached("main", "S").keys() == {"DAILY_LOSS"}
    assert desk.machine.limits.reached("main", "other") == {}


def test_drawdown_halts_until_a_person_resumes_and_then_counts_from_there() -> None:
    desk = holding(replace(LARGE, max_daily_loss=1e9, max_drawdown=0.05))
    price(desk, 200.0)
    assert desk.machine.state.memory.peaks["account", "main"] == pytest.approx(1_065_000)
    assert events(price(desk, 118.08)) == []
    (event,) = events(price(desk, 118.07))
    assert (event.kind, event.action) == (RiskKind.DRAWDOWN, RiskAction.HALT)
    price(desk, 200.0)
    assert "until `mytrading resume`" in desk.machine.limits.reached("main", "S")["DRAWDOWN"]
    price(desk, 118.07)
    desk.give(TradingState(level=TradingLevel.NORMAL, generation=1, reason="x", at_ns=desk.now, account=KILL))
    assert desk.machine.limits.reached("main", "S"), "the end of a KILL file is no resume"
    desk.give(TradingState(level=TradingLevel.NORMAL, generation=2, reason="seen to", at_ns=desk.now))
    assert desk.machine.limits.reached("main", "S") == {}
    assert events(price(desk, 110.0)) == []
    assert len(events(price(desk, 30.0))) == 1, "it is armed again"


def test_halt_of_a_limit_and_peak_equity_outlive_restart_and_day() -> None:
    limits = replace(LARGE, max_daily_loss=1e9, max_drawdown=0.05)
    desk = holding(limits)
    price(desk, 200.0)
    desk.pass_time(2)
    price(desk, 100.0)
    again = restarted(desk, limits)
    assert "DRAWDOWN" in again.machine.limits.reached("main", "S")
    carried = again.machine.snapshot(NEXT)
    fresh = Desk(limits)
    fresh.machine.apply(carried)
    assert "DRAWDOWN" in fresh.machine.limits.reached("main", "S")
    assert fresh.machine.state.memory.peaks["account", "main"] == pytest.approx(1_065_000)
    assert fresh.machine.state.memory.bases["main"] == pytest.approx(1_000_000)


def test_restart_without_quotes_knows_what_was_reached_and_what_the_day_has_cost() -> None:
    limits = replace(LARGE, max_daily_loss=6_500)
    desk = holding(limits)
    price(desk, 92.0)
    desk.pass_time(61)
    again = restarted(desk, limits)
    assert again.machine.state.memory.money.profit(("account", "main")) == pytest.approx(-5_200)
    assert len(events(price(again, 90.0))) == 1
    third = restarted(again, limits)
    assert "DAILY_LOSS" in third.machine.limits.reached("main", "S")
    assert events(price(third, 70.0)) == [], "the event of before the restart stands"


def test_day_begins_anew_with_what_is_held_valued_as_it_was() -> None:
    limits = replace(LARGE, max_daily_loss=6_500)
    desk = holding(limits)
    price(desk, 85.0)
    opened = desk.machine.snapshot(NEXT)
    assert isinstance(opened, RiskOpened)
    again = Desk(limits)
    again.machine.apply(opened)
    again.now += 86_400 * SECOND
    assert again.machine.limits.reached("main", "S") == {}
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
    assert "stands at +2.00 R, DAILY_TARGET_R is +2.00 R" in won.machine.limits.reached("main", "S")["DAILY_TARGET_R"]


def test_several_limits_at_once_close_a_position_by_one_goal() -> None:
    close = LimitAction.CLOSE_LEGS
    desk = holding(replace(LARGE, max_daily_loss=100, max_daily_loss_action=close, max_drawdown=0.0001,
                           max_drawdown_action=close, r_value=100, daily_stop_r=1))  # fmt: skip
    price(desk, 50.0)
    assert len(events(desk.rows)) == 3
    assert len(of(desk.rows, CloseGoal)) == 1


def test_price_is_noted_once_a_minute_and_a_peak_once_a_second() -> None:
    desk = holding()
    for step in range(100):
        price(desk, 100.0 + step)
        desk.pass_time(0.1)
    names = [row.name for row in of(desk.rows, LevelMoved)]
    assert 0 < names.count(f"limit mark_long {CALL}") <= 4
    assert 0 < names.count("limit peak account main") <= 112


def test_losses_in_a_row_pause_the_strategy_for_a_while() -> None:
    desk = Desk(replace(LIMITS, max_consecutive_losses=2, loss_pause_minutes=30))
    desk.quote()

    def trade(realised: float) -> None:
        desk.give(
            TradeClosed(
                account="main", instrument=PUT, product=Product.MIS, strategy="S", run="r", side=Side.BUY, quantity=65,
                entry_price=1.0, exit_price=1.0, realised=realised, opened_ns=desk.now, closed_ns=desk.now,
            )
        )  # fmt: skip

    trade(-1.0)
    trade(5.0)
    trade(-1.0)
    assert not denied(desk, "a")
    trade(-1.0)
    assert "2 losing trades of S in a row reach MAX_CONSECUTIVE_LOSSES 2" in denied(desk, "b")
    desk.now += 31 * 60 * SECOND
    desk.beat()
    desk.quote()
    assert not denied(desk, "c")


def denied(desk: Desk, name: str) -> str:
    rows = desk.wish(name, Leg(instrument=CALL, lots=1))
    for entry in of(rows, PlaceEntry):
        desk.order(entry, OrderState.REJECTED)
    return " ".join(row.message for row in rows if codes((row,)))
