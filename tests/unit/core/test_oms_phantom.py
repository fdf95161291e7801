"""A fill that only the stream told: believed at once, withdrawn when the books show the order ended without it."""

from __future__ import annotations

import pytest

from mytrading.messages.enums import BrokerStatus, Call, OrderState, Purpose
from mytrading.messages.orders import OrderChanged
from tests.fake_broker import ACCOUNT, SECOND, OrderBench, Placed

PLAN = {"stop_trigger": 90.0, "stop_limit": 87.0}


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.check_purity = True
    made.read()
    return made


def phantom(bench: OrderBench) -> Placed:
    """The stream tells an order complete that the broker in fact cancelled; a stop is out for it."""
    bench.enter("e1", 50, **PLAN)
    placed = bench.accept()
    bench.read()
    bench.report(placed, status=BrokerStatus.COMPLETE, average_price=100.0)
    bench.broker.drop(placed)
    bench.tick(SECOND)
    bench.accept()
    return placed


def read_on(bench: OrderBench, times: int = 3) -> None:
    for _ in range(times):
        bench.tick(6 * SECOND)
        for call in list(bench.calls):
            if call.call is Call.CANCEL:
                bench.cancel(call)
        bench.read()


def stops(bench: OrderBench) -> list[OrderState]:
    return [order.state for order in bench.machine.orders() if order.purpose is Purpose.STOP]


def test_fill_that_only_the_stream_told_is_withdrawn_with_its_stop(bench: OrderBench) -> None:
    phantom(bench)
    assert bench.position().quantity_seen == 50
    read_on(bench, 5)
    assert (bench.order("e1").state, bench.order("e1").filled_seen) == (OrderState.CANCELLED, 0)
    assert (bench.position().quantity, bench.position().quantity_seen) == (0, 0)
    assert stops(bench) == [OrderState.CANCELLED]
    assert [level.state for level in bench.machine.protections()] == ["done"]
    assert "FILL_WITHDRAWN" in bench.codes() and "GOAL_STUCK" not in bench.codes()
    assert [row.event for row in bench.rows if isinstance(row, OrderChanged)].count("sighting_withdrawn") == 1
    assert bench.replayed().state_digest() == bench.machine.state_digest()


def test_exit_of_a_withdrawn_fill_is_done_and_sells_nothing(bench: OrderBench) -> None:
    phantom(bench)
    bench.close("g1")
    read_on(bench, 5)
    assert [goal.state for goal in bench.machine.goals()] == ["done"]
    assert not [order for order in bench.machine.orders() if order.purpose is Purpose.EXIT]


def test_one_read_or_two_close_together_withdraw_nothing(bench: OrderBench) -> None:
    phantom(bench)
    bench.read()
    bench.read()
    bench.tick(SECOND)
    bench.read()
    assert bench.position().quantity_seen == 50


def test_reads_without_the_trade_book_withdraw_nothing(bench: OrderBench) -> None:
    phantom(bench)
    for _ in range(4):
        bench.tick(6 * SECOND)
        bench.read(trades=None)
    assert bench.position().quantity_seen == 50


def test_reads_that_began_before_the_sighting_withdraw_nothing(bench: OrderBench) -> None:
    """Two snapshots of a cancelled order were under way when the stream told that it had filled all the same."""
    bench.enter("e1", 50, **PLAN)
    placed = bench.accept()
    bench.read()
    bench.broker.drop(placed)
    old = bench.broker.books(bench.time)
    began = bench.time
    bench.tick(20 * SECOND)
    bench.report(placed, status=BrokerStatus.COMPLETE, average_price=100.0)
    for shift in range(2):
        bench.step(
            type(old)(
                account=ACCOUNT,
                id=f"old{shift}",
                began_machine_ns=began + shift * 6 * SECOND,
                ended_machine_ns=bench.time + shift,
                orders=old.orders,
                trades=old.trades,
                positions=old.positions,
            )
        )
    assert bench.position().quantity_seen == 50


def test_fill_that_the_books_show_late_counts(bench: OrderBench) -> None:
    """The order book still shows a cancel when the trade book has the trade already: a fill during the cancel."""
    placed = phantom(bench)
    placed.status = BrokerStatus.OPEN
    bench.broker.trade(placed, 50, 100.0)
    placed.status = BrokerStatus.CANCELLED
    read_on(bench)
    assert bench.position().quantity == 50 and stops(bench) == [OrderState.ACCEPTED]


def test_confirmed_part_stays_when_the_rest_is_withdrawn(bench: OrderBench) -> None:
    bench.enter("e1", 50, **PLAN)
    placed = bench.accept()
    bench.broker.trade(placed, 20, 100.0)
    bench.report(placed)
    bench.read()
    bench.tick(SECOND)
    bench.report(placed, status=BrokerStatus.COMPLETE, average_price=100.0)
    bench.broker.drop(placed)
    bench.tick(SECOND)
    for call in list(bench.calls):
        bench.accept(call)
    read_on(bench, 6)
    assert (bench.order("e1").state, bench.order("e1").filled) == (OrderState.CANCELLED, 20)
    assert (bench.position().quantity, bench.position().quantity_seen) == (20, 20)


def test_sighting_of_an_order_that_had_ended_already_is_withdrawn(bench: OrderBench) -> None:
    bench.enter("e1", 50, **PLAN)
    placed = bench.accept()
    bench.broker.drop(placed)
    read_on(bench, 2)
    assert bench.order("e1").state is OrderState.CANCELLED
    bench.report(placed, status=BrokerStatus.COMPLETE, average_price=100.0)
    bench.tick(SECOND)
    bench.accept()
    assert bench.position().quantity_seen == 50
    read_on(bench, 5)
    assert bench.position().quantity_seen == 0 and stops(bench) == [OrderState.CANCELLED]


def test_same_report_again_is_no_new_sighting_of_what_was_withdrawn(bench: OrderBench) -> None:
    placed = phantom(bench)
    read_on(bench, 5)
    bench.report(placed, status=BrokerStatus.COMPLETE, average_price=100.0)
    bench.tick(SECOND)
    assert bench.position().quantity_seen == 0 and not bench.calls


def test_trade_that_appears_after_the_withdrawal_is_booked(bench: OrderBench) -> None:
    """The broker was late, not wrong: two books say so in the end, and they count."""
    placed = phantom(bench)
    read_on(bench, 5)
    placed.status = BrokerStatus.OPEN
    bench.broker.trade(placed, 50, 100.0)
    read_on(bench)
    assert (bench.order("e1").state, bench.position().quantity) == (OrderState.FILLED, 50)


def test_stop_that_only_the_stream_told_filled_is_placed_anew(bench: OrderBench) -> None:
    bench.hold("e1", 50, **PLAN)
    stop = bench.accept()
    bench.read()
    bench.report(stop, status=BrokerStatus.COMPLETE, average_price=90.0)
    bench.broker.drop(stop)
    read_on(bench, 5)
    assert (bench.position().quantity, bench.position().quantity_seen) == (50, 50)
    assert [call.order.quantity for call in bench.calls] == [50]
    assert "GOAL_STUCK" not in bench.codes()
