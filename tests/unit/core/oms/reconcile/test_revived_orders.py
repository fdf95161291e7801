"""Entries that the books showed ended, twice, and then live again: they are withdrawn, whatever had ended them."""

from __future__ import annotations

import pytest

from mytrading.core.oms import OmsLimits
from mytrading.core.orders.state_machine import ModifyRules
from mytrading.messages.commands import WithdrawEntries
from mytrading.messages.control import FlattenRequested, StrategySwitch, TradingState
from mytrading.messages.enums import BrokerStatus, Call, OrderState, OrderType, TradingLevel
from tests.kit.fake_broker import ACCOUNT, SECOND, OpenCall, OrderBench, Placed

WITHDRAWALS = {
    "withdrawn": WithdrawEntries(id="w1", cause="limit", account=ACCOUNT, strategy="s1", instrument="NFO:A"),
    "halt": TradingState(level=TradingLevel.HALT, generation=1, reason="halted", by="risk", at_ns=1, account=ACCOUNT),
    "switch": StrategySwitch(strategy="s1", enabled=False, generation=1, at_ns=1),
    "flatten": FlattenRequested(
        id="f1", account=ACCOUNT, at_ns=1, deadline_machine_ns=10**15, reason="square-off", strategy="s1", by="risk"
    ),
}


def cancels(bench: OrderBench) -> list[OpenCall]:
    return [call for call in bench.calls if call.call is Call.CANCEL]


def reads_apart(bench: OrderBench, count: int = 3, seconds: int = 3) -> None:
    for _ in range(count):
        bench.tick(seconds * SECOND)
        bench.read()


def comes_back(bench: OrderBench, placed: Placed) -> None:
    """The order is live at the broker, which books show for longer than a contradiction takes (`ghost_gap`)."""
    placed.status = BrokerStatus.OPEN
    reads_apart(bench, 10)


def resting_entry(bench: OrderBench) -> Placed:
    bench.read()
    bench.enter("e1", order_type=OrderType.LIMIT, price=90.0)
    placed = bench.accept()
    reads_apart(bench, 1)
    return placed


def cancelled(bench: OrderBench, cause: str) -> Placed:
    placed = resting_entry(bench)
    bench.step(WITHDRAWALS[cause])
    bench.cancel()
    reads_apart(bench)
    assert bench.order("e1").state is OrderState.CANCELLED
    return placed


@pytest.mark.parametrize("cause", WITHDRAWALS)
def test_withdrawn_entry_that_came_back_rested_on_for_good(cause: str) -> None:
    bench = OrderBench()
    placed = cancelled(bench, cause)
    comes_back(bench, placed)
    assert bench.order("e1").state is OrderState.ACCEPTED
    (call,) = cancels(bench)
    assert call.order.client_order_id == "e1"
    bench.cancel(call)
    reads_apart(bench, 12)
    assert (placed.status, bench.order("e1").state) == (BrokerStatus.CANCELLED, OrderState.CANCELLED)
    assert cancels(bench) == [] and bench.broker.placements == {"e1": 1}


def test_entry_that_came_back_twice_is_withdrawn_twice_also_over_a_restart() -> None:
    bench = OrderBench()
    placed = cancelled(bench, "withdrawn")
    for _ in range(2):
        comes_back(bench, placed)
        bench.crash()
        reads_apart(bench, 2)
        bench.cancel()
        reads_apart(bench, 12)
        assert bench.order("e1").state is OrderState.CANCELLED


def test_entry_that_its_broker_had_ended_is_withdrawn_when_it_lives_after_a_halt() -> None:
    """The halt found it ended, and passed it over."""
    bench = OrderBench()
    placed = resting_entry(bench)
    bench.broker.drop(placed)
    reads_apart(bench, 4)
    assert bench.order("e1").state is OrderState.CANCELLED
    bench.step(WITHDRAWALS["halt"])
    comes_back(bench, placed)
    assert [call.order.client_order_id for call in cancels(bench)] == ["e1"]


def test_fill_of_an_entry_that_came_back_is_owned_and_what_is_left_of_it_withdrawn() -> None:
    bench = OrderBench()
    placed = cancelled(bench, "withdrawn")
    placed.status = BrokerStatus.OPEN
    bench.broker.trade(placed, 20, 90.0)
    bench.report(placed)
    reads_apart(bench, 10)
    assert bench.position().quantity == 20
    for call in cancels(bench):
        bench.cancel(call)
    reads_apart(bench, 12)
    assert (placed.filled, placed.open) == (20, False)


def test_fill_of_a_replaced_entry_that_came_back_is_taken_off_its_replacement() -> None:
    bench = OrderBench(OmsLimits(modify=ModifyRules(in_place=False)))
    placed = resting_entry(bench)
    bench.ask_modify("e1", price=91.0)
    bench.cancel()
    reads_apart(bench)
    replacement = bench.accept()
    assert (replacement.price, replacement.quantity) == (91.0, 50)
    comes_back(bench, placed)
    bench.broker.trade(placed, 20, 90.0)
    bench.report(placed)
    reads_apart(bench, 2)
    assert bench.position().quantity == 20
    left = bench.order(replacement.client_order_id)
    assert left.evidence.modify.wanted is not None and left.evidence.modify.wanted.quantity == 30
    for _ in range(4):
        bench.answer_calls()
        reads_apart(bench, 12)
    assert placed.filled == 20 and not placed.open
    assert sum(one.quantity for one in bench.broker.orders.values() if one.open) <= 30
