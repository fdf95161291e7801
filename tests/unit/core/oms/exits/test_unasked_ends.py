"""Stops that a book shows ended though nobody here wanted it: cancelled by id, and the next follows what is proven."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mytrading.core.oms import OmsLimits
from mytrading.messages.brokers import PLAIN, PositionScope
from mytrading.messages.enums import BrokerStatus, Call, OrderState, Outcome, Product, Purpose, Severity
from tests.kit.fake_broker import SECOND, OrderBench, Placed
from tests.kit.oms_protection import guarded, live, settle, stops
from tests.kit.state_digest import state_digest

WORDS = [BrokerStatus.CANCELLED, BrokerStatus.REJECTED, BrokerStatus.EXPIRED]
A = ("NFO:A", Product.MIS)


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.broker.net["NFO:OTHER", Product.MIS] = 0
    return made


def seconds(bench: OrderBench, count: int, *, answer: bool = True, **fields: object) -> None:
    """A read each second; calls are answered truly, or not at all."""
    for _ in range(count):
        if answer:
            bench.answer_calls()
        bench.tick(1 * SECOND)
        bench.read(**fields)
        assert live(bench) <= 50, "more stops than units"


def shown(bench: OrderBench, stop: Placed, word: BrokerStatus | None) -> None:
    """From now on the order book has this word for the stop; None: the true one."""
    if word is None:
        bench.broker.untrue.pop(stop.id, None)
    else:
        bench.broker.untrue[stop.id] = word


def calls(bench: OrderBench) -> list[Call]:
    return [call.call for call in bench.calls]


@pytest.mark.parametrize("word", WORDS)
def test_live_stop_that_three_reads_call_ended_gets_no_second_beside_it(bench: OrderBench, word: BrokerStatus) -> None:
    """A second stop was placed: 100 units of stops for 50 held, and −50 when both triggered."""
    stop = guarded(bench)
    shown(bench, stop, word)
    seconds(bench, 12)
    assert (live(bench), bench.position().quantity) == (50, 50)
    assert stop.status is BrokerStatus.CANCELLED, "it was cancelled by its id"
    shown(bench, stop, None)
    seconds(bench, 20)
    assert (live(bench), bench.position().quantity) == (50, 50)
    assert [call for call in bench.calls if call.call is Call.PLACE] == []
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


@pytest.mark.parametrize("word", WORDS)
def test_word_that_is_right_again_before_a_call_left_changes_nothing(word: BrokerStatus) -> None:
    """The server wanted no call when the book said so: nothing was sent, and nothing is."""
    bench = OrderBench()
    stop = guarded(bench)
    bench.enter("e2", instrument="NFO:B")
    bench.end(bench.calls[0], Outcome.RATE_LIMITED, retry_after_ns=4 * SECOND)
    shown(bench, stop, word)
    bench.read()
    assert calls(bench) == []
    shown(bench, stop, None)
    bench.tick(1 * SECOND)
    bench.read()
    bench.tick(4 * SECOND)
    bench.accept()
    for _ in range(20):
        bench.tick(1 * SECOND)
        bench.read()
    assert bench.calls == [] and stop.status is BrokerStatus.TRIGGER_PENDING
    assert (live(bench), bench.order(stop.client_order_id).state) == (50, OrderState.ACCEPTED)


def test_stop_that_is_refused_to_be_cancelled_and_shown_live_again_guards_as_before(bench: OrderBench) -> None:
    stop = guarded(bench)
    shown(bench, stop, BrokerStatus.REJECTED)
    bench.read()
    bench.end(bench.calls[0], Outcome.REFUSED, message="try later")
    shown(bench, stop, None)
    seconds(bench, 20)
    assert bench.calls == [] and stop.status is BrokerStatus.TRIGGER_PENDING
    assert live(bench) == 50 and not bench.stands("STOP_SHOWN_ENDED", stop.client_order_id)


def test_next_stop_follows_the_answer_and_a_read_of_orders_and_positions_begun_after_it(bench: OrderBench) -> None:
    stop = guarded(bench)
    bench.broker.drop(stop, BrokerStatus.REJECTED)
    bench.read()
    before = bench.broker.books(bench.time)
    assert calls(bench) == [Call.CANCEL]
    seconds(bench, 2, answer=False)
    assert calls(bench) == [Call.CANCEL], "the books alone prove nothing"
    bench.cancel()
    began = bench.time - 5
    bench.read(before, began_machine_ns=began)
    seconds(bench, 1, answer=False, positions=None)
    assert calls(bench) == [], "a read from before, and one without positions"
    seconds(bench, 2, answer=False)
    assert [(call.call, call.order.purpose, call.order.quantity) for call in bench.calls] == [
        (Call.PLACE, Purpose.STOP, 50)
    ]


def test_no_stop_follows_for_units_that_the_position_book_does_not_show(bench: OrderBench) -> None:
    """It was filled in truth, and the order book has a wrong word: another one would open a short position."""
    stop = guarded(bench)
    bench.broker.trade(stop, 50, 90.0)
    shown(bench, stop, BrokerStatus.CANCELLED)
    seconds(bench, 20, trades=None)
    assert bench.broker.net[A] == 0 and live(bench) == 0
    assert [order for order in stops(bench) if order.client_order_id != stop.client_order_id] == []


@pytest.mark.parametrize("trades", [{}, {"trades": ()}], ids=["trades", "no trades"])
def test_stop_shown_complete_without_units_is_decided_by_the_position_book(
    bench: OrderBench, trades: dict[str, object]
) -> None:
    """Its units counted as gone, without an alert; an exit that was wanted meanwhile was never sent."""
    stop = guarded(bench)
    shown(bench, stop, BrokerStatus.COMPLETE)
    seconds(bench, 10, **trades)
    assert (live(bench), bench.position().quantity_seen) == (50, 50)
    bench.close("g1")
    for _ in range(6):
        for call in list(bench.calls):
            if call.call is Call.CANCEL:
                bench.cancel(call)
            else:
                placed = bench.accept(call)
                bench.broker.trade(placed, placed.quantity, 99.0)
                bench.report(placed)
        bench.tick(1 * SECOND)
        bench.read(**trades)
    assert (bench.broker.net[A], bench.position().quantity, live(bench)) == (0, 0, 0)


def test_stop_shown_complete_that_the_position_book_shows_filled_is_the_exit(bench: OrderBench) -> None:
    stop = guarded(bench)
    bench.broker.trade(stop, 50, 90.0)
    seconds(bench, 5)
    assert (bench.position().quantity, bench.calls, live(bench)) == (0, [], 0)


def test_second_stop_shown_ended_within_ten_minutes_is_left_alone_and_alerted_once(bench: OrderBench) -> None:
    """A broker that shows live stops as ended had them placed and cancelled for ever."""
    first = guarded(bench)
    shown(bench, first, BrokerStatus.REJECTED)
    seconds(bench, 12)
    (second,) = [placed for placed in bench.broker.orders.values() if placed.status is BrokerStatus.TRIGGER_PENDING]
    bench.tick(300 * SECOND)
    shown(bench, second, BrokerStatus.REJECTED)
    seconds(bench, 30)
    assert second.status is BrokerStatus.TRIGGER_PENDING and len(bench.broker.orders) == 3
    told = [alert for alert in bench.alerts if alert.code == "STOP_SHOWN_ENDED"]
    assert [(alert.severity, alert.subject) for alert in told] == [
        (Severity.WARNING, first.client_order_id),
        (Severity.CRITICAL, second.client_order_id),
    ]
    assert bench.stands("STOP_SHOWN_ENDED", second.client_order_id)
    shown(bench, second, None)
    seconds(bench, 3)
    assert not bench.stands("STOP_SHOWN_ENDED", second.client_order_id)
    shown(bench, second, BrokerStatus.REJECTED)
    seconds(bench, 3)
    assert len([alert for alert in bench.alerts if alert.severity is Severity.CRITICAL]) == 2, "told again"


def test_stop_shown_ended_after_ten_minutes_is_proven_and_placed_anew_again(bench: OrderBench) -> None:
    shown(bench, guarded(bench), BrokerStatus.EXPIRED)
    seconds(bench, 12)
    (second,) = [placed for placed in bench.broker.orders.values() if placed.status is BrokerStatus.TRIGGER_PENDING]
    bench.tick(600 * SECOND)
    shown(bench, second, BrokerStatus.EXPIRED)
    seconds(bench, 12)
    assert live(bench) == 50 and len(bench.broker.orders) == 4


def test_stops_that_the_exchange_does_end_are_placed_again_and_the_third_closes_the_position(bench: OrderBench) -> None:
    """Their cancel is refused, as there is nothing to cancel: the word was right, and nobody is left bare."""
    guarded(bench)
    for count in (1, 2):
        bench.broker.drop(next(p for p in bench.broker.orders.values() if p.status is BrokerStatus.TRIGGER_PENDING))
        seconds(bench, 12)
        assert live(bench) == 50 and len(bench.broker.orders) == 2 + count
    bench.broker.drop(next(p for p in bench.broker.orders.values() if p.status is BrokerStatus.TRIGGER_PENDING))
    seconds(bench, 12)
    assert "STOP_FAILED" in bench.codes()
    assert [goal.reason for goal in bench.machine.goals()] == ["3 stops did not stay at the broker"]


@pytest.mark.parametrize("books", [{}, {"positions": None}], ids=["read", "no positions"])
def test_cancel_without_an_answer_for_five_seconds_is_alerted_and_one_stop_replaces_it(
    bench: OrderBench, books: dict[str, object]
) -> None:
    stop = guarded(bench)
    bench.broker.drop(stop)
    seconds(bench, 5, answer=False, **books)
    assert "STOP_REPLACED" not in bench.codes()
    seconds(bench, 2, answer=False, **books)
    assert "STOP_REPLACED" in bench.codes()
    placed = [call for call in bench.calls if call.call is Call.PLACE]
    assert [(call.order.purpose, call.order.quantity) for call in placed] == [(Purpose.STOP, 50)]
    bench.accept(placed[0])
    bench.read()
    bench.tick(700 * SECOND)
    bench.broker.drop(next(p for p in bench.broker.orders.values() if p.status is BrokerStatus.TRIGGER_PENDING))
    seconds(bench, 30, answer=False, **books)
    assert [call for call in bench.calls if call.call is Call.PLACE] == [], "the one replacement is used"
    assert [alert.code for alert in bench.alerts].count("STOP_REPLACED") == 1
    assert bench.stands("STOP_SHOWN_ENDED", stops(bench, OrderState.ACCEPTED)[0].client_order_id)


def test_replaced_stop_that_lives_after_all_is_cancelled_and_one_is_left(bench: OrderBench) -> None:
    """The worst case of the replacement: for a while there are two."""
    stop = guarded(bench)
    shown(bench, stop, BrokerStatus.CANCELLED)
    seconds(bench, 8, answer=False)
    bench.accept(next(call for call in bench.calls if call.call is Call.PLACE))
    assert live(bench) == 100
    shown(bench, stop, None)
    for _ in range(40):
        bench.tick(1 * SECOND)
        for call in [call for call in bench.calls if call.order.client_order_id != stop.client_order_id]:
            bench.cancel(call) if call.call is Call.CANCEL else bench.accept(call)
        bench.read()
    assert live(bench) == 50


@pytest.mark.parametrize("answer", [True, False])
def test_exit_beside_a_stop_that_is_shown_ended_goes_out_and_leaves_nothing(bench: OrderBench, answer: bool) -> None:
    stop = guarded(bench)
    bench.broker.drop(stop)
    bench.read()
    bench.close("g1")
    seconds(bench, 8, answer=answer)
    exits = {order.client_order_id for order in bench.machine.orders() if order.purpose is Purpose.EXIT}
    out = [placed for placed in bench.broker.orders.values() if placed.open and placed.client_order_id in exits]
    assert len(exits) >= 1 and sum(placed.quantity for placed in out) <= 50
    settle(bench, 2)
    leaving = next(placed for placed in bench.broker.orders.values() if placed.open)
    bench.broker.trade(leaving, 50, 99.0)
    settle(bench)
    assert (bench.position().quantity, live(bench)) == (0, 0)


def test_stop_that_ends_where_a_position_book_may_lack_the_units_is_replaced_after_five_seconds() -> None:
    bench = OrderBench(OmsLimits(unlisted=replace(PLAIN, positions=PositionScope.PARTIAL)))
    bench.broker.net["NFO:OTHER", Product.MIS] = 0
    stop = guarded(bench)
    bench.broker.unlisted.add(A)
    bench.broker.drop(stop)
    seconds(bench, 3)
    assert live(bench) == 0
    seconds(bench, 6)
    assert live(bench) == 50 and "STOP_REPLACED" in bench.codes()


def test_router_killed_while_an_end_is_being_proven_asks_again_and_places_one(bench: OrderBench) -> None:
    stop = guarded(bench)
    bench.broker.drop(stop)
    bench.read()
    bench.crash()
    bench.see_mode()
    seconds(bench, 12)
    assert (live(bench), len(bench.broker.orders)) == (50, 3)
    assert state_digest(bench.replayed()) == state_digest(bench.machine)
