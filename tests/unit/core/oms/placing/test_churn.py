"""The churn breaker: entries cancelled and placed again are stopped, remembered over a restart, and let go again."""

from __future__ import annotations

import pytest

from mytrading.core.oms import OmsLimits
from mytrading.core.orders.state_machine import ModifyRules
from mytrading.messages.account_events import EntriesStopped
from mytrading.messages.control import TradingState
from mytrading.messages.enums import Call, OrderState, OrderType, Purpose, TradingLevel
from tests.kit.fake_broker import SECOND, OrderBench

LIMIT = {"order_type": OrderType.LIMIT, "price": 100.0}


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench(OmsLimits())
    made.check_purity = True
    made.read()
    return made


def rest(bench: OrderBench, name: str, instrument: str = "NFO:A") -> None:
    bench.enter(name, instrument=instrument, **LIMIT)
    if any(call.call is Call.PLACE for call in bench.calls):
        bench.accept()
    bench.read()


def cancel(bench: OrderBench, name: str) -> None:
    bench.ask_cancel(name)
    bench.cancel()
    bench.read()
    assert bench.order(name).state is OrderState.CANCELLED
    bench.tick(1 * SECOND)


def churn(bench: OrderBench, times: int, instrument: str = "NFO:A", first: str = "e") -> None:
    """An entry that is cancelled and placed again so many times; the last one is left to rest."""
    for number in range(times):
        rest(bench, f"{first}{number}", instrument)
        cancel(bench, f"{first}{number}")
    rest(bench, f"{first}{times}", instrument)


def resumed(bench: OrderBench) -> None:
    bench.step(TradingState(level=TradingLevel.NORMAL, generation=9, reason="seen", at_ns=bench.now))


def test_second_replacement_within_the_window_stops_entries_of_the_instrument(bench: OrderBench) -> None:
    churn(bench, 2)
    assert bench.order("e2").state is OrderState.ACCEPTED, "the one that makes it two has left already"
    cancel(bench, "e2")
    rest(bench, "e3")
    assert bench.order("e3").state is OrderState.DENIED
    assert bench.order("e3").message.startswith("CHURN: 2 entries of NFO:A")
    rest(bench, "x1", "NFO:B")
    assert bench.order("x1").state is OrderState.ACCEPTED and "CHURN_BLOCKED" in bench.codes()


def test_entry_long_after_the_cancel_is_no_churn(bench: OrderBench) -> None:
    for number in range(4):
        rest(bench, f"e{number}")
        cancel(bench, f"e{number}")
        bench.tick(31 * SECOND)
    rest(bench, "e9")
    assert bench.order("e9").state is OrderState.ACCEPTED


def test_block_ends_by_itself_and_says_so(bench: OrderBench) -> None:
    churn(bench, 2)
    bench.tick(301 * SECOND)
    ends = [row for row in bench.rows if isinstance(row, EntriesStopped)]
    assert [row.stopped for row in ends] == [True, False]
    cancel(bench, "e2")
    rest(bench, "e3")
    assert bench.order("e3").state is OrderState.ACCEPTED


def test_block_survives_a_restart_and_ends_when_a_person_resumes(bench: OrderBench) -> None:
    churn(bench, 2)
    bench.crash()
    bench.see_mode()
    rest(bench, "e3")
    assert bench.order("e3").state is OrderState.DENIED
    resumed(bench)
    rest(bench, "e4")
    assert bench.order("e4").state is OrderState.ACCEPTED


def test_five_in_an_account_pause_all_its_entries_until_a_person_resumes(bench: OrderBench) -> None:
    for first, instrument, times in (("a", "NFO:A", 2), ("b", "NFO:B", 2), ("c", "NFO:C", 1)):
        churn(bench, times, instrument, first)
    assert "CHURN_PAUSED" in bench.codes()
    bench.tick(400 * SECOND)
    bench.machine.apply(bench.machine.snapshot("2026-11-23"))
    bench.see_mode()
    bench.read()
    rest(bench, "d1", "NFO:D")
    assert "entries of the account" in bench.order("d1").message
    resumed(bench)
    rest(bench, "d2", "NFO:D")
    assert bench.order("d2").state is OrderState.ACCEPTED


def test_stops_and_exits_leave_while_entries_are_stopped(bench: OrderBench) -> None:
    churn(bench, 2)
    placed = bench.broker.orders["B3"]
    bench.broker.trade(placed, 50, 100.0)
    bench.report(placed)
    bench.read()
    bench.close("g1")
    (call,) = bench.calls
    assert (call.call, call.order.purpose) == (Call.PLACE, Purpose.EXIT)


def test_replacement_that_a_person_asked_for_is_no_churn() -> None:
    bench = OrderBench(OmsLimits(modify=ModifyRules(in_place=False)))
    bench.read()
    rest(bench, "e1")
    for price in (101.0, 102.0, 103.0):
        name = [order.client_order_id for order in bench.machine.orders() if order.state is OrderState.ACCEPTED][-1]
        bench.ask_modify(name, price=price)
        bench.tick()
        bench.cancel()
        bench.read()
        bench.accept()
    assert "CHURN_BLOCKED" not in bench.codes()
