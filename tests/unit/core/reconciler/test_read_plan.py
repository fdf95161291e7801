"""The reconciler's plan: times of reads, the weight of order updates, and the reported health of the account."""

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.reconciler.read_plan import (
    HealthTracker,
    HiddenOrders,
    OrderLevels,
    ReadJob,
    ReadPlan,
    ReadRules,
    broker_held,
)
from mytrading.core.time import SECOND
from mytrading.messages.enums import BrokerStatus, OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.order_evidence import OrderEvidence, PendingEnd
from mytrading.messages.orders import Order
from mytrading.messages.reports import BooksRead, BrokerOrder, OrderReport, ReadRequest, UnreadRow
from tests.kit.order_samples import order_of

T0 = 1_000 * SECOND
JOB = ReadJob("j", orders=True, trades=True, positions=True, funds=False)


def started(at: int = T0) -> ReadPlan:
    """A plan whose first read has just ended."""
    plan = ReadPlan("main")
    job = plan.take_next_job(at)
    assert job is not None
    plan.on_read_ended(job, at, ok=True)
    return plan


def request(name: str = "r", **fields: Any) -> ReadRequest:
    return ReadRequest(id=name, account="main", **fields)


def update(status: BrokerStatus, filled: int | None = None, at: int = T0, name: str = "7") -> OrderReport:
    row = BrokerOrder(
        broker_order_id=name, instrument="NSE:SBIN", side=Side.BUY, quantity=10, status=status, filled=filled
    )
    return OrderReport(account="main", order=row, received_machine_ns=at)


def our_order(**fields: Any) -> Order:
    given: dict[str, Any] = {
        "client_order_id": "c",
        "account": "main",
        "instrument": "NSE:SBIN",
        "product": Product.MIS,
        "strategy": "s",
        "run": "r",
        "cause": "x",
        "purpose": Purpose.ENTRY,
        "side": Side.BUY,
        "quantity": 10,
        "order_type": OrderType.MARKET,
        "state": OrderState.ACCEPTED,
        "created_ns": 1,
        "updated_ns": 1,
        "broker_order_id": "7",
    }
    return order_of(**{**given, **fields})


def books(began: int, ended: int, **fields: Any) -> BooksRead:
    return BooksRead(account="main", id="b", began_machine_ns=began, ended_machine_ns=ended, **fields)


# the plan


def test_proof_is_read_beside_a_read_that_is_under_way_and_keeps_no_distance() -> None:
    plan = started()
    plan.add_request(request("books", positions=True))
    assert plan.take_next_job(T0) is None, "another is too near"
    plan.add_request(request("proof", proof=True))
    first = plan.take_next_job(T0)
    assert first is not None and (first.positions, first.beside) == (True, False), "one read answers both"
    plan.add_request(request("later", positions=True))
    assert plan.take_next_job(T0 + SECOND) is None
    plan.add_request(request("proof 2", proof=True))
    second = plan.take_next_job(T0 + SECOND)
    assert second is not None and second.beside
    assert (second.orders, second.trades, second.positions, second.funds) == (True, True, False, False)
    plan.add_request(request("proof 3", proof=True))
    assert plan.take_next_job(T0 + SECOND) is None, "one beside another, no more"
    plan.on_read_ended(second, T0 + SECOND, ok=True)
    third = plan.take_next_job(T0 + SECOND)
    assert third is not None and third.asked_by == "proof 3" and plan.requests_waiting == 1
    plan.on_read_ended(first, T0 + 2 * SECOND, ok=True)
    assert plan.take_next_job(T0 + 3 * SECOND) is not None, "what was asked for meanwhile"


def test_proof_waits_like_every_read_for_a_server_that_fails_or_wants_quiet() -> None:
    plan = started()
    job = plan.take_next_job(T0 + 20 * SECOND)
    assert job is not None
    plan.on_read_ended(job, T0 + 20 * SECOND, ok=False)
    plan.add_request(request(proof=True))
    assert plan.take_next_job(T0 + 20 * SECOND) is None
    quiet = started()
    quiet.on_read_ended(JOB, T0, ok=True, patience=SECOND)
    quiet.add_request(request(proof=True))
    assert quiet.take_next_job(T0) is None


@pytest.mark.parametrize("positions", [False, True])
def test_proof_beside_a_read_that_is_under_way_lacked_the_positions_that_it_was_asked_for(positions: bool) -> None:
    plan = started()
    plan.add_request(request("first"))
    assert plan.take_next_job(T0 + SECOND) is not None
    plan.add_request(request("proof", proof=True, positions=positions))
    job = plan.take_next_job(T0 + SECOND)
    assert job is not None and (job.beside, job.orders, job.trades, job.positions) == (True, True, True, positions)


def test_read_that_ends_after_a_proof_beside_it_is_void() -> None:
    """A read begun before the cancel would show orders alive that the proof has shown to have ended."""
    plan = started()
    proof = books(5, 8, orders=(), trades=())
    assert plan.void_if_outdated(proof) == proof
    older = plan.void_if_outdated(books(3, 9, orders=(), trades=(), positions=()))
    assert (older.orders, older.trades, older.positions) == (None, None, None)
    newer = books(9, 10, orders=(), trades=(), positions=())
    assert plan.void_if_outdated(newer) == newer


def test_server_that_was_asked_too_much_is_left_alone_as_long_as_it_says() -> None:
    plan = ReadPlan("main")
    job = plan.take_next_job(T0)
    assert job is not None
    plan.on_read_ended(job, T0, ok=False, patience=5 * SECOND)
    plan.add_request(request())
    assert plan.take_next_job(T0 + 5 * SECOND - 1) is None
    assert plan.take_next_job(T0 + 5 * SECOND) is not None


def test_first_read_takes_everything() -> None:
    job = ReadPlan("main").take_next_job(5)
    assert job is not None
    assert (job.orders, job.trades, job.positions, job.funds) == (True, True, True, True)


def test_order_books_follow_each_ten_seconds_positions_each_minute() -> None:
    plan = started()
    seen = []
    for second in range(1, 61):
        job = plan.take_next_job(T0 + second * SECOND)
        if job is not None:
            seen.append((second, job.orders, job.positions))
            plan.on_read_ended(job, T0 + second * SECOND, ok=True)
    assert [second for second, *_ in seen] == [10, 20, 30, 40, 50, 60]
    assert all(orders for _, orders, _ in seen)
    assert [positions for *_, positions in seen] == [False] * 5 + [True]


def test_entries_waited_a_minute_after_a_position_row_without_a_symbol_was_gone() -> None:
    plan, seen = started(), []
    row = UnreadRow(book="positions", broker_order_id="", instrument="")
    for second in range(1, 91):
        if (job := plan.take_next_job(T0 + second * SECOND)) is None:
            continue
        plan.on_read_ended(job, T0 + second * SECOND, ok=True)
        seen += [second] if job.positions else []
        rows = (row,) if second == 60 else ()
        at = T0 + second * SECOND
        plan.void_if_outdated(books(at, at, positions=() if job.positions else None, unread_rows=rows))
    assert seen == [60, 70]  # and at 130 again


def test_order_book_follows_at_its_interval_and_more_often_while_no_updates_come() -> None:
    plan = ReadPlan("main", ReadRules(orders_every=5 * SECOND, positions_every=600 * SECOND, funds_every=600 * SECOND))
    seen = []
    for second in range(31):
        plan.set_stream_up(second < 11 or second > 20)
        job = plan.take_next_job(T0 + second * SECOND)
        if job is not None:
            seen.append(second)
            plan.on_read_ended(job, T0 + second * SECOND, ok=True)
    assert seen == [0, 5, 10, 12, 14, 16, 18, 20, 25, 30]


def test_request_is_read_at_once_but_not_within_the_spacing() -> None:
    plan = started()
    plan.add_request(request())
    assert plan.take_next_job(T0 + SECOND // 100) is None
    job = plan.take_next_job(T0 + SECOND // 10)
    assert job is not None
    assert (job.orders, job.trades, job.positions, job.asked_by) == (True, True, False, "r")


def test_requests_made_meanwhile_become_one_read() -> None:
    plan = started()
    plan.add_request(request("a"))
    job = plan.take_next_job(T0 + SECOND)
    assert job is not None
    for name in "bcd":
        plan.add_request(request(name, positions=name == "c"))
    assert plan.take_next_job(T0 + 2 * SECOND) is None
    assert plan.requests_waiting == 3
    plan.on_read_ended(job, T0 + 2 * SECOND, ok=True)
    merged = plan.take_next_job(T0 + 3 * SECOND)
    assert merged is not None
    assert (merged.positions, merged.asked_by, plan.requests_waiting) == (True, "d", 0)


def test_failures_wait_longer_each_time_and_jitter_moves_half() -> None:
    plan = ReadPlan("main")
    now, waits = T0, []
    job = plan.take_next_job(now)
    for jitter in (1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0):
        assert job is not None
        plan.on_read_ended(job, now, ok=False, jitter=jitter)
        failed = now
        while (job := plan.take_next_job(now)) is None:
            now += SECOND // 4
        waits.append((now - failed) / SECOND)
    assert waits == [1.0, 2.0, 4.0, 4.0, 16.0, 30.0, 30.0]


def test_request_shortens_the_wait_after_failures_but_never_bursts() -> None:
    plan = ReadPlan("main")
    now = T0
    for _ in range(8):
        job = plan.take_next_job(now)
        assert job is not None
        plan.on_read_ended(job, now, ok=False)
        now += 30 * SECOND
    now -= 30 * SECOND
    plan.add_request(request())
    assert plan.take_next_job(now + SECOND) is None
    assert plan.take_next_job(now + 2 * SECOND) is not None


def test_server_that_refuses_the_key_is_asked_ever_more_seldom_though_somebody_waits() -> None:
    plan, now, waits = ReadPlan("main"), T0, []
    for _ in range(6):
        failed = now
        plan.add_request(request())
        while (job := plan.take_next_job(now)) is None:
            now += SECOND // 4
        waits.append((now - failed) / SECOND)
        plan.on_read_ended(job, now, ok=False, refused=True)
    assert waits == [0.0, 1.0, 2.0, 4.0, 8.0, 10.0]
    plan.add_request(request())
    plan.make_all_due()
    assert plan.take_next_job(now + SECOND) is not None


def test_requested_read_that_failed_is_made_again_without_waiting_for_the_schedule() -> None:
    plan = started()
    plan.add_request(request(positions=True))
    job = plan.take_next_job(T0 + SECOND)
    assert job is not None
    plan.on_read_ended(job, T0 + SECOND, ok=False)
    again = plan.take_next_job(T0 + 2 * SECOND)
    assert again is not None
    assert again.positions


def test_hurry_makes_everything_due_even_while_backing_off() -> None:
    plan = ReadPlan("main")
    job = plan.take_next_job(T0)
    assert job is not None
    plan.on_read_ended(job, T0, ok=False)
    plan.make_all_due()
    again = plan.take_next_job(T0 + SECOND // 10)
    assert again is not None
    assert again.positions


# order levels


def test_update_is_reported_once() -> None:
    levels = OrderLevels()
    assert levels.on_update(update(BrokerStatus.OPEN, 0)) is not None
    assert levels.on_update(update(BrokerStatus.OPEN, 0, at=T0 + 5)) is None


def test_late_open_after_complete_changes_nothing() -> None:
    levels = OrderLevels()
    levels.on_update(update(BrokerStatus.COMPLETE, 10))
    assert levels.on_update(update(BrokerStatus.OPEN, 0, at=T0 + 5)) is None
    assert levels.updates_to_repeat(T0)[0].order.status is BrokerStatus.COMPLETE


def test_partial_fill_never_goes_back() -> None:
    levels = OrderLevels()
    levels.on_update(update(BrokerStatus.OPEN, 6))
    assert levels.on_update(update(BrokerStatus.OPEN, 4)) is None
    level = levels.on_update(update(BrokerStatus.CANCELLED, 6))
    assert level is not None
    assert level.order.status is BrokerStatus.CANCELLED


def test_fill_after_cancel_is_news() -> None:
    levels = OrderLevels()
    levels.on_update(update(BrokerStatus.CANCELLED, 0))
    level = levels.on_update(update(BrokerStatus.COMPLETE, 10))
    assert level is not None
    assert level.order.filled == 10


def test_level_is_repeated_until_the_router_shows_it() -> None:
    levels = OrderLevels()
    levels.on_update(update(BrokerStatus.COMPLETE, 10))
    levels.on_router_order(our_order(stream_filled=4))
    assert len(levels.updates_to_repeat(T0)) == 1
    levels.on_router_order(our_order(account="other", stream_filled=10, state=OrderState.FILLED))
    assert len(levels.updates_to_repeat(T0)) == 1
    levels.on_router_order(our_order(stream_filled=10, state=OrderState.FILLED))
    assert levels.updates_to_repeat(T0) == ()


def test_update_that_came_before_the_answer_of_its_call_is_said_again_when_the_router_knows_the_order() -> None:
    levels = OrderLevels()
    level = levels.on_update(update(BrokerStatus.COMPLETE, 10))
    assert levels.on_router_order(our_order()) == level
    assert len(levels) == 1
    assert levels.on_router_order(our_order(stream_filled=10, state=OrderState.FILLED)) is None
    assert len(levels) == 0


def test_end_is_shown_when_the_router_has_noted_it() -> None:
    levels = OrderLevels()
    levels.on_update(update(BrokerStatus.CANCELLED, 0))
    levels.on_router_order(our_order())
    assert len(levels.updates_to_repeat(T0)) == 1
    levels.on_router_order(our_order(evidence=OrderEvidence(end=PendingEnd(status=BrokerStatus.CANCELLED))))
    assert levels.updates_to_repeat(T0) == ()


def test_level_ends_with_a_book_begun_after_it_only() -> None:
    levels = OrderLevels()
    report = update(BrokerStatus.COMPLETE, 10)
    levels.on_update(report)
    levels.drop_shown_by(books(T0 - 1, T0 + 9, orders=(report.order,)))
    levels.drop_shown_by(books(T0 + 1, T0 + 9))
    levels.drop_shown_by(books(T0 + 1, T0 + 9, orders=()))
    assert len(levels.updates_to_repeat(T0)) == 1
    levels.drop_shown_by(books(T0 + 1, T0 + 9, orders=(report.order,)))
    assert levels.updates_to_repeat(T0) == ()


def test_foreign_level_is_dropped_after_a_minute() -> None:
    levels = OrderLevels()
    levels.on_update(update(BrokerStatus.OPEN, 0))
    assert len(levels.updates_to_repeat(T0 + 60 * SECOND)) == 1
    assert levels.updates_to_repeat(T0 + 61 * SECOND) == ()


# health


def whole(at: int) -> BooksRead:
    return books(at - 1, at, orders=(), trades=(), positions=())


def test_health_needs_books_mode_and_positions() -> None:
    health = HealthTracker("main")
    assert not health.health_at(T0).is_healthy
    health.on_read(JOB, books(T0 - 1, T0, orders=(), trades=()), True, "sandbox")
    assert not health.health_at(T0).is_healthy
    health.on_read(JOB, whole(T0), True, "sandbox")
    assert health.health_at(T0).is_healthy
    assert health.health_at(T0).broker == "sandbox"


def test_book_that_fails_while_another_is_read_is_named_until_both_are() -> None:
    health = HealthTracker("main")
    health.on_read(JOB, whole(T0), True, "")
    health.on_read(JOB, books(T0, T0 + 1, orders=()), True, "", "tradebook: an error")
    level = health.health_at(T0 + 1)
    assert (level.connected, level.is_healthy, level.message) == (True, False, "tradebook: an error")
    health.on_read(JOB, whole(T0 + 2), True, "")
    assert (health.health_at(T0 + 2).is_healthy, health.health_at(T0 + 2).message) == (True, "")


def test_wrong_mode_stays_wrong_when_a_later_read_does_not_say() -> None:
    health = HealthTracker("main")
    health.on_read(JOB, whole(T0), False, "")
    health.on_read(JOB, whole(T0 + 1), None, "")
    assert not health.health_at(T0 + 1).right_mode
    health.on_read(JOB, whole(T0 + 2), True, "")
    assert health.health_at(T0 + 2).right_mode


def test_failed_read_disconnects_with_its_reason() -> None:
    health = HealthTracker("main")
    health.on_read(JOB, whole(T0), True, "")
    health.on_failed_read("orderbook: Invalid openalgo apikey")
    level = health.health_at(T0)
    assert (level.connected, level.failures) == (False, 1)
    assert "apikey" in level.message


def test_old_read_is_no_connection() -> None:
    health = HealthTracker("main")
    health.on_read(JOB, whole(T0), True, "")
    stale = ReadRules().stale
    assert health.health_at(T0 + stale).connected
    assert not health.health_at(T0 + stale + 1).connected


def test_funds_that_cannot_be_read_for_long_are_reported_until_they_are_read() -> None:
    health = HealthTracker("main")
    health.on_read(JOB, whole(T0), True, "")
    health.on_funds_read(T0)
    health.on_funds_read(T0 + 100 * SECOND, "funds: an error")
    health.on_read(JOB, whole(T0 + 119 * SECOND), True, "")
    assert health.health_at(T0 + 120 * SECOND).funds_unread == ""
    late = health.health_at(T0 + 121 * SECOND)
    assert (late.funds_unread, late.is_healthy) == ("its funds were not read for 120 seconds (funds: an error)", True)
    health.on_funds_read(T0 + 130 * SECOND)
    assert health.health_at(T0 + 130 * SECOND).funds_unread == ""


def test_funds_that_were_never_read_are_unread_once_as_long_has_passed_since_the_start() -> None:
    health = HealthTracker("main")
    assert health.health_at(T0).funds_unread == ""
    health.on_read(JOB, whole(T0 + SECOND), True, "")
    health.on_funds_read(T0 + SECOND, "funds: an error")
    assert health.health_at(T0 + 120 * SECOND).funds_unread == ""
    health.on_read(JOB, whole(T0 + 121 * SECOND), True, "")
    late = health.health_at(T0 + 121 * SECOND)
    assert (late.funds_unread, late.is_healthy) == ("its funds were not read for 120 seconds (funds: an error)", True)
    health.on_funds_read(T0 + 122 * SECOND)
    assert health.health_at(T0 + 122 * SECOND).funds_unread == ""


def test_visit_for_funds_alone_says_nothing_of_the_books_but_of_the_mode() -> None:
    health = HealthTracker("main")
    health.on_read(JOB, whole(T0), True, "")
    funds = ReadJob("f", orders=False, trades=False, positions=False, funds=True)
    health.on_read(funds, books(T0 + 1, T0 + 2), None, "")
    assert health.health_at(T0 + 2).is_healthy
    health.on_read(funds, books(T0 + 3, T0 + 4), False, "")
    assert not health.health_at(T0 + 4).is_healthy


def test_session_is_lost_while_all_books_are_refused_and_back_with_the_first_that_is_read() -> None:
    health = HealthTracker("main")
    health.on_failed_read("orderbook: Invalid openalgo apikey")
    health.set_session_lost(True, "orderbook: Invalid openalgo apikey")
    level = health.health_at(T0)
    assert (level.session_lost, level.message) == (True, "orderbook: Invalid openalgo apikey")
    health.on_read(JOB, whole(T0 + SECOND), True, "")
    health.set_session_lost(False)
    assert (health.health_at(T0 + SECOND).session_lost, health.health_at(T0 + SECOND).message) == (False, "")


def test_instrument_with_an_unreadable_row_stays_unread_until_a_visit_to_all_books() -> None:
    health = HealthTracker("main")
    orders_only = ReadJob("o", orders=True, trades=True, positions=False, funds=False)
    health.on_read(JOB, replace(whole(T0), unread=("NSE:INFY",)), True, "")
    assert health.health_at(T0).is_healthy
    health.on_read(orders_only, books(T0, T0 + 1, orders=(), trades=()), True, "")
    assert health.health_at(T0 + 1).unread == ("NSE:INFY",)
    health.on_read(JOB, whole(T0 + 2), True, "")
    assert health.health_at(T0 + 2).unread == ()


@pytest.mark.parametrize(
    ("row", "agree"),
    [
        (UnreadRow(book="orders", broker_order_id="X1"), True),
        (UnreadRow(book="trades", broker_order_id="X1"), True),
        (UnreadRow(book="orders"), False),
        (UnreadRow(book="positions"), False),
        (UnreadRow(book="positions", instrument="NSE:INFY"), True),
    ],
)
def test_row_that_may_be_of_anything_we_hold_makes_entries_wait_until_all_books_are_read(
    row: UnreadRow, agree: bool
) -> None:
    """A row under the id of a stranger concerns nobody; one instrument's is told by `unread`."""
    health = HealthTracker("main")
    orders_only = ReadJob("o", orders=True, trades=True, positions=False, funds=False)
    health.on_read(JOB, replace(whole(T0), unread_rows=(row,)), True, "")
    assert health.health_at(T0).is_healthy is agree
    health.on_read(orders_only, books(T0, T0 + 1, orders=(), trades=()), True, "")
    assert health.health_at(T0 + 1).is_healthy is agree
    health.on_read(JOB, whole(T0 + 2), True, "")
    assert health.health_at(T0 + 2).is_healthy


def test_orders_that_are_asked_for_by_their_ids_are_a_read_of_their_own_before_the_next_whole_one() -> None:
    plan = started()
    plan.add_request(request("whole", positions=True))
    plan.add_request(request("ids", orders=False, order_ids=("7", "8")))
    single = plan.take_next_job(T0 + SECOND)
    assert single is not None
    assert (single.orders, single.trades, single.positions, single.order_ids) == (False, True, True, ("7", "8"))
    assert plan.is_busy and plan.take_next_job(T0 + SECOND) is None
    plan.on_read_ended(single, T0 + SECOND, ok=True)
    whole = plan.take_next_job(T0 + 2 * SECOND)
    assert whole is not None and (whole.orders, whole.order_ids, whole.asked_by) == (True, (), "whole")


def test_read_of_single_orders_puts_off_no_whole_one() -> None:
    plan = started()
    plan.add_request(request("ids", orders=False, order_ids=("7",)))
    single = plan.take_next_job(T0 + 59 * SECOND)
    assert single is not None
    plan.on_read_ended(single, T0 + 59 * SECOND, ok=True)
    whole = plan.take_next_job(T0 + 60 * SECOND)
    assert whole is not None and whole.orders and whole.positions


def test_proof_that_an_exit_waits_for_goes_before_questions_for_single_orders() -> None:
    plan = started()
    plan.add_request(request("ids", orders=False, order_ids=("7",)))
    plan.add_request(request("proof", proof=True))
    job = plan.take_next_job(T0 + SECOND)
    assert job is not None and job.orders and not job.order_ids


def order_book(*rows: BrokerOrder, single: bool = False, asked: tuple[str, ...] = ()) -> BooksRead:
    return BooksRead(
        account="main", id="b", began_machine_ns=1, ended_machine_ns=2, orders=rows, trades=(), positions=(),
        single=single, asked=asked,
    )  # fmt: skip


def test_stop_that_only_its_id_shows_is_among_the_live_orders_that_risk_sees() -> None:
    """Risk closed a position as bare whose stop the order book hid."""
    hidden, row = HiddenOrders(), update(BrokerStatus.TRIGGER_PENDING).order
    hidden.on_books(order_book(row, single=True, asked=("7",)))
    held = broker_held(order_book(), 3, hidden.rows)
    assert held is not None and [order.broker_order_id for order in held.orders] == ["7"] and not held.no_orders
    assert broker_held(order_book(row, single=True), 3) is None, "single orders are no order book"
    hidden.on_books(order_book(row))
    assert hidden.rows == (), "the order book lists it now"


@pytest.mark.parametrize("ended", ["row", "unknown", "router"])
def test_hidden_order_that_has_ended_is_no_live_one(ended: str) -> None:
    hidden = HiddenOrders()
    hidden.on_books(order_book(update(BrokerStatus.OPEN).order, single=True, asked=("7",)))
    if ended == "router":
        hidden.on_router_order(our_order(broker_order_id="7", state=OrderState.CANCELLED))
    else:
        rows = (update(BrokerStatus.CANCELLED).order,) if ended == "row" else ()
        hidden.on_books(order_book(*rows, single=True, asked=("7",)))
    assert hidden.rows == ()
