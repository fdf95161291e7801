"""The way of an exit past the stop that rests: one cancel, its answer, one read of the three books, the exit."""

from __future__ import annotations

import pytest

from mytrading.messages.enums import BrokerStatus, Call, OrderState, Purpose
from mytrading.messages.reports import ReadRequest
from tests.kit.fake_broker import MS, SECOND, OpenCall, OrderBench, Placed


@pytest.fixture
def bench() -> OrderBench:
    """A position whose stop rests, and nothing under way."""
    made = OrderBench()
    guard(made, "e1")
    made.tick(2 * SECOND)
    made.read()
    made.check_purity = True
    return made


def guard(bench: OrderBench, name: str, **fields: str) -> Placed:
    bench.hold(name, stop_trigger=95.0, stop_limit=94.0, **fields)
    stop = bench.accept()
    bench.read()
    return stop


def cancels(bench: OrderBench) -> list[OpenCall]:
    return [call for call in bench.calls if call.call is Call.CANCEL]


def exits(bench: OrderBench) -> list[OpenCall]:
    return [call for call in bench.calls if call.call is Call.PLACE and call.order.purpose is Purpose.EXIT]


def reads(bench: OrderBench) -> list[ReadRequest]:
    return [row for row in bench.rows if isinstance(row, ReadRequest)]


def test_read_that_proves_a_cancel_is_asked_when_it_is_answered_and_none_before(bench: OrderBench) -> None:
    known = len(reads(bench))
    bench.close("g1")
    for _ in range(9):
        bench.tick(100 * MS)
    assert len(reads(bench)) == known, "what is read while the cancel is out proves nothing"
    bench.cancel()
    (asked,) = reads(bench)[known:]
    assert (asked.orders, asked.trades, asked.positions) == (True, True, True), "four calls, no more"
    assert exits(bench) == []
    bench.read()
    assert len(exits(bench)) == 1 and len(reads(bench)) == known + 1


def test_read_that_proves_a_cancel_keeps_no_distance_from_the_last(bench: OrderBench) -> None:
    bench.close("other", strategy="s9")
    bench.close("g1")
    bench.enter("e2", instrument="NFO:B", strategy="s2")
    bench.accept()
    known = len(reads(bench))
    bench.cancel()
    assert len(reads(bench)) == known + 1, "the entry's own read was asked for milliseconds before"


def test_update_of_the_end_asks_for_no_read_until_the_cancel_is_answered(bench: OrderBench) -> None:
    known = len(reads(bench))
    bench.close("g1")
    (call,) = cancels(bench)
    bench.report(bench.broker.orders[call.order.broker_order_id], status=BrokerStatus.CANCELLED)
    assert len(reads(bench)) == known
    bench.cancel()
    bench.read()
    assert len(exits(bench)) == 1 and len(reads(bench)) == known + 1


def test_cancel_without_an_answer_for_a_second_is_read_for(bench: OrderBench) -> None:
    known = len(reads(bench))
    bench.close("g1")
    bench.tick(1100 * MS)
    assert len(reads(bench)) == known + 1


def test_cancel_that_is_answered_and_unproven_is_not_made_again(bench: OrderBench) -> None:
    bench.close("g1")
    bench.cancel()
    for _ in range(300):
        bench.tick(100 * MS)
    assert cancels(bench) == [] and exits(bench) == [], "no book was read since"
    bench.read()
    assert len(exits(bench)) == 1


def test_cancel_that_a_read_contradicts_is_made_again(bench: OrderBench) -> None:
    before = bench.broker.books(bench.time)
    bench.close("g1")
    bench.cancel()
    bench.read(before)
    assert exits(bench) == [] and cancels(bench) == []
    bench.tick(SECOND)
    assert len(cancels(bench)) == 1


def test_refused_cancel_is_read_before_it_is_made_again(bench: OrderBench) -> None:
    """The books end the order of which the broker said that it cannot be cancelled: it had ended by itself."""
    bench.close("g1")
    (call,) = cancels(bench)
    bench.broker.drop(bench.broker.orders[call.order.broker_order_id])
    bench.tick(950 * MS)
    known = len(reads(bench))
    bench.cancel()
    assert len(reads(bench)) == known + 1
    bench.tick(100 * MS)
    assert cancels(bench) == [], "the wait begins with the answer"
    bench.read()
    bench.tick(500 * MS)
    bench.read()
    assert cancels(bench) == [] and len(exits(bench)) == 1


def test_reads_of_many_cancels_keep_to_the_budget_and_none_is_forgotten() -> None:
    bench = OrderBench()
    names = [f"e{number}" for number in range(8)]
    for name in names:
        guard(bench, name, instrument=f"NFO:{name.upper()}", strategy=name)
        bench.tick(2 * SECOND)
    bench.read()
    bench.tick(2 * SECOND)
    known = len(reads(bench))
    for name in names:
        bench.close(f"g{name}", instrument=f"NFO:{name.upper()}", strategy=name)
    for _ in range(3):
        for call in cancels(bench):
            bench.cancel(call)
        bench.tick(100 * MS)
    reported = reads(bench)[known:]
    assert len(reported) == bench.limits.reads_per_second
    bench.tick(500 * MS)
    assert len(reads(bench)) == known + len(reported) + 1, "the last answers are read for as soon as there is room"
    bench.read()
    ended = [order for order in bench.machine.orders() if order.purpose is Purpose.STOP]
    assert [order.state for order in ended] == [OrderState.CANCELLED] * 8


def test_entry_that_was_sighted_to_fill_is_not_cancelled_by_the_exit_that_follows(bench: OrderBench) -> None:
    """The server refuses such a cancel; if the sighting is taken back the cancel goes out."""
    bench.enter("e2", instrument="NFO:B", strategy="s2")
    placed = bench.accept()
    bench.report(placed, status=BrokerStatus.COMPLETE)
    bench.close("g2", instrument="NFO:B", strategy="s2")
    assert bench.order("e2").evidence.cancel.wanted and cancels(bench) == []
    for _ in range(30):
        bench.tick(SECOND)
        bench.read()
    assert bench.order("e2").filled_seen == 0, "no book has shown it"
    assert [call.order.client_order_id for call in cancels(bench)] == ["e2"]
