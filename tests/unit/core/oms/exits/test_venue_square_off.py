"""The venue's own square-off: nothing of ours crosses it, its fills are booked as such, and reads follow it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mytrading.messages.enums import OrderState, Outcome, Product, Purpose, Side
from mytrading.messages.orders import PositionAdjusted, TradeClosed
from mytrading.messages.reports import ReadRequest
from tests.kit.fake_broker import SECOND, OrderBench
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


def test_units_count_and_profit_does_not_where_the_trade_book_tells_no_price(bench: OrderBench) -> None:
    bench.tick(26 * SECOND)
    venue_closes(bench)
    for _ in range(8):
        bench.tick(3 * SECOND)
        known = tuple(row for row in bench.broker.books(bench.time).trades or () if row.side is Side.BUY)
        bench.read(trades=known)
    assert (bench.position().quantity, bench.position().realised) == (0, 0.0)
    assert "is not counted" in next(alert.message for alert in bench.alerts if alert.code == "VENUE_SQUARE_OFF")


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
