"""Positions when the order stream loses fills, or a book calls an order complete that is being cancelled."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mytrading.messages.enums import BrokerStatus, Confidence, OrderState, Product
from tests.kit.fake_broker import SECOND, OrderBench


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.check_purity = True
    made.read()
    return made


def test_stream_that_delivers_four_of_eighteen_fills_leaves_the_books_right_and_nothing_disputed(
    bench: OrderBench,
) -> None:
    bench.enter("e1", 18 * 50)
    placed = bench.accept()
    for fill in range(18):
        bench.broker.trade(placed, 50, 100.0 + fill)
        if fill in (2, 7, 8, 15):
            bench.report(placed)
        if fill % 6 == 5:
            bench.tick(1 * SECOND)
            bench.read()
    bench.tick(1 * SECOND)
    bench.read()
    position = bench.position()
    assert (position.quantity, position.quantity_seen) == (900, 900)
    assert position.average_price == pytest.approx(108.5)
    assert position.confidence is Confidence.CONFIRMED
    assert bench.order("e1").state is OrderState.FILLED and "POSITION_CORRECTED" not in bench.codes()


def test_net_that_differs_is_disputed_from_the_first_read_and_reads_are_asked_for(bench: OrderBench) -> None:
    bench.hold("e1", 50)
    bench.tick(2 * SECOND)
    bench.broker.net["NFO:A", Product.MIS] = 25
    wanted = bench.reads_wanted
    bench.read()
    assert bench.position().confidence is Confidence.DISPUTED and "POSITION_DISPUTED" in bench.codes()
    assert bench.reads_wanted > wanted
    bench.broker.net["NFO:A", Product.MIS] = 50
    bench.read()
    assert bench.position().confidence is Confidence.CONFIRMED and bench.position().quantity == 50


@pytest.mark.parametrize("names_filled", [True, False])
def test_cancelled_order_that_one_book_calls_complete_is_never_counted(names_filled: bool) -> None:
    """One broker's book says complete of a cancel on its way: without a trade that is one source, and wrong."""
    bench = OrderBench(names_filled=names_filled)
    bench.read()
    bench.enter("e1", 50)
    placed = bench.accept()
    bench.read()
    book = bench.broker.books(bench.time)
    bench.broker.past.pop()
    wrong = tuple(replace(row, status=BrokerStatus.COMPLETE) for row in book.orders or ())
    bench.tick(1 * SECOND)
    bench.read(orders=wrong)
    assert bench.order("e1").filled == 0 and bench.position().quantity == 0
    bench.broker.drop(placed)
    for _ in range(3):
        bench.tick(1 * SECOND)
        bench.read()
    assert (bench.order("e1").state, bench.order("e1").filled) == (OrderState.CANCELLED, 0)
    assert (bench.position().quantity, bench.position().quantity_seen) == (0, 0)
