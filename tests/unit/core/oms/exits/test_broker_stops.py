"""Broker stops: placed on the first sighting of a fill, resized, replaced, handed to an exit, never too many."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mytrading.core.oms import OmsLimits
from mytrading.messages.enums import BrokerStatus, Call, OrderState, OrderType, Outcome, Purpose, Side
from mytrading.messages.orders import TRIGGER_CROSSED, OrderChanged, ProtectionChanged
from tests.kit.fake_broker import SECOND, TELLS_TRIGGERED, OrderBench, Placed
from tests.kit.oms_protection import PLAN, entered, guarded, live, settle, stops
from tests.kit.state_digest import state_digest


@pytest.fixture
def bench() -> OrderBench:
    return OrderBench(OmsLimits())


def test_first_sighting_of_a_fill_places_a_stop_limit_for_just_that(bench: OrderBench) -> None:
    entered(bench, 100, 50)
    (call,) = bench.calls
    order = call.order
    assert (order.purpose, order.side, order.quantity) == (Purpose.STOP, Side.SELL, 50)
    assert (order.order_type, order.trigger_price, order.price) == (OrderType.SL, 90.0, 87.0)
    assert bench.position().quantity == 0, "one sighting is not counted yet"


def test_entry_without_a_plan_gets_no_stop(bench: OrderBench) -> None:
    bench.hold()
    settle(bench)
    assert stops(bench) == []


def test_rest_of_the_entry_is_covered_by_a_further_stop(bench: OrderBench) -> None:
    placed = entered(bench, 100, 50)
    bench.accept()
    bench.broker.trade(placed, 50, 101.0)
    bench.report(placed)
    settle(bench)
    assert (live(bench), bench.position().quantity) == (100, 100)
    assert [order.quantity for order in stops(bench)] == [50, 50]


def test_resting_stop_asks_for_no_reads_of_its_own(bench: OrderBench) -> None:
    guarded(bench)
    settle(bench)
    wanted = bench.reads_wanted
    for _ in range(20):
        bench.tick(1 * SECOND)
    assert bench.reads_wanted == wanted


def test_stop_that_fills_ends_the_protection_and_nothing_else_is_sent(bench: OrderBench) -> None:
    stop = guarded(bench)
    bench.broker.trade(stop, 50, 89.0)
    bench.report(stop)
    settle(bench)
    assert bench.position().quantity == 0
    assert [level.state for level in bench.machine.state.protections.sorted_values()] == ["done"]
    assert len(bench.broker.orders) == 2


def test_exit_takes_the_stop_away_first_and_never_sells_twice(bench: OrderBench) -> None:
    guarded(bench)
    bench.close("g1")
    (call,) = bench.calls
    assert (call.call, call.order.purpose) == (Call.CANCEL, Purpose.STOP)
    settle(bench, 3)
    assert live(bench) == 0
    exits = [placed for placed in bench.broker.orders.values() if placed.open]
    assert [placed.quantity for placed in exits] == [50]
    bench.broker.trade(exits[0], 50, 99.0)
    settle(bench)
    assert bench.position().quantity == 0
    assert bench.broker.net["NFO:A", bench.order("e1").product] == 0


def test_book_that_shows_an_old_entry_open_for_a_while_guards_nothing_anew(bench: OrderBench) -> None:
    guarded(bench)
    bench.close("g1")
    settle(bench, 3)
    (leaving,) = [placed for placed in bench.broker.orders.values() if placed.open]
    bench.broker.trade(leaving, 50, 99.0)
    settle(bench)
    rows = [row for row in bench.rows if isinstance(row, ProtectionChanged)]
    entry = next(placed for placed in bench.broker.orders.values() if placed.client_order_id == "e1")
    for status, filled in ((BrokerStatus.OPEN, 0), (BrokerStatus.COMPLETE, 50)):
        entry.status, entry.filled = status, filled
        bench.tick(2 * SECOND)
        bench.read()
    assert "contradicted" in [row.event for row in bench.rows if isinstance(row, OrderChanged)]
    assert [row for row in bench.rows if isinstance(row, ProtectionChanged)] == rows


def test_book_that_flaps_all_the_time_fills_no_journal(bench: OrderBench) -> None:
    placed = bench.hold()
    before = len(bench.rows)
    for turn in range(120):
        placed.status, placed.filled = (BrokerStatus.OPEN, 0) if turn % 2 else (BrokerStatus.COMPLETE, 50)
        bench.tick(1 * SECOND)
        bench.read()
    taken = [row for row in bench.rows[before:] if isinstance(row, OrderChanged)]
    assert 2 <= len(taken) <= 2 * (120 // 15 + 1)
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_stop_that_books_wrongly_called_cancelled_is_cancelled_when_it_shows_with_nothing_held(
    bench: OrderBench,
) -> None:
    stop = guarded(bench)
    stop.status = BrokerStatus.CANCELLED  # a lie of the book: it goes on resting
    bench.tick(2 * SECOND)
    bench.read()
    bench.tick(2 * SECOND)
    bench.read()
    bench.close("g1")
    settle(bench, 3)
    leaving = next(placed for placed in bench.broker.orders.values() if placed.open)
    bench.broker.trade(leaving, 50, 99.0)
    settle(bench)
    assert bench.position().quantity == 0
    stop.status = BrokerStatus.TRIGGER_PENDING
    settle(bench, 40)
    assert "ORDER_ILLEGAL" in bench.codes()
    assert (live(bench), stops(bench, OrderState.ACCEPTED)) == (0, [])


def shown(bench: OrderBench, stop: Placed, status: BrokerStatus, after: int = SECOND) -> None:
    """A moment later a book shows the stop so, whatever it is."""
    stop.status = status
    bench.tick(after)
    bench.read()


def test_stop_whose_end_a_book_took_back_ends_at_once_when_we_cancel_it(bench: OrderBench) -> None:
    stop = guarded(bench)
    shown(bench, stop, BrokerStatus.CANCELLED)
    shown(bench, stop, BrokerStatus.TRIGGER_PENDING)
    bench.close("g1")
    bench.cancel()
    for _ in range(2):
        shown(bench, stop, BrokerStatus.CANCELLED, SECOND // 2)
    assert len(stops(bench, OrderState.CANCELLED)) == 1, "an exit waits for it"


@pytest.mark.parametrize("status", [BrokerStatus.CANCELLED, BrokerStatus.REJECTED, BrokerStatus.EXPIRED])
def test_stop_of_which_a_book_lies_twice_in_a_row_gets_no_second_beside_it(status: BrokerStatus) -> None:
    bench_ = OrderBench()
    stop = guarded(bench_)
    for shown_as in (status, status, *[BrokerStatus.TRIGGER_PENDING] * 5):
        shown(bench_, stop, shown_as)
    assert [call.call for call in bench_.calls] == [Call.CANCEL] and live(bench_) == 50
    assert bench_.order(stop.client_order_id).evidence.end is None


def test_stop_that_the_stream_and_one_read_call_ended_is_placed_again(bench: OrderBench) -> None:
    stop = guarded(bench)
    bench.broker.drop(stop)
    bench.read()
    bench.report(stop)
    bench.cancel()
    bench.read()
    assert len(stops(bench, OrderState.CANCELLED)) == 1
    bench.tick(SECOND)
    assert [call.order.purpose for call in bench.calls] == [Purpose.STOP]


def test_stop_that_fills_while_it_is_cancelled_is_the_exit(bench: OrderBench) -> None:
    stop = guarded(bench)
    bench.close("g1")
    bench.broker.trade(stop, 50, 89.5)
    bench.cancel()
    settle(bench)
    assert bench.position().quantity == 0
    assert len(bench.broker.orders) == 2, "no exit beside the stop"
    assert [goal.state for goal in bench.machine.goals()] == ["done"]


def test_stop_dropped_by_the_broker_is_placed_again(bench: OrderBench) -> None:
    stop = guarded(bench)
    bench.broker.drop(stop)
    settle(bench)
    assert live(bench) == 50
    assert [order.state for order in stops(bench)].count(OrderState.CANCELLED) == 1


def test_position_whose_stops_are_dropped_before_they_rest_is_closed(bench: OrderBench) -> None:
    """A broker that refuses them late: no book ever showed one live."""
    entered(bench)
    for _ in range(40):
        for call in list(bench.calls):
            if call.call is Call.CANCEL:
                bench.cancel(call)
            elif call.order.purpose is Purpose.STOP:
                bench.broker.drop(bench.accept(call), BrokerStatus.REJECTED)
        bench.tick(1 * SECOND)
        bench.read()
    assert "STOP_FAILED" in bench.codes()
    (goal,) = bench.machine.goals()
    assert goal.reason == "3 stops did not stay at the broker"
    (level,) = bench.machine.state.protections.sorted_values()
    assert bench.stands("STOP_FAILED", level.id), "a router that starts now tells it still"
    bench.machine.apply(ProtectionChanged(protection=replace(level, state="done"), at_ns=bench.now))
    assert not bench.stands("STOP_FAILED", level.id)


def test_refused_stop_is_tried_again_and_then_the_position_is_closed(bench: OrderBench) -> None:
    entered(bench)
    bench.read()
    for _ in range(40):
        for call in [call for call in bench.calls if call.order.purpose is Purpose.STOP and call.call is Call.PLACE]:
            bench.end(call, Outcome.REFUSED, message="trigger price beyond the last price")
        bench.tick(1 * SECOND)
        bench.read()
    assert len(stops(bench)) == 3
    (goal,) = bench.machine.goals()
    assert goal.reason == "3 stops did not stay at the broker"
    assert any(call.order.purpose is Purpose.EXIT for call in bench.calls)


def test_stop_that_triggers_and_does_not_fill_is_chased() -> None:
    bench = OrderBench(words=TELLS_TRIGGERED)
    stop = guarded(bench)
    bench.broker.trigger(stop)
    bench.report(stop)
    bench.tick(1 * SECOND)
    assert not bench.machine.goals()
    settle(bench, 8)
    (goal,) = bench.machine.goals()
    assert goal.reason == "its stop has triggered and does not fill"
    assert live(bench) == 0
    assert [placed.quantity for placed in bench.broker.orders.values() if placed.open] == [50]


def test_stop_of_unknown_fate_counts_until_it_is_a_ghost_and_is_then_replaced(bench: OrderBench) -> None:
    entered(bench)
    (call,) = bench.calls
    bench.end(call, Outcome.UNKNOWN, message="timed out")
    bench.read()
    assert [order.state for order in stops(bench)] == [OrderState.UNKNOWN]
    assert not bench.calls
    settle(bench, 25)
    assert sorted(order.state for order in stops(bench)) == [OrderState.ACCEPTED, OrderState.GHOST]
    assert live(bench) == 50


def test_stop_placed_though_its_call_timed_out_is_adopted_and_not_doubled(bench: OrderBench) -> None:
    entered(bench)
    (call,) = bench.calls
    bench.broker.place(call.order, bench.time)
    bench.end(call, Outcome.UNKNOWN, message="timed out")
    settle(bench, 25)
    assert [order.state for order in stops(bench)] == [OrderState.ACCEPTED]
    assert live(bench) == 50


def test_router_killed_before_the_stop_was_sent_places_it_after_the_restart(bench: OrderBench) -> None:
    entered(bench)
    bench.crash()
    settle(bench, 25)
    assert live(bench) == 50


def test_router_killed_with_a_resting_stop_keeps_it(bench: OrderBench) -> None:
    guarded(bench)
    bench.crash()
    settle(bench)
    assert live(bench) == 50
    assert len(stops(bench)) == 1


def test_protection_is_carried_into_the_next_day(bench: OrderBench) -> None:
    guarded(bench)
    opened = bench.machine.snapshot("2026-11-23")
    assert [level.trigger for level in opened.protections] == [90.0]


def test_short_position_is_guarded_by_a_stop_that_buys(bench: OrderBench) -> None:
    bench.read()
    bench.enter("e1", 50, side=Side.SELL, stop_trigger=110.0, stop_limit=113.0)
    placed = bench.accept()
    bench.broker.trade(placed, 50, 100.0)
    bench.report(placed)
    (call,) = bench.calls
    assert (call.order.side, call.order.trigger_price, call.order.price) == (Side.BUY, 110.0, 113.0)


def test_stop_refused_because_the_price_has_passed_it_is_an_exit_at_once(bench: OrderBench) -> None:
    entered(bench)
    bench.read()
    (call,) = bench.calls
    bench.end(call, Outcome.REFUSED, message=f"{TRIGGER_CROSSED}trigger must be below the last price")
    assert [call.order.purpose for call in bench.calls] == [Purpose.EXIT]
    (goal,) = bench.machine.goals()
    assert goal.reason == "the price had passed its stop before it could be placed"
    assert len(stops(bench)) == 1


def test_stop_rejected_late_because_the_price_has_passed_it_is_an_exit_at_once(bench: OrderBench) -> None:
    entered(bench)
    bench.read()
    stop = bench.accept()
    bench.broker.drop(stop, BrokerStatus.REJECTED)
    bench.report(stop, message=f"{TRIGGER_CROSSED}beyond the last price")
    row = replace(stop.row(True, False), message=f"{TRIGGER_CROSSED}beyond the last price")
    bench.read(orders=(*(r for r in bench.broker.books(bench.time).orders or () if r.broker_order_id != stop.id), row))
    assert [call.order.purpose for call in bench.calls] == [Purpose.EXIT]


def test_exit_that_takes_a_triggered_stop_over_is_priced_again_until_flat() -> None:
    bench = OrderBench(words=TELLS_TRIGGERED)
    stop = guarded(bench)
    bench.broker.trigger(stop)
    bench.report(stop)
    settle(bench, 30)
    exits = [order for order in bench.machine.orders() if order.purpose is Purpose.EXIT]
    assert len(exits) >= 3, "each rests five seconds, then a fresh one follows"
    assert live(bench) == 0
    while not (resting := [placed for placed in bench.broker.orders.values() if placed.open]):
        settle(bench, 1)
    assert [placed.quantity for placed in resting] == [50]
    bench.broker.trade(resting[0], 50, 80.0)
    settle(bench)
    assert (bench.position().quantity, [goal.state for goal in bench.machine.goals()]) == (0, ["done"])


def test_stop_that_ends_with_its_session_is_placed_again_at_the_next_open_and_never_between(
    bench: OrderBench,
) -> None:
    stop = guarded(bench)
    bench.session_open = False
    bench.broker.drop(stop, BrokerStatus.EXPIRED)
    settle(bench, 40)
    assert (live(bench), bench.calls, bench.machine.goals()) == (0, [], [])
    bench.session_open = True
    bench.tick()
    (call,) = bench.calls
    assert (call.order.purpose, call.order.quantity, call.order.trigger_price) == (Purpose.STOP, 50, 90.0)
    assert "STOP_FAILED" not in bench.codes()


def test_fills_seen_after_the_close_wait_for_the_open(bench: OrderBench) -> None:
    bench.session_open = False
    entered(bench)
    settle(bench, 10)
    assert stops(bench) == []
    bench.session_open = True
    settle(bench, 3)
    assert live(bench) == 50


def test_stop_of_a_fill_goes_before_the_cancels_that_exits_wait_for() -> None:
    """Cancels of older orders went first: a fill among many exits lay bare for two seconds."""
    bench = OrderBench(OmsLimits(calls_per_second=2))
    for name in ("A", "B", "C", "D"):
        bench.hold(f"e{name}", instrument=f"NFO:{name}", **PLAN)
        bench.accept()
        bench.tick(2 * SECOND)
    bench.read()
    bench.enter("e5", instrument="NFO:E", **PLAN)
    placed = bench.accept()
    for name in ("A", "B", "C", "D"):
        bench.close(f"g{name}", instrument=f"NFO:{name}")
    bench.broker.trade(placed, 50, 100.0)
    bench.report(placed)
    bench.tick(2 * SECOND)
    assert [call.order.instrument for call in bench.calls if call.call is Call.PLACE] == ["NFO:E"]
