"""Exit goals: entries withdrawn first, clamped orders until flat, never given up."""

from __future__ import annotations

from itertools import pairwise

import pytest
from msgspec.structs import replace

from mytrading.messages.enums import BrokerStatus, Call, OrderState, OrderType, Outcome, Purpose, Side
from mytrading.messages.orders import NOT_NOW, Goal, GoalChanged
from tests.kit.fake_broker import ACCOUNT, MS, SECOND, OrderBench, Placed


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.check_purity = True
    made.hold("e1")
    made.tick(2 * SECOND)
    return made


def goal(bench: OrderBench, name: str = "g1") -> Goal:
    return next(goal for goal in bench.machine.goals() if goal.id == name)


def fill(bench: OrderBench, placed: Placed, quantity: int = 50) -> None:
    bench.broker.trade(placed, quantity, 101.0)
    bench.report(placed)
    bench.read()


def test_goal_sells_what_is_owned_and_is_done_when_flat(bench: OrderBench) -> None:
    bench.close("g1")
    order = bench.calls[0].order
    assert (order.side, order.quantity, order.order_type) == (Side.SELL, 50, OrderType.MARKET)
    fill(bench, bench.accept())
    assert goal(bench).state == "done" and bench.position().quantity == 0


def test_goal_waits_for_a_second_source_before_it_is_done(bench: OrderBench) -> None:
    bench.close("g1")
    placed = bench.accept()
    bench.broker.trade(placed, 50, 101.0)
    bench.report(placed)
    bench.tick()
    assert goal(bench).state == "open" and bench.calls == []


def test_goal_with_a_used_id_is_ignored_for_ever(bench: OrderBench) -> None:
    bench.close("g1")
    assert bench.close("g1") == []
    bench.machine.apply(bench.machine.snapshot("2026-11-23"))
    assert bench.close("g1") == []


def test_goal_for_nothing_owned_is_done_at_once(bench: OrderBench) -> None:
    rows = bench.close("g2", strategy="s9")
    assert [row.goal.state for row in rows if isinstance(row, GoalChanged)] == ["open", "done"]
    assert bench.calls == []


def test_goal_withdraws_the_entries_of_its_owner_first(bench: OrderBench) -> None:
    bench.enter("rests")
    bench.accept()
    bench.enter("other", strategy="s2")
    bench.close("g1")
    assert [(c.call, c.order.client_order_id) for c in bench.calls if c.call is Call.CANCEL] == [(Call.CANCEL, "rests")]
    assert not any(c.order.purpose is Purpose.EXIT for c in bench.calls)
    bench.cancel()
    bench.read()
    assert any(c.order.purpose is Purpose.EXIT for c in bench.calls)
    assert not bench.order("other").evidence.cancel.wanted


def test_goal_does_not_wait_for_ever_for_an_entry_to_end(bench: OrderBench) -> None:
    bench.enter("rests")
    bench.accept()
    bench.close("g1")
    bench.tick(5 * SECOND)
    assert any(c.order.purpose is Purpose.EXIT for c in bench.calls)


def test_goal_does_not_wait_for_ever_for_sources_that_never_agree_on_an_entry(bench: OrderBench) -> None:
    bench.enter("e2", 40, order_type=OrderType.LIMIT, price=100.0)
    entry = bench.accept()
    bench.broker.trade(entry, 10, 100.0)
    bench.close("g1")
    for _ in range(7):
        bench.tick(1 * SECOND)
        for call in [call for call in bench.calls if call.call is Call.CANCEL]:
            bench.cancel(call)
        books = bench.broker.books(bench.time)
        twice = tuple(
            replace(row, quantity=20, value=2000.0) if row.broker_order_id == entry.id else row
            for row in books.trades or ()
        )
        bench.read(books, trades=twice)
    assert (bench.position().quantity, bench.position().quantity_seen) == (60, 70)
    (call,) = bench.calls
    assert (call.call, call.order.quantity) == (Call.PLACE, 60)


def test_exit_of_which_a_book_lies_twice_in_a_row_is_not_sent_again(bench: OrderBench) -> None:
    bench.close("g1")
    placed = bench.accept()
    for status in (BrokerStatus.REJECTED, BrokerStatus.REJECTED, BrokerStatus.OPEN):
        bench.tick(1 * SECOND)
        placed.status = status
        bench.read()
    assert bench.calls == []
    bench.broker.trade(placed, 50, 101.0)
    bench.read()
    assert goal(bench).state == "done" and len(bench.broker.orders) == 2


def test_goal_sends_nothing_beside_an_exit_of_which_one_source_tells_a_fill(bench: OrderBench) -> None:
    bench.close("g1")
    placed = bench.accept()
    bench.broker.trade(placed, 50, 101.0)
    bench.report(placed)
    bench.tick(60 * SECOND)
    assert bench.calls == []


def test_goal_that_an_order_of_unknown_fate_holds_up_names_it(bench: OrderBench) -> None:
    bench.close("g1")
    name = bench.calls[0].order.client_order_id
    bench.end(bench.calls[0], Outcome.UNKNOWN)
    for _ in range(70):
        bench.tick(1 * SECOND)
        bench.read(positions=None)
    (alert,) = [alert for alert in bench.alerts if alert.code == "GOAL_STUCK"]
    assert "is UNKNOWN" in alert.message and f"`mytrading orders resolve {name}`" in alert.message


def test_goal_closes_what_a_withdrawn_entry_still_filled(bench: OrderBench) -> None:
    bench.enter("rests")
    entry = bench.accept()
    bench.close("g1")
    bench.broker.trade(entry, 50, 100.0)
    bench.cancel()
    bench.report(entry)
    bench.read()
    (call,) = [call for call in bench.calls if call.order.purpose is Purpose.EXIT]
    assert call.order.quantity == 100


def test_two_goals_never_sell_more_than_is_owned(bench: OrderBench) -> None:
    bench.close("g1")
    bench.close("g2", reason="square-off")
    bench.tick(SECOND)
    assert len(bench.calls) == 1
    fill(bench, bench.accept())
    assert goal(bench, "g1").state == goal(bench, "g2").state == "done" and bench.calls == []


def test_partial_exit_is_replaced_by_the_rest(bench: OrderBench) -> None:
    bench.close("g1")
    placed = bench.accept()
    fill(bench, placed, 20)
    bench.tick(6 * SECOND)
    bench.cancel()
    bench.read()
    (call,) = bench.calls
    assert call.order.quantity == 30 and call.order.client_order_id != placed.client_order_id


def test_resting_exit_is_cancelled_and_replaced_after_its_patience(bench: OrderBench) -> None:
    bench.close("g1")
    placed = bench.accept()
    bench.tick(4 * SECOND)
    assert bench.calls == []
    bench.tick(2 * SECOND)
    assert bench.calls[0].call is Call.CANCEL
    bench.cancel()
    assert not any(call.call is Call.PLACE for call in bench.calls), "a cancel frees nothing before a read"
    bench.read()
    assert bench.calls[0].order.quantity == 50 and not placed.open
    assert goal(bench).attempts == 2


def test_exit_filled_while_it_is_cancelled_is_not_sent_again(bench: OrderBench) -> None:
    bench.close("g1")
    placed = bench.accept()
    bench.tick(6 * SECOND)
    bench.broker.trade(placed, 50, 100.0)
    bench.cancel()
    bench.read()
    bench.tick(20 * SECOND)
    assert bench.calls == [] and goal(bench).state == "done"


def test_rejected_exit_is_retried_with_growing_delay(bench: OrderBench) -> None:
    bench.close("g1")
    for wait in (500 * MS, 1000 * MS, 2000 * MS):
        bench.end(bench.calls[0], Outcome.REFUSED, message=f"{NOT_NOW}market closed")
        bench.tick(wait - 100 * MS)
        assert bench.calls == []
        bench.tick(200 * MS)
        assert len(bench.calls) == 1
    assert goal(bench).attempts == 4


def test_goal_alarms_after_its_attempts_and_goes_on_slowly(bench: OrderBench) -> None:
    bench.close("g1")
    for _ in range(40):
        if bench.calls:
            bench.end(bench.calls[0], Outcome.REFUSED)
        bench.tick(10 * SECOND)
    assert goal(bench).state == "stuck" and [a.code for a in bench.alerts].count("GOAL_STUCK") == 1
    bench.tick(31 * SECOND)
    fill(bench, bench.accept())
    assert goal(bench).state == "done"


def test_cancel_of_unknown_end_is_repeated_spaced_and_bounded(bench: OrderBench) -> None:
    bench.enter("rests")
    bench.accept()
    bench.close("g2")
    times = []
    for _ in range(600):
        for call in [call for call in bench.calls if call.call is Call.CANCEL]:
            times.append(call.began)
            bench.end(call, Outcome.UNKNOWN)
        bench.calls.clear()
        bench.tick(100 * MS)
    gaps = [after - before for before, after in pairwise(times)]
    assert all(gap >= SECOND for gap in gaps) and gaps == sorted(gaps)
    assert len(times) <= 6 and "CANCEL_STUCK" in bench.codes()


def test_exit_survives_a_crash_before_its_call(bench: OrderBench) -> None:
    bench.close("g1")
    bench.crash()
    order = bench.machine.state.orders.get(goal(bench).order)
    assert order is not None and order.state is OrderState.UNKNOWN and order.account == ACCOUNT
    for _ in range(2):
        bench.tick(16 * SECOND)
        bench.read()
    fill(bench, bench.accept())
    assert goal(bench).state == "done" and bench.position().quantity == 0


@pytest.mark.parametrize("known", ["resting", "unknown", "sighted", "ending"])
def test_exit_that_is_not_resolved_is_read_each_second_however_the_reads_fail(known: str) -> None:
    bench = OrderBench()
    bench.hold()
    bench.close("g1")
    if known == "unknown":
        bench.end(bench.calls[0], Outcome.UNKNOWN, message="timed out")
    else:
        placed = bench.accept()
    if known == "sighted":
        bench.report(placed, status=BrokerStatus.COMPLETE)
    elif known == "ending":
        bench.report(placed, status=BrokerStatus.CANCELLED)
    bench.tick(SECOND)
    wanted = bench.reads_wanted
    for _ in range(240):
        bench.tick(SECOND // 4)
        for call in list(bench.calls):
            bench.end(call, Outcome.UNKNOWN, message="timed out")
        bench.read(orders=None, trades=None, positions=None)
    assert bench.reads_wanted - wanted >= 55


def test_each_attempt_of_an_exit_is_dated_by_its_own_moment(bench: OrderBench) -> None:
    bench.close("g1")
    first = bench.calls[0].order
    bench.end(bench.calls[0], Outcome.REFUSED)
    for _ in range(5):
        bench.tick(SECOND)
        bench.read()
    (second,) = [call.order for call in bench.calls if call.call is Call.PLACE]
    assert second.client_order_id != first.client_order_id
    assert second.created_ns - first.created_ns >= SECOND, "a retry of tomorrow is no order of today"
    assert goal(bench).created_ns == first.created_ns


def test_later_attempt_of_the_older_goal_leaves_before_the_first_of_a_newer_one(bench: OrderBench) -> None:
    bench.hold("e2", instrument="NFO:B", strategy="s2")
    bench.close("g1")
    bench.end(bench.calls[0], Outcome.REFUSED)
    bench.tick(400 * MS)  # its retry is due after 500
    bench.enter("e4", instrument="NFO:D", strategy="s4")
    bench.end(bench.calls[0], Outcome.RATE_LIMITED)  # the server asks for a pause: all calls wait
    bench.close("g2", instrument="NFO:B", strategy="s2")
    waiting = [order for order in bench.machine.orders() if order.state is OrderState.INITIALIZED]
    assert [order.links.goal for order in waiting if order.purpose is Purpose.EXIT] == ["g2"]
    while not bench.calls:
        bench.tick(100 * MS)
    exits = [call.order for call in bench.calls if call.order.purpose is Purpose.EXIT]
    assert [order.links.goal for order in exits] == ["g1", "g2"]
    assert exits[0].created_ns > exits[1].created_ns
