"""Stops that their broker shows as `open` while they wait for their trigger, and how one that triggered is known.

At more than half of the brokers a waiting stop is `open` in the order book; taken for a triggered one it closed every
position five seconds after its entry.
"""

from __future__ import annotations

import pytest

from mytrading.core.oms import OmsLimits
from mytrading.core.orders.state_machine import TRIGGERED, is_untriggered_stop
from mytrading.messages.brokers import UNLISTED
from mytrading.messages.enums import BrokerStatus, OrderState, OrderType, Outcome
from mytrading.messages.orders import OrderChanged
from tests.kit.fake_broker import BECOMES_LIMIT, OPEN_ALL_ALONG, SECOND, TELLS_TRIGGERED, OrderBench, Words
from tests.kit.oms_protection import entered, guarded, live, settle, stops
from tests.kit.state_digest import state_digest

FLAPPING = (BrokerStatus.TRIGGER_PENDING, BrokerStatus.OPEN)


def bench_with(words: Words) -> OrderBench:
    bench = OrderBench(words=words)
    bench.check_purity = True
    return bench


def trouble(bench: OrderBench) -> list[str]:
    """What was done about a stop that just waits; nothing may be."""
    (stop,) = stops(bench)
    found = [goal.reason for goal in bench.machine.goals()] + [call.call.value for call in bench.calls]
    found += [alert.message for alert in bench.alerts if alert.code == "STOP_FAILED"]
    found += [] if is_untriggered_stop(stop) and live(bench) == 50 else [f"{stop.state}, {live(bench)} guarded"]
    return found + ([] if state_digest(bench.replayed()) == state_digest(bench.machine) else ["replayed otherwise"])


def test_waiting_stop_shown_open_closes_nothing() -> None:
    bench = bench_with(OPEN_ALL_ALONG)
    stop = guarded(bench)
    for _ in range(60):
        bench.tick(1 * SECOND)
        bench.read()
        bench.report(stop)
    assert trouble(bench) == []


def test_waiting_stop_shown_open_in_the_book_and_pending_in_updates_closes_nothing() -> None:
    """At six brokers book and stream differ; the book's word made it triggered although the stream said it waits."""
    bench = bench_with(OPEN_ALL_ALONG)
    stop = guarded(bench)
    for _ in range(30):
        bench.report(stop, status=BrokerStatus.TRIGGER_PENDING)
        bench.tick(1 * SECOND)
        bench.read()
    assert trouble(bench) == []


def test_word_that_flaps_between_pending_and_open_closes_nothing() -> None:
    bench = bench_with(OPEN_ALL_ALONG)
    stop = guarded(bench)
    for turn in range(40):
        stop.words = Words(waiting=FLAPPING[turn % 2])
        bench.tick(1 * SECOND)
        bench.read()
    assert trouble(bench) == []


def test_restart_beside_a_stop_shown_open_closes_nothing() -> None:
    bench = bench_with(OPEN_ALL_ALONG)
    guarded(bench)
    for _ in range(3):
        bench.crash(("main",))
        settle(bench, 8)
    assert trouble(bench) == []


def test_broker_of_no_table_shows_its_waiting_stop_open_and_nothing_is_closed() -> None:
    """The cautious row."""
    bench = OrderBench(OmsLimits(unlisted=UNLISTED), words=OPEN_ALL_ALONG)
    guarded(bench)
    settle(bench, 30)
    assert trouble(bench) == []


@pytest.mark.parametrize("way", ["book", "update"])
def test_stop_that_has_triggered_by_its_brokers_word_and_does_not_fill_is_handed_over(way: str) -> None:
    bench = bench_with(TELLS_TRIGGERED)
    stop = guarded(bench)
    settle(bench, 8)
    assert trouble(bench) == []
    bench.broker.trigger(stop)
    bench.report(stop) if way == "update" else bench.read()
    assert stops(bench)[0].state is OrderState.TRIGGERED and bench.machine.goals() == []
    handed_over(bench)


def handed_over(bench: OrderBench) -> None:
    settle(bench, 9)
    (goal,) = bench.machine.goals()
    assert goal.reason == "its stop has triggered and does not fill" and "STOP_FAILED" in bench.codes()
    assert [placed.quantity for placed in bench.broker.orders.values() if placed.open] == [50]


def test_stop_whose_type_became_limit_in_two_books_has_triggered_and_is_handed_over() -> None:
    bench = bench_with(BECOMES_LIMIT)
    stop = guarded(bench)
    settle(bench, 8)
    bench.broker.trigger(stop)
    bench.read()
    assert trouble(bench) == []
    asked = bench.reads_wanted
    bench.tick(1 * SECOND)
    assert bench.reads_wanted == asked + 1, "the second book is asked for"
    bench.read()
    assert stops(bench)[0].state is OrderState.TRIGGERED and bench.machine.goals() == []
    handed_over(bench)


def test_type_of_updates_proves_no_trigger() -> None:
    """Some types are made of a frame's fields, and a frame that lacks the trigger is a LIMIT."""
    bench = bench_with(OPEN_ALL_ALONG)
    stop = guarded(bench)
    for _ in range(20):
        bench.report(stop, order_type=OrderType.LIMIT, trigger_price=0.0)
        bench.tick(1 * SECOND)
    assert trouble(bench) == []


def test_stop_that_the_book_shows_as_limit_from_the_start_has_not_become_one() -> None:
    bench = bench_with(OPEN_ALL_ALONG)
    entered(bench)
    bench.accept().order_type = OrderType.LIMIT
    for _ in range(20):
        bench.read()
        bench.tick(1 * SECOND)
    assert trouble(bench) == []


@pytest.mark.parametrize("status", [BrokerStatus.TRIGGER_PENDING, BrokerStatus.OTHER])
def test_type_of_a_row_that_says_the_stop_waits_or_says_nothing_proves_no_trigger(status: BrokerStatus) -> None:
    bench = bench_with(Words(waiting=status))
    stop = guarded(bench)
    stop.order_type = OrderType.LIMIT
    for _ in range(20):
        bench.read()
        bench.tick(1 * SECOND)
    assert trouble(bench) == []


@pytest.mark.parametrize("books", [1, 2, 3])
def test_type_that_a_few_books_had_wrong_closes_nothing(books: int) -> None:
    bench = bench_with(OPEN_ALL_ALONG)
    stop = guarded(bench)
    for _ in range(4):
        for shown in (*[OrderType.LIMIT] * books, *[OrderType.SL] * 4):
            stop.order_type = shown
            bench.read()
            bench.tick(1 * SECOND)
    assert trouble(bench) == []


def test_part_fill_of_a_stop_shown_open_is_a_trigger_that_hands_over() -> None:
    bench = bench_with(OPEN_ALL_ALONG)
    stop = guarded(bench)
    bench.broker.trade(stop, 20, 90.0)
    bench.report(stop)
    bench.read()
    assert stops(bench)[0].state in TRIGGERED
    settle(bench, 9)
    (goal,) = bench.machine.goals()
    assert goal.reason == "its stop has triggered and does not fill"
    assert [placed.quantity for placed in bench.broker.orders.values() if placed.open] == [30]


def test_waiting_stop_shown_open_can_be_moved() -> None:
    """It was refused as triggered, and a change that was made was taken as done whatever trigger the book showed."""
    bench = bench_with(OPEN_ALL_ALONG)
    stop, name = guarded(bench), stops(bench)[0].client_order_id
    settle(bench, 3)
    bench.ask_modify(name, trigger_price=92.0)
    bench.tick()
    (call,) = bench.calls
    bench.end(call, Outcome.ACCEPTED)
    bench.read()
    assert (bench.order(name).trigger_price, bench.order(name).evidence.modify.unproven) == (90.0, True)
    bench.broker.modify(call.order)
    bench.tick(1 * SECOND)
    bench.read()
    assert (bench.order(name).trigger_price, stop.trigger_price) == (92.0, 92.0)
    assert [level.trigger for level in bench.machine.state.open_protections()] == [92.0]


def test_stop_shown_open_that_was_moved_at_the_terminal_is_followed() -> None:
    bench = bench_with(OPEN_ALL_ALONG)
    stop = guarded(bench)
    stop.trigger_price, stop.price = 94.0, 91.0
    settle(bench, 5)
    (level,) = bench.machine.state.open_protections()
    assert (level.trigger, level.limit, stop.modifies) == (94.0, 91.0, 0)


def test_books_turn_from_pending_to_open_is_noted_once_and_forgotten_when_it_turns_back() -> None:
    bench = bench_with(Words())
    stop, name = guarded(bench), stops(bench)[0].client_order_id
    assert bench.order(name).evidence.shown_waiting and not bench.order(name).evidence.shown_open_machine_ns
    bench.broker.trigger(stop)
    for _ in range(5):
        bench.tick(1 * SECOND)
        bench.read()
    noted = [row for row in bench.rows if isinstance(row, OrderChanged) and row.order.evidence.shown_open_machine_ns]
    assert len({row.order.evidence.shown_open_machine_ns for row in noted}) == 1
    assert bench.order(name).evidence.shown_open_machine_ns
    stop.status = BrokerStatus.TRIGGER_PENDING
    bench.tick(1 * SECOND)
    bench.read()
    assert not bench.order(name).evidence.shown_open_machine_ns
    assert trouble(bench) == []


def test_stop_shown_open_all_along_has_not_turned() -> None:
    bench = bench_with(OPEN_ALL_ALONG)
    stop = guarded(bench)
    settle(bench, 6)
    bench.report(stop, status=BrokerStatus.TRIGGER_PENDING)
    settle(bench, 6)
    assert not stops(bench)[0].evidence.shown_open_machine_ns
