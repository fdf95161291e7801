"""Exits at brokers that answer failed reads as empty books, refusals as nothing known, and live orders as rejected."""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.oms import OmsLimits
from mytrading.messages.brokers import PLAIN, TradeQuantity
from mytrading.messages.enums import BrokerStatus, Call, OrderState, OrderType, Outcome, Purpose
from mytrading.messages.reports import ReadRequest
from tests.kit.fake_broker import MS, SECOND, OrderBench, Placed

PLAN = {"stop_trigger": 90.0, "stop_limit": 87.0}


def bench_of(**rules: object) -> OrderBench:
    return OrderBench(OmsLimits(unlisted=replace(PLAIN, **rules)))


def guarded(bench: OrderBench) -> Placed:
    """Fifty units held, and their stop at the broker."""
    bench.hold(**PLAN)
    stop = bench.accept()
    bench.read()
    return stop


def wait(bench: OrderBench, seconds: int) -> None:
    for _ in range(seconds):
        bench.tick(SECOND)
        bench.read()


def calls_of(bench: OrderBench, purpose: Purpose) -> list[Call]:
    return [call.call for call in bench.calls if call.order.purpose is purpose]


def test_stop_was_withdrawn_whose_end_an_empty_order_book_could_not_prove() -> None:
    bench = bench_of()
    stop = guarded(bench)
    bench.broker.empty = {"orders", "trades", "positions"}
    wait(bench, 3)
    bench.close("g1")
    wait(bench, 9)
    assert bench.calls == [] and stop.status is BrokerStatus.TRIGGER_PENDING
    (told,) = [alert for alert in bench.alerts if alert.code == "EXIT_WAITS"]
    assert "its stop stays meanwhile" in told.message
    bench.broker.empty = set()
    wait(bench, 1)
    assert calls_of(bench, Purpose.STOP) == [Call.CANCEL]


def unanswered(bench: OrderBench) -> None:
    """The stop is taken away, and the exit's answer says nothing of its fate; it was never placed."""
    bench.close("g1")
    bench.cancel()
    bench.tick(100 * MS)
    bench.read()
    (exit_call,) = [call for call in bench.calls if call.order.purpose is Purpose.EXIT]
    assert exit_call.order.order_type is OrderType.MARKET
    bench.end(exit_call, Outcome.UNKNOWN, message="HTTP 500: An unexpected error occurred")
    for _ in range(22):
        wait(bench, 1)
        for call in [call for call in bench.calls if call.order.purpose is Purpose.STOP]:
            bench.accept(call) if call.call is Call.PLACE else bench.cancel(call)  # until a price is known


def test_market_exit_whose_refusal_looks_like_nothing_is_followed_by_a_limit() -> None:
    """It was refused for its type twice, each time as an error without a reason, and then waited for a person."""
    for rules in ({"refusal_unclear": ("place",)}, {"refusal_is_success": ("place",)}):
        bench = bench_of(**rules)
        guarded(bench)
        unanswered(bench)
        (again,) = [call.order for call in bench.calls if call.order.purpose is Purpose.EXIT]
        assert (again.order_type, again.price) == (OrderType.LIMIT, 87.0), "the limit of the stop, without a quote"


def test_market_exit_of_unknown_fate_is_followed_by_market_where_refusals_are_clear() -> None:
    bench = bench_of()
    guarded(bench)
    unanswered(bench)
    (again,) = [call.order for call in bench.calls if call.order.purpose is Purpose.EXIT]
    assert again.order_type is OrderType.MARKET


def test_exit_went_beside_a_live_stop_that_is_shown_rejected_after_its_cancel_was_refused() -> None:
    bench = bench_of(live_ends=(BrokerStatus.REJECTED,))
    stop = guarded(bench)
    bench.close("g1")
    (cancel,) = bench.calls
    bench.end(cancel, Outcome.REFUSED, message="refused by the risk desk")
    bench.broker.untrue = {stop.id: BrokerStatus.REJECTED}
    wait(bench, 10)
    assert calls_of(bench, Purpose.EXIT) == []
    assert bench.machine.state.orders[stop.client_order_id].state is OrderState.ACCEPTED
    while bench.calls:
        bench.cancel(bench.calls[0])  # the next cancel is taken
    bench.broker.untrue = {}
    wait(bench, 2)
    assert calls_of(bench, Purpose.EXIT) == [Call.PLACE]


def test_stop_that_was_rejected_stayed_live_for_ever_after_a_refused_cancel_of_it() -> None:
    """The refusal named no reason: the position had no stop any more, and no exit of it was ever sent."""
    bench = bench_of(live_ends=(BrokerStatus.REJECTED,))
    stop = guarded(bench)
    bench.broker.drop(stop, BrokerStatus.REJECTED)
    wait(bench, 1)
    (cancel,) = bench.calls
    bench.end(cancel, Outcome.REFUSED)
    wait(bench, 2)
    assert bench.order(stop.client_order_id).state is OrderState.REJECTED
    assert calls_of(bench, Purpose.STOP) == [Call.PLACE]
    bench.accept()
    wait(bench, 1)
    bench.close("g1")
    bench.cancel()
    wait(bench, 2)
    assert calls_of(bench, Purpose.EXIT) == [Call.PLACE]


def test_stop_that_the_stream_called_rejected_after_its_cancel_was_refused_got_no_second_cancel() -> None:
    bench = bench_of(live_ends=(BrokerStatus.REJECTED,))
    stop = guarded(bench)
    bench.close("g1")
    (cancel,) = bench.calls
    bench.end(cancel, Outcome.REFUSED, message="refused by the risk desk")
    bench.report(stop, status=BrokerStatus.REJECTED)
    bench.broker.untrue = {stop.id: BrokerStatus.REJECTED}
    wait(bench, 10)
    assert calls_of(bench, Purpose.EXIT) == []
    assert [call.call for call in bench.calls] == [Call.CANCEL]
    bench.cancel(bench.calls[0])
    wait(bench, 2)
    assert calls_of(bench, Purpose.EXIT) == [Call.PLACE]


def test_second_fill_was_not_looked_for_where_trade_rows_carry_the_orders_quantity() -> None:
    """It stood without a stop until positions were next polled, a minute later."""
    rules = replace(PLAIN, trade_quantity=TradeQuantity.ORDER)
    bench = OrderBench(OmsLimits(unlisted=rules), names_filled=False, trade_rows="order")
    bench.read()
    bench.enter("e1", quantity=100, order_type=OrderType.LIMIT, price=100.0, **PLAN)
    entry = bench.accept()
    bench.broker.trade(entry, 30, 100.0)
    for _ in range(3):
        wait(bench, 1)
        bench.answer_calls()
    assert bench.position().quantity == 30
    bench.broker.trade(entry, 20, 100.0)
    bench.tick(SECOND)
    (row,) = bench.broker.books(bench.time).trades or ()
    rows = bench.read(trades=(replace(row, quantity=200),), positions=None)
    assert [row.positions for row in rows if isinstance(row, ReadRequest)] == [True]
    for _ in range(3):
        wait(bench, 1)
        bench.answer_calls()
    assert bench.position().quantity == 50
