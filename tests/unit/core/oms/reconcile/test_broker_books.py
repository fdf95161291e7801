"""Positions against the broker's books, recovery after a stop, and the turn of a day."""

from __future__ import annotations

import time
from datetime import date
from datetime import time as clock

import pytest
from msgspec.structs import replace

from mytrading.core.oms import OmsLimits, OrderMachine
from mytrading.core.time import to_ns
from mytrading.messages.account_events import ForeignSeen, MismatchSeen, UnmanagedChanged
from mytrading.messages.enums import (
    BrokerStatus,
    Call,
    Confidence,
    OrderState,
    OrderType,
    Outcome,
    Product,
    Purpose,
    Severity,
    Side,
)
from mytrading.messages.orders import Order, OrderChanged, PositionAdjusted
from mytrading.messages.reports import BrokerPosition
from tests.kit.fake_broker import ACCOUNT, MS, NEVER, SECOND, OrderBench
from tests.kit.state_digest import state_digest

A = ("NFO:A", Product.MIS)


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.check_purity = True
    made.hold("e1")
    made.broker.net[("NFO:OTHER", Product.MIS)] = 0
    made.tick(10 * SECOND)
    return made


def apart(bench: OrderBench, **fields: object) -> list[object]:
    rows = list(bench.read(**fields))
    bench.tick(6 * SECOND)
    return [*rows, *bench.read(**fields)]


def kinds(rows: list[object], kind: type) -> list[object]:
    return [row for row in rows if isinstance(row, kind)]


def test_books_that_agree_say_nothing(bench: OrderBench) -> None:
    bench.read()
    assert apart(bench) == []


def test_surplus_is_unmanaged_after_two_reads(bench: OrderBench) -> None:
    bench.broker.by_hand(80)
    rows = apart(bench)
    (unmanaged,) = kinds(rows, UnmanagedChanged)
    assert isinstance(unmanaged, UnmanagedChanged) and unmanaged.quantity == 30
    assert bench.position().quantity == 50
    bench.broker.by_hand(50)
    apart(bench)
    assert bench.machine.snapshot("2026-11-23").unmanaged == ()


@pytest.mark.parametrize("others", [0, 30])
def test_units_that_were_sold_became_nobodys_by_a_book_that_stood_still(bench: OrderBench, others: int) -> None:
    """Two reads at its last state, and 50 unmanaged units that were not there hid what the next entry filled."""
    bench.read()
    if others:
        bench.hold("e2", others, strategy="s2")
        bench.tick(1 * SECOND)
        bench.read()
    stale = bench.broker.books(bench.time).positions
    bench.close("g1")
    leaving = bench.accept()
    bench.broker.trade(leaving, 50, 100.0)
    bench.report(leaving)
    bench.read(positions=stale)
    assert bench.position().quantity == 0
    bench.rows.clear()
    for _ in range(5):
        bench.tick(7 * SECOND)
        bench.read(positions=stale)
    for _ in range(20):
        bench.tick(7 * SECOND)
        bench.read(positions=stale)
    assert kinds(bench.rows, UnmanagedChanged) == [], "no trade of today explains them, however long it stands still"
    (told,) = [alert for alert in bench.alerts if "have no owner" in alert.message]
    assert bench.stands("POSITION_DISPUTED", told.subject) and "50 of it" in told.message
    apart(bench)
    assert not bench.stands("POSITION_DISPUTED", told.subject), "it moves again"


def unmanaged_units(bench: OrderBench) -> int:
    return sum(row.quantity for row in bench.machine.snapshot("2026-11-23").unmanaged)


@pytest.mark.parametrize("there", [10, 25])
def test_part_fill_stayed_unconfirmed_for_ever_beside_unmanaged_units_that_were_gone(there: int) -> None:
    """The order book names no units, and the net bears none out while it is below what was unmanaged."""
    bench = OrderBench(names_filled=False)
    bench.check_purity = True
    bench.broker.net[A] = 60
    apart(bench)
    assert unmanaged_units(bench) == 60
    bench.enter("e1", 50, order_type=OrderType.LIMIT, price=100.0, stop_trigger=90.0, stop_limit=87.0)
    entry = bench.accept()
    bench.broker.net[A] = there - 10
    bench.broker.trade(entry, 10, 100.0)
    bench.read()
    bench.answer_calls()
    bench.tick(1 * SECOND)
    for _ in range(4):
        bench.tick(6 * SECOND)
        bench.read()
    assert (bench.order("e1").filled, bench.position().quantity, unmanaged_units(bench)) == (10, 10, there - 10)


def test_surplus_beside_an_order_held_for_approval_is_unmanaged(bench: OrderBench) -> None:
    bench.enter("e2", 60)
    bench.end(bench.calls[-1], Outcome.PARKED)
    bench.tick(10 * SECOND)
    bench.broker.by_hand(57)
    rows = apart(bench)
    (unmanaged,) = kinds(rows, UnmanagedChanged)
    assert isinstance(unmanaged, UnmanagedChanged) and unmanaged.quantity == 7
    assert bench.order("e2").state is OrderState.PARKED


def test_fill_of_an_order_that_a_person_let_go_is_ours_and_never_unmanaged(bench: OrderBench) -> None:
    bench.enter("e2", 60)
    bench.end(bench.calls[-1], Outcome.PARKED)
    bench.tick(10 * SECOND)
    placed = bench.broker.place(bench.order("e2"), bench.time)
    bench.broker.trade(placed, 60, 101.0)
    rows = [row for _ in range(3) for row in apart(bench)]
    assert kinds(rows, UnmanagedChanged) == []
    assert (bench.order("e2").state, bench.position().quantity) == (OrderState.FILLED, 110)


def test_unmanaged_is_not_sold_by_a_goal(bench: OrderBench) -> None:
    bench.broker.by_hand(80)
    apart(bench)
    bench.close("g1")
    assert bench.calls[0].order.quantity == 50


def test_deficit_corrects_the_owners_after_two_reads(bench: OrderBench) -> None:
    bench.broker.by_hand(20)
    assert kinds(bench.read(), PositionAdjusted) == []
    bench.tick(6 * SECOND)
    (row,) = kinds(bench.read(), PositionAdjusted)
    assert isinstance(row, PositionAdjusted) and (row.cause, row.quantity) == ("correction", -30)
    assert bench.position().quantity == 20 and "POSITION_CORRECTED" in bench.codes()


def test_deficit_takes_from_the_newest_owner_first(bench: OrderBench) -> None:
    bench.hold("e2", strategy="s2")
    bench.tick(10 * SECOND)
    bench.broker.by_hand(70)
    apart(bench)
    assert (bench.position("s1").quantity, bench.position("s2").quantity) == (50, 20)


def test_deficit_seen_once_is_cleared_by_an_agreeing_read(bench: OrderBench) -> None:
    bench.broker.net[A] = 20
    bench.read()
    bench.broker.net[A] = 50
    bench.tick(6 * SECOND)
    (row,) = kinds(bench.read(), MismatchSeen)
    assert isinstance(row, MismatchSeen) and row.cleared


def test_entries_wait_while_a_mismatch_is_open(bench: OrderBench) -> None:
    bench.broker.by_hand(20)
    bench.read()
    bench.enter("e2")
    assert bench.order("e2").state is OrderState.INITIALIZED
    bench.tick(6 * SECOND)
    bench.read()
    assert bench.order("e2").state is OrderState.SUBMITTED


def test_position_is_disputed_from_the_first_mismatch_until_it_is_settled(bench: OrderBench) -> None:
    bench.broker.by_hand(20)
    bench.read()
    assert (bench.position().quantity, bench.position().confidence) == (50, Confidence.DISPUTED)
    bench.tick(6 * SECOND)
    bench.read()
    assert (bench.position().quantity, bench.position().confidence) == (20, Confidence.CONFIRMED)


def test_position_is_confirmed_again_by_a_read_that_agrees(bench: OrderBench) -> None:
    bench.broker.net[A] = 20
    bench.read()
    bench.broker.net[A] = 50
    bench.read()
    assert bench.position().confidence is Confidence.CONFIRMED


def test_disputed_position_can_be_closed_and_is_not_disputed_when_flat(bench: OrderBench) -> None:
    bench.broker.net[A] = 80
    bench.read()
    bench.close("g1")
    placed = bench.accept()
    bench.broker.trade(placed, 20, 100.0)
    bench.report(placed)
    bench.read(positions=None)
    assert (bench.position().quantity, bench.position().confidence) == (30, Confidence.DISPUTED)
    bench.broker.trade(placed, 30, 100.0)
    bench.report(placed)
    bench.read(positions=None)
    assert (bench.position().quantity, bench.position().confidence) == (0, Confidence.CONFIRMED)


def test_none_book_says_nothing(bench: OrderBench) -> None:
    bench.broker.net[A] = 0
    assert apart(bench, positions=None) == []


def test_empty_book_alone_never_corrects(bench: OrderBench) -> None:
    for _ in range(4):
        apart(bench, positions=())
    assert bench.position().quantity == 50


def test_empty_book_is_the_second_agreeing_read(bench: OrderBench) -> None:
    bench.broker.by_hand(0)
    bench.read()
    bench.tick(6 * SECOND)
    bench.read(positions=())
    assert bench.position().quantity == 0


def test_read_begun_before_the_last_event_says_nothing(bench: OrderBench) -> None:
    began = bench.time - 10 * SECOND - 10 * MS
    stale = (BrokerPosition(instrument="NFO:A", product=Product.MIS, quantity=0),)
    assert bench.read(began_machine_ns=began, positions=stale) == []


def test_books_are_not_compared_while_an_exit_that_may_have_filled_is_out(bench: OrderBench) -> None:
    bench.close("g1")
    bench.broker.net[A] = 0
    assert kinds(apart(bench), MismatchSeen) == []


def test_entry_that_is_out_suspended_the_comparison_though_it_can_only_add(bench: OrderBench) -> None:
    bench.enter("e2")
    bench.broker.net[A] = 0
    assert [row.broker for row in kinds(apart(bench), MismatchSeen)][:1] == [0]


def test_read_that_is_behind_is_no_evidence_of_absence(bench: OrderBench) -> None:
    bench.close("g1")
    bench.tick(SECOND)
    before = bench.broker.books(bench.time)
    placed = bench.accept()
    bench.broker.trade(placed, 50, 100.0)
    bench.report(placed)
    bench.read()
    assert bench.position().quantity == 0
    for _ in range(2):
        bench.tick(6 * SECOND)
        bench.read(before)
    assert not kinds(bench.rows, UnmanagedChanged), "the old net of 50 is not a surplus"


def test_filled_order_dropped_from_the_book_is_alarmed_and_holds_nothing_up(bench: OrderBench) -> None:
    bench.enter("e2", instrument="NFO:B")
    bench.accept()
    del bench.broker.orders["B1"]
    for _ in range(3):
        bench.read()
        bench.tick(16 * SECOND)
    assert "ORDER_MISSING" in bench.codes()
    bench.broker.net[A] = 20
    apart(bench)
    assert bench.position().quantity == 20


def test_recovery_makes_calls_without_answer_unknown_and_reads(bench: OrderBench) -> None:
    bench.enter("e2", instrument="NFO:B")
    rows = bench.crash()
    assert bench.order("e2").state is OrderState.UNKNOWN
    assert [type(row).__name__ for row in rows].count("ReadRequest") == 1


def test_recovery_makes_a_call_that_never_began_and_no_other(bench: OrderBench) -> None:
    bench.enter("e2", instrument="NFO:B")
    bench.enter("e3", instrument="NFO:C")
    bench.crash(never_began=lambda name, attempt: (name, attempt) == ("e2", 1))
    assert (bench.order("e2").state, bench.order("e3").state) == (OrderState.INITIALIZED, OrderState.UNKNOWN)
    bench.tick(1 * SECOND)
    bench.read()
    bench.tick(1 * SECOND)
    assert [call.order.client_order_id for call in bench.calls] == ["e2"]
    assert bench.order("e2").call.attempt == 2


def test_recovery_repeats_an_unanswered_cancel_but_no_placing(bench: OrderBench) -> None:
    bench.enter("e2", instrument="NFO:B")
    bench.accept()
    bench.close("g1", instrument="NFO:B")
    bench.crash()
    bench.tick(2 * SECOND)
    assert [call.call.value for call in bench.calls] == ["cancel"]


def test_replay_gives_the_state_back(bench: OrderBench) -> None:
    bench.close("g1")
    bench.end(bench.calls[0], Outcome.UNKNOWN)
    bench.read()
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_day_opened_carries_everything_that_is_alive(bench: OrderBench) -> None:
    bench.enter("e2", instrument="NFO:B")
    bench.accept()
    bench.close("g1")
    opened = bench.machine.snapshot("2026-11-23")
    fresh = OrderMachine(OmsLimits())
    fresh.apply(opened)
    assert [order.client_order_id for order in opened.orders] == sorted(["e2", bench.calls[0].order.client_order_id])
    assert [goal.id for goal in fresh.goals()] == ["g1"]
    position = fresh.position(ACCOUNT, "NFO:A", Product.MIS, "s1")
    assert position is not None and position.quantity == 50
    bench.machine.apply(opened)
    assert state_digest(fresh) == state_digest(bench.machine)


def test_day_opened_counts_realised_from_zero(bench: OrderBench) -> None:
    bench.close("g1")
    placed = bench.accept()
    bench.broker.trade(placed, 20, 110.0)
    bench.report(placed)
    bench.read()
    assert bench.position().realised == pytest.approx(200.0)
    bench.machine.apply(bench.machine.snapshot("2026-11-23"))
    assert (bench.position().quantity, bench.position().realised) == (30, 0.0)


SHARE = ("NSE:A", Product.CNC)


def delivered(bench: OrderBench) -> None:
    """Fifty shares bought as CNC yesterday: they are holdings, and the position book shows other things alone."""
    bench.hold("e2", instrument="NSE:A", product=Product.CNC)
    bench.tick(10 * SECOND)
    bench.machine.apply(bench.machine.snapshot("2026-11-24"))
    bench.see_mode()
    bench.broker.orders.clear()
    bench.broker.net.pop(SHARE)
    bench.tick(10 * SECOND)
    bench.read()


def shares(bench: OrderBench) -> tuple[int, Confidence | None]:
    held = bench.machine.position(ACCOUNT, "NSE:A", Product.CNC, "s1")
    return (held.quantity, held.confidence) if held is not None and held.quantity else (0, None)


def test_shares_delivered_overnight_stay_owned_though_the_position_book_lacks_them(bench: OrderBench) -> None:
    delivered(bench)
    assert apart(bench) == []
    assert shares(bench) == (50, Confidence.CONFIRMED)
    bench.broker.net[SHARE] = 0
    assert apart(bench) == []
    assert "POSITION_CORRECTED" not in bench.codes()


def test_shares_delivered_overnight_and_sold_by_hand_are_corrected(bench: OrderBench) -> None:
    delivered(bench)
    bench.broker.net[SHARE] = -20
    apart(bench)
    assert shares(bench) == (30, Confidence.CONFIRMED)
    assert "POSITION_CORRECTED" in bench.codes()


def test_shares_delivered_overnight_and_sold_by_a_goal_agree_with_a_negative_net(bench: OrderBench) -> None:
    delivered(bench)
    bench.close("g1", instrument="NSE:A", product=Product.CNC)
    placed = bench.accept()
    bench.broker.trade(placed, 50, 110.0)
    bench.report(placed)
    assert bench.broker.net[SHARE] == -50
    apart(bench)
    assert shares(bench) == (0, None)
    assert not {"POSITION_CORRECTED", "POSITION_DISPUTED"} & set(bench.codes())
    assert bench.machine.snapshot("2026-11-24").unmanaged == ()


def test_shares_bought_beside_delivered_ones_are_compared(bench: OrderBench) -> None:
    delivered(bench)
    bench.hold("e3", instrument="NSE:A", product=Product.CNC)
    bench.tick(10 * SECOND)
    assert apart(bench) == []
    assert shares(bench) == (100, Confidence.CONFIRMED)
    bench.broker.net[SHARE] = 0
    apart(bench)
    assert shares(bench)[0] == 50


@pytest.mark.parametrize("sold", [False, True])
def test_exit_of_delivered_shares_that_no_book_shows_is_a_ghost_and_one_that_was_sold_is_not(
    bench: OrderBench, sold: bool
) -> None:
    """The position book has no row of them before a sale: their exit waited for a person, and so did their stop."""
    delivered(bench)
    bench.close("g1", instrument="NSE:A", product=Product.CNC)
    call = bench.calls[0]
    if sold:
        bench.broker.net[SHARE] = -50
    bench.tick(1 * SECOND)
    bench.end(call, Outcome.UNKNOWN, message="timed out")
    for _ in range(3):
        bench.read()
        bench.tick(16 * SECOND)
    assert ("ORDER_GHOST" in bench.codes()) is not sold
    assert [call.order.links.goal for call in bench.calls] == ([] if sold else ["g1"])


def test_contracts_held_overnight_are_still_compared_with_the_book(bench: OrderBench) -> None:
    bench.machine.apply(bench.machine.snapshot("2026-11-24"))
    bench.broker.orders.clear()
    bench.broker.net[A] = 0
    apart(bench)
    assert bench.position().quantity == 0


@pytest.mark.parametrize("answered", [True, False])
def test_order_of_an_earlier_day_ends_when_two_books_do_not_show_it(bench: OrderBench, answered: bool) -> None:
    bench.enter("e2", instrument="NFO:B")
    if answered:
        bench.accept()
    else:
        bench.end(bench.calls[0], Outcome.UNKNOWN)
    bench.machine.apply(bench.machine.snapshot("2026-11-23"))
    bench.broker.orders.clear()
    bench.read()
    assert bench.order("e2").state is not OrderState.EXPIRED
    bench.read()
    assert bench.order("e2").state is OrderState.EXPIRED
    assert ("ORDER_OVERNIGHT" if answered else "ORDER_UNRESOLVED") in bench.codes()


def test_expire_day_ends_what_is_unsent_or_unknown(bench: OrderBench) -> None:
    bench.enter("e2", instrument="NFO:B", expires_ns=NEVER)
    bench.end(bench.calls[0], Outcome.UNKNOWN)
    bench.enter("e3", instrument="NFO:B")
    for row in bench.machine.expire_day(bench.now, "2026-11-23"):
        bench.machine.apply(row)
    assert bench.order("e2").state is bench.order("e3").state is OrderState.EXPIRED


def test_entry_with_500_orders_in_state_scans_none_of_them() -> None:
    """The budget is 100 µs; the bound is loose because test machines are busy, and a scan would be far beyond it."""
    machine = OrderMachine()
    machine.apply(ForeignSeen(account=ACCOUNT, ids=(), machine_ns=1))
    for number in range(500):
        machine.apply(OrderChanged(event="accepted", order=_resting(number), machine_ns=5))
    bench = OrderBench()
    bench.machine = machine
    bench.see_mode()
    took = []
    for number in range(50):
        bench.time += 2 * SECOND
        began = time.perf_counter_ns()
        bench.enter(f"p{number}", instrument=f"NFO:Z{number}")
        took.append(time.perf_counter_ns() - began)
        bench.tick(MS)
    assert len(bench.calls) == 50 and min(took) < 1 * MS


def _resting(number: int) -> Order:
    return Order(
        client_order_id=f"o{number}",
        account=ACCOUNT,
        instrument=f"NFO:Y{number % 50}",
        product=Product.MIS,
        strategy="s",
        run="r",
        cause="c",
        purpose=Purpose.ENTRY,
        side=Side.BUY,
        quantity=5,
        order_type=OrderType.LIMIT,
        state=OrderState.ACCEPTED,
        created_ns=0,
        updated_ns=0,
        broker_order_id=f"b{number}",
    )


def test_unreadable_row_of_somebody_elses_instrument_spoils_nothing_of_ours(bench: OrderBench) -> None:
    bench.broker.by_hand(80)
    assert kinds(apart(bench, unread=("NFO:THEIRS",)), UnmanagedChanged)


def test_unreadable_row_of_an_instrument_of_ours_is_never_read_as_flat(bench: OrderBench) -> None:
    bench.broker.by_hand(0)
    bench.broker.net[("NFO:OTHER", Product.MIS)] = 10
    for _ in range(3):
        rows = kinds(apart(bench, unread=("NFO:A",)), MismatchSeen)
        assert [row for row in rows if isinstance(row, MismatchSeen) and row.instrument == "NFO:A"] == []
    assert bench.position().quantity == 50
    apart(bench)
    assert bench.position().quantity == 0


def guarded(bench: OrderBench) -> OrderBench:
    """The bench with a position in another instrument whose stop rests, and all books read."""
    bench.hold("e9", instrument="NFO:B", stop_trigger=90.0, stop_limit=87.0)
    bench.accept()
    bench.read()
    bench.tick(10 * SECOND)
    return bench


def test_position_book_that_lags_takes_nothing_that_the_trade_book_holds(bench: OrderBench) -> None:
    """Two reads of a flat position were believed: the owner lost its units, and what was held its stop."""
    guarded(bench).broker.net["NFO:B", Product.MIS] = 0
    for _ in range(12):
        apart(bench)
    held = bench.position("s1", "NFO:B")
    assert (held.quantity, held.confidence) == (50, Confidence.DISPUTED)
    assert [call for call in bench.calls if call.order.instrument == "NFO:B"] == []
    reported = [alert for alert in bench.alerts if alert.severity is Severity.CRITICAL]
    assert [alert.code for alert in reported] == ["POSITION_DISPUTED"] and "positions settle" in reported[0].message
    assert "the trade book more; ours stays with its stop; look" in reported[0].message
    assert state_digest(bench.replayed()) == state_digest(bench.machine)
    bench.broker.net["NFO:B", Product.MIS] = 50
    bench.read()
    assert bench.position("s1", "NFO:B").confidence is Confidence.CONFIRMED


def test_position_that_a_trade_of_a_stranger_closed_is_corrected_and_its_stop_ends(bench: OrderBench) -> None:
    guarded(bench).broker.by_hand(0, "NFO:B")
    apart(bench)
    assert bench.position("s1", "NFO:B").quantity == 0
    assert [call.call for call in bench.calls] == [Call.CANCEL]


def without(bench: OrderBench, book: str) -> dict[str, object]:
    """Fields of a read whose trade book does not tell our fills once."""
    rows = bench.broker.books(bench.time).trades or ()
    twice = tuple(replace(row, quantity=2 * row.quantity) for row in rows)
    return {"trades": {"doubled": twice, "empty": (), "failed": None}[book]}


@pytest.mark.parametrize("book", ["doubled", "empty", "failed"])
def test_position_book_that_lags_takes_no_stop_while_the_trade_book_fails(bench: OrderBench, book: str) -> None:
    """Without the trade book two reads of a flat position were believed: what was held lost its units and its stop."""
    guarded(bench).broker.net["NFO:B", Product.MIS] = 0
    for _ in range(12):
        apart(bench, **without(bench, book))
    held = bench.position("s1", "NFO:B")
    assert (held.quantity, held.confidence) == (50, Confidence.DISPUTED)
    assert [call for call in bench.calls if call.order.instrument == "NFO:B"] == []
    reported = [alert for alert in bench.alerts if alert.severity is Severity.CRITICAL]
    assert [alert.code for alert in reported] == ["POSITION_DISPUTED"]
    assert "ours stays with its stop; look" in reported[0].message
    assert state_digest(bench.replayed()) == state_digest(bench.machine)
    bench.broker.net["NFO:B", Product.MIS] = 50
    bench.read(trades=None)
    assert bench.position("s1", "NFO:B").confidence is Confidence.CONFIRMED


def test_position_book_that_lags_is_never_believed_against_the_order_book(bench: OrderBench) -> None:
    """After 15 minutes without a trade book the units and their stop were taken, and the broker held them still."""
    guarded(bench).broker.net["NFO:B", Product.MIS] = 0
    for trades in ({"trades": ()}, {"trades": None}):
        for _ in range(200):
            apart(bench, **trades)
        bench.tick(16 * 60 * SECOND)
        bench.read(**trades)
        assert held_of(bench) == (50, Confidence.DISPUTED)
    assert "POSITION_CORRECTED" not in bench.codes() and bench.calls == []


def test_exit_by_hand_in_the_order_book_is_believed_without_the_trade_book(bench: OrderBench) -> None:
    guarded(bench).broker.by_hand(0, "NFO:B")
    apart(bench, trades=None)
    assert bench.position("s1", "NFO:B").quantity == 0
    assert [call.call for call in bench.calls] == [Call.CANCEL]


@pytest.mark.parametrize(
    ("status", "left"), [(BrokerStatus.COMPLETE, 20), (BrokerStatus.CANCELLED, 50), (BrokerStatus.REJECTED, 50)]
)
def test_order_of_a_stranger_explains_what_it_certainly_closed_where_the_trade_book_fails(
    bench: OrderBench, status: BrokerStatus, left: int
) -> None:
    guarded(bench).broker.by_hand(20, "NFO:B")
    rows = bench.broker.books(bench.time).orders or ()
    last = replace(rows[-1], status=status, filled=None)
    apart(bench, trades=None, orders=(*rows[:-1], last))
    assert bench.position("s1", "NFO:B").quantity == left


def test_order_book_that_lacks_our_fill_takes_nothing_beside_a_trade_book_that_fails(bench: OrderBench) -> None:
    bench.broker.net[A] = 0
    rows = tuple(
        replace(row, status=BrokerStatus.OPEN, filled=0) for row in bench.broker.books(bench.time).orders or ()
    )
    for _ in range(8):
        apart(bench, trades=None, orders=rows)
    assert (bench.position().quantity, bench.position().confidence) == (50, Confidence.DISPUTED)
    apart(bench)
    assert bench.position().quantity == 50, "all fills of ours are in the trade book again"


def test_position_of_an_earlier_day_may_be_gone_without_a_trade_of_today(bench: OrderBench) -> None:
    opened = bench.machine.snapshot("2026-11-24")
    bench.machine = OrderMachine(bench.limits)
    bench.see_mode()
    bench.step(opened)
    bench.broker.orders.clear()
    bench.broker.net[A] = 0
    bench.tick(10 * SECOND)
    apart(bench)
    assert bench.position().quantity == 0


def night(bench: OrderBench) -> None:
    """The day turns: orders and trades of the broker begin anew, and its positions go on."""
    opened = bench.machine.snapshot("2026-11-24")
    bench.machine = OrderMachine(bench.limits, bench._is_open, bench._squares_off)
    bench.calls.clear()
    bench.journal = []
    bench.step(opened)
    bench.journal = [opened]
    for placed in bench.broker.orders.values():
        placed.status, placed.booked_at = BrokerStatus.EXPIRED, NEVER
    bench.see_mode()
    bench.tick(10 * SECOND)


def settled(bench: OrderBench) -> None:
    """Reads of right books, and calls that the broker takes, until nothing is to do."""
    for _ in range(4):
        apart(bench)
        for call in list(bench.calls):
            if call.call is Call.PLACE:
                bench.accept(call)
            elif call.call is Call.CANCEL:
                bench.cancel(call)
            else:
                bench.modify(call)
    assert bench.calls == []


def carried(bench: OrderBench) -> OrderBench:
    """The bench with a guarded position from yesterday that all books of today have shown, its new stop resting."""
    guarded(bench)
    night(bench)
    settled(bench)
    resting = [placed.instrument for placed in bench.broker.orders.values() if placed.open]
    assert resting == ["NFO:B"], "its stop of today rests"
    return bench


def held_of(bench: OrderBench) -> tuple[int, Confidence]:
    level = bench.position("s1", "NFO:B")
    return level.quantity, level.confidence


@pytest.mark.parametrize("restart", [False, True])
def test_position_book_that_lags_takes_nothing_carried_that_it_has_shown_today(
    bench: OrderBench, restart: bool
) -> None:
    """Units of an earlier day had no trade of today: two reads without their row took them, and their stop."""
    carried(bench)
    if restart:
        bench.crash((ACCOUNT,))
        bench.see_mode()
    bench.broker.net["NFO:B", Product.MIS] = 0
    for _ in range(200):
        apart(bench)
    assert held_of(bench) == (50, Confidence.DISPUTED)
    assert bench.calls == [] and "POSITION_CORRECTED" not in bench.codes()
    reported = [alert for alert in bench.alerts if alert.severity is Severity.CRITICAL]
    assert [alert.code for alert in reported] == ["POSITION_DISPUTED"]
    assert state_digest(bench.replayed()) == state_digest(bench.machine)
    bench.broker.net["NFO:B", Product.MIS] = 50
    bench.read()
    assert held_of(bench) == (50, Confidence.CONFIRMED)


def test_units_carried_under_another_product_are_kept_as_well(bench: OrderBench) -> None:
    bench.hold("e9", instrument="NFO:B", product=Product.NRML)
    night(bench)
    apart(bench)
    bench.broker.net["NFO:B", Product.NRML] = 0
    apart(bench)
    level = bench.machine.position(ACCOUNT, "NFO:B", Product.NRML, "s1")
    assert level is not None and (level.quantity, level.confidence) == (50, Confidence.DISPUTED)
    bench.broker.net["NFO:B", Product.MIS] = 50
    apart(bench)
    level = bench.machine.position(ACCOUNT, "NFO:B", Product.NRML, "s1")
    assert level is not None and level.quantity == 0, "they were converted: nothing of the instrument is missing"


def test_carried_units_are_kept_while_the_trade_book_fails(bench: OrderBench) -> None:
    carried(bench).broker.net["NFO:B", Product.MIS] = 0
    for _ in range(12):
        apart(bench, trades=None)
    assert held_of(bench) == (50, Confidence.DISPUTED) and bench.calls == []
    bench.tick(16 * 60 * SECOND)
    bench.read(trades=None)
    assert held_of(bench) == (50, Confidence.DISPUTED) and bench.calls == []


@pytest.mark.parametrize("fields", [{}, {"trades": None}, {"trades": ()}])
def test_exit_by_hand_of_carried_units_is_believed(bench: OrderBench, fields: dict[str, object]) -> None:
    """A trade book without a fill of ours may be an outage: the exit in the order book counts."""
    carried(bench).broker.by_hand(0, "NFO:B")
    apart(bench, **fields)
    assert bench.position("s1", "NFO:B").quantity == 0
    assert [call.call for call in bench.calls] == [Call.CANCEL]


def test_part_of_carried_units_that_was_sold_by_hand_is_taken_and_no_more(bench: OrderBench) -> None:
    carried(bench).broker.by_hand(20, "NFO:B")
    apart(bench)
    assert held_of(bench) == (20, Confidence.CONFIRMED)
    settled(bench)
    bench.broker.net["NFO:B", Product.MIS] = 0
    for _ in range(4):
        apart(bench)
    assert held_of(bench) == (20, Confidence.DISPUTED)


def test_units_bought_beside_carried_ones_count_with_them(bench: OrderBench) -> None:
    carried(bench).hold("e8", 30, instrument="NFO:B")
    settled(bench)
    for shown, left in ((50, 80), (0, 80)):
        bench.broker.net["NFO:B", Product.MIS] = shown
        apart(bench)
        assert held_of(bench) == (left, Confidence.DISPUTED)


def test_carried_units_that_were_sold_today_are_not_thought_there(bench: OrderBench) -> None:
    carried(bench).close("g1", instrument="NFO:B")
    for _ in range(3):
        for call in list(bench.calls):
            if call.call is Call.CANCEL:
                bench.cancel(call)
            elif call.call is Call.PLACE:
                placed = bench.accept(call)
                bench.broker.trade(placed, 50, 101.0)
                bench.report(placed)
        apart(bench)
    assert bench.position("s1", "NFO:B").quantity == 0
    assert not {"POSITION_CORRECTED", "POSITION_DISPUTED"} & bench.codes()


def test_carried_units_that_only_a_book_from_before_the_session_showed_may_be_gone(bench: OrderBench) -> None:
    """Before its day begins a broker shows the one before: what expired or was closed overnight stands there still."""
    bench.hold("e9", instrument="NFO:B")
    bench.session_open = False
    night(bench)
    apart(bench)
    bench.session_open = True
    bench.broker.net["NFO:B", Product.MIS] = 0
    apart(bench)
    assert bench.position("s1", "NFO:B").quantity == 0


def test_carried_units_count_as_shown_only_without_trades_of_the_day_before(bench: OrderBench) -> None:
    """A trade book that was not begun anew tells of them twice."""
    bench.hold("e9", instrument="NFO:B")
    before = bench.broker.books(bench.time)
    night(bench)
    for _ in range(2):
        bench.read(replace(before, orders=()))
        bench.tick(6 * SECOND)
    bench.broker.net["NFO:B", Product.MIS] = 0
    apart(bench)
    assert bench.position("s1", "NFO:B").quantity == 0


def test_shown_units_of_one_day_say_nothing_of_the_next(bench: OrderBench) -> None:
    carried(bench)
    night(bench)
    bench.broker.net["NFO:B", Product.MIS] = 0
    settled(bench)
    assert bench.position("s1", "NFO:B").quantity == 0


def test_carried_units_that_the_first_reads_lacked_are_taken_and_the_rest_is_kept(bench: OrderBench) -> None:
    bench.hold("e9", instrument="NFO:B")
    night(bench)
    for shown, left in ((30, 30), (0, 30)):
        bench.broker.net["NFO:B", Product.MIS] = shown
        apart(bench)
        assert bench.position("s1", "NFO:B").quantity == left


def test_carried_shares_for_delivery_are_no_matter_of_the_position_book(bench: OrderBench) -> None:
    delivered(bench)
    bench.broker.net[SHARE] = 50
    apart(bench)
    bench.broker.net[SHARE] = -20
    apart(bench)
    assert shares(bench) == (30, Confidence.CONFIRMED)


def test_contract_that_is_settled_at_its_last_close_ends_without_a_trade(bench: OrderBench) -> None:
    name = "NFO:NIFTY24NOV2626000CE"
    bench.tick(to_ns(date(2026, 11, 24), clock(15, 20)) - bench.time)
    bench.hold("e9", instrument=name, expires_ns=2 * NEVER, expires_machine_ns=2 * NEVER)
    bench.tick(10 * SECOND)
    bench.broker.net[name, Product.MIS] = 0
    apart(bench)
    assert bench.position("s1", name).quantity == 50
    bench.session_open = False
    apart(bench)
    assert bench.position("s1", name).quantity == 0


def test_position_book_that_lags_is_not_believed_beside_units_of_nobody_of_the_other_side(bench: OrderBench) -> None:
    bench.broker.by_hand(10)
    apart(bench)
    bench.close("g1")
    placed = bench.accept()
    bench.broker.trade(placed, 10, 100.0)
    bench.report(placed)
    bench.broker.by_hand(10)
    for _ in range(2):
        apart(bench)
    assert (bench.position().quantity, bench.machine.snapshot("2026-11-24").unmanaged[0].quantity) == (0, 10)
    bench.hold("e2", 60, side=Side.SELL)
    bench.tick(10 * SECOND)
    bench.broker.net[A] = 10
    apart(bench)
    assert bench.position().quantity == -60
