"""Stops at the broker that the price has passed and that do not fill: closed by the price, never by a book's word."""

from __future__ import annotations

from datetime import date, time
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.active_alerts import ActiveAlert
from mytrading.core.risk.active_alerts import STATE_ALERTS, LatencyAlerts, active_alerts
from mytrading.core.risk.exits.passed_stops import MAY_HAVE_TRIGGERED
from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.core.time import SECOND, to_ns
from mytrading.messages.commands import CloseGoal
from mytrading.messages.control import Alert, Heartbeat
from mytrading.messages.enums import DaemonState, OrderState, OrderType, Product, Purpose, Severity, Side
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.market import Quote
from mytrading.messages.order_evidence import ModifyState, OrderEvidence, OrderTerms
from mytrading.messages.orders import (
    GoalChanged,
    Order,
    OrderChanged,
    Protection,
    ProtectionChanged,
    StopMove,
    TimerFired,
)
from mytrading.messages.run_config import AlertRules
from tests.kit.order_samples import order_of
from tests.kit.risk_bench import CALL, DAY, SHARE, RiskBench, decisions
from tests.kit.risk_stop_bench import done, goals

PATIENCE = 5.0
"""`exit_patience` of the run file by default, in seconds."""


class Resting:
    """Ten shares held (or sold, `side` of the stop BUY) with a stop at the broker, its trigger 2 % away."""

    def __init__(self, side: Side = Side.SELL, instrument: str = SHARE, product: Product = Product.MIS) -> None:
        self.bench = RiskBench()
        self.side, self.instrument, self.bench.product = side, instrument, product
        self.trigger = 100.0 - 2.0 * side.sign * -1
        self.owner: dict[str, Any] = {
            "account": "main", "instrument": instrument, "product": product, "strategy": "S", "run": "r", "cause": "c"
        }  # fmt: skip
        self.bench.quote(instrument, 100.0)
        self.bench.hold(instrument, -10 * side.sign)
        self.level = Protection(id="p", side=side, trigger=self.trigger, limit=self.trigger + side.sign, **self.owner)
        self.protect()
        self.stop()

    def protect(self, **fields: Any) -> None:
        self.level = replace(self.level, **fields)
        self.bench.give(ProtectionChanged(protection=self.level, at_ns=self.bench.now))

    def stop(self, state: OrderState = OrderState.ACCEPTED, **fields: Any) -> None:
        order: Order = order_of(
            client_order_id=fields.pop("name", "stop"), purpose=Purpose.STOP, side=self.side, quantity=10,
            order_type=OrderType.SL, state=state, created_ns=0, updated_ns=0, broker_order_id="B2",
            trigger_price=fields.pop("trigger_price", self.trigger), price=self.trigger + self.side.sign, **self.owner,
            **fields,
        )  # fmt: skip
        self.bench.give(OrderChanged(event="x", order=order, machine_ns=self.bench.machine_ns))

    def prices(self, seconds: float, away: float, every: float = 0.5) -> list[Any]:
        """Quotes at `away` rupees from the trigger, beyond it if above 0, each followed by the clock."""
        rows: list[Any] = []
        for _ in range(round(seconds / every)):
            self.bench.quote(self.instrument, self.trigger + away * self.side.sign)
            rows += self.bench.pass_time(every)
        return rows

    def alerts(self) -> dict[tuple[str, str], ActiveAlert]:
        found = active_alerts(
            self.bench.machine, LatencyAlerts(AlertRules()), (), [], "KILL", self.bench.now, self.bench.machine_ns
        )
        return {key: alert for key, alert in found.items() if key[0] == MAY_HAVE_TRIGGERED}


def closed(rows: Any) -> list[CloseGoal]:
    return goals(rows)


@pytest.mark.parametrize("side", [Side.SELL, Side.BUY])
def test_price_beyond_a_stop_that_does_not_fill_closes_the_position_once(side: Side) -> None:
    """Its limit was gapped over: the book shows it open, as it did all along."""
    held = Resting(side)
    assert closed(held.prices(PATIENCE - 0.5, 0.5)) == []
    rows = held.prices(2.0, 0.5)
    (goal,) = closed(rows)
    assert (goal.instrument, goal.strategy, goal.product) == (SHARE, "S", Product.MIS)
    assert f"its stop at {held.trigger:g} has not filled" in goal.reason and "beyond for 5 s" in goal.reason
    (alert,) = [row for row in rows if isinstance(row, Alert)]
    assert (alert.code, alert.subject, alert.severity) == ("STOP_FAILED", "p", Severity.CRITICAL)
    assert closed(held.prices(30.0, 0.5)) == []


def test_price_at_the_trigger_counts_and_one_short_of_it_does_not() -> None:
    held = Resting()
    assert closed(held.prices(20.0, -0.05)) == []
    assert len(closed(held.prices(PATIENCE + 1, 0.0))) == 1


def test_price_that_comes_back_begins_the_time_anew() -> None:
    held = Resting()
    for _ in range(4):
        assert closed(held.prices(4.0, 0.5)) == []
        assert closed(held.prices(1.0, -0.5)) == []
    assert len(closed(held.prices(PATIENCE + 1, 0.5))) == 1


def test_stop_that_fills_within_the_patience_is_the_exit() -> None:
    held = Resting()
    held.prices(4.0, 0.5)
    held.stop(OrderState.FILLED, filled=10, filled_seen=10)
    held.bench.hold(SHARE, 0)
    assert closed(held.prices(20.0, 0.5)) == [] and held.bench.machine.state.passed_since == {}


@pytest.mark.parametrize("state", [OrderState.TRIGGERED, OrderState.PARTIALLY_FILLED])
def test_stop_that_is_known_to_have_triggered_is_the_routers_to_hand_over(state: OrderState) -> None:
    held = Resting()
    held.stop(state, filled_seen=3 if state is OrderState.PARTIALLY_FILLED else 0)
    assert closed(held.prices(20.0, 0.5)) == []


def test_one_quote_beyond_the_stop_closes_nothing_however_long_it_stands() -> None:
    held = Resting()
    held.bench.quote(SHARE, held.trigger - 0.5)
    assert closed([row for _ in range(24) for row in held.bench.pass_time(0.25)]) == []
    held.bench.quote(SHARE, held.trigger - 0.5)
    assert len(closed(held.bench.pass_time(0.25))) == 1


def test_quotes_that_were_stale_in_between_begin_the_time_anew() -> None:
    held = Resting()
    held.bench.quote(SHARE, held.trigger - 0.5)
    held.bench.pass_time(0.25)
    assert held.bench.machine.state.passed_since
    assert closed([row for _ in range(50) for row in held.bench.pass_time(0.25)]) == []
    assert held.bench.machine.state.passed_since == {}
    assert closed(held.prices(PATIENCE - 0.5, 0.5)) == []
    assert len(closed(held.prices(2.0, 0.5))) == 1


def test_silent_feed_closes_nothing_though_the_last_price_was_beyond() -> None:
    """An option's last price stays good for a minute, but not that of a feed that is gone."""
    held = Resting(instrument=CALL)
    held.prices(2.0, 0.5)
    bench, found = held.bench, []
    gone = Heartbeat(
        daemon="feed", pid=1, state=DaemonState.DEGRADED, ready=False, machine_ns=bench.machine_ns,
        market_ns=bench.now, started_machine_ns=1,
    )  # fmt: skip
    bench.machine.apply(gone)
    bench.machine.environment.exit_patience_ns = 12 * SECOND
    bench.quote(CALL, held.trigger - 0.5)
    for _ in range(60):
        bench.now += SECOND // 2
        bench.machine_ns += SECOND // 2
        found += closed(decisions(bench.give(TimerFired(name="risk", machine_ns=bench.machine_ns))))
    assert found == [] and bench.machine.state.passed_since == {}


def test_restart_of_risk_begins_the_time_anew_and_asks_for_no_second_exit() -> None:
    held = Resting()
    held.prices(4.0, 0.5)
    again = RiskMachine(RiskEnvironment(*held.bench.parts))
    for row in held.bench.rows:
        if not isinstance(row, Quote):
            again.apply(row)
    assert again.state.passed_since == held.bench.machine.state.passed_since != {}
    held.bench.machine = again
    again.environment.patient_until = held.bench.machine_ns + 3 * SECOND
    held.bench.beat()
    assert closed(held.prices(2.5, 0.5)) == [], "risk has just begun to get quotes"
    assert again.state.passed_since == {}
    assert closed(held.prices(PATIENCE - 0.5, 0.5)) == []
    assert len(closed(held.prices(2.0, 0.5))) == 1


def test_exit_that_ended_with_the_position_still_held_is_asked_for_anew_after_the_patience() -> None:
    held = Resting()
    (first,) = closed(held.prices(PATIENCE + 1, 0.5))
    held.bench.give(GoalChanged(goal=done(first), at_ns=held.bench.now))
    assert closed(held.prices(PATIENCE - 0.5, 0.5)) == []
    (second,) = closed(held.prices(2.0, 0.5))
    assert second.id != first.id


@pytest.mark.parametrize("fields", [{"state": "handed"}, {"state": "released"}, {"state": "done"}])
def test_position_whose_stop_is_not_in_force_is_left_alone(fields: dict[str, str]) -> None:
    held = Resting()
    held.protect(**fields)
    assert closed(held.prices(20.0, 0.5)) == []


@pytest.mark.parametrize("state", [OrderState.SUBMITTED, OrderState.UNKNOWN, OrderState.CANCELLED])
def test_stop_that_is_not_known_to_rest_has_not_triggered(state: OrderState) -> None:
    held = Resting()
    held.stop(state)
    assert closed(held.prices(20.0, 0.5)) == []


@pytest.mark.parametrize("way", ["order", "protection"])
def test_stop_that_is_being_moved_counts_as_passed_only_beyond_both_its_triggers(way: str) -> None:
    held = Resting()
    wanted = held.trigger + 1.0
    if way == "order":
        change = ModifyState(wanted=OrderTerms(wanted - 1.0, wanted, 10), unproven=True)
        held.stop(evidence=OrderEvidence(modify=change))
    else:
        held.protect(moving=StopMove(trigger=wanted, limit=wanted - 1.0, order="stop"))
    assert closed(held.prices(20.0, -0.5)) == [], "beyond the new trigger alone"
    assert len(closed(held.prices(PATIENCE + 1, 0.5))) == 1


@pytest.mark.parametrize("way", ["order", "protection"])
def test_stop_that_is_moved_away_from_the_price_is_judged_by_where_it_may_rest(way: str) -> None:
    held = Resting()
    away = held.trigger - 5.0
    if way == "order":
        held.stop(evidence=OrderEvidence(modify=ModifyState(wanted=OrderTerms(90.0, away, 10), out=True)))
    else:
        held.protect(moving=StopMove(trigger=away, limit=90.0, order="stop"))
    assert closed(held.prices(20.0, 0.5)) == []


@pytest.mark.parametrize("clock", [time(15, 31), time(9, 0)])
def test_price_beyond_a_stop_closes_nothing_outside_continuous_trading(clock: time) -> None:
    held = Resting(product=Product.NRML)
    held.bench.now = to_ns(DAY if clock.hour > 10 else date(2026, 3, 19), clock)
    assert closed(held.prices(20.0, 0.5)) == []


def test_exit_is_not_asked_for_once_the_venue_squares_off_itself() -> None:
    """Its exits end with units left; what crosses the venue's orders would open anew."""
    held = Resting()
    held.bench.now = to_ns(DAY, time(15, 14, 31))
    reasons: list[str] = []
    for _ in range(100):
        for goal in closed(held.prices(0.25, 0.5, 0.25)):
            reasons.append(goal.reason)
            held.bench.give(GoalChanged(goal=done(goal), at_ns=held.bench.now))
    assert reasons and not [reason for reason in reasons if "has not filled" in reason]


def test_lock_step_counts_the_markets_time() -> None:
    """Machine time means nothing there: seconds of it may pass in one step of the market, and hours in a second."""
    held = Resting()
    bench = held.bench
    bench.machine.environment.lock_step = True
    found: list[CloseGoal] = []
    for _ in range(20):  # the machine waits, the market stands
        bench.quote(SHARE, held.trigger - 0.5)
        bench.machine_ns += SECOND
        found += closed(decisions(bench.give(TimerFired(name="risk", machine_ns=bench.machine_ns))))
    assert found == []
    for _ in range(6):
        bench.now += SECOND
        bench.quote(SHARE, held.trigger - 0.5)
        found += closed(decisions(bench.give(TimerFired(name="risk", machine_ns=bench.machine_ns))))
    assert len(found) == 1


def test_time_beyond_a_stop_is_one_row_of_the_journal_for_each_crossing() -> None:
    held = Resting()
    held.prices(4.0, 0.5)
    held.prices(2.0, -0.5)
    noted = [row for row in held.bench.rows if isinstance(row, LevelMoved) and row.name.startswith("passed ")]
    assert [row.value > 0 for row in noted] == [True, False]


# the book's word


def turned(held: Resting, machine_ns: int = 1) -> None:
    held.stop(evidence=OrderEvidence(shown_waiting=True, shown_open_machine_ns=machine_ns))


def silence(held: Resting, seconds: float) -> list[Any]:
    return [row for _ in range(round(seconds * 4)) for row in held.bench.pass_time(0.25)]


def test_stop_whose_word_turned_open_without_fresh_prices_is_told_and_not_closed() -> None:
    held = Resting()
    assert closed(silence(held, 15.0)) == [] and held.alerts() == {}
    turned(held)
    assert closed(silence(held, 60.0)) == []
    ((key, alert),) = held.alerts().items()
    assert key == (MAY_HAVE_TRIGGERED, "stop") and MAY_HAVE_TRIGGERED in STATE_ALERTS
    assert alert.once and alert.severity is Severity.CRITICAL and "B2 (trigger 98)" in alert.text
    held.prices(1.0, -0.5)
    assert held.alerts() == {}, "prices are fresh again"


def test_alert_of_a_turned_word_ends_when_the_order_moves() -> None:
    held = Resting()
    turned(held)
    silence(held, 15.0)
    assert held.alerts()
    held.stop(OrderState.FILLED, filled=10, filled_seen=10)
    assert held.alerts() == {}


def test_turned_word_with_fresh_prices_on_the_near_side_is_no_alert_and_no_exit() -> None:
    held = Resting()
    turned(held)
    assert closed(held.prices(30.0, -0.5)) == [] and held.alerts() == {}


def test_stop_that_is_shown_open_from_the_start_is_no_alert_when_prices_stop() -> None:
    held = Resting()
    silence(held, 60.0)
    assert held.alerts() == {}
