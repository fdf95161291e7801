"""Trade books that count orders, bear other ids or name no price: how much has filled then, and what it cost.

The forms are those of brokers behind OpenAlgo: XTS and Noren repeat the order's quantity on each trade row, 5paisa and
IndMoney name the exchange's id, Angel no quantity, Wisdom a price of 0.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.oms import OmsLimits
from mytrading.messages.brokers import UNLISTED, BrokerRules, PositionScope, TradeOrderId, TradeQuantity
from mytrading.messages.enums import BrokerStatus, Call, OrderState, OrderType, Outcome, Product, Purpose, Side
from mytrading.messages.orders import PositionAdjusted, PositionChanged
from tests.kit.fake_broker import SECOND, OrderBench, Placed
from tests.kit.state_digest import state_digest

PLAN = {"stop_trigger": 90.0, "stop_limit": 87.0, "reference_price": 99.0}
A = ("NFO:A", Product.MIS)
WHOLE = {"positions": PositionScope.NET}
ROWS_OF_ORDERS = BrokerRules(
    name="rows", trade_quantity=TradeQuantity.ORDER, trade_order_id=TradeOrderId.ORDER, positions=PositionScope.NET
)
EXCHANGE_IDS = BrokerRules(
    name="ids", trade_quantity=TradeQuantity.FILL, trade_order_id=TradeOrderId.EXCHANGE, positions=PositionScope.NET
)
FORMS: dict[str, tuple[BrokerRules, dict[str, Any]]] = {
    "order's quantity": (ROWS_OF_ORDERS, {"trade_rows": "order"}),
    "order's quantity, not in the table": (UNLISTED, {"trade_rows": "order"}),
    "exchange's id": (EXCHANGE_IDS, {"exchange_ids": True}),
    "exchange's id, not in the table": (UNLISTED, {"exchange_ids": True}),
    "no quantity": (UNLISTED, {"trade_rows": "none"}),
    "no price": (UNLISTED, {"names_price": False}),
}


def bench_of(form: str) -> OrderBench:
    rules, broker = FORMS[form]
    bench = OrderBench(OmsLimits(unlisted=rules), names_filled=False, **broker)
    bench.check_purity = True
    bench.read()
    return bench


def go_on(bench: OrderBench, seconds: int, **fields: Any) -> None:
    """Time passes, calls of stops are taken, and the books are read each second."""
    for _ in range(seconds):
        bench.tick(1 * SECOND)
        for call in [call for call in bench.calls if call.order.purpose is Purpose.STOP]:
            {Call.PLACE: bench.accept, Call.MODIFY: bench.modify, Call.CANCEL: bench.cancel}[call.call](call)
        bench.read(**fields)


def resting_stops(bench: OrderBench) -> int:
    return sum(p.quantity for p in bench.broker.orders.values() if p.order_type is OrderType.SL and p.open)


def part_filled(bench: OrderBench, units: int = 30) -> Placed:
    bench.enter("e1", 100, order_type=OrderType.LIMIT, price=100.0, **PLAN)
    entry = bench.accept()
    bench.broker.trade(entry, units, 100.0)
    return entry


@pytest.mark.parametrize("form", FORMS)
def test_part_fill_counted_as_the_whole_order_and_its_stop_was_larger_than_what_is_held(form: str) -> None:
    """LIMIT 100, thirty filled, a trade row of 100: it was FILLED 100 with a stop for 100, net -70 after that stop."""
    bench = bench_of(form)
    entry = part_filled(bench)
    go_on(bench, 5)
    assert (bench.order("e1").state, bench.order("e1").filled) == (OrderState.PARTIALLY_FILLED, 30)
    assert (bench.position().quantity, bench.position().quantity_seen, resting_stops(bench)) == (30, 30, 30)
    bench.broker.trade(entry, 70, 100.0)
    go_on(bench, 5)
    assert bench.order("e1").state is OrderState.FILLED
    assert (bench.position().quantity, resting_stops(bench)) == (100, 100)
    assert not bench.codes() & {"POSITION_DISPUTED", "POSITION_CORRECTED", "ORDER_ILLEGAL"}
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


@pytest.mark.parametrize("form", FORMS)
def test_part_fill_is_guarded_by_the_first_position_book_that_shows_it(form: str) -> None:
    bench = bench_of(form)
    part_filled(bench)
    bench.read()
    assert (bench.position().quantity_seen, bench.position().quantity) == (30, 0), "one sighting protects"
    assert [call.order.quantity for call in bench.calls] == [30]


@pytest.mark.parametrize("form", FORMS)
def test_part_fill_without_a_position_book_guards_nothing_and_asks_for_one(form: str) -> None:
    bench = bench_of(form)
    part_filled(bench)
    go_on(bench, 2, positions=None)
    assert bench.order("e1").filled_seen == 0 and resting_stops(bench) == 0


@pytest.mark.parametrize("form", FORMS)
def test_entry_was_never_confirmed_by_a_trade_book_that_does_not_know_it(form: str) -> None:
    """Without a stream: the order's end and the position book are two sources."""
    bench = bench_of(form)
    part_filled(bench, 100)
    bench.read()
    assert (bench.order("e1").state, bench.position().quantity) == (OrderState.FILLED, 100)
    go_on(bench, 2)
    bench.close("g1")
    go_on(bench, 3)
    leaving = bench.accept()
    assert (leaving.order_type, leaving.quantity) == (OrderType.MARKET, 100)
    bench.broker.trade(leaving, 100, 101.0)
    go_on(bench, 3)
    assert bench.position().quantity == 0 and [goal.state for goal in bench.machine.goals()] == ["done"]
    assert not bench.codes() & {"POSITION_DISPUTED", "POSITION_CORRECTED", "ORDER_ILLEGAL"}


@pytest.mark.parametrize("form", FORMS)
def test_rest_that_is_cancelled_after_a_part_fill_leaves_what_positions_show(form: str) -> None:
    bench = bench_of(form)
    part_filled(bench)
    go_on(bench, 3)
    bench.ask_cancel("e1")
    bench.cancel()
    go_on(bench, 4)
    assert (bench.order("e1").state, bench.order("e1").filled) == (OrderState.CANCELLED, 30)
    assert (bench.position().quantity, resting_stops(bench)) == (30, 30)


@pytest.mark.parametrize("form", FORMS)
def test_stop_that_fills_in_part_is_counted_by_the_position_book(form: str) -> None:
    bench = bench_of(form)
    part_filled(bench, 100)
    go_on(bench, 3)
    stop = next(p for p in bench.broker.orders.values() if p.order_type is OrderType.SL)
    bench.broker.trigger(stop)
    bench.broker.trade(stop, 40, 89.0)
    go_on(bench, 3)
    assert (bench.position().quantity, bench.position().quantity_seen) == (60, 60)
    bench.broker.trade(stop, 60, 89.0)
    go_on(bench, 3)
    assert bench.position().quantity == 0 == bench.position().quantity_seen


@pytest.mark.parametrize("form", FORMS)
def test_units_of_a_stranger_are_not_taken_for_the_fill_of_an_order_that_rests(form: str) -> None:
    """A person buys forty at the terminal while our order rests: they are nobody's, and no stop is placed for them."""
    bench = bench_of(form)
    bench.enter("e1", 100, order_type=OrderType.LIMIT, price=100.0, **PLAN)
    bench.accept()
    go_on(bench, 2)
    bench.broker.by_hand(40)
    go_on(bench, 12)
    assert bench.order("e1").filled_seen == 0 and resting_stops(bench) == 0


def test_two_entries_that_rest_share_what_the_position_book_shows_as_an_interval() -> None:
    """Either may have filled: nothing is certain of one of them before its own row says so."""
    bench = bench_of("order's quantity")
    for name in ("e1", "e2"):
        bench.enter(name, 50, order_type=OrderType.LIMIT, price=100.0, **PLAN)
    first, _second = bench.accept(), bench.accept()
    bench.broker.trade(first, 50, 100.0)
    bench.read()
    assert (bench.order("e1").filled, bench.order("e2").filled_seen) == (50, 0)
    bench.broker.trade(_second, 20, 100.0)
    go_on(bench, 3)
    assert (bench.order("e2").filled, bench.position().quantity, resting_stops(bench)) == (20, 70, 70)


@pytest.mark.parametrize("source", ["orders, positions", "stream, positions", "stream, orders"])
def test_exit_took_the_stop_away_and_was_never_sent_while_the_trade_book_named_no_price(source: str) -> None:
    """A trade book with prices of 0 confirmed nothing: the exit cancelled the stop, and nothing followed."""
    bench = OrderBench(names_filled=False, names_price=False, averages="positions" in source)
    bench.check_purity = True
    bench.read()
    bench.enter("e1", 50, **PLAN)
    entry = bench.accept()
    bench.broker.trade(entry, 50, 100.0)
    if "stream" in source:
        bench.report(entry, average_price=None)
    hidden = {} if "positions" in source else {"positions": None}
    bench.read(**hidden)
    go_on(bench, 2, **hidden)
    held = bench.position()
    assert (held.quantity, held.price_estimated, resting_stops(bench)) == (50, True, 50)
    assert held.average_price == (100.0 if "positions" in source else 99.0)
    bench.close("g1")
    go_on(bench, 22 if hidden else 2, **hidden)  # a position book that does not answer holds it back for 20 s
    (call,) = bench.calls
    assert (call.order.purpose, call.order.quantity) == (Purpose.EXIT, 50)


def test_estimated_price_is_corrected_when_the_real_one_comes() -> None:
    bench = OrderBench(names_price=False)
    bench.read()
    bench.enter("e1", 50, **PLAN)
    entry = bench.accept()
    bench.broker.trade(entry, 50, 101.0)
    bench.read()
    assert (bench.position().average_price, bench.position().price_estimated) == (99.0, True)
    bench.broker.names_price = True
    bench.read()
    assert (bench.position().average_price, bench.position().price_estimated) == (101.0, False)
    assert bench.position().trip_value == 5050.0
    changes = [row for row in bench.rows if isinstance(row, PositionAdjusted)]
    assert [row.cause for row in changes] == ["correction"] and bench.position().quantity == 50
    assert sum(row.fill_quantity for row in bench.rows if isinstance(row, PositionChanged)) == 50
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_empty_position_book_bears_out_no_exit() -> None:
    """An empty book may be a failed read: it shows no units gone."""
    bench = bench_of("exchange's id")
    part_filled(bench, 100)
    bench.read()
    go_on(bench, 2)
    bench.close("g1")
    go_on(bench, 3)
    leaving = bench.accept()
    shown = bench.broker.books(bench.time)
    rows = tuple(
        replace(row, status=BrokerStatus.COMPLETE) if row.broker_order_id == leaving.id else row
        for row in shown.orders or ()
    )
    bench.read(shown, orders=rows, positions=())
    assert bench.position().quantity == 100 and leaving.side is Side.SELL


@pytest.mark.parametrize("form", ["order's quantity", "order's quantity, not in the table"])
def test_exit_that_filled_in_part_and_was_cancelled_was_sent_again_for_all_of_it(form: str) -> None:
    """Its row names no units and the position book fails: a trade of it says that something has left."""
    bench = bench_of(form)
    part_filled(bench, 100)
    go_on(bench, 3)
    bench.close("g1")
    go_on(bench, 3)
    leaving = bench.accept()
    bench.broker.trade(leaving, 40, 100.0)
    go_on(bench, 6, positions=None)  # it rests too long
    bench.cancel()
    go_on(bench, 20, positions=None)
    assert not [call for call in bench.calls if call.order.purpose is Purpose.EXIT]
    go_on(bench, 4)
    assert [call.order.quantity for call in bench.calls if call.order.purpose is Purpose.EXIT] == [60]


def read_without_averages(bench: OrderBench) -> None:
    """A read whose order rows name no average price, as those of nearly all brokers."""
    bench.tick(SECOND)
    rows = tuple(replace(row, average_price=None) for row in bench.broker.books(bench.time).orders or ())
    bench.read(orders=rows)


def sold_at_99(bench: OrderBench, *, stream: bool) -> float:
    """Fifty bought at 100 and sold at 99; the profit that is booked."""
    bench.read()
    bench.enter("e1")
    placed = bench.accept()
    bench.broker.trade(placed, 50, 100.0)
    if stream:
        bench.report(placed)
    for _ in range(8):
        read_without_averages(bench)
    bench.close("g1")
    sold = bench.accept()
    bench.broker.trade(sold, 50, 99.0)
    if stream:
        bench.report(sold)
    for _ in range(20):
        read_without_averages(bench)
    assert bench.position().quantity == 0
    return bench.position().realised


def test_exit_was_booked_at_the_entrys_price_though_the_order_update_had_named_its_own() -> None:
    """Realised profit stood at 0, and the day's loss limit saw nothing."""
    bench = OrderBench(OmsLimits(unlisted=ROWS_OF_ORDERS), names_filled=False, trade_rows="none")
    assert sold_at_99(bench, stream=True) == pytest.approx(-50.0)


def test_exit_was_booked_at_the_entrys_price_though_a_trade_under_the_exchanges_id_could_only_be_its_own() -> None:
    bench = OrderBench(OmsLimits(unlisted=EXCHANGE_IDS), names_filled=False, exchange_ids=True)
    assert sold_at_99(bench, stream=False) == pytest.approx(-50.0)


def held_unseen(form: str) -> tuple[OrderBench, Placed]:
    """Fifty units bought whole and guarded, which order book and stream tell of; the position book lags and has 0."""
    bench = bench_of(form)
    bench.broker.net[A] = 0
    lagging = bench.broker.books(bench.time).positions
    bench.enter("e1", 50, **PLAN)
    entry = bench.accept()
    bench.broker.trade(entry, 50, 100.0)
    bench.report(entry)
    bench.read(positions=lagging)
    stop = bench.accept()
    bench.read(positions=lagging)
    assert bench.position().quantity == 50
    return bench, stop


@pytest.mark.parametrize("form", FORMS)
def test_stop_that_filled_in_part_was_whole_by_a_position_book_that_had_never_shown_its_units(form: str) -> None:
    """Twenty of fifty were sold; the book still said 0, and the thirty left had no owner here and no stop."""
    bench, stop = held_unseen(form)
    bench.broker.trigger(stop)
    bench.broker.trade(stop, 20, 90.0)
    bench.broker.net[A], there = 0, bench.broker.net[A]
    go_on(bench, 3)
    assert bench.order(stop.client_order_id).filled in (0, 20), "never more than was sold"
    assert bench.position().quantity >= 30
    bench.broker.net[A] = there
    go_on(bench, 6)
    if form != "exchange's id, not in the table":  # nothing there names the stop as the one that traded
        assert (bench.order(stop.client_order_id).filled, bench.position().quantity) == (20, 30)


def test_units_that_a_person_sold_stayed_owned_where_trades_bear_another_id() -> None:
    """Each trade of ours counted as a stranger's too: seven units more were guarded than held, for the whole day."""
    bench = bench_of("exchange's id")
    bench.enter("e1", 50, **PLAN)
    entry = bench.accept()
    bench.broker.trade(entry, 50, 100.0)
    bench.report(entry)
    go_on(bench, 3)
    assert (bench.position().quantity, resting_stops(bench)) == (50, 50)
    bench.broker.by_hand(43)
    go_on(bench, 30)
    assert (bench.position().quantity, resting_stops(bench)) == (43, 43)


def test_fill_of_an_exit_was_withdrawn_by_a_lagging_net_while_its_trade_stood_under_another_id() -> None:
    """Thirty of fifty had been sold; the next exit was for all fifty, and thirty were short after it."""
    bench = bench_of("exchange's id")
    bench.enter("e1", 50, reference_price=99.0)
    entry = bench.accept()
    bench.broker.trade(entry, 50, 100.0)
    bench.report(entry)
    go_on(bench, 3)
    lagging = bench.broker.books(bench.time).positions
    bench.close("g1")
    leaving = bench.accept()
    bench.broker.trade(leaving, 30, 100.0)
    bench.report(leaving)
    go_on(bench, 2, positions=lagging)
    for _ in range(8):
        for call in [call for call in bench.calls if call.call is Call.CANCEL]:
            bench.cancel(call)
        go_on(bench, 1, positions=lagging)
    assert leaving.status is BrokerStatus.CANCELLED, "it rested too long"
    assert "FILL_WITHDRAWN" not in bench.codes()
    assert all(call.order.quantity <= 20 for call in bench.calls)
    go_on(bench, 4)
    assert bench.position().quantity == 20
    assert [call.order.quantity for call in bench.calls if call.call is Call.PLACE] == [20]


def test_exit_ended_without_its_fill_while_one_of_unknown_fate_might_have_made_it() -> None:
    """Twenty of fifty had been sold when it was cancelled, and fifty were sold once more after it."""
    bench = bench_of("exchange's id")
    for name, strategy in (("e1", "s1"), ("e2", "s2")):
        bench.enter(name, 50, strategy=strategy, reference_price=99.0)
        entry = bench.accept()
        bench.broker.trade(entry, 50, 100.0)
        bench.report(entry)
        go_on(bench, 3)
    bench.close("g2", strategy="s2")
    bench.end(bench.calls[0], Outcome.UNKNOWN)
    bench.close("g1")
    leaving = bench.accept()
    bench.broker.trade(leaving, 20, 100.0)
    bench.broker.drop(leaving)
    go_on(bench, 12)
    ended = bench.order(leaving.client_order_id)
    assert ended.state is not OrderState.CANCELLED or ended.filled == 20
    sent = [call.order for call in bench.calls if call.call is Call.PLACE and call.order.strategy == "s1"]
    assert all(order.quantity <= 30 for order in sent)


def test_one_trade_under_the_exchanges_id_was_counted_once_more_by_each_read_of_a_stale_net() -> None:
    """Twenty of a stop for fifty were one trade; the book stood at 0, and the stop was booked whole."""
    bench, stop = held_unseen("exchange's id")
    bench.broker.trigger(stop)
    bench.broker.trade(stop, 20, 90.0)
    bench.broker.net[A] = 0
    go_on(bench, 5)
    assert bench.order(stop.client_order_id).filled_seen <= 20
    assert bench.position().quantity >= 30


def test_stop_ended_without_the_units_of_its_own_trade_while_the_position_book_stood_still() -> None:
    """Ten of fifty were sold when it was cancelled; the exit after it was for fifty, and ten were short."""
    bench = bench_of("exchange's id")
    bench.enter("e1", 50, **PLAN)
    entry = bench.accept()
    bench.broker.trade(entry, 50, 100.0)
    bench.report(entry)
    go_on(bench, 3)
    (stop,) = [placed for placed in bench.broker.orders.values() if placed.order_type is OrderType.SL]
    stale = bench.broker.books(bench.time).positions
    bench.broker.trade(stop, 10, 90.0)
    bench.close("g1")
    go_on(bench, 8, positions=stale)
    assert stop.status is BrokerStatus.CANCELLED
    assert not [call for call in bench.calls if call.order.purpose is Purpose.EXIT], "no exit of a size that is a guess"
    go_on(bench, 3)
    leaving = [call.order.quantity for call in bench.calls if call.order.purpose is Purpose.EXIT]
    assert (bench.order(bench.machine.state.by_broker["main", stop.id]).filled, leaving) == (10, [40])


def test_exit_ended_without_the_units_of_its_trade_while_the_position_book_lacked_anothers_exit_as_well() -> None:
    """Of two strategies' hundred one had sold fifty, the other 25 of fifty when its exit was cancelled; the book stood
    at 100, and fifty more left in place of 25."""
    bench = bench_of("exchange's id")
    for name, strategy in (("e1", "s1"), ("e2", "s2")):
        bench.enter(name, 50, strategy=strategy, reference_price=99.0)
        entry = bench.accept()
        bench.broker.trade(entry, 50, 100.0)
        bench.report(entry)
        go_on(bench, 3)
    stale = bench.broker.books(bench.time).positions
    bench.close("g2", strategy="s2")
    gone = bench.accept()
    bench.broker.trade(gone, 50, 101.0)
    bench.report(gone)
    go_on(bench, 2, positions=stale)
    bench.close("g1")
    leaving = bench.accept()
    bench.broker.trade(leaving, 25, 101.0)
    bench.broker.drop(leaving)
    go_on(bench, 12, positions=stale)
    assert bench.position("s2").quantity == 0, "the book that stands still lacks a fill which two sources reported"
    assert not [call for call in bench.calls if call.call is Call.PLACE], "no exit of a size that is a guess"
    for call in list(bench.calls):
        bench.end(call, Outcome.REFUSED, message="order is not open")
    go_on(bench, 3)
    sent = [call.order.quantity for call in bench.calls if call.call is Call.PLACE]
    assert (bench.order(leaving.client_order_id).filled, sent) == (25, [25])


@pytest.mark.parametrize("form", [form for form in FORMS if form != "no price"])
def test_stop_that_was_complete_counted_as_ended_unfilled_by_a_position_book_that_stood_still(form: str) -> None:
    """Order book and trade book showed it done; the units were guarded and sold once more."""
    bench = bench_of(form)
    bench.enter("e1", 50, **PLAN)
    entry = bench.accept()
    bench.broker.trade(entry, 50, 100.0)
    bench.report(entry)
    go_on(bench, 3)
    (stop,) = [placed for placed in bench.broker.orders.values() if placed.order_type is OrderType.SL]
    stale = bench.broker.books(bench.time).positions
    bench.broker.trade(stop, 50, 90.0)
    go_on(bench, 8, positions=stale)
    assert resting_stops(bench) == 0, "a second stop for units that are gone"
    go_on(bench, 3)
    assert (bench.order(bench.machine.state.by_broker["main", stop.id]).filled, bench.position().quantity) == (50, 0)


def test_entry_stayed_half_confirmed_for_ever_by_a_net_that_a_person_had_lowered() -> None:
    """Order and trade book had all 75 of it, and seven were sold at the terminal before the positions were read."""
    bench = bench_of("exchange's id")
    bench.enter("e1", 75, **PLAN)
    entry = bench.accept()
    bench.broker.trade(entry, 75, 101.0)
    bench.broker.by_hand(68)
    go_on(bench, 20)
    assert (bench.order("e1").state, bench.order("e1").average_price) == (OrderState.FILLED, 101.0)
    assert (bench.position().quantity, resting_stops(bench)) == (68, 68)


def test_trade_under_the_exchanges_id_proves_nothing_beside_a_strangers_order_of_that_size() -> None:
    bench = bench_of("exchange's id")
    bench.enter("e1", 50, **PLAN)
    entry = bench.accept()
    bench.broker.by_hand(50)
    bench.report(entry, status=BrokerStatus.COMPLETE, filled=50)
    bench.broker.net[A] = 0
    bench.read()
    assert (bench.order("e1").filled_seen, bench.order("e1").filled) == (50, 0)
