"""Exits while the books of an account cannot be read: the stop stays, nothing is guessed, and it goes on afterwards."""

from __future__ import annotations

import pytest

from mytrading.core.oms import OmsLimits
from mytrading.core.oms.state.state import BOOKS_BACK, BOOKS_LOST
from mytrading.messages.enums import BrokerStatus, Call, OrderState, Outcome, Purpose
from mytrading.messages.orders import TimerFired
from tests.kit.fake_broker import ACCOUNT, SECOND, OrderBench, Placed

PLAN = {"stop_trigger": 90.0, "stop_limit": 87.0}


@pytest.fixture
def bench() -> OrderBench:
    return OrderBench(OmsLimits())


def guarded(bench: OrderBench) -> Placed:
    """Fifty units held, and their stop at the broker."""
    bench.hold(**PLAN)
    stop = bench.accept()
    bench.read()
    return stop


def set_condition(bench: OrderBench, what: str) -> None:
    """The process says that the books are lost, or back."""
    message = TimerFired(name=what + ACCOUNT, machine_ns=bench.time)
    bench.journal.append(message)
    bench.machine.apply(message)
    for row in bench.machine.decide(message, bench.now):
        bench._commit((row,))


def wait(bench: OrderBench, seconds: int) -> None:
    for _ in range(seconds):
        bench.tick(1 * SECOND)


def test_exit_leaves_the_stop_while_the_books_are_lost_and_goes_on_when_they_are_back(bench: OrderBench) -> None:
    stop = guarded(bench)
    set_condition(bench, BOOKS_LOST)
    bench.close("g1")
    wait(bench, 30)
    assert bench.calls == [] and stop.status is BrokerStatus.TRIGGER_PENDING
    set_condition(bench, BOOKS_BACK)
    assert [call.call for call in bench.calls] == [Call.CANCEL]
    bench.cancel()
    bench.read()
    bench.read()
    (call,) = bench.calls
    assert (call.order.purpose, call.order.quantity) == (Purpose.EXIT, 50)


def test_exit_that_waits_for_lost_books_asks_for_them_each_second_and_alarms_at_its_deadline(bench: OrderBench) -> None:
    guarded(bench)
    set_condition(bench, BOOKS_LOST)
    bench.close("g1")
    wanted = bench.reads_wanted
    wait(bench, 70)
    assert bench.reads_wanted - wanted >= 60
    (stuck,) = [alert for alert in bench.alerts if alert.code == "GOAL_STUCK"]
    assert "its stop stays until they can" in stuck.message


def test_stop_that_fills_while_the_books_are_lost_is_the_exit(bench: OrderBench) -> None:
    stop = guarded(bench)
    set_condition(bench, BOOKS_LOST)
    bench.close("g1")
    bench.broker.trade(stop, 50, 89.0)
    bench.report(stop)
    wait(bench, 3)
    bench.read()
    set_condition(bench, BOOKS_BACK)
    bench.tick()
    assert bench.position().quantity == 0 and bench.calls == []
    assert [goal.state for goal in bench.machine.goals()] == ["done"]


def test_exit_without_a_stop_goes_at_once_though_the_books_are_lost(bench: OrderBench) -> None:
    bench.hold()
    set_condition(bench, BOOKS_LOST)
    bench.close("g1")
    (call,) = bench.calls
    assert (call.order.purpose, call.order.quantity) == (Purpose.EXIT, 50)


def test_exit_that_rests_is_not_cancelled_while_the_books_are_lost(bench: OrderBench) -> None:
    bench.hold()
    bench.close("g1")
    resting = bench.accept()
    bench.report(resting)
    set_condition(bench, BOOKS_LOST)
    wait(bench, 20)
    assert bench.calls == [] and resting.open
    set_condition(bench, BOOKS_BACK)
    assert [call.call for call in bench.calls] == [Call.CANCEL]


def test_stop_that_was_being_taken_away_when_the_books_were_lost_is_taken_away(bench: OrderBench) -> None:
    guarded(bench)
    bench.close("g1")
    set_condition(bench, BOOKS_LOST)
    bench.end(bench.calls[0], Outcome.RATE_LIMITED, retry_after_ns=SECOND)
    wait(bench, 3)
    assert [call.call for call in bench.calls] == [Call.CANCEL]


def test_half_a_stop_is_made_whole_and_kept_while_the_books_are_lost(bench: OrderBench) -> None:
    guarded(bench)
    set_condition(bench, BOOKS_LOST)
    bench.enter("e2", 25, **PLAN)
    more = bench.accept()
    bench.broker.trade(more, 25, 100.0)
    bench.report(more)
    bench.close("g1")
    wait(bench, 2)
    stops = [(call.call, call.order.quantity) for call in bench.calls if call.order.purpose is Purpose.STOP]
    assert stops == [(Call.PLACE, 25)]


def test_lost_books_are_lost_after_a_restart_until_they_are_said_to_be_back(bench: OrderBench) -> None:
    stop = guarded(bench)
    set_condition(bench, BOOKS_LOST)
    bench.close("g1")
    bench.crash()
    wait(bench, 5)
    assert bench.machine.state.books_lost(ACCOUNT) and stop.open and bench.calls == []
    assert bench.order(stop.client_order_id).state is OrderState.ACCEPTED
    set_condition(bench, BOOKS_BACK)
    assert not bench.machine.state.books_lost(ACCOUNT)
