"""Fills and ends: seen by one source, counted by two, in any order and however often."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.enums import BrokerStatus, Call, OrderState, OrderType, Outcome, Product, Side
from mytrading.messages.orders import OrderChanged, PositionChanged, TradeClosed
from mytrading.messages.reports import BrokerTrades, ReadRequest
from tests.kit.fake_broker import MS, SECOND, OrderBench, Placed
from tests.kit.state_digest import state_digest


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.check_purity = True
    made.read()
    return made


def resting(bench: OrderBench, quantity: int = 50) -> Placed:
    bench.enter("e1", quantity)
    placed = bench.accept()
    bench.tick(1 * SECOND)
    return placed


def test_fill_seen_once_protects_but_does_not_count(bench: OrderBench) -> None:
    placed = resting(bench)
    bench.broker.trade(placed, 50, 100.0)
    rows = bench.report(placed)
    order, position = bench.order("e1"), bench.position()
    assert (order.filled_seen, order.filled, order.state) == (50, 0, OrderState.PARTIALLY_FILLED)
    assert (position.quantity, position.quantity_seen) == (0, 50)
    assert any(isinstance(row, ReadRequest) for row in rows)


def test_fill_confirmed_by_a_second_source_counts(bench: OrderBench) -> None:
    placed = resting(bench)
    bench.broker.trade(placed, 50, 100.0)
    bench.report(placed)
    bench.read(trades=None)
    assert bench.order("e1").state is OrderState.FILLED
    assert (bench.position().quantity, bench.position().average_price) == (50, 100.0)


def test_fill_confirmed_by_one_read_of_order_and_trade_book(bench: OrderBench) -> None:
    placed = resting(bench)
    bench.broker.trade(placed, 50, 100.0)
    bench.read()
    assert bench.position().quantity == 50


def test_fill_repeated_or_reordered_counts_once(bench: OrderBench) -> None:
    placed = resting(bench)
    bench.broker.trade(placed, 20, 100.0)
    early = placed.row(True, False)
    bench.broker.trade(placed, 30, 110.0)
    for _ in range(2):
        bench.report(placed)
        bench.read()
        bench.report(placed, filled=early.filled, status=BrokerStatus.OPEN)
    fills = [row.fill_quantity for row in bench.rows if isinstance(row, PositionChanged) and row.fill_quantity]
    assert fills == [50] and bench.position().average_price == 106.0


def test_fill_prices_of_deltas_add_up(bench: OrderBench) -> None:
    placed = resting(bench)
    for quantity, price in ((20, 100.0), (30, 110.0)):
        bench.broker.trade(placed, quantity, price)
        bench.report(placed)
        bench.read()
    fills = [(r.fill_quantity, r.fill_price) for r in bench.rows if isinstance(r, PositionChanged) and r.fill_quantity]
    assert fills == [(20, 100.0), (30, pytest.approx(110.0))]


def test_fill_price_is_corrected_by_the_trade_book(bench: OrderBench) -> None:
    placed = resting(bench)
    bench.broker.trade(placed, 50, 100.0)
    bench.report(placed)
    bench.read(trades=None)
    trades = BrokerTrades(broker_order_id=placed.id, instrument="NFO:A", side=placed.side, quantity=50, value=5025.0)
    bench.read(trades=(trades,))
    assert bench.position().average_price == pytest.approx(100.5)


def test_fill_after_cancel_is_late_reality(bench: OrderBench) -> None:
    placed = resting(bench)
    placed.status = BrokerStatus.CANCELLED
    bench.report(placed)
    bench.read()
    assert bench.order("e1").state is OrderState.CANCELLED
    placed.status = BrokerStatus.OPEN
    bench.broker.trade(placed, 50, 100.0)
    bench.report(placed)
    bench.read()
    assert bench.order("e1").state is OrderState.FILLED and bench.position().quantity == 50
    assert "ORDER_ILLEGAL" not in bench.codes()


def test_fill_reported_before_the_outcome_is_learnt_after_it(bench: OrderBench) -> None:
    bench.enter("e1")
    call = bench.calls[0]
    placed = bench.broker.place(call.order, bench.time)
    bench.broker.trade(placed, 50, 100.0)
    assert bench.report(placed) == []
    bench.end(call, Outcome.ACCEPTED, placed.id)
    bench.read()
    assert bench.position().quantity == 50


def test_fill_of_an_unnamed_quantity_was_confirmed_by_the_same_trade_book_read_twice() -> None:
    """One book is one witness, however often it is read; the position book is another."""
    bench = OrderBench(names_filled=False)
    bench.read()
    placed = resting(bench)
    bench.broker.trade(placed, 20, 100.0)
    for _ in range(3):
        bench.read(positions=None)
        assert (bench.order("e1").filled_seen, bench.order("e1").filled) == (20, 0)
    bench.tick(1 * SECOND)
    assert any(isinstance(row, ReadRequest) and row.positions for row in bench.rows), "it is asked for"
    bench.read()
    assert bench.order("e1").filled == 20 == bench.position().quantity


def test_overfill_is_counted_and_halts_the_instrument(bench: OrderBench) -> None:
    placed = resting(bench)
    placed.quantity = 60
    bench.broker.trade(placed, 60, 100.0)
    bench.report(placed)
    bench.read()
    assert bench.position().quantity == 60 and "ORDER_OVERFILLED" in bench.codes()
    bench.enter("e2")
    assert "INSTRUMENT_HALTED" in bench.order("e2").message


@pytest.mark.parametrize(("reported", "shown"), [(50, 20), (30, 20), (30, 0)])
def test_fill_that_all_books_take_back_keeps_no_position_from_being_compared(
    bench: OrderBench, reported: int, shown: int
) -> None:
    """Each read counted as one from before the fill, for the rest of the day: nothing of the account was compared."""
    placed = resting(bench)
    bench.broker.trade(placed, reported, 100.0)
    bench.report(placed)
    bench.read()
    assert bench.position().quantity == reported
    placed.filled, placed.value, placed.status = shown, shown * 100.0, BrokerStatus.CANCELLED
    bench.broker.net[placed.instrument, placed.product] = shown
    bench.broker.net["NFO:B", placed.product] = 7
    for _ in range(60):
        bench.tick(1 * SECOND)
        bench.read()
    assert bench.position().quantity == shown
    assert {"POSITION_CORRECTED", "ORDER_ILLEGAL"} <= bench.codes()
    assert [row.quantity for row in bench.rows if isinstance(row, UnmanagedChanged)] == [7]
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_older_book_with_fewer_units_is_from_before_and_says_nothing_of_positions(bench: OrderBench) -> None:
    placed = resting(bench)
    bench.broker.trade(placed, 20, 100.0)
    old = bench.broker.books(bench.time)
    bench.broker.trade(placed, 20, 100.0)
    bench.broker.cancel(placed.id)
    for _ in range(4):
        bench.tick(1 * SECOND)
        bench.read()
    ended = tuple(replace(row, status=BrokerStatus.CANCELLED) for row in old.orders or ())
    for _ in range(8):
        bench.tick(3 * SECOND)
        bench.read(old, orders=ended)
    bench.read()
    assert bench.position().quantity == 40 and "POSITION_DISPUTED" not in bench.codes()


@pytest.mark.parametrize("source", ["trades", "orders"])
def test_fill_that_one_book_reported_once_is_withdrawn_and_what_is_held_is_guarded(
    bench: OrderBench, source: str
) -> None:
    bench.enter("e1", 60, order_type=OrderType.LIMIT, price=100.0, stop_trigger=90.0, stop_limit=87.0)
    placed = bench.accept()
    bench.broker.trade(placed, 20, 100.0)
    books = bench.broker.books(bench.time)
    lies = {
        "trades": tuple(replace(row, quantity=40, value=4000.0) for row in books.trades or ()),
        "orders": tuple(replace(row, filled=40) for row in books.orders or ()),
    }
    bench.read(books, **{source: lies[source]})
    assert bench.position().quantity_seen == 40
    bench.tick(1 * SECOND)
    bench.accept()
    bench.broker.cancel(placed.id)
    for _ in range(20):
        bench.tick(1 * SECOND)
        for call in [call for call in bench.calls if call.call is Call.MODIFY]:
            bench.modify(call)
        bench.read()
    assert (bench.position().quantity, bench.position().quantity_seen) == (20, 20)
    assert bench.broker.orders["B2"].quantity == 20 and "FILL_WITHDRAWN" in bench.codes()


def test_overfill_of_which_the_book_names_the_units_is_counted(bench: OrderBench) -> None:
    placed = resting(bench)
    placed.filled, placed.value, placed.status = 60, 6000.0, BrokerStatus.COMPLETE
    bench.read()
    assert bench.position().quantity == 60 and "ORDER_OVERFILLED" in bench.codes()


@pytest.mark.parametrize("names_filled", [True, False])
def test_trade_book_that_lists_trades_twice_has_no_stop_for_twice_what_is_held(names_filled: bool) -> None:
    bench = OrderBench(names_filled=names_filled)
    bench.read()
    bench.enter("e1", 50, stop_trigger=90.0, stop_limit=87.0)
    bench.broker.trade(bench.accept(), 50, 100.0)
    for _ in range(3):
        read_twice(bench)
    assert (bench.position().quantity, bench.position().quantity_seen) == (50, 50)
    stop = bench.accept()
    assert stop.quantity == 50
    bench.close("g1")
    bench.tick(1 * SECOND)
    bench.cancel()
    for _ in range(3):
        read_twice(bench)
    assert [call.order.quantity for call in bench.calls if call.call is Call.PLACE] == [50], "the exit goes out"


def read_twice(bench: OrderBench) -> None:
    """A read whose trade book lists each trade twice."""
    bench.tick(1 * SECOND)
    books = bench.broker.books(bench.time)
    trades = books.trades or ()
    bench.read(books, trades=tuple(replace(row, quantity=2 * row.quantity, value=2 * row.value) for row in trades))


def test_end_seen_once_is_not_believed(bench: OrderBench) -> None:
    placed = resting(bench)
    placed.status = BrokerStatus.REJECTED
    bench.read()
    assert bench.order("e1").state is OrderState.ACCEPTED
    placed.status = BrokerStatus.OPEN
    bench.read()
    assert bench.order("e1").evidence.end is None


def test_end_seen_in_two_reads_is_believed(bench: OrderBench) -> None:
    placed = resting(bench)
    placed.status = BrokerStatus.EXPIRED
    bench.read()
    bench.read(trades=None)
    assert bench.order("e1").state is OrderState.ACCEPTED, "without a trade book nothing ends"
    bench.read()
    assert bench.order("e1").state is OrderState.EXPIRED


def test_end_reported_by_stream_and_one_read_is_believed(bench: OrderBench) -> None:
    placed = resting(bench)
    placed.status = BrokerStatus.REJECTED
    bench.report(placed, message="margin")
    bench.read(trades=None)
    assert bench.order("e1").state is OrderState.REJECTED


def test_end_read_begun_before_the_news_is_no_second_sighting(bench: OrderBench) -> None:
    placed = resting(bench)
    placed.status = BrokerStatus.CANCELLED
    before = bench.time
    bench.report(placed)
    read = bench.broker.books(bench.time)
    bench.read(read, began_machine_ns=before)
    assert bench.order("e1").state is OrderState.ACCEPTED


def test_end_with_an_unconfirmed_fill_waits(bench: OrderBench) -> None:
    placed = resting(bench)
    bench.broker.trade(placed, 20, 100.0)
    bench.report(placed)
    placed.status = BrokerStatus.CANCELLED
    bench.report(placed)
    row = placed.row(True, False)
    bench.read(
        orders=(row.__class__(**{**{f: getattr(row, f) for f in row.__struct_fields__}, "filled": 0}),),
        trades=(),
    )
    assert bench.order("e1").state is OrderState.PARTIALLY_FILLED
    bench.read()
    bench.read()
    assert bench.order("e1").state is OrderState.CANCELLED and bench.order("e1").filled == 20


def test_missing_order_is_alarmed_and_never_taken_for_cancelled(bench: OrderBench) -> None:
    placed = resting(bench)
    other = bench.broker.place(bench.order("e1"), bench.time)
    other.instrument = "NFO:Z"
    bench.broker.orders.pop(placed.id)
    bench.read()
    assert "ORDER_MISSING" not in bench.codes()
    bench.read()
    bench.read()
    assert bench.order("e1").state is OrderState.ACCEPTED
    assert [a.code for a in bench.alerts].count("ORDER_MISSING") == 1


def test_trade_closed_when_flat(bench: OrderBench) -> None:
    bench.hold("e1", price=100.0)
    bench.close("g1")
    placed = bench.accept()
    bench.broker.trade(placed, 50, 103.0)
    bench.report(placed)
    bench.read()
    (trade,) = [row for row in bench.rows if isinstance(row, TradeClosed)]
    assert (trade.quantity, trade.entry_price, trade.exit_price, trade.realised) == (50, 100.0, 103.0, 150.0)
    assert trade.run == "run1"


def test_second_round_trip_of_the_day_in_an_instrument_stands_beside_the_first(bench: OrderBench) -> None:
    for number, sold_at in ((1, 103.0), (2, 98.0)):
        bench.hold(f"e{number}", price=100.0, run=f"run{number}")
        bench.close(f"g{number}", run=f"run{number}")
        placed = bench.accept()
        bench.broker.trade(placed, 50, sold_at)
        bench.report(placed)
        bench.read()
        bench.tick(40 * SECOND)
    trades = [(row.run, row.realised) for row in bench.rows if isinstance(row, TradeClosed)]
    assert trades == [("run1", 150.0), ("run2", -100.0)]
    assert bench.position().realised == 50.0, "the day's, of both"


@pytest.mark.parametrize("newest_first", [False, True])
def test_round_trip_that_one_read_confirms_is_booked_from_its_entry_on(bench: OrderBench, newest_first: bool) -> None:
    """Books list the newest first: an exit booked before its entry was a position, and a trade, of the other side."""
    bench.enter("e1", 50, stop_trigger=90.0, stop_limit=87.0)
    entry = bench.accept()
    bench.broker.trade(entry, 50, 100.0)
    bench.report(entry)
    bench.tick(1 * SECOND)
    stop = bench.accept()
    bench.broker.trigger(stop)
    bench.broker.trade(stop, 50, 89.0)
    bench.report(stop)
    shown = bench.broker.books(bench.time)
    rows = shown.orders or ()
    bench.read(replace(shown, orders=rows[::-1] if newest_first else rows))
    (trade,) = [row for row in bench.rows if isinstance(row, TradeClosed)]
    assert (trade.side, trade.quantity, trade.entry_price, trade.exit_price) == (Side.BUY, 50, 100.0, 89.0)
    held = [row.position.quantity for row in bench.rows if isinstance(row, PositionChanged)]
    assert min(held) == 0, "never short on the way"


def test_reads_are_not_asked_twice_within_the_spacing(bench: OrderBench) -> None:
    placed = resting(bench)
    before = bench.reads_wanted
    for quantity in (10, 10, 10):
        bench.broker.trade(placed, quantity, 100.0)
        bench.report(placed)
    assert bench.reads_wanted == before + 1
    bench.tick(600 * MS)
    bench.tick(600 * MS)
    assert bench.reads_wanted == before + 2


def test_repeated_book_without_news_says_nothing(bench: OrderBench) -> None:
    bench.hold("e1")
    bench.tick(10 * SECOND)
    bench.read()
    assert [row for row in bench.read() if isinstance(row, OrderChanged)] == []


def test_level_that_risk_holds_stands_on_the_position_from_its_first_entry_to_flat(bench: OrderBench) -> None:
    bench.hold("e1", held_stop=90.0)
    bench.hold("e2", held_stop=95.0)
    assert (bench.position().quantity, bench.position().held_stop) == (100, 90.0)
    bench.close("g1")
    bench.tick(SECOND)
    placed = bench.accept()
    bench.broker.trade(placed, 100, 99.0)
    bench.report(placed)
    bench.read()
    bench.read()
    bench.hold("e3")
    assert bench.position().held_stop == 0.0


def test_levels_that_risk_holds_stand_on_a_position_that_is_only_sighted(bench: OrderBench) -> None:
    bench.enter("e1", held_stop=90.0, held_target=120.0)
    placed = bench.accept()
    bench.broker.trade(placed, 50, 100.0)
    bench.report(placed)
    sighted = bench.position()
    assert (sighted.quantity, sighted.quantity_seen) == (0, 50)
    assert (sighted.held_stop, sighted.held_target) == (90.0, 120.0)
    bench.read()
    assert (bench.position().quantity, bench.position().held_target) == (50, 120.0)


def test_levels_of_a_sighting_that_is_withdrawn_go_with_it(bench: OrderBench) -> None:
    bench.enter("e1", order_type=OrderType.LIMIT, price=100.0, held_stop=90.0)
    placed = bench.accept()
    rows = bench.broker.books(bench.time).orders or ()
    bench.read(orders=tuple(replace(row, filled=20) for row in rows))
    assert (bench.position().quantity_seen, bench.position().held_stop) == (20, 90.0)
    bench.broker.cancel(placed.id)
    for _ in range(20):
        bench.tick(1 * SECOND)
        bench.read()
    assert (bench.position().quantity_seen, bench.position().held_stop) == (0, 0.0)


@pytest.mark.parametrize("names_filled", [True, False])
def test_position_book_bears_out_no_stream_report_that_order_and_trade_book_deny(names_filled: bool) -> None:
    """A person bought fifty at the terminal while the stream told our resting order filled: it was FILLED for good."""
    bench = OrderBench(names_filled=names_filled)
    bench.read()
    bench.enter("e1", order_type=OrderType.LIMIT, price=100.0)
    placed = bench.accept()
    bench.report(placed, status=BrokerStatus.COMPLETE, filled=50, average_price=100.0)
    bench.broker.by_hand(50)
    bench.read()
    assert (bench.order("e1").state, bench.order("e1").filled) == (OrderState.PARTIALLY_FILLED, 0)


def bought_beside_delivered_shares() -> tuple[OrderBench, Placed]:
    """Fifty shares were delivered overnight; of fifty more that are bought today half fill and the rest is cancelled,
    at a broker whose rows name no filled units. The position book shows the half, the trade book its trade."""
    bench = OrderBench(names_filled=False)
    share: dict[str, Any] = {"instrument": "NSE:A", "product": Product.CNC}
    bench.check_purity = True
    bench.hold(**share)
    bench.broker.begin_day(bench.time)
    bench.open_day("1970-01-02")
    bench.read()
    bench.enter("e2", **share)
    placed = bench.accept()
    bench.broker.trade(placed, 25, 100.0)
    bench.read()
    bench.ask_cancel("e2")
    bench.cancel()
    return bench, placed


def test_order_never_ended_whose_units_trades_alone_could_tell_beside_delivered_shares() -> None:
    """The book need not list the delivered ones: the half may be of them, so that it bore nothing out."""
    bench, _ = bought_beside_delivered_shares()
    for _ in range(24):
        bench.tick(SECOND)
        bench.read()
        position = bench.machine.position("main", "NSE:A", Product.CNC, "s1")
        early = bench.time - bench.order("e2").evidence.seen_machine_ns < 15 * SECOND
        assert position is not None and position.quantity_seen == 75 and not (early and position.quantity != 50)
    order = bench.order("e2")
    assert (order.state, order.filled) == (OrderState.CANCELLED, 25)
    assert position is not None and position.quantity == 75 and not bench.machine.state.mismatches
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_trades_of_a_book_that_was_not_read_again_do_not_count_beside_delivered_shares() -> None:
    bench, placed = bought_beside_delivered_shares()
    for _ in range(24):
        bench.tick(SECOND)
        bench.read(trades=None)
    assert bench.order("e2").filled == 0 and placed.filled == 25
