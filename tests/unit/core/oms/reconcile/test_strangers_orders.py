"""Orders of strangers that look like one of ours which was given up: they stay theirs, and nothing is undone."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mytrading.core.oms import OmsLimits
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.enums import BrokerStatus, Call, OrderState, OrderType, Side
from tests.kit.fake_broker import SECOND, OpenCall, OrderBench, Placed, time_out

HOUR = 3600 * SECOND
WINDOW = 160 * SECOND
"""130 s for which a server may hold a call, and 30 s until the next read shows what it placed."""


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.check_purity = True
    return made


def ghost_and_successor(bench: OrderBench) -> tuple[OpenCall, Placed]:
    """s1 and s2 hold 50 each; an exit of s1 was never placed, and the one that followed it has filled."""
    bench.hold("e1")
    bench.hold("e2", strategy="s2")
    bench.tick(2 * SECOND)
    bench.close("g1")
    first = time_out(bench, placed=False)
    bench.read()
    bench.tick(16 * SECOND)
    bench.read()
    assert bench.order(first.order.client_order_id).state is OrderState.GHOST
    second = bench.accept()
    bench.broker.trade(second, 50, 101.0)
    bench.report(second)
    bench.read()
    assert held(bench) == (0, 50) and bench.calls == []
    return first, second


def held(bench: OrderBench) -> tuple[int, int]:
    return bench.position().quantity, bench.position("s2").quantity


def unmanaged(bench: OrderBench) -> int:
    rows = [row.quantity for row in bench.rows if isinstance(row, UnmanagedChanged)]
    return rows[-1] if rows else 0


def read_on(bench: OrderBench, times: int = 4) -> None:
    for _ in range(times):
        bench.read()
        bench.tick(6 * SECOND)


@pytest.mark.parametrize("after", [SECOND, 20 * SECOND, WINDOW, 3 * HOUR])
def test_sale_at_the_terminal_is_not_undone_though_it_looks_like_an_exit_that_was_given_up(
    bench: OrderBench, after: int
) -> None:
    ghost_and_successor(bench)
    bench.tick(after)
    bench.broker.by_hand(0)
    read_on(bench)
    assert held(bench) == (0, 0) and bench.calls == [], "s2's units were sold, and nobody buys them back"
    assert "POSITION_REVERSED" not in bench.codes() and bench.broker.net[("NFO:A", bench.position().product)] == 0


@pytest.mark.parametrize("after", [SECOND, 3 * HOUR])
def test_order_that_rests_at_the_terminal_is_not_cancelled_though_it_looks_like_an_exit_that_was_given_up(
    bench: OrderBench, after: int
) -> None:
    first, _ = ghost_and_successor(bench)
    bench.tick(after)
    order = first.order
    bench.broker.orders["H1"] = Placed("H1", "H1", "NFO:A", order.side, 50, order.product, order_type=OrderType.LIMIT)
    read_on(bench)
    assert bench.calls == [] and bench.broker.orders["H1"].open
    assert bench.order(order.client_order_id).state is OrderState.GHOST


def test_look_alike_in_the_window_of_an_order_that_was_given_up_is_told_once(bench: OrderBench) -> None:
    first, _ = ghost_and_successor(bench)
    bench.tick(SECOND)
    bench.broker.by_hand(0)
    read_on(bench)
    told = [alert for alert in bench.alerts if alert.code == "ORDER_APPEARED"]
    assert [alert.subject for alert in told] == [first.order.client_order_id]
    assert next(name for name in bench.broker.orders if name.startswith("H")) in told[0].message


def test_late_exit_that_leaves_the_broker_short_is_bought_back_within_the_window(bench: OrderBench) -> None:
    """One owner alone: units sold that nobody held are a reversal, by whichever order."""
    bench.hold("e1")
    bench.tick(2 * SECOND)
    bench.close("g1")
    first = time_out(bench, placed=False)
    bench.read()
    bench.tick(16 * SECOND)
    bench.read()
    second = bench.accept()
    bench.broker.trade(second, 50, 101.0)
    bench.report(second)
    bench.read()
    late = bench.broker.place(first.order, bench.time)
    bench.broker.trade(late, 50, 101.0)
    bench.read(positions=None)
    assert bench.position().quantity == 0 and bench.calls == [], "hard facts alone prove nothing"
    bench.read()
    bench.read()
    assert bench.position().quantity == -50 and [call.order.side for call in bench.calls] == [Side.BUY]


def test_late_exit_after_the_window_is_a_strangers(bench: OrderBench) -> None:
    first, _ = ghost_and_successor(bench)
    bench.broker.by_hand(0)
    read_on(bench)
    bench.tick(WINDOW)
    late = bench.broker.place(first.order, bench.time)
    bench.broker.trade(late, 50, 101.0)
    read_on(bench)
    assert (held(bench), unmanaged(bench), bench.calls) == ((0, 0), -50, [])


def lost(bench: OrderBench) -> None:
    bench.read()
    bench.enter("e1", stop_trigger=90.0, stop_limit=87.0)
    time_out(bench, placed=False)
    bench.read()
    bench.tick(131 * SECOND)
    bench.read()
    assert bench.order("e1").state is OrderState.LOST


@pytest.mark.parametrize(("after", "ours"), [(SECOND, True), (60 * SECOND, False), (2 * HOUR, False)])
def test_purchase_at_the_terminal_is_no_lost_entrys_once_its_window_is_over(
    bench: OrderBench, after: int, ours: bool
) -> None:
    lost(bench)
    bench.tick(after)
    bench.broker.by_hand(50)
    read_on(bench)
    owned = bench.machine.position("main", "NFO:A", bench.order("e1").product, "s1")
    assert (owned.quantity if owned else 0) == (50 if ours else 0)
    assert unmanaged(bench) == (0 if ours else 50)
    assert [call.order.order_type for call in bench.calls] == ([OrderType.SL] if ours else []), "nobody guards it"


@pytest.mark.parametrize(("after", "cancelled"), [(SECOND, True), (2 * HOUR, False)])
def test_order_that_rests_at_the_terminal_is_no_lost_entrys_once_its_window_is_over(
    bench: OrderBench, after: int, cancelled: bool
) -> None:
    lost(bench)
    bench.tick(after)
    order = bench.order("e1")
    bench.broker.orders["H1"] = Placed("H1", "H1", "NFO:A", order.side, 50, order.product, order_type=OrderType.LIMIT)
    bench.read()
    assert [call.call for call in bench.calls] == ([Call.CANCEL] if cancelled else [])


@pytest.mark.parametrize(("placed", "ours"), [(100 * SECOND, True), (200 * SECOND, False)])
def test_lost_entry_that_books_show_late_is_ours_by_its_own_time(bench: OrderBench, placed: int, ours: bool) -> None:
    """No book could be read meanwhile; the row says when it was placed."""
    bench.read()
    bench.enter("e1")
    began = bench.now
    time_out(bench, placed=False)
    bench.read()
    bench.tick(131 * SECOND)
    bench.read()
    bench.tick(HOUR)
    row = bench.broker.place(bench.order("e1"), bench.time)
    bench.broker.trade(row, 50, 100.0)
    shown = bench.broker.books(bench.time)
    rows = tuple(replace(row, time_ns=began + placed) for row in shown.orders or ())
    bench.read(orders=rows)
    bench.read(orders=rows)
    assert (bench.order("e1").state is OrderState.FILLED) is ours


def test_late_stop_with_the_very_prices_of_one_given_up_is_cancelled_though_the_exit_has_filled() -> None:
    """Left at the broker it would open a position at its trigger."""
    bench = OrderBench()
    bench.hold("e1", stop_trigger=90.0, stop_limit=87.0)
    first = time_out(bench, placed=False)
    bench.read()
    bench.tick(16 * SECOND)
    bench.read()
    assert bench.order(first.order.client_order_id).state is OrderState.GHOST
    bench.accept()
    bench.read()
    bench.close("g1")
    bench.cancel()
    bench.read()
    bench.tick(SECOND)
    bench.read()
    exit_ = bench.accept()
    bench.broker.trade(exit_, 50, 101.0)
    bench.report(exit_)
    bench.read()
    assert bench.position().quantity == 0 and bench.calls == []
    late = bench.broker.place(first.order, bench.time)
    bench.read()
    assert [(call.call, call.order.broker_order_id) for call in bench.calls] == [(Call.CANCEL, late.id)]
    bench.cancel()
    bench.read()
    assert late.status is BrokerStatus.CANCELLED


def test_two_rows_are_not_shared_between_an_order_and_one_whose_window_is_over(bench: OrderBench) -> None:
    """The one whose window is over can be neither: of two rows for one order an operator decides."""
    ghost_and_successor(bench)
    bench.hold("e3", strategy="s3")
    bench.tick(HOUR)
    bench.close("g2", strategy="s2")
    call = time_out(bench, placed=True)
    bench.broker.by_hand(50)
    bench.read()
    assert bench.order(call.order.client_order_id).state is OrderState.UNKNOWN and "ORDER_AMBIGUOUS" in bench.codes()


def test_windows_of_these_tests_are_those_of_the_defaults() -> None:
    assert OmsLimits().lost_after + OmsLimits().slow == WINDOW
