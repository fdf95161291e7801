"""Events of exits that no rule of a run decided: stops and targets of positions, bare ones, flattens, the clock."""

from __future__ import annotations

from datetime import time
from typing import Any

from msgspec.structs import replace

from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.core.time import to_ns
from mytrading.messages.commands import CloseGoal
from mytrading.messages.control import FlattenRequested
from mytrading.messages.enums import Action, LimitAction, OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.exit_rules import LevelKind, LevelRule, StrategyRules
from mytrading.messages.market import Quote
from mytrading.messages.orders import Order, OrderChanged, Protection, ProtectionChanged
from mytrading.messages.risk_events import RiskAction, RiskEventRecorded, RiskKind
from mytrading.messages.run_config import StopPlan
from mytrading.messages.signals import Leg
from tests.kit.order_samples import order_of
from tests.kit.risk_bench import CALL, DAY, SHARE, RiskBench
from tests.kit.risk_guard_bench import Guarded
from tests.kit.risk_limit_bench import LARGE, events, holding, price
from tests.kit.risk_run_bench import TRAILING_ON, RunBench
from tests.kit.risk_stop_bench import bench_with, goals, held


def ordered(bench: RiskBench, goal: CloseGoal, name: str = "exit-1", **fields: Any) -> tuple[Any, ...]:
    """The router tells of an exit order of a goal."""
    order = order_of(
        client_order_id=name, account=goal.account, instrument=goal.instrument, product=goal.product,
        strategy=goal.strategy, run=goal.run, cause=goal.cause, purpose=Purpose.EXIT, side=Side.SELL, quantity=10,
        order_type=OrderType.MARKET, state=OrderState.SUBMITTED, created_ns=1, updated_ns=1, goal=goal.id,
    )  # fmt: skip
    return bench.give(OrderChanged(event="submitted", order=replace(order, **fields), machine_ns=bench.machine_ns))


def test_stop_that_risk_holds_leaves_an_event_and_then_its_exit_order() -> None:
    bench = held(StopPlan.ENGINE)
    rows = bench.quote(SHARE, 784.0)
    (event,), (goal,) = events(rows), goals(rows)
    assert (event.kind, event.action, event.threshold, event.value) == (
        RiskKind.STOP, RiskAction.CLOSE_LEG, 784.0, 784.0,
    )  # fmt: skip
    assert (event.strategy, event.accounts, event.instruments, event.cause) == ("S", ("main",), (SHARE,), goal.cause)
    assert rows.index(event) < rows.index(goal), "an event without its goals is ruled out, and so is the opposite"
    (later,) = events(ordered(bench, goal))
    assert (later.follows, later.exit_orders) == (event.id, ("exit-1",))
    assert events(bench.quote(SHARE, 783.0)) == []


def test_target_of_a_leg_leaves_an_event() -> None:
    bench = bench_with(StopPlan.ENGINE)
    bench.quote(SHARE, 800.0)
    rows = bench.intent("a", Leg(instrument=SHARE, lots=10, target_price=820.0), action=Action.BUY)
    bench.fill(rows[0])
    (event,) = events(bench.quote(SHARE, 820.0))
    assert (event.kind, event.threshold, event.value) == (RiskKind.TARGET, 820.0, 820.0)


def test_position_that_was_closed_because_it_stood_bare_has_an_event() -> None:
    made = Guarded()
    made.stop()
    made.covered = 4
    for _ in range(14):
        made.read()
    (event,) = events(made.bench.rows)
    assert (event.kind, event.threshold, event.value) == (RiskKind.BARE, 10.0, 4.0)
    assert event.note == "its stop is not at the broker"


def guarded() -> RiskBench:
    bench = held(StopPlan.BROKER)
    level = Protection(
        id="p", account="main", instrument=SHARE, product=Product.MIS, strategy="S", run="r", cause="c",
        side=Side.SELL, trigger=784.0, limit=776.0,
    )  # fmt: skip
    bench.give(ProtectionChanged(protection=level, at_ns=bench.now))
    return bench


def stopped(name: str, filled: int) -> Order:
    return order_of(
        client_order_id=name, account="main", instrument=SHARE, product=Product.MIS, strategy="S", run="r", cause="c",
        purpose=Purpose.STOP, side=Side.SELL, quantity=5, order_type=OrderType.SL, state=OrderState.PARTIALLY_FILLED,
        created_ns=1, updated_ns=1, trigger_price=784.0, filled=filled, filled_seen=filled, average_price=783.9,
    )  # fmt: skip


def test_stop_that_filled_at_the_broker_leaves_one_event_whatever_it_is_sliced_into() -> None:
    bench = guarded()

    def report(order: Order) -> tuple[Any, ...]:
        return bench.give(OrderChanged(event="x", order=order, machine_ns=bench.machine_ns))

    assert events(report(stopped("s1", 0))) == []
    (event,) = events(report(stopped("s1", 2)))
    assert (event.kind, event.threshold, event.value, event.exit_orders) == (
        RiskKind.BROKER_STOP, 784.0, 783.9, ("s1",),
    )  # fmt: skip
    assert events(report(stopped("s1", 5))) == []
    (second,) = events(report(stopped("s2", 5)))
    assert (second.follows, second.exit_orders) == (event.id, ("s2",))


def test_restart_does_not_tell_a_stop_again() -> None:
    bench = guarded()
    bench.give(OrderChanged(event="x", order=stopped("s1", 2), machine_ns=bench.machine_ns))
    again = RiskMachine(RiskEnvironment(*bench.parts))
    for row in bench.rows:
        again.apply(row)
    message = OrderChanged(event="x", order=stopped("s1", 5), machine_ns=bench.machine_ns)
    again.apply(message)
    assert events(again.decide(message, bench.now)) == []


def next_day(bench: RiskBench) -> RiskMachine:
    """The day turns: a machine that begins with what is carried over."""
    machine = RiskMachine(RiskEnvironment(*bench.parts))
    machine.apply(bench.machine.snapshot("2026-03-19"))
    return machine


def test_stop_that_fills_further_on_the_next_day_is_not_reported_again() -> None:
    bench = guarded()
    bench.give(OrderChanged(event="x", order=stopped("s1", 2), machine_ns=bench.machine_ns))
    for machine in (bench.machine, next_day(bench)):
        message = OrderChanged(event="x", order=stopped("s1", 5), machine_ns=bench.machine_ns)
        machine.apply(message)
        assert events(machine.decide(message, bench.now)) == []


def test_exit_order_of_the_next_day_knows_the_event_that_led_to_it() -> None:
    bench = RunBench(StrategyRules(max_loss=100.0))
    bench.take(SHARE, 10, 800.0)
    rows = bench.at(SHARE, 784.0)
    (event,), (goal,) = events(rows), goals(rows)
    bench.next_day()
    (later,) = events(bench.exit_order(goal, "exit-1"))
    assert (later.follows, later.exit_orders, later.kind) == (event.id, ("exit-1",), RiskKind.MAX_LOSS)
    bench.next_day()
    assert events(bench.exit_order(goal, "exit-1")) == []


def test_events_whose_positions_are_gone_are_not_carried_over() -> None:
    bench = RunBench(StrategyRules(max_loss=100.0))
    bench.take(SHARE, 10, 800.0)
    assert events(bench.at(SHARE, 784.0))
    assert len(bench.machine.snapshot("2026-03-19").events) == 1
    bench.take(SHARE, 0, 784.0)
    assert bench.machine.snapshot("2026-03-19").events == ()


def test_exit_that_another_rule_sent_leaves_no_second_event_of_the_position() -> None:
    rules = StrategyRules(max_loss=100.0)
    bench = RunBench(rules, product=Product.MIS)
    bench.take(SHARE, 10, 800.0)
    bench.machine.state.stop_levels["main", SHARE, "MIS", "S"] = 784.0
    bench.machine.state.stop_instruments[SHARE] = [("main", SHARE, "MIS", "S")]
    rows = bench.at(SHARE, 784.0)
    assert len(goals(rows)) == 1
    assert {event.cause for event in events(rows) if event.kind is RiskKind.STOP} <= {goals(rows)[0].cause}


def test_square_off_by_its_name_at_the_top_of_the_file_closes_with_an_event() -> None:
    bench = RiskBench(TRAILING_ON)
    (run,) = bench.parts[2]
    own = replace(run, square_off="14:00", intraday=False)
    bench.machine = RiskMachine(RiskEnvironment(*bench.parts[:2], (own,), *bench.parts[3:]))
    bench.now = to_ns(DAY, time(13, 56))
    bench.beat()
    bench.quote()
    bench.hold(CALL, 65)
    assert events(bench.pass_time(1)) == []
    bench.now = to_ns(DAY, time(13, 57))
    rows = bench.pass_time(0)
    (event,) = events(rows)
    assert (event.kind, event.threshold, event.action) == (RiskKind.SQUARE_OFF, 14 * 3600, RiskAction.CLOSE_ALL)
    assert [goal.cause for goal in goals(rows)] == [event.cause]


def test_flatten_of_a_limit_names_its_exit_orders() -> None:
    bench = holding(replace(LARGE, max_daily_loss=6_500, max_daily_loss_action=LimitAction.FLATTEN))
    rows = price(bench, 80.0)
    (event,) = events(rows)
    (request,) = [row for row in rows if isinstance(row, FlattenRequested)]
    goal = CloseGoal(
        id="of-the-router", account="main", instrument=CALL, product=Product.MIS, strategy="S", run="r",
        cause=request.id, reason="flatten",
    )  # fmt: skip
    (later,) = events(ordered(bench, goal, "f1"))
    assert (later.follows, later.exit_orders, later.kind) == (event.id, ("f1",), RiskKind.DAILY_LOSS)
    bench.machine = next_day(bench)
    (morrow,) = events(ordered(bench, goal, "f2"))
    assert (morrow.follows, morrow.exit_orders) == (event.id, ("f2",))


def test_flatten_of_a_limit_names_its_exit_orders_in_an_account_with_a_dash_in_its_name() -> None:
    bench = holding(replace(LARGE, max_daily_loss=6_500, max_daily_loss_action=LimitAction.FLATTEN))
    rows = price(bench, 80.0)
    (event,) = events(rows)
    (request,) = [row for row in rows if isinstance(row, FlattenRequested)]
    other = replace(request, id=request.id.replace("main", "zerodha-1"), account="zerodha-1")
    assert other.id.endswith("-zerodha-1")
    bench.machine.apply(other)
    goal = CloseGoal(
        id="of-the-router", account="zerodha-1", instrument=CALL, product=Product.MIS, strategy="S", run="r",
        cause=other.id, reason="flatten",
    )  # fmt: skip
    (later,) = events(ordered(bench, goal, "f1"))
    assert (later.follows, later.exit_orders, later.accounts) == (event.id, ("f1",), ("zerodha-1",))


def test_levels_of_legs_are_reported_before_they_are_reached() -> None:
    rules = StrategyRules(leg_stop_loss=LevelRule(kind=LevelKind.PERCENTAGE, value=10.0))
    bench = RunBench(rules)
    bench.take(CALL, 65, 100.0)
    assert bench.machine.runs.position_levels(("main", CALL, "NRML", "S")) == {"stop_loss": 90.0}
    quote: Quote = bench.machine.state.quotes.get(CALL) or Quote(CALL, bench.now, bench.machine_ns, 100.0)
    assert quote.ltp > 90.0
    assert isinstance(events(bench.at(CALL, 90.0))[0], RiskEventRecorded)
