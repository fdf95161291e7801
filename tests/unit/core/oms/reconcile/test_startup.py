"""A start compares the books before entries may go, says what it found, and rebuilds what a lost journal held."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mytrading.core.oms import OrderMachine
from mytrading.core.oms.reconcile import journal_rebuild
from mytrading.messages.account_events import RecoveryChanged
from mytrading.messages.commands import CloseGoal, PlaceEntry
from mytrading.messages.control import ModeCleared
from mytrading.messages.enums import OrderState, OrderType, Outcome, Product, Purpose, Side
from mytrading.messages.journal_rows import RiskOpened
from mytrading.messages.orders import OrderChanged, PositionAdjusted, PositionChanged
from mytrading.messages.reports import ModeSeen, ReadRequest
from tests.kit.fake_broker import ACCOUNT, SECOND, OrderBench

OVER = "NFO:NIFTY30DEC2526000CE"
AFTER = int(datetime(2026, 1, 2, tzinfo=UTC).timestamp()) * SECOND


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.hold("e1")
    made.tick(10 * SECOND)
    return made


def last_word(bench: OrderBench) -> RecoveryChanged:
    found = [row for row in bench.rows if isinstance(row, RecoveryChanged)]
    return found[-1]


def test_start_waits_for_the_books_and_says_what_it_found(bench: OrderBench) -> None:
    bench.crash((ACCOUNT,))
    assert not bench.machine.has_recovered(ACCOUNT)
    bench.read()
    assert bench.machine.has_recovered(ACCOUNT)
    row = last_word(bench)
    assert (row.done, row.orders, row.positions, row.unmanaged, row.corrected) == (True, 0, 1, (), ())


def test_positions_are_asked_for_again_until_the_books_agree(bench: OrderBench) -> None:
    """A market that waited for the start stood still for a minute: only the regular read asked for positions."""
    bench.crash((ACCOUNT,))
    bench.read(positions=None)
    bench.tick(2 * SECOND)
    assert [row.positions for row in bench.rows if isinstance(row, ReadRequest)][-1]
    bench.read()
    asked = len([row for row in bench.rows if isinstance(row, ReadRequest)])
    bench.tick(4 * SECOND)
    assert len([row for row in bench.rows if isinstance(row, ReadRequest)]) == asked


def test_order_of_ours_that_a_read_showed_before_its_answer_is_no_order_of_others(bench: OrderBench) -> None:
    bench.broker.by_hand(7, "NFO:B")
    bench.enter("e2", instrument="NFO:C")
    (call,) = bench.calls
    placed = bench.broker.place(call.order, bench.time)
    bench.read()
    bench.end(call, Outcome.ACCEPTED, placed.id)
    bench.crash((ACCOUNT,))
    bench.tick(6 * SECOND)
    bench.read()
    bench.tick(6 * SECOND)
    bench.read()
    assert last_word(bench).done and last_word(bench).foreign == 1


def test_start_in_a_wrong_mode_asks_for_no_read_until_a_person_ends_it(bench: OrderBench) -> None:
    """The comparison could not end, and the books were read each second: 207 calls a minute."""
    bench.step(ModeSeen(account=ACCOUNT, mode="live", expected=False, machine_ns=bench.time, message="it is live"))
    bench.crash((ACCOUNT,))
    asked = bench.reads_wanted
    for _ in range(600):
        bench.tick()
    bench.read()
    assert bench.reads_wanted == asked and not bench.machine.has_recovered(ACCOUNT)
    assert bench.machine.wrong_mode_message(ACCOUNT) == "it is live"
    bench.step(ModeCleared(account=ACCOUNT, at_ns=bench.now))
    assert bench.reads_wanted == asked + 1 and bench.machine.wrong_mode_message(ACCOUNT) == ""
    bench.read()
    assert bench.machine.has_recovered(ACCOUNT)


@pytest.mark.parametrize("book", ["orders", "trades", "positions"])
def test_read_without_one_of_the_books_recovers_nothing(bench: OrderBench, book: str) -> None:
    bench.crash((ACCOUNT,))
    bench.read(**{book: None})
    assert not bench.machine.has_recovered(ACCOUNT)


def test_what_the_broker_holds_beyond_ours_becomes_unmanaged_before_entries_go(bench: OrderBench) -> None:
    bench.broker.by_hand(80)
    bench.crash((ACCOUNT,))
    bench.read()
    assert not bench.machine.has_recovered(ACCOUNT)
    bench.tick(6 * SECOND)
    bench.read()
    assert bench.machine.has_recovered(ACCOUNT)
    assert last_word(bench).unmanaged == ("+30 NFO:A MIS",)


def test_what_was_closed_while_away_is_corrected_and_reported(bench: OrderBench) -> None:
    bench.broker.by_hand(20)
    bench.crash((ACCOUNT,))
    bench.read()
    bench.tick(6 * SECOND)
    bench.read()
    (text,) = last_word(bench).corrected
    assert "30 fewer" in text and bench.position().quantity == 20


def test_order_that_was_out_when_the_process_died_is_adopted_and_reported(bench: OrderBench) -> None:
    bench.enter("e2", instrument="NFO:B")
    order = bench.calls[-1].order
    placed = bench.broker.place(order, bench.time)
    bench.crash((ACCOUNT,))
    for _ in range(2):
        bench.tick(SECOND)
        bench.read()
    assert bench.order("e2").broker_order_id == placed.id
    assert last_word(bench).adopted == (f"e2 is broker order {placed.id}",)


def test_order_of_unknown_fate_is_reported_and_keeps_nobody_else_waiting(bench: OrderBench) -> None:
    bench.enter("e2", instrument="NFO:B")
    bench.end(bench.calls[-1], Outcome.UNKNOWN)
    bench.crash((ACCOUNT,))
    bench.tick(SECOND)
    bench.read()
    assert bench.machine.has_recovered(ACCOUNT)
    assert len(last_word(bench).unresolved) == 1 and last_word(bench).unresolved[0].startswith("e2: BUY")


def test_position_in_an_expired_contract_is_not_restored_and_is_reported() -> None:
    bench = OrderBench()
    bench.hold("e1", instrument=OVER)
    bench.tick(10 * SECOND)
    rows = bench.crash((ACCOUNT,), now=AFTER)
    (adjusted,) = [row for row in rows if isinstance(row, PositionAdjusted)]
    assert (adjusted.cause, adjusted.quantity, adjusted.position.quantity) == ("expiry", -50, 0)
    assert adjusted.position.realised == 0.0
    assert "POSITION_EXPIRED" in bench.codes()
    assert OVER in last_word(bench).expired[0]


def test_expired_position_names_the_fill_of_its_stop_that_the_stream_alone_reported() -> None:
    bench = OrderBench()
    bench.read()
    bench.enter("e1", instrument=OVER, stop_trigger=90.0, stop_limit=85.0)
    placed = bench.accept()
    bench.broker.trade(placed, 50, 100.0)
    bench.report(placed)
    bench.read()
    stop = bench.accept()
    bench.broker.trade(stop, 50, 89.0)
    bench.report(stop)
    assert (bench.position(instrument=OVER).quantity, bench.position(instrument=OVER).quantity_seen) == (50, 0)
    bench.crash((ACCOUNT,), now=AFTER)
    (alert,) = [row for row in bench.alerts if row.code == "POSITION_EXPIRED"]
    assert f"SELL 50 by broker order {stop.id}" in alert.message
    assert f"SELL 50 by broker order {stop.id}" in last_word(bench).expired[-1]


def test_expired_position_that_nothing_was_reported_of_names_no_fill() -> None:
    bench = OrderBench()
    bench.hold("e1", instrument=OVER)
    bench.crash((ACCOUNT,), now=AFTER)
    (alert,) = [row for row in bench.alerts if row.code == "POSITION_EXPIRED"]
    assert "held 50 of" in alert.message and "broker order" not in alert.message


def test_contract_that_expires_later_is_restored() -> None:
    bench = OrderBench()
    bench.hold("e1", instrument="NFO:NIFTY30DEC2626000CE")
    bench.tick(10 * SECOND)
    rows = bench.crash((ACCOUNT,), now=AFTER)
    assert not [row for row in rows if isinstance(row, PositionAdjusted)]


def command(name: str) -> PlaceEntry:
    return PlaceEntry(
        id=name, account=ACCOUNT, instrument="NFO:B", product=Product.MIS, strategy="s1", run="r1", cause=name,
        purpose=Purpose.ENTRY, side=Side.BUY, quantity=75, order_type=OrderType.LIMIT, price=10.0,
        expires_ns=1 << 62, expires_machine_ns=1 << 62, reference_price=10.0, trace_ns=0,
    )  # fmt: skip


def test_entry_that_a_lost_journal_may_have_sent_is_of_unknown_fate_and_never_sent_again(bench: OrderBench) -> None:
    rows = bench._commit(bench.machine.rebuild_rows([command("e1"), command("e9")], bench.time, bench.now))
    assert bench.order("e9").state is OrderState.UNKNOWN
    bench.step(command("e9"))
    bench.tick(SECOND)
    assert not [call for call in bench.calls if call.order.client_order_id == "e9"]
    shown = {row.order.client_order_id for row in rows if isinstance(row, OrderChanged) and row.event == "restored"}
    assert shown == {"e1", "e9"}
    levels = [row for row in rows if isinstance(row, PositionChanged)]
    assert [(row.position.quantity, row.fill_quantity) for row in levels] == [(50, 0)]


def test_exit_that_a_lost_journal_never_decided_on_is_begun_after_two_reads(bench: OrderBench) -> None:
    goal = CloseGoal(
        id="g1",
        account=ACCOUNT,
        instrument="NFO:A",
        product=Product.MIS,
        strategy="s1",
        run="r1",
        cause="c",
        reason="t",
    )
    bench._commit(bench.machine.rebuild_rows([goal], bench.time, bench.now))
    for _ in range(2):
        bench.tick(6 * SECOND)
        bench.read()
    assert [call.order.quantity for call in bench.calls] == [50]


def test_lost_journal_begins_with_what_risk_carried_into_the_day(bench: OrderBench) -> None:
    carried = RiskOpened(day="2026-11-23", positions=(bench.position(),))
    (opened,) = journal_rebuild.opening_rows([carried])
    machine = OrderMachine()
    machine.apply(opened)
    position = machine.position(ACCOUNT, "NFO:A", Product.MIS, "s1")
    assert position is not None and position.quantity == 50
    assert journal_rebuild.opening_rows([]) == ()
