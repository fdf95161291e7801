"""Availability of an account's books: when the router counts them as lost, and when as back."""

from __future__ import annotations

from typing import Any

from mytrading.core.oms import OrderMachine
from mytrading.core.time import SECOND
from mytrading.daemons.router.watches import BooksWatch
from mytrading.messages.enums import Product
from mytrading.messages.orders import Position, PositionChanged, TimerFired
from mytrading.messages.reports import BooksRead

PATIENCE = 30 * SECOND


class Steps:
    """Stub of the router for the watch; keeps the journaled rows."""

    def __init__(self) -> None:
        self.orders = OrderMachine()
        self.reported: list[tuple[str, bool]] = []

    def step(self, _stream: str, message: Any, _source: str = "", *, keep: bool = False) -> tuple[Any, ...]:
        assert isinstance(message, TimerFired)
        self.reported.append((message.name, keep))
        self.orders.apply(message)
        return ()


def read(at: int, **books: Any) -> BooksRead:
    return BooksRead(account="main", id=f"r{at}", began_machine_ns=at, ended_machine_ns=at, **books)


def watched() -> tuple[Steps, BooksWatch]:
    """A router that has read the books at ten seconds."""
    router, watch = Steps(), BooksWatch(["main"], PATIENCE)
    watch.report_changes(router, 1 * SECOND)
    watch.on_report(router, read(10 * SECOND, orders=(), trades=()), 10 * SECOND)
    return router, watch


def test_books_are_lost_from_the_start_until_the_first_whole_read_and_each_is_reported_once() -> None:
    router, watch = watched()
    watch.report_changes(router, 11 * SECOND)
    assert router.reported == [("books_lost main", True), ("books_back main", True)]


def test_books_are_lost_when_no_whole_read_came_for_the_patience() -> None:
    router, watch = watched()
    watch.report_changes(router, 10 * SECOND + PATIENCE)
    assert not router.orders.state.books_lost("main")
    watch.report_changes(router, 10 * SECOND + PATIENCE + 1)
    assert router.orders.state.books_lost("main")


def test_book_that_fails_beside_others_that_answer_is_lost_at_once() -> None:
    router, watch = watched()
    watch.on_report(router, read(12 * SECOND, positions=()), 12 * SECOND)
    assert router.orders.state.books_lost("main")
    watch.on_report(router, read(13 * SECOND, orders=(), trades=()), 13 * SECOND)
    assert not router.orders.state.books_lost("main")


def test_read_of_the_funds_alone_or_of_single_orders_says_nothing_of_the_books() -> None:
    router, watch = watched()
    watch.on_report(router, read(12 * SECOND), 12 * SECOND)
    watch.on_report(router, read(12 * SECOND, orders=(), single=True), 12 * SECOND)
    assert not router.orders.state.books_lost("main")


def test_row_of_ours_that_nobody_can_read_leaves_the_books_readable() -> None:
    """One row took away the whole read: an exit kept its stop, and waited for as long as the row stood."""
    router, watch = watched()
    held = Position(account="main", instrument="NFO:A", product=Product.MIS, strategy="s1", run="r", quantity=50)
    router.orders.apply(PositionChanged(position=held, client_order_id="", fill_quantity=0, fill_price=0.0, at_ns=1))
    watch.on_report(router, read(13 * SECOND, orders=(), trades=(), unread=("NFO:A",)), 13 * SECOND)
    assert not router.orders.state.books_lost("main")


def test_day_that_turns_while_the_books_are_lost_hears_of_it_again() -> None:
    router, watch = watched()
    watch.report_changes(router, 100 * SECOND)
    router.orders.apply(router.orders.snapshot("2026-11-24"))
    watch.report_changes(router, 101 * SECOND)
    assert router.orders.state.books_lost("main")
