"""The venue's own square-off: nothing of ours crosses it, its fills are booked as such, and reads follow it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mytrading.core.gateway.outcomes import result_of
from mytrading.core.oms import OmsLimits
from mytrading.core.orders.state_machine import ModifyRules
from mytrading.messages.commands import PriceUnits
from mytrading.messages.enums import OrderState, OrderType, Outcome, Product, Purpose, Side
from mytrading.messages.orders import Order, PositionAdjusted, RequestAnswered, TradeClosed
from mytrading.messages.reports import ReadRequest
from tests.kit.fake_broker import SECOND, OrderBench
from tests.kit.oms_protection import guarded, settle, stops
from tests.kit.state_digest import state_digest

PLAN = {"stop_trigger": 90.0, "stop_limit": 87.0}


@pytest.fixture
def bench() -> OrderBench:
    """50 held with a stop, 25 seconds before the venue closes it."""
    made = OrderBench()
    made.check_purity = True
    made.hold("e1", **PLAN)
    made.accept()
    made.read()
    made.tick(SECOND)
    made.squares_off_ns = made.now + 25 * SECOND
    return made


def venue_closes(bench: OrderBench, price: float = 104.0) -> None:
    """The venue cancels what rests and sells what is held, by an order of its own."""
    for placed in list(bench.broker.orders.values()):
        bench.broker.drop(placed)
    theirs = replace(bench.order("e1"), client_order_id="AUTO_SQUARE_OFF", side=Side.SELL)
    sold = bench.broker.place(theirs, bench.time, bench.time)
    bench.broker.trade(sold, 50, price)


def test_nothing_of_mis_is_sent_from_half_a_minute_before_the_venue_closes(bench: OrderBench) -> None:
    bench.enter("e2", instrument="NFO:B")
    bench.close("g1")
    for _ in range(20):
        bench.tick(SECOND)
        bench.read()
    assert bench.calls == []
    assert bench.order("e2").state is OrderState.DENIED and "SQUARE_OFF" in bench.order("e2").message
    assert [o.state for o in bench.machine.orders() if o.purpose is Purpose.STOP] == [OrderState.ACCEPTED]


def test_other_products_go_on_meanwhile(bench: OrderBench) -> None:
    bench.enter("e2", instrument="NFO:B", product=Product.NRML)
    assert [call.order.client_order_id for call in bench.calls] == ["e2"]


def test_earlier_than_that_exits_go_out(bench: OrderBench) -> None:
    bench.squares_off_ns = bench.now + 60 * SECOND
    bench.close("g1")
    assert [call.order.purpose for call in bench.calls] == [Purpose.STOP]


def stop_of(bench: OrderBench) -> Order:
    (found,) = [order for order in bench.machine.orders() if order.purpose is Purpose.STOP]
    return found


def released(bench: OrderBench) -> bool:
    (level,) = bench.machine.state.protections.sorted_values()
    raised = [alert.subject for alert in bench.alerts if alert.code == "STOP_RELEASED"]
    stands = any(bench.stands("STOP_RELEASED", subject) for subject in raised)
    assert stands == (level.state == "released")
    return stands


def answers(bench: OrderBench) -> list[RequestAnswered]:
    return [row for row in bench.rows if isinstance(row, RequestAnswered)]


WHY = "nothing is sent for MIS any more today, as the venue closes these positions itself, and cancels the orders"


def test_forced_cancel_of_a_stop_is_refused_at_once_and_releases_nothing(bench: OrderBench) -> None:
    stop = stop_of(bench)
    bench.ask_cancel(stop.client_order_id, force=True, reason="I watch it myself")
    found = result_of(bench.order(stop.client_order_id), [], stop_of(bench).links.request, cancel=True)
    assert found.word == "refused" and found.text.startswith(WHY), found
    assert not released(bench) and "STOP_RELEASED" not in bench.codes()
    assert bench.calls == [] and not stop_of(bench).evidence.cancel.wanted
    bench.tick(26 * SECOND)
    venue_closes(bench)
    for _ in range(8):
        bench.tick(3 * SECOND)
        bench.read()
    assert bench.position().quantity == 0
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


@pytest.mark.parametrize("outcome", [Outcome.NOT_SENT, Outcome.RATE_LIMITED])
def test_forced_cancel_whose_call_did_not_leave_before_the_silence_is_refused_and_the_stop_guards_again(
    bench: OrderBench, outcome: Outcome
) -> None:
    bench.squares_off_ns = bench.now + 31 * SECOND
    stop = stop_of(bench)
    bench.ask_cancel(stop.client_order_id, force=True, reason="I watch it myself")
    request = stop_of(bench).links.request
    assert released(bench)
    bench.end(bench.calls[0], outcome)
    bench.squares_off_ns = bench.now
    bench.tick(SECOND)
    (answer,) = answers(bench)
    assert (answer.id, answer.ok) == (request, False) and answer.message.startswith(WHY)
    assert not released(bench) and not stop_of(bench).evidence.cancel.wanted
    for _ in range(3):
        bench.tick(SECOND)
        bench.read()
    assert bench.calls == [] and answers(bench) == [answer]
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_forced_cancel_that_was_sent_before_the_silence_ends_the_stop_in_it(bench: OrderBench) -> None:
    bench.squares_off_ns = bench.now + 31 * SECOND
    bench.ask_cancel(stop_of(bench).client_order_id, force=True, reason="I watch it myself")
    bench.squares_off_ns = bench.now
    bench.tick(SECOND)
    assert released(bench)
    bench.cancel()
    for _ in range(3):
        bench.tick(SECOND)
        bench.read()
    assert released(bench) and stop_of(bench).state is OrderState.CANCELLED and bench.calls == []


def test_forced_cancel_that_the_silence_overtook_leaves_the_position_released_where_another_stop_is_gone() -> None:
    bench = OrderBench()
    guarded(bench)
    bench.enter("e2", **PLAN)
    second = bench.accept()
    bench.broker.trade(second, 50, 100.0)
    bench.report(second)
    bench.accept()
    settle(bench, 3)
    first, other = (order.client_order_id for order in stops(bench))
    bench.ask_cancel(first, force=True, reason="by hand")
    settle(bench, 3)
    assert bench.order(first).state is OrderState.CANCELLED and released(bench)
    bench.ask_cancel(other, force=True, reason="by hand")
    bench.end(bench.calls[0], Outcome.NOT_SENT)
    bench.squares_off_ns = bench.now
    bench.tick(SECOND)
    assert not answers(bench)[-1].ok and not bench.order(other).evidence.cancel.wanted and released(bench)


def test_cancel_of_an_entry_is_refused_at_once_and_what_becomes_of_it_is_read() -> None:
    bench = OrderBench()
    bench.read()
    bench.enter("e1", order_type=OrderType.LIMIT, price=100.0)
    placed = bench.accept()
    bench.read()
    bench.squares_off_ns = bench.now
    bench.ask_cancel("e1")
    found = result_of(bench.order("e1"), [], bench.order("e1").links.request, cancel=True)
    assert found.word == "refused" and found.text.startswith(WHY)
    bench.tick(SECOND)
    assert bench.calls == [] and bench.order("e1").state is OrderState.ACCEPTED
    bench.broker.drop(placed)
    for _ in range(6):
        bench.tick(3 * SECOND)
        bench.read()
    assert bench.order("e1").state is OrderState.CANCELLED


@pytest.mark.parametrize("asked", ["cancel", "modify"])
def test_request_for_an_entry_whose_call_did_not_leave_before_the_silence_is_refused(asked: str) -> None:
    bench = OrderBench()
    bench.read()
    bench.enter("e1", order_type=OrderType.LIMIT, price=100.0)
    bench.accept()
    bench.read()
    if asked == "cancel":
        bench.ask_cancel("e1")
    else:
        bench.ask_modify("e1", price=101.0)
    bench.end(bench.calls[0], Outcome.NOT_SENT)
    bench.squares_off_ns = bench.now
    bench.tick(SECOND)
    (answer,) = answers(bench)
    assert (answer.id, answer.ok) == (bench.order("e1").links.request, False) and "nothing is sent" in answer.message
    evidence = bench.order("e1").evidence
    assert not evidence.cancel.wanted and evidence.modify.wanted is None and bench.calls == []


@pytest.mark.parametrize("in_place", [True, False])
def test_move_of_a_stop_whose_call_did_not_leave_before_the_silence_is_refused_and_the_level_stays(
    in_place: bool,
) -> None:
    bench = OrderBench(OmsLimits(modify=ModifyRules(in_place=in_place)))
    stop = guarded(bench)
    name = stop_of(bench).client_order_id
    bench.ask_modify(name, trigger_price=92.0)
    bench.tick()
    bench.end(bench.calls[0], Outcome.NOT_SENT)
    bench.squares_off_ns = bench.now
    bench.tick(SECOND)
    (answer,) = answers(bench)
    assert (answer.id, answer.ok) == (bench.order(name).links.request, False) and "nothing is sent" in answer.message
    (level,) = bench.machine.state.protections.sorted_values()
    assert (level.trigger, level.moving, level.state, stop.open) == (90.0, None, "open", True)
    evidence = bench.order(name).evidence
    assert not evidence.cancel.wanted and evidence.modify.wanted is None and bench.calls == []


def test_fills_of_the_venue_are_booked_as_such_with_their_profit(bench: OrderBench) -> None:
    bench.close("g1")
    bench.tick(26 * SECOND)
    venue_closes(bench)
    for _ in range(8):
        bench.tick(3 * SECOND)
        bench.read()
    (booked,) = [row for row in bench.rows if isinstance(row, PositionAdjusted)]
    assert (booked.cause, booked.quantity, booked.price) == ("venue_square_off", -50, 104.0)
    assert (bench.position().quantity, bench.position().quantity_seen, bench.position().realised) == (0, 0, 200.0)
    (trade,) = [row for row in bench.rows if isinstance(row, TradeClosed)]
    assert (trade.realised, trade.exit_price) == (200.0, 104.0)
    assert [goal.state for goal in bench.machine.goals()] == ["done"]
    assert not bench.calls and "VENUE_SQUARE_OFF" in bench.codes() and "POSITION_CORRECTED" not in bench.codes()
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_profit_waits_for_the_price_of_risk_where_the_trade_book_tells_none(bench: OrderBench) -> None:
    bench.tick(26 * SECOND)
    venue_closes(bench)
    for _ in range(8):
        bench.tick(3 * SECOND)
        known = tuple(row for row in bench.broker.books(bench.time).trades or () if row.side is Side.BUY)
        bench.read(trades=known)
    assert (bench.position().quantity, bench.position().realised_estimated) == (0, True)
    assert "marked as a guess" in next(alert.message for alert in bench.alerts if alert.code == "VENUE_SQUARE_OFF")
    (gone,) = bench.machine.state.gone
    bench.step(PriceUnits(id="p1", gone=gone, account="main", price=104.0))
    assert (bench.position().realised, bench.position().realised_estimated) == (200.0, True), "50 units, 4 rupees each"


def test_books_are_asked_for_until_the_venue_has_closed(bench: OrderBench) -> None:
    asked = len([row for row in bench.rows if isinstance(row, ReadRequest)])
    for _ in range(20):
        bench.tick(SECOND)
        bench.read()
    wanted = [row for row in bench.rows if isinstance(row, ReadRequest)][asked:]
    assert len(wanted) >= 3 and all(row.positions for row in wanted)


def test_what_somebody_closes_at_another_hour_is_a_correction(bench: OrderBench) -> None:
    bench.squares_off_ns = 0
    venue_closes(bench)
    for _ in range(12):
        bench.tick(3 * SECOND)
        if bench.calls:
            bench.end(bench.calls[0], Outcome.REFUSED)
        bench.read()
    assert "POSITION_CORRECTED" in bench.codes() and "VENUE_SQUARE_OFF" not in bench.codes()
