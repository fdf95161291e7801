"""The state table of orders and the weighing of sources."""

from __future__ import annotations

import pytest

from mytrading.core.orders.state_machine import (
    LIVE,
    TERMINAL,
    TRANSITIONS,
    combine_fills,
    is_settled,
    same_fingerprint,
    unfilled_quantity,
)
from mytrading.messages.enums import OrderState, OrderType, Side
from tests.kit.order_samples import S, order


def test_table_covers_every_state() -> None:
    assert TRANSITIONS.keys() == set(S) == LIVE | TERMINAL
    assert not LIVE & TERMINAL


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        (S.INITIALIZED, S.SUBMITTED, True),
        (S.SUBMITTED, S.FILLED, True),
        (S.SUBMITTED, S.INITIALIZED, True),
        (S.CANCELLED, S.FILLED, True),
        (S.LOST, S.ACCEPTED, True),
        (S.GHOST, S.ACCEPTED, True),
        (S.UNKNOWN, S.INITIALIZED, False),
        (S.UNKNOWN, S.SUBMITTED, False),
        (S.CANCELLED, S.ACCEPTED, False),
        (S.FILLED, S.CANCELLED, False),
        (S.DENIED, S.SUBMITTED, False),
        (S.ACCEPTED, S.ACCEPTED, True),
    ],
)
def test_legal_moves(old: OrderState, new: OrderState, allowed: bool) -> None:
    assert (old is new or new in TRANSITIONS[old]) is allowed


@pytest.mark.parametrize(
    ("stream", "book", "trade", "seen", "confirmed"),
    [
        (50, 0, 0, 50, 0),
        (50, 50, 0, 50, 50),
        (0, 50, 50, 50, 50),
        (20, 50, 30, 50, 30),
        (0, 0, 0, 0, 0),
        (0, 50, 100, 50, 50),
        (50, 50, 100, 50, 50),
        (100, 0, 0, 50, 0),
        (60, 60, 0, 60, 60),
        (50, 60, 80, 60, 60),
    ],
)
def test_weigh_confirms_what_two_sources_say(stream: int, book: int, trade: int, seen: int, confirmed: int) -> None:
    reported = order(stream_filled=stream, book_filled=book, trade_filled=trade, trade_value=trade * 100.0)
    assert combine_fills(reported, 100.0)[:2] == (seen, confirmed)


def test_weigh_confirms_nothing_without_a_price() -> None:
    assert combine_fills(order(stream_filled=50, book_filled=50), 0.0)[:3] == (50, 0, 0.0)


def test_weigh_confirms_at_an_estimate_where_no_source_names_a_price() -> None:
    assert combine_fills(order(stream_filled=50, book_filled=50), 0.0, None, 99.0) == (50, 50, 99.0, True)
    assert combine_fills(order(stream_filled=50, book_filled=50), 101.0, None, 99.0) == (50, 50, 101.0, False)


def test_weigh_prefers_the_price_of_the_trade_book() -> None:
    reported = order(stream_filled=50, book_filled=50, trade_filled=50, trade_value=5050.0)
    assert combine_fills(reported, 100.0).average_price == 101.0


def test_weigh_never_takes_back_what_was_confirmed() -> None:
    assert combine_fills(order(filled=30, average_price=100.0, book_filled=10), 0.0).confirmed == 30


def test_settled_waits_for_confirmation_and_for_the_lost() -> None:
    assert is_settled(order(state=S.CANCELLED))
    assert not is_settled(order(state=S.CANCELLED, filled_seen=10))
    assert not is_settled(order(state=S.LOST))
    assert not is_settled(order(state=S.ACCEPTED))


def test_remaining_is_by_confirmed_fills() -> None:
    assert unfilled_quantity(order(filled=20, filled_seen=50)) == 30


def test_fingerprint_ignores_price_and_type() -> None:
    assert same_fingerprint(order(order_type=OrderType.LIMIT, price=5.0), "NFO:A", Side.BUY, 50)
    assert not same_fingerprint(order(), "NFO:A", Side.BUY, 51)
    assert not same_fingerprint(order(), "NFO:A", Side.SELL, 50)
