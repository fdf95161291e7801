"""A fill that only the stream reported: believed at once, withdrawn when the books show the order ended without it."""

from __future__ import annotations

import pytest

from mytrading.messages.enums import BrokerStatus, Call, OrderState, OrderType, Purpose
from mytrading.messages.orders import OrderChanged
from tests.kit.fake_broker import ACCOUNT, SECOND, OrderBench, Placed
from tests.kit.state_digest import state_digest

PLAN = {"stop_trigger": 90.0, "stop_limit": 87.0}


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.check_purity = True
    made.read()
    return made


def unconfirmed(bench: OrderBench) -> Placed:
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


def test_fill_that_only_the_stream_reported_is_withdrawn_with_its_stop(bench: OrderBench) -> None:
    unconfirmed(bench)
    assert bench.position().quantity_seen == 50
    read_on(bench, 5)
    assert (bench.order("e1").state, bench.order("e1").filled_seen) == (OrderState.CANCELLED, 0)
    assert (bench.position().quantity, bench.position().quantity_seen) == (0, 0)
    assert stops(bench) == [OrderState.CANCELLED]
    assert [level.state for level in bench.machine.state.protections.sorted_values()] == ["done"]
    assert "FILL_WITHDRAWN" in bench.codes() and "GOAL_STUCK" not in bench.codes()
    assert [row.event for row in bench.rows if isinstance(row, OrderChanged)].count("sighting_withdrawn") == 1
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_exit_of_a_withdrawn_fill_is_done_and_sells_nothing(bench: OrderBench) -> None:
    unconfirmed(bench)
    bench.close("g1")
    assert stops(bench) == [OrderState.ACCEPTED], "no exit can be sent for units that are not confirmed"
    read_on(bench, 8)
    assert [goal.state for goal in bench.machine.goals()] == ["done"]
    assert not [order for order in bench.machine.orders() if order.purpose is Purpose.EXIT]


def test_one_read_or_two_close_together_withdraw_nothing(bench: OrderBench) -> None:
    unconfirmed(bench)
    bench.read()
    bench.read()
    bench.tick(SECOND)
    bench.read()
    assert bench.position().quantity_seen == 50


def test_reads_without_the_trade_book_withdraw_nothing(bench: OrderBench) -> None:
    unconfirmed(bench)
    for _ in range(4):
        bench.tick(6 * SECOND)
        bench.read(trades=None)
    assert bench.position().quantity_seen == 50


def test_reads_that_began_before_the_sighting_withdraw_nothing(bench: OrderBench) -> None:
    """Two snapshots of a cancelled order were under way when the stream reported that it had filled all the same."""
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
    placed = unconfirmed(bench)
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
    read_on(bench, 8)
    assert (bench.order("e1").state, bench.order("e1").filled) == (OrderState.CANCELLED, 20)
    assert (bench.position().quantity, bench.position().quantity_seen) == (20, 20)


def test_sighting_of_an_order_that_had_ended_already_is_withdrawn(bench: OrderBench) -> None:
    bench.enter("e1", 50, **PLAN)
    placed = bench.accept()
    bench.broker.drop(placed)
    read_on(bench, 3)
    assert bench.order("e1").state is OrderState.CANCELLED
    bench.report(placed, status=BrokerStatus.COMPLETE, average_price=100.0)
    bench.tick(SECOND)
    bench.accept()
    assert bench.position().quantity_seen == 50
    read_on(bench, 5)
    assert bench.position().quantity_seen == 0 and stops(bench) == [OrderState.CANCELLED]


def test_same_report_again_is_no_new_sighting_of_what_was_withdrawn(bench: OrderBench) -> None:
    placed = unconfirmed(bench)
    read_on(bench, 5)
    bench.report(placed, status=BrokerStatus.COMPLETE, average_price=100.0)
    bench.tick(SECOND)
    assert bench.position().quantity_seen == 0 and not bench.calls


def test_trade_that_appears_after_the_withdrawal_is_booked(bench: OrderBench) -> None:
    """The broker was late, not wrong: two books say so in the end, and they count."""
    placed = unconfirmed(bench)
    read_on(bench, 5)
    placed.status = BrokerStatus.OPEN
    bench.broker.trade(placed, 50, 100.0)
    read_on(bench)
    assert (bench.order("e1").state, bench.position().quantity) == (OrderState.FILLED, 50)


def test_stop_that_only_the_stream_reported_filled_is_placed_anew(bench: OrderBench) -> None:
    bench.hold("e1", 50, **PLAN)
    stop = bench.accept()
    bench.read()
    bench.report(stop, status=BrokerStatus.COMPLETE, average_price=90.0)
    bench.broker.drop(stop)
    read_on(bench, 5)
    assert (bench.position().quantity, bench.position().quantity_seen) == (50, 50)
    assert [call.order.quantity for call in bench.calls] == [50]
    assert "GOAL_STUCK" not in bench.codes()


# of an order that rests and goes on


LIMIT = {"order_type": OrderType.LIMIT, "price": 95.0, "stop_trigger": 90.0, "stop_limit": 88.0}
SL = {"order_type": OrderType.SL, "price": 106.0, "trigger_price": 105.0, "stop_trigger": 99.0, "stop_limit": 97.0}


def resting(bench: OrderBench, reported: int = 50, **terms: object) -> Placed:
    """The stream tells so much of an entry filled that in fact rests; a stop is out for it."""
    bench.enter("e1", 50, **terms)
    placed = bench.accept()
    bench.read()
    bench.report(placed, filled=reported, status=BrokerStatus.COMPLETE if reported == 50 else BrokerStatus.OPEN)
    assert bench.position().quantity_seen == reported
    bench.accept()
    return placed


def go_on(bench: OrderBench, seconds: int = 40, **books: object) -> None:
    for _ in range(seconds):
        bench.tick(SECOND)
        for call in list(bench.calls):
            if call.call is Call.CANCEL:
                bench.cancel(call)
        bench.read(**books)


@pytest.mark.parametrize("names_filled", [True, False])
@pytest.mark.parametrize(("reported", "terms"), [(50, LIMIT), (20, LIMIT), (50, SL)])
def test_sighting_on_an_entry_that_goes_on_resting_is_withdrawn_with_its_stop(
    reported: int, terms: dict[str, object], names_filled: bool
) -> None:
    bench = OrderBench(names_filled=names_filled)
    bench.read()
    resting(bench, reported, **terms)
    go_on(bench)
    entry = bench.order("e1")
    assert (entry.state, entry.filled_seen, entry.evidence.end) == (OrderState.ACCEPTED, 0, None)
    assert (bench.position().quantity, bench.position().quantity_seen) == (0, 0)
    assert stops(bench) == [OrderState.CANCELLED]
    assert "FILL_WITHDRAWN" in bench.codes()
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_entry_that_fills_after_its_sighting_was_withdrawn_is_guarded_and_booked(bench: OrderBench) -> None:
    placed = resting(bench, **LIMIT)
    go_on(bench)
    bench.broker.trade(placed, 50, 95.0)
    asked = bench.reads_wanted
    bench.tick(SECOND)
    bench.report(placed)
    assert bench.reads_wanted > asked, "the withdrawn fill is reported again: the books are asked"
    bench.read()
    assert (bench.order("e1").state, bench.position().quantity) == (OrderState.FILLED, 50)
    assert [call.order.quantity for call in bench.calls] == [50]


def test_stop_of_a_sighting_that_comes_again_has_an_id_of_its_own(bench: OrderBench) -> None:
    placed = resting(bench, **LIMIT)
    go_on(bench)
    bench.broker.trade(placed, 50, 95.0)
    bench.tick(SECOND)
    bench.report(placed)
    bench.read()
    bench.accept()
    tags = [other.client_order_id for other in bench.broker.orders.values()]
    assert len(tags) == len(set(tags)) == 3


def test_resting_entry_keeps_its_sighting_for_fifteen_seconds_of_reads(bench: OrderBench) -> None:
    resting(bench, **LIMIT)
    go_on(bench, 15)
    assert bench.position().quantity_seen == 50


def test_resting_entry_keeps_its_sighting_while_a_book_is_missing(bench: OrderBench) -> None:
    resting(bench, **LIMIT)
    go_on(bench, positions=None)
    go_on(bench, trades=None)
    assert bench.position().quantity_seen == 50


def test_resting_entry_keeps_its_sighting_while_the_net_holds_the_units(bench: OrderBench) -> None:
    """Order and trade book lag, the position book does not: the fill is real."""
    placed = resting(bench, **LIMIT)
    bench.broker.net[placed.instrument, placed.product] = 50
    go_on(bench)
    assert bench.position().quantity_seen == 50 and stops(bench) == [OrderState.ACCEPTED]


def test_net_that_holds_the_units_once_begins_the_proof_against_a_sighting_anew(bench: OrderBench) -> None:
    placed = resting(bench, **LIMIT)
    go_on(bench, 12)
    bench.broker.net[placed.instrument, placed.product] = 50
    go_on(bench, 1)
    bench.broker.net[placed.instrument, placed.product] = 0
    go_on(bench, 12)
    assert bench.position().quantity_seen == 50 and stops(bench) == [OrderState.ACCEPTED]
    go_on(bench, 10)
    assert bench.position().quantity_seen == 0


def test_larger_sighting_begins_the_proof_against_it_anew(bench: OrderBench) -> None:
    placed = resting(bench, 20, **LIMIT)
    go_on(bench, 12)
    bench.report(placed, filled=40)
    go_on(bench, 10)
    assert bench.position().quantity_seen == 40
    go_on(bench, 10)
    assert bench.position().quantity_seen == 0
