"""Moves of a stop that an operator asks for in a closed session: kept over the night, and made once at the open."""

from __future__ import annotations

import pytest

from mytrading.core.gateway.outcomes import RequestResult, result_of
from mytrading.messages.control import ModifyRequested
from mytrading.messages.enums import Call, OrderState, Outcome, Product
from mytrading.messages.journal_rows import DayOpened
from mytrading.messages.orders import TRIGGER_CROSSED, Protection, RequestAnswered
from tests.kit.fake_broker import SECOND, OrderBench
from tests.kit.oms_protection import PLAN, settle, stops

DAYS = ("1970-01-01", "1970-01-02", "1970-01-03")
"""The bench's first day, and the next ones."""
DAY = 86_400 * SECOND


@pytest.fixture
def bench() -> OrderBench:
    """Fifty carried units with a stop at 90, after the close."""
    made = OrderBench()
    made.check_purity = True
    made.hold("e1", product=Product.NRML, **PLAN)
    made.accept()
    made.read()
    made.tick(2 * SECOND)
    made.session_open = False
    return made


def level(bench: OrderBench) -> Protection:
    (found,) = bench.machine.state.protections.sorted_values()
    return found


def answers(bench: OrderBench, request: str) -> list[RequestAnswered]:
    return [row for row in bench.rows if isinstance(row, RequestAnswered) and row.id == request]


def result(bench: OrderBench, name: str, request: str) -> RequestResult:
    answer = next(iter(answers(bench, request)), None)
    order = bench.order(name)
    return result_of(
        order, bench.machine.orders(), request, cancel=False, answer=answer,
        level=bench.machine.state.protections.get(order.owner), held="" if bench.session_open else "closed",
    )  # fmt: skip


def move(bench: OrderBench, name: str, trigger: float = 92.0) -> str:
    """Ask for another trigger; returns the id of the request."""
    bench.ask_modify(name, trigger_price=trigger)
    return bench.order(name).links.request


def resting(bench: OrderBench) -> list[float]:
    """Triggers of the stops at the broker."""
    return [placed.trigger_price for placed in bench.broker.orders.values() if placed.open]


def next_day(bench: OrderBench, day: str = DAYS[1]) -> None:
    """The night passes: the broker's orders end with their day, and its books begin anew."""
    bench.time += DAY
    bench.broker.orders.clear()
    bench.open_day(day)


def opens(bench: OrderBench) -> None:
    bench.session_open = True
    settle(bench, 4)


@pytest.mark.parametrize("ended", [False, True], ids=["the stop rests in the evening", "the stop ended in the evening"])
@pytest.mark.parametrize("killed", [False, True])
def test_move_asked_for_after_the_close_is_made_once_at_the_open_of_the_next_day(
    bench: OrderBench, ended: bool, killed: bool
) -> None:
    name = stops(bench)[0].client_order_id
    request = move(bench, name)
    assert result(bench, name, request).word == "scheduled"
    if killed:
        bench.crash()
    if ended:
        bench.broker.drop(bench.broker.orders["B2"])
        settle(bench, 8)
        assert bench.order(name).state is OrderState.CANCELLED
    next_day(bench)
    if killed:
        bench.crash()
    assert result(bench, name, request).word == "scheduled"
    assert bench.step(ModifyRequested(id=request, order=name, at_ns=bench.now, trigger_price=92.0)) == []
    assert (level(bench).trigger, bench.calls) == (90.0, [])
    settle(bench, 2)
    opens(bench)
    assert resting(bench) == [92.0] and sum(bench.broker.placements.values()) == 3
    assert (level(bench).trigger, level(bench).limit, level(bench).moving) == (92.0, 89.0, None)
    assert result(bench, name, request).word == "replaced"
    assert "STOP_NOT_MOVED" not in bench.codes() and "STOP_FAILED" not in bench.codes()


def test_move_is_not_sent_for_a_stop_of_yesterday_whose_end_no_book_of_today_has_shown(bench: OrderBench) -> None:
    """A stack that starts after the open knows its stop as resting until the second read: the broker would refuse."""
    name = stops(bench)[0].client_order_id
    request = move(bench, name)
    next_day(bench)
    bench.session_open = True
    bench.tick(SECOND)
    assert [call for call in bench.calls if call.call is Call.MODIFY] == []
    opens(bench)
    assert resting(bench) == [92.0] and result(bench, name, request).word == "replaced"


def test_change_that_was_not_sent_before_the_close_is_made_by_the_stop_of_the_next_day(bench: OrderBench) -> None:
    bench.session_open = True
    name = stops(bench)[0].client_order_id
    request = move(bench, name)
    bench.end(bench.calls[0], Outcome.NOT_SENT)
    bench.session_open = False
    next_day(bench)
    bench.session_open = True
    for _ in range(3):
        bench.tick(SECOND)
        assert [call for call in bench.calls if call.call is Call.MODIFY] == []
    opens(bench)
    assert resting(bench) == [92.0] and level(bench).trigger == 92.0
    assert result(bench, name, request).word == "replaced"


def test_move_over_night_whose_trigger_the_price_has_passed_is_answered_once_and_the_old_level_rests(
    bench: OrderBench,
) -> None:
    name = stops(bench)[0].client_order_id
    request = move(bench, name, 99.0)
    bench.broker.drop(bench.broker.orders["B2"])
    settle(bench, 8)
    next_day(bench)
    settle(bench, 2)
    bench.session_open = True
    bench.tick(SECOND)
    (call,) = bench.calls
    assert call.order.trigger_price == 99.0
    bench.end(call, Outcome.REFUSED, message=f"{TRIGGER_CROSSED}trigger price is above the last price")
    settle(bench, 4)
    assert resting(bench) == [90.0] and bench.machine.goals() == []
    (answer,) = answers(bench, request)
    assert not answer.ok and "trigger 90 (limit 87) is placed again" in answer.message
    assert result(bench, name, request).word == "refused"


@pytest.mark.parametrize("trigger", [90.0, 93.0])
def test_move_over_night_is_withdrawn_or_replaced_on_the_next_day_before_the_open(
    bench: OrderBench, trigger: float
) -> None:
    name = stops(bench)[0].client_order_id
    first = move(bench, name)
    bench.broker.drop(bench.broker.orders["B2"])
    settle(bench, 8)
    next_day(bench)
    second = move(bench, name, trigger)
    assert second != first and "REQUEST_UNKNOWN" not in bench.codes()
    (answer,) = answers(bench, first)
    assert answer.message == "a later request took its place"
    settle(bench, 2)
    opens(bench)
    assert resting(bench) == [trigger]


def test_stop_of_yesterday_is_carried_as_long_as_a_move_of_it_waits(bench: OrderBench) -> None:
    name = stops(bench)[0].client_order_id
    request = move(bench, name)
    bench.broker.drop(bench.broker.orders["B2"])
    settle(bench, 8)
    for day in DAYS[1:]:  # a holiday between
        next_day(bench, day)
        (opened,) = [row for row in bench.journal if isinstance(row, DayOpened)]
        assert name in [order.client_order_id for order in opened.orders]
        assert result(bench, name, request).word == "scheduled"
    settle(bench, 2)
    opens(bench)
    assert resting(bench) == [92.0]
    next_day(bench, "1970-01-04")
    assert name not in bench.machine.state.orders
