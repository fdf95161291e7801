"""Rows of the books that nobody can read: what they hide is unknown, and no exit waits for them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mytrading.messages.account_events import MismatchSeen, UnmanagedChanged
from mytrading.messages.control import FlattenRequested
from mytrading.messages.enums import BrokerStatus, Call, OrderState, Outcome, Product, Purpose
from mytrading.messages.reports import UnreadRow
from tests.kit.fake_broker import ACCOUNT, SECOND, OrderBench, Placed
from tests.kit.state_digest import state_digest

PLAN = {"stop_trigger": 90.0, "stop_limit": 87.0}
A = ("NFO:A", Product.MIS)


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.check_purity = True
    return made


def guarded(bench: OrderBench) -> Placed:
    """Fifty units held, and their stop at the broker."""
    bench.hold(**PLAN)
    stop = bench.accept()
    bench.read()
    bench.tick(10 * SECOND)
    return stop


def later(bench: OrderBench, seconds: int, **fields: object) -> None:
    """A read each second; the broker takes cancels and fills exits."""
    for _ in range(seconds):
        bench.tick(1 * SECOND)
        for call in list(bench.calls):
            if call.call is Call.CANCEL:
                bench.cancel(call)
            elif call.order.purpose is Purpose.EXIT:
                placed = bench.accept(call)
                bench.broker.trade(placed, placed.quantity, 99.0)
        bench.read(**fields)


def flatten(bench: OrderBench) -> None:
    until = bench.time + 30 * SECOND
    bench.step(FlattenRequested(id="f1", account=ACCOUNT, at_ns=bench.now, deadline_machine_ns=until, reason="all"))


STRANGERS = [
    [UnreadRow(book="orders", broker_order_id="X1")],
    [UnreadRow(book="trades", broker_order_id="X1")],
    [UnreadRow(book="orders")],
    [UnreadRow(book="trades")],
    [UnreadRow(book="positions")],
    [UnreadRow(book="positions", instrument="NFO:A")],
    [UnreadRow(book=book) for book in ("orders", "trades", "positions")],
]
"""Rows of a bond or of a scrip renamed today, which a server names no symbol of; the last read of each kind of book."""


@pytest.mark.parametrize("way", ["alert", "flatten"])
@pytest.mark.parametrize("rows", STRANGERS, ids=lambda rows: "+".join(row.book + row.instrument for row in rows))
def test_exit_goes_out_beside_a_row_that_nobody_can_read(bench: OrderBench, rows: list[UnreadRow], way: str) -> None:
    """A foreign row without a symbol kept every exit of the account back for as long as it stood: 7 min 43 s."""
    guarded(bench)
    bench.broker.unreadable = rows
    bench.read()
    if way == "alert":
        bench.close("g1")
    else:
        flatten(bench)
    later(bench, 25)
    assert bench.broker.net[A] == 0
    assert bench.position().quantity == 0
    assert [p.id for p in bench.broker.orders.values() if p.open] == []
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


@pytest.mark.parametrize("way", ["alert", "flatten"])
def test_exit_goes_out_though_the_row_of_its_own_stop_names_no_symbol(bench: OrderBench, way: str) -> None:
    """The end of the stop stood in a row that is left out, so that it was never proven and no exit followed."""
    stop = guarded(bench)
    bench.broker.left_out.add(stop.id)
    bench.close("g1") if way == "alert" else flatten(bench)
    later(bench, 8)
    assert (bench.broker.net[A], bench.position().quantity) == (0, 0)
    assert bench.order(stop.client_order_id).state is OrderState.CANCELLED


def test_cancelled_stop_whose_row_is_unread_frees_nothing_while_the_position_book_lacks_its_units(
    bench: OrderBench,
) -> None:
    stop = guarded(bench)
    bench.broker.left_out.add(stop.id)
    bench.broker.trade(stop, 50, 90.0)
    bench.close("g1")
    bench.end(bench.calls[0], Outcome.ACCEPTED)
    for _ in range(10):
        bench.tick(1 * SECOND)
        bench.read()
    assert [call.call for call in bench.calls if call.call is Call.PLACE] == []
    bench.broker.left_out.clear()
    for _ in range(3):
        bench.tick(1 * SECOND)
        bench.read()
    assert bench.position().quantity == 0 and bench.broker.net[A] == 0


def test_row_of_an_order_of_ours_that_cannot_be_read_is_not_missing(bench: OrderBench) -> None:
    stop = guarded(bench)
    bench.broker.left_out.add(stop.id)
    for _ in range(4):
        bench.tick(6 * SECOND)
        bench.read()
    assert "ORDER_MISSING" not in bench.codes()
    assert bench.order(stop.client_order_id).state is OrderState.ACCEPTED


def test_order_of_unknown_fate_is_not_lost_while_a_row_may_be_its_own(bench: OrderBench) -> None:
    """Its row has a symbol that the server does not know: the entry was given up, and filled without an owner."""
    bench.read()
    bench.enter("e1")
    call = bench.calls[0]
    placed = bench.broker.place(call.order, bench.time)
    bench.broker.left_out.add(placed.id)
    bench.tick(1 * SECOND)
    bench.end(call, Outcome.UNKNOWN)
    for _ in range(30):
        bench.tick(10 * SECOND)
        bench.read()
    assert bench.order("e1").state is OrderState.UNKNOWN
    bench.broker.left_out.clear()
    for _ in range(2):
        bench.read()
    assert (bench.order("e1").state, bench.order("e1").broker_order_id) == (OrderState.ACCEPTED, placed.id)


def test_row_that_was_there_before_the_call_is_not_that_order(bench: OrderBench) -> None:
    bench.broker.unreadable = [UnreadRow(book="orders", broker_order_id="X1")]
    bench.read()
    bench.enter("e1")
    bench.tick(1 * SECOND)
    bench.end(bench.calls[0], Outcome.UNKNOWN)
    for _ in range(30):
        bench.tick(10 * SECOND)
        bench.read()
    assert bench.order("e1").state is OrderState.LOST


@pytest.mark.parametrize("instrument", ["", "NFO:A"])
def test_position_that_an_unread_row_may_hold_is_never_read_as_flat(bench: OrderBench, instrument: str) -> None:
    """A left out row of what we hold was a position of none: units and stop were taken away in two reads."""
    stop = guarded(bench)
    bench.broker.unlisted.add(A)
    bench.broker.net["NFO:OTHER", Product.MIS] = 10
    bench.broker.orders.pop("B1")  # nor does any other book speak for it
    bench.broker.unreadable = [UnreadRow(book="positions", instrument=instrument)]
    for _ in range(10):
        bench.tick(6 * SECOND)
        bench.read()
    assert bench.position().quantity == 50 and stop.open
    assert not any(isinstance(row, MismatchSeen) and row.instrument == "NFO:A" for row in bench.rows)


def test_what_a_position_book_shows_counts_beside_a_row_without_an_instrument(bench: OrderBench) -> None:
    guarded(bench)
    bench.broker.unreadable = [UnreadRow(book="positions")]
    bench.broker.net[A] = 80
    for _ in range(2):
        bench.tick(6 * SECOND)
        bench.read()
    assert [row.quantity for row in bench.rows if isinstance(row, UnmanagedChanged)] == [30]


def test_sighted_fill_is_not_withdrawn_while_its_trade_cannot_be_read(bench: OrderBench) -> None:
    bench.read()
    bench.enter("e1", **PLAN)
    entry = bench.accept()
    bench.read()
    bench.report(entry, status=BrokerStatus.COMPLETE, filled=50)
    bench.accept()
    bench.broker.unreadable = [UnreadRow(book="trades", broker_order_id=entry.id)]
    for _ in range(6):
        bench.tick(6 * SECOND)
        content = bench.broker.books(bench.time)
        rows = tuple(replace(row, status=BrokerStatus.CANCELLED, filled=0) if row.broker_order_id == entry.id else row
                     for row in content.orders or ())  # fmt: skip
        bench.read(orders=rows)
    assert "FILL_WITHDRAWN" not in bench.codes() and bench.position().quantity_seen == 50


def test_start_concludes_beside_a_foreign_row_and_waits_for_a_row_that_may_hold_what_is_ours(bench: OrderBench) -> None:
    guarded(bench)
    bench.crash((ACCOUNT,))
    bench.see_mode()
    bench.broker.unlisted.add(A)
    bench.broker.unreadable = [UnreadRow(book="positions")]
    bench.read()
    bench.read()
    assert not bench.machine.has_recovered(ACCOUNT)
    bench.broker.unlisted.clear()
    bench.read()
    bench.read()
    assert bench.machine.has_recovered(ACCOUNT)
