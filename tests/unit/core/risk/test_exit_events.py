"""Events of exits that no rule of a run decided: stops and targets of positions, bare ones, flattens, the clock."""

from __future__ import annotations

from datetime import time
from typing import Any

from msgspec.structs import replace

from mytrading.core.calendar import to_ns
from mytrading.core.risk.machine import RiskMachine
from mytrading.messages.commands import CloseGoal
from mytrading.messages.control import FlattenRequested
from mytrading.messages.enums import Action, LimitAction, OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.market import Quote
from mytrading.messages.orders import Order, OrderChanged, Protection, ProtectionChanged
from mytrading.messages.risk_events import RiskAction, RiskEventRecorded, RiskKind
from mytrading.messages.runconfig import StopPlan
from mytrading.messages.signals import Leg
from mytrading.messages.strategy_rules import LevelKind, LevelRule, StrategyRules
from tests.unit.core.run_desks import TRAILING_ON, RunDesk
from tests.unit.core.test_risk_guard import Guarded
from tests.unit.core.test_risk_limits import LARGE, events, holding, price
from tests.unit.core.test_risk_machine import CALL, DAY, SHARE, Desk
from tests.unit.core.test_risk_stops import desk_of, goals, held


def ordered(desk: Desk, goal: CloseGoal, name: str = "exit-1", **fields: Any) -> tuple[Any, ...]:
    """The router tells of an exit order of a goal."""
    order = Order(
        client_order_id=name, account=goal.account, instrument=goal.instrument, product=goal.product,
        strategy=goal.strategy, run=goal.run, cause=goal.cause, purpose=Purpose.EXIT, side=Side.SELL, quantity=10,
        order_type=OrderType.MARKET, state=OrderState.SUBMITTED, created_ns=1, updated_ns=1, goal=goal.id,
    )  # fmt: skip
    return desk.give(OrderChanged(event="submitted", order=replace(order, **fields), machine_ns=desk.machine_ns))


def test_stop_that_risk_holds_leaves_an_event_and_then_its_exit_order() -> None:
    desk = held(StopPlan.ENGINE)
    rows = desk.quote(SHARE, 784.0)
    (event,), (goal,) = events(rows), goals(rows)
    assert (event.kind, event.action, event.threshold, event.value) == (
        RiskKind.STOP, RiskAction.CLOSE_LEG, 784.0, 784.0,
    )  # fmt: skip
    assert (event.strategy, event.accounts, event.instruments, event.cause) == ("S", ("main",), (SHARE,), goal.cause)
    assert rows.index(event) < rows.index(goal), "an event without its goals is ruled out, and so is the opposite"
    (later,) = events(ordered(desk, goal))
    assert (later.follows, later.exit_orders) == (event.id, ("exit-1",))
    assert events(desk.quote(SHARE, 783.0)) == []


def test_target_of_a_leg_leaves_an_event() -> None:
    desk = desk_of(StopPlan.ENGINE)
    desk.quote(SHARE, 800.0)
    rows = desk.wish("a", Leg(instrument=SHARE, lots=10, target_price=820.0), action=Action.BUY)
    desk.fill(rows[0])
    (event,) = events(desk.quote(SHARE, 820.0))
    assert (event.kind, event.threshold, event.value) == (RiskKind.TARGET, 820.0, 820.0)


def test_position_that_was_closed_because_it_stood_bare_has_an_event() -> None:
    made = Guarded()
    made.stop()
    made.covered = 4
    for _ in range(14):
        made.read()
    (event,) = events(made.desk.rows)
    assert (event.kind, event.threshold, event.value) == (RiskKind.BARE, 10.0, 4.0)
    assert event.note == "its stop is not at the broker"


def guarded() -> Desk:
    desk = held(StopPlan.BROKER)
    level = Protection(
        id="p", account="main", instrument=SHARE, product=Product.MIS, strategy="S", run="r", cause="c",
        side=Side.SELL, trigger=784.0, limit=776.0,
    )  # fmt: skip
    desk.give(ProtectionChanged(protection=level, at_ns=desk.now))
    return desk


def stopped(name: str, filled: int) -> Order:
    return Order(
        client_order_id=name, account="main", instrument=SHARE, product=Product.MIS, strategy="S", run="r", cause="c",
        purpose=Purpose.STOP, side=Side.SELL, quantity=5, order_type=OrderType.SL, state=OrderState.PARTIALLY_FILLED,
        created_ns=1, updated_ns=1, trigger_price=784.0, filled=filled, filled_seen=filled, average_price=783.9,
    )  # fmt: skip


def test_stop_that_filled_at_the_broker_leaves_one_event_whatever_it_is_sliced_into() -> None:
    desk = guarded()

    def tell(order: Order) -> tuple[Any, ...]:
        return desk.give(OrderChanged(event="x", order=order, machine_ns=desk.machine_ns))

    assert events(tell(stopped("s1", 0))) == []
    (event,) = events(tell(stopped("s1", 2)))
    assert (event.kind, event.threshold, event.value, event.exit_orders) == (
        RiskKind.BROKER_STOP, 784.0, 783.9, ("s1",),
    )  # fmt: skip
    assert events(tell(stopped("s1", 5))) == []
    (second,) = events(tell(stopped("s2", 5)))
    assert (second.follows, second.exit_orders) == (event.id, ("s2",))


def test_restart_does_not_tell_a_stop_again() -> None:
    desk = guarded()
    desk.give(OrderChanged(event="x", order=stopped("s1", 2), machine_ns=desk.machine_ns))
    again = RiskMachine(*desk.parts)
    for row in desk.rows:
        again.apply(row)
    message = OrderChanged(event="x", order=stopped("s1", 5), machine_ns=desk.machine_ns)
    again.apply(message)
    assert events(again.decide(message, desk.now)) == []


def next_day(desk: Desk) -> RiskMachine:
    """The day turns: a machine that begins with what is carried over."""
    machine = RiskMachine(*desk.parts)
    machine.apply(desk.machine.snapshot("2026-03-19"))
    return machine


def test_stop_that_fills_further_on_the_next_day_is_not_told_again() -> None:
    desk = guarded()
    desk.give(OrderChanged(event="x", order=stopped("s1", 2), machine_ns=desk.machine_ns))
    for machine in (desk.machine, next_day(desk)):
        message = OrderChanged(event="x", order=stopped("s1", 5), machine_ns=desk.machine_ns)
        machine.apply(message)
        assert events(machine.decide(message, desk.now)) == []


def test_exit_order_of_the_next_day_is_told_of_the_event_that_led_to_it() -> None:
    desk = RunDesk(StrategyRules(max_loss=100.0))
    desk.take(SHARE, 10, 800.0)
    rows = desk.at(SHARE, 784.0)
    (event,), (goal,) = events(rows), goals(rows)
    desk.next_day()
    (later,) = events(desk.exit_order(goal, "exit-1"))
    assert (later.follows, later.exit_orders, later.kind) == (event.id, ("exit-1",), RiskKind.MAX_LOSS)
    desk.next_day()
    assert events(desk.exit_order(goal, "exit-1")) == []


def test_events_whose_positions_are_gone_are_not_carried_over() -> None:
    desk = RunDesk(StrategyRules(max_loss=100.0))
    desk.take(SHARE, 10, 800.0)
    assert events(desk.at(SHARE, 784.0))
    assert len(desk.machine.snapshot("2026-03-19").events) == 1
    desk.take(SHARE, 0, 784.0)
    assert desk.machine.snapshot("2026-03-19").events == ()


def test_exit_that_another_rule_sent_leaves_no_second_event_of_the_position() -> None:
    rules = StrategyRules(max_loss=100.0)
    desk = RunDesk(rules, product=Product.MIS)
    desk.take(SHARE, 10, 800.0)
    desk.machine.state.stop_levels["main", SHARE, "MIS", "S"] = 784.0
    desk.machine.state.stop_instruments[SHARE] = [("main", SHARE, "MIS", "S")]
    rows = desk.at(SHARE, 784.0)
    assert len(goals(rows)) == 1
    assert {event.cause for event in events(rows) if event.kind is RiskKind.STOP} <= {goals(rows)[0].cause}


def test_square_off_by_its_name_at_the_top_of_the_file_closes_with_an_event() -> None:
    desk = Desk(TRAILING_ON)
    (run,) = desk.parts[2]
    own = replace(run, square_off="14:00", intraday=False)
    desk.machine = RiskMachine(*desk.parts[:2], (own,), *desk.parts[3:])
    desk.now = to_ns(DAY, time(13, 56))
    desk.beat()
    desk.quote()
    desk.hold(CALL, 65)
    assert events(desk.pass_time(1)) == []
    desk.now = to_ns(DAY, time(13, 57))
    rows = desk.pass_time(0)
    (event,) = events(rows)
    assert (event.kind, event.threshold, event.action) == (RiskKind.SQUARE_OFF, 14 * 3600, RiskAction.CLOSE_ALL)
    assert [goal.cause for goal in goals(rows)] == [event.cause]


def test_flatten_of_a_limit_names_its_exit_orders() -> None:
    desk = holding(replace(LARGE, max_daily_loss=6_500, max_daily_loss_action=LimitAction.FLATTEN))
    rows = price(desk, 80.0)
    (event,) = events(rows)
    (request,) = [row for row in rows if isinstance(row, FlattenRequested)]
    goal = CloseGoal(
        id="of-the-router", account="main", instrument=CALL, product=Product.MIS, strategy="S", run="r",
        cause=request.id, reason="flatten",
    )  # fmt: skip
    (later,) = events(ordered(desk, goal, "f1"))
    assert (later.follows, later.exit_orders, later.kind) == (event.id, ("f1",), RiskKind.DAILY_LOSS)
    desk.machine = next_day(desk)
    (morrow,) = events(ordered(desk, goal, "f2"))
    assert (morrow.follows, morrow.exit_orders) == (event.id, ("f2",))


def test_flatten_of_a_limit_names_its_exit_orders_in_an_account_with_a_dash_in_its_name() -> None:
    desk = holding(replace(LARGE, max_daily_loss=6_500, max_daily_loss_action=LimitAction.FLATTEN))
    rows = price(desk, 80.0)
    (event,) = events(rows)
    (request,) = [row for row in rows if isinstance(row, FlattenRequested)]
    other = replace(request, id=request.id.replace("main", "zerodha-1"), account="zerodha-1")
    assert other.id.endswith("-zerodha-1")
    desk.machine.apply(other)
    goal = CloseGoal(
        id="of-the-router", account="zerodha-1", instrument=CALL, product=Product.MIS, strategy="S", run="r",
        cause=other.id, reason="flatten",
    )  # fmt: skip
    (later,) = events(ordered(desk, goal, "f1"))
    assert (later.follows, later.exit_orders, later.accounts) == (event.id, ("f1",), ("zerodha-1",))


def test_levels_of_legs_are_told_before_they_are_reached() -> None:
    rules = StrategyRules(leg_stop_loss=LevelRule(kind=LevelKind.PERCENTAGE, value=10.0))
    desk = RunDesk(rules)
    desk.take(CALL, 65, 100.0)
    assert desk.machine.runs.levels_of(("main", CALL, "NRML", "S")) == {"stop_loss": 90.0}
    quote: Quote = desk.machine.state.quotes.get(CALL) or Quote(CALL, desk.now, desk.machine_ns, 100.0)
    assert quote.ltp > 90.0
    assert isinstance(events(desk.at(CALL, 90.0))[0], RiskEventRecorded)
