"""Risk's own check of protection: two whole readings after the last event, an alarm at T, closed at 2T."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.reconciler.read_plan import broker_held as held_of
from mytrading.messages.control import Alert
from mytrading.messages.enums import BrokerStatus, OrderState, Product, Side
from mytrading.messages.orders import (
    ClaimedUnits,
    Position,
    PositionAdjusted,
    Protection,
    ProtectionChanged,
)
from mytrading.messages.reports import (
    BooksRead,
    BrokerOrder,
    BrokerPosition,
    BrokerTrades,
    ReadRequest,
    UnreadRow,
)
from mytrading.messages.run_config import StopPlan
from tests.kit.risk_bench import CALL, SECOND, SHARE, RiskBench
from tests.kit.risk_guard_bench import Guarded


@pytest.fixture
def guarded() -> Guarded:
    made = Guarded()
    made.stop()
    return made


def test_covered_position_is_never_alarmed(guarded: Guarded) -> None:
    for _ in range(30):
        guarded.read()
    assert guarded.found() == []


@pytest.mark.parametrize("covered", [0, 5, 15])
def test_bare_half_bare_and_overguarded_position_is_alarmed_at_t_and_closed_at_twice_that(covered: int) -> None:
    made = Guarded()
    made.stop()
    made.covered = covered
    made.read()
    made.read()
    for _ in range(4):
        made.read()
    assert made.found() == [], "4 s after the second reading"
    made.bench.pass_time(1)
    assert made.found() == ["POSITION_BARE"]
    for _ in range(4):
        made.read()
    assert made.found() == ["POSITION_BARE"]
    made.read()
    made.read()
    assert made.found() == ["POSITION_BARE", "its stop is not at the broker"]


def test_bare_shares_that_left_the_position_book_overnight_are_alarmed_and_closed() -> None:
    """The book says nothing of delivered shares, and their stops of the order book were not looked at."""
    made = Guarded(product=Product.CNC)
    made.bench.machine.apply(made.bench.machine.snapshot("2026-03-18"))
    made.net = 0
    made.stop()
    for _ in range(10):
        made.read()
    assert made.found() == [], "its stop is there"
    made.stop(OrderState.EXPIRED)
    made.net = -4
    for _ in range(8):
        made.read(covered=0)
    assert made.found() == ["POSITION_BARE"]
    for _ in range(6):
        made.read(covered=0)
    assert made.found() == ["POSITION_BARE", "its stop is not at the broker"]


def test_shares_sold_by_hand_after_delivery_are_not_taken_as_bare() -> None:
    made = Guarded(product=Product.CNC)
    made.bench.machine.apply(made.bench.machine.snapshot("2026-03-18"))
    made.net = -10
    made.stop(OrderState.EXPIRED)
    for _ in range(30):
        made.read(covered=0)
    assert made.found() == []


def test_reading_with_a_row_of_the_instrument_that_nobody_can_read_says_nothing(guarded: Guarded) -> None:
    for _ in range(30):
        guarded.read(covered=0, unread=(SHARE,))
    assert guarded.found() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"no_orders": True},
        {"unread_rows": (UnreadRow(book="orders", broker_order_id="B2"),)},
        {"unread_rows": (UnreadRow(book="orders"),)},
    ],
    ids=["empty order book", "its row", "a row without id"],
)
def test_order_book_that_may_hold_the_stop_unseen_closes_nothing(guarded: Guarded, fields: dict[str, Any]) -> None:
    """An order book that failed as an empty success closed the position ten seconds later, its stop in place."""
    for _ in range(60):
        guarded.read(covered=0, **fields)
    assert guarded.found() == []


def test_row_of_a_stranger_that_nobody_can_read_hides_no_bare_position(guarded: Guarded) -> None:
    for _ in range(14):
        guarded.read(covered=0, unread_rows=(UnreadRow(book="orders", broker_order_id="X1"),))
    assert guarded.found() == ["POSITION_BARE", "its stop is not at the broker"]


def test_single_reading_proves_nothing(guarded: Guarded) -> None:
    guarded.read(covered=0)
    guarded.bench.pass_time(60)
    guarded.read()
    guarded.read(covered=0)
    guarded.bench.pass_time(60)
    assert guarded.found() == []


def test_reading_begun_before_the_last_event_says_nothing(guarded: Guarded) -> None:
    for _ in range(30):
        guarded.stop()
        guarded.read(began=1.5, covered=0)
    assert guarded.found() == []


def test_event_between_the_readings_begins_the_count_anew(guarded: Guarded) -> None:
    for _ in range(10):
        guarded.read(covered=0)
        guarded.stop()
    assert guarded.found() == []


def test_stop_of_unknown_fate_is_the_routers_to_settle(guarded: Guarded) -> None:
    guarded.stop(OrderState.UNKNOWN, name="B9")
    for _ in range(30):
        guarded.read(covered=0)
    assert guarded.found() == []


def test_stop_in_doubt_is_alarmed_and_closed_for_after_its_bound(guarded: Guarded) -> None:
    guarded.stop(OrderState.CANCELLED)
    guarded.stop(OrderState.UNKNOWN, name="B9")
    for _ in range(60):
        guarded.read(covered=0)
    assert guarded.found() == []
    guarded.read(covered=0)
    assert guarded.found() == ["PROTECTION_IN_DOUBT"]
    for _ in range(59):
        guarded.read(covered=0)
    assert guarded.found() == ["PROTECTION_IN_DOUBT"]
    guarded.read(covered=0)
    guarded.read(covered=0)
    assert guarded.found() == ["PROTECTION_IN_DOUBT", "its stop was on its way or in doubt for too long"]


def test_stops_that_come_and_go_without_ever_covering_are_bounded_too(guarded: Guarded) -> None:
    states = (OrderState.UNKNOWN, OrderState.GHOST, OrderState.INITIALIZED, OrderState.SUBMITTED)
    for number in range(130):
        guarded.stop(states[number % 4], name=f"B{10 + number}")
        guarded.read(began=0.5, covered=0)
    assert guarded.found() == ["PROTECTION_IN_DOUBT", "its stop was on its way or in doubt for too long"]


def test_one_reading_with_the_stop_ends_the_doubt(guarded: Guarded) -> None:
    guarded.stop(OrderState.UNKNOWN, name="B9")
    for number in range(200):
        guarded.read(covered=10 if number % 50 == 49 else 0)
    assert guarded.found() == []


def test_stop_in_doubt_is_not_judged_outside_continuous_trading(guarded: Guarded) -> None:
    guarded.bench.now += 10 * 3600 * SECOND
    guarded.stop(OrderState.UNKNOWN, name="B9")
    for _ in range(150):
        guarded.read(covered=0)
    assert "PROTECTION_IN_DOUBT" not in guarded.found()


def test_price_at_the_level_of_a_stop_in_doubt_closes_at_once() -> None:
    made = Guarded()
    level = Protection(
        id="p", account="main", instrument=SHARE, product=Product.MIS, strategy="S", run="r", cause="c",
        side=Side.SELL, trigger=784.0, limit=776.0,
    )  # fmt: skip
    made.bench.give(ProtectionChanged(protection=level, at_ns=made.bench.now))
    made.stop(OrderState.UNKNOWN, name="B9")
    made.read(covered=0)
    made.bench.quote(SHARE, 780.0)
    assert made.found() == [], "one reading proves nothing"
    made.read(covered=0)
    made.bench.quote(SHARE, 785.0)
    assert made.found() == [], "the price is not there"
    made.bench.quote(SHARE, 784.0)
    assert made.found() == ["stop: 784 is at or beyond 784", "STOP_FAILED"]


def levelled() -> Guarded:
    """With a stop of the router's at 784."""
    made = Guarded()
    level = Protection(
        id="p", account="main", instrument=SHARE, product=Product.MIS, strategy="S", run="r", cause="c",
        side=Side.SELL, trigger=784.0, limit=776.0,
    )  # fmt: skip
    made.bench.give(ProtectionChanged(protection=level, at_ns=made.bench.now))
    return made


def test_readings_from_before_a_stop_came_to_rest_do_not_take_the_price_away_from_it() -> None:
    made = levelled()
    made.stop(OrderState.SUBMITTED)
    made.read(covered=0)
    made.read(covered=0)
    made.stop(OrderState.ACCEPTED)
    made.bench.quote(SHARE, 784.0)
    made.read(began=1.5, covered=0)
    made.bench.quote(SHARE, 784.0)
    assert made.found() == []
    made.read(began=0.5, covered=0)
    made.bench.quote(SHARE, 784.0)
    assert made.found() == ["stop: 784 is at or beyond 784", "STOP_FAILED"], "a reading begun since misses it still"


def test_doubt_about_a_position_says_nothing_of_the_next_one() -> None:
    made = levelled()
    made.stop(OrderState.SUBMITTED)
    made.read(covered=0)
    made.read(covered=0)
    assert made.bench.machine.state.guard.doubted_owners()
    (held,) = made.bench.machine.state.open_positions()
    for quantity in (0, 10):
        position = replace(held, quantity=quantity, quantity_seen=quantity)
        made.bench.give(PositionAdjusted(position=position, cause="correction", quantity=0, price=0.0, at_ns=0))
    assert made.bench.machine.state.guard.doubted_owners() == []
    made.bench.quote(SHARE, 784.0)
    assert made.found() == []


def test_price_at_the_level_of_a_stop_that_rests_is_the_exchanges_to_judge() -> None:
    made = levelled()
    made.stop()
    for _ in range(3):
        made.read()
        made.bench.quote(SHARE, 784.0)
    assert made.found() == []


def test_position_that_the_broker_does_not_show_is_no_bare_one(guarded: Guarded) -> None:
    guarded.net = 0
    for _ in range(30):
        guarded.read(covered=0)
    assert guarded.found() == []


@pytest.mark.parametrize("stop", [StopPlan.ENGINE, StopPlan.NONE])
def test_position_whose_stop_is_not_to_be_at_the_broker_is_not_judged(stop: StopPlan) -> None:
    made = Guarded(stop)
    for _ in range(30):
        made.read(covered=0)
    assert made.found() == []
    assert not any(isinstance(row, ReadRequest) for row in made.bench.rows)


def test_nothing_is_judged_nor_asked_for_outside_continuous_trading(guarded: Guarded) -> None:
    guarded.bench.now += 10 * 3600 * SECOND
    guarded.bench.rows.clear()
    for _ in range(30):
        guarded.read(covered=0)
    judged = [row for row in guarded.bench.rows if isinstance(row, Alert | ReadRequest)]
    assert [row for row in judged if not isinstance(row, Alert) or row.code != "SQUARE_OFF_LATE"] == []


def test_foreign_order_of_the_closing_side_covers_nothing(guarded: Guarded) -> None:
    guarded.stop(OrderState.CANCELLED)
    for _ in range(13):
        guarded.read(covered=10)
    assert guarded.found() == ["POSITION_BARE", "its stop is not at the broker"]


def test_books_are_asked_for_each_second_while_the_stop_is_missing_and_every_ten_when_it_rests() -> None:
    def asked(made: Guarded) -> int:
        made.bench.rows.clear()
        for _ in range(20):
            made.read()
        return sum(isinstance(row, ReadRequest) for row in made.bench.rows)

    bare, well = Guarded(), Guarded()
    well.stop()
    assert (asked(bare), asked(well)) == (20, 2)


def test_held_needs_both_books_and_counts_what_may_still_trade() -> None:
    row = BrokerOrder(
        broker_order_id="B1", instrument=SHARE, side=Side.SELL, quantity=10, status=BrokerStatus.TRIGGER_PENDING
    )
    done = replace(row, broker_order_id="B0", status=BrokerStatus.COMPLETE)
    traded = BrokerTrades(broker_order_id="B1", instrument=SHARE, side=Side.SELL, quantity=4, value=1.0)
    flat = BrokerPosition(instrument="NSE:X", product=Product.MIS, quantity=0)
    books = BooksRead(
        account="main", id="r", began_machine_ns=1, ended_machine_ns=2, orders=(row, done), trades=(traded,),
        positions=(flat,),
    )  # fmt: skip
    found = held_of(books, 7)
    assert found is not None
    assert [(order.broker_order_id, order.quantity) for order in found.orders] == [("B1", 6)]
    assert (found.positions, found.at_ns) == ((), 7)
    assert held_of(replace(books, positions=None), 7) is None
    assert held_of(replace(books, orders=None), 7) is None


def test_position_that_a_person_claimed_without_a_stop_is_not_closed_for_it() -> None:
    guarded = Guarded()
    position = Position(
        account="main", instrument=CALL, product=Product.MIS, strategy="manual", run="r", quantity=65,
        quantity_seen=65, average_price=100.0, opened_ns=guarded.bench.now, updated_ns=guarded.bench.now,
    )  # fmt: skip
    claim = PositionAdjusted(position=position, cause="claim", quantity=65, price=100.0, at_ns=guarded.bench.now)
    guarded.bench.give(claim)
    assert [key[1] for key in guarded.bench.machine.state.guarded_positions()] == [SHARE]
    level = Protection(
        **position.owner._asdict(), id="p", run="r", cause="c", side=Side.SELL, trigger=90.0, limit=87.0,
        claimed=ClaimedUnits(units=65, before=replace(position, quantity=0, quantity_seen=0)),
    )  # fmt: skip
    guarded.bench.give(ProtectionChanged(protection=level, at_ns=guarded.bench.now))
    assert [key[1] for key in guarded.bench.machine.state.guarded_positions()] == [SHARE], "its stop is being placed"
    guarded.bench.give(ProtectionChanged(protection=replace(level, claimed=None), at_ns=guarded.bench.now))
    assert {key[1] for key in guarded.bench.machine.state.guarded_positions()} == {SHARE, CALL}
    again = RiskBench()
    again.give(guarded.bench.machine.snapshot("2026-03-18"))
    assert ("main", CALL, Product.MIS, "manual") in again.machine.state.claimed
