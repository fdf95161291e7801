"""Rows of the day before and empty books of a morning: what the day began with, and what is of today."""

from __future__ import annotations

import pytest

from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.enums import BrokerStatus, OrderType, Product, Side
from tests.kit.fake_broker import ACCOUNT, FOREVER, SECOND, OrderBench, Placed
from tests.kit.state_digest import state_digest

NRML = {"product": Product.NRML}
KEY = ("NFO:A", Product.NRML)
DUSK = 18 * 3600 * SECOND
TOMORROW = "1970-01-02"


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.check_purity = True
    made.time = DUSK
    made.see_mode()
    made.read()
    return made


def rest(bench: OrderBench, filled: int, **fields: object) -> Placed:
    """An entry of 50 rests in the evening, filled so far."""
    bench.enter("e1", order_type=OrderType.LIMIT, price=100.0, **NRML)
    placed = bench.accept()
    bench.broker.trade(placed, filled, 100.0)
    bench.report(placed)
    bench.read(**fields)
    return placed


def night(bench: OrderBench) -> None:
    """All orders end; the rows of the day before are shown until they `leave`."""
    for placed in bench.broker.orders.values():
        bench.broker.drop(placed, BrokerStatus.EXPIRED)
    bench.time += 10 * 3600 * SECOND
    bench.open_day(TOMORROW)


def leave(bench: OrderBench, *rows: Placed) -> None:
    for placed in rows:
        placed.gone_at = min(FOREVER, bench.time)


def reads(bench: OrderBench, times: int) -> None:
    for _ in range(times):
        bench.tick(6 * SECOND)
        bench.read()


def nobodys(bench: OrderBench) -> int:
    rows = [row.quantity for row in bench.rows if isinstance(row, UnmanagedChanged)]
    return rows[-1] if rows else 0


def held(bench: OrderBench) -> int:
    found = bench.machine.position(ACCOUNT, "NFO:A", Product.NRML, "s1")
    return found.quantity if found is not None else 0


def test_fill_of_the_evening_was_a_trade_of_today_until_its_row_left_and_then_explained_by_nothing(
    bench: OrderBench,
) -> None:
    """75 of nobody, and 10 that an entry got after the last read: the position book lacks 10 for a while, then none."""
    bench.broker.by_hand(75, product=Product.NRML)
    reads(bench, 3)
    assert nobodys(bench) == 75
    late, others = rest(bench, 0), list(bench.broker.orders.values())
    bench.broker.trade(late, 10, 100.0)
    night(bench)
    reads(bench, 3)
    assert (held(bench), nobodys(bench)) == (10, 75)
    leave(bench, late, *others)
    bench.hold("e2", 5, strategy="s2", **NRML)
    bench.broker.net[KEY] = 80
    reads(bench, 3)
    assert (held(bench), nobodys(bench)) == (10, 65)
    bench.broker.net[KEY] = 90
    reads(bench, 3)
    assert (held(bench), nobodys(bench)) == (10, 75), "85 of the day before are there, and 5 of today"
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_units_of_nobody_hid_behind_the_trades_of_the_day_before(bench: OrderBench) -> None:
    """25 filled on the day before, and somebody bought 10 after the last read: at the open the 25 are sold at once."""
    resting = rest(bench, 25)
    bench.close("g1", **NRML)
    bought = bench.broker.stranger(resting, bench.time, side=Side.BUY, quantity=10)
    bought.gone_at = bench.time  # no book of the new day tells of it
    bench.broker.trade(bought, 10, 100.0)
    bench.calls.clear()
    night(bench)
    for _ in range(12):
        bench.tick(2 * SECOND)
        bench.read()
        while bench.calls:
            out = bench.calls[0]
            placed = bench.accept(out) if out.call == "place" else None
            if placed is None:
                bench.cancel(out)
            else:
                bench.broker.trade(placed, placed.quantity, 101.0)
                bench.report(placed)
    leave(bench, resting)
    reads(bench, 3)
    assert (bench.broker.net[KEY], held(bench), nobodys(bench)) == (10, 0, 10)


def test_units_bought_today_were_squared_off_as_rows_of_the_day_before_kept_carried_ones_from_being_shown(
    bench: OrderBench,
) -> None:
    """50 of yesterday are sold and 50 bought anew, by order and trade book; the position book stands still at none."""
    old = bench.hold("e1", **NRML)
    bench.broker.net["NFO:Z", Product.NRML] = 1
    bench.broker.funds_live = True
    night(bench)
    reads(bench, 2)
    bench.close("g1", **NRML)
    sold = bench.accept()
    bench.read()
    assert old in bench.broker.known() and held(bench) == 50, "the books show the exit beside the row of the day before"
    bench.broker.trade(sold, 50, 101.0)
    bench.report(sold)
    bench.enter("e2", strategy="s2", **NRML)
    bought = bench.accept()
    bench.read()
    stale = bench.broker.books(bench.time).positions
    bench.broker.trade(bought, 50, 100.0)
    bench.report(bought)
    for _ in range(3):
        bench.tick(6 * SECOND)
        bench.read(positions=stale)
    found = bench.machine.position(ACCOUNT, "NFO:A", Product.NRML, "s2")
    assert found is not None and found.quantity == 50, "the trade book has them, and none was carried beside"
    assert not {"VENUE_SQUARE_OFF", "POSITION_CORRECTED"} & bench.codes()


def test_empty_books_before_the_login_agreed_that_nothing_was_there_when_the_day_began(bench: OrderBench) -> None:
    """An entry of the evening got 25 after the last read, and no book of the day tells of its order; a buy of today
    fills before the first position book with a row."""
    first = bench.hold("e0", **NRML)
    bench.close("g0", **NRML)
    sold = bench.accept()
    bench.broker.trade(sold, 50, 101.0)
    bench.report(sold)
    bench.read(positions=None)
    assert held(bench) == 0
    resting = rest(bench, 0, positions=None)
    bench.broker.trade(resting, 25, 100.0)
    night(bench)
    leave(bench, first, sold, resting)
    for _ in range(4):
        bench.tick(6 * SECOND)
        bench.read(orders=(), trades=(), positions=(), funds_live=False)
    assert bench.order("e1").state == "EXPIRED"
    bench.enter("e2", strategy="s2", **NRML)
    bought = bench.accept()
    bench.broker.trade(bought, 50, 100.0)
    bench.report(bought)
    reads(bench, 3)
    assert (bench.broker.net[KEY], nobodys(bench)) == (75, 25), "25 stood there before anything of ours filled"
