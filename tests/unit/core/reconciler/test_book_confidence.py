"""Confidence in an account's books, by the reads and their times."""

from __future__ import annotations

import pytest

from mytrading.core.reconciler.book_confidence import (
    ORDERS_STALE_NS,
    POSITIONS_STALE_NS,
    account_confidence,
    least_confidence,
)
from mytrading.messages.enums import Confidence
from mytrading.messages.reports import AccountHealth

NOW = 1_000_000_000_000
STALE, CONFIRMED, DISPUTED = Confidence.STALE, Confidence.CONFIRMED, Confidence.DISPUTED


def health(orders: int = NOW, positions: int = NOW, agree: bool = True) -> AccountHealth:
    return AccountHealth(
        account="main", connected=True, right_mode=True, stream_up=True, books_agree=agree,
        last_orders_machine_ns=orders, last_positions_machine_ns=positions,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (health(), CONFIRMED),
        (health(orders=NOW - ORDERS_STALE_NS), CONFIRMED),
        (health(orders=NOW - ORDERS_STALE_NS - 1), STALE),
        (health(positions=NOW - POSITIONS_STALE_NS - 1), STALE),
        (health(agree=False), STALE),
        (health(orders=0, positions=0), CONFIRMED),
        (None, STALE),
    ],
    ids=["fresh", "orders just in time", "orders late", "positions late", "never whole", "dry run", "no report"],
)
def test_account_is_stale_once_its_books_were_not_read_for_long(
    found: AccountHealth | None, expected: Confidence
) -> None:
    assert account_confidence(found, NOW) is expected


def test_least_of_levels_is_the_most_doubtful() -> None:
    assert least_confidence([CONFIRMED, DISPUTED, STALE]) is DISPUTED
    assert least_confidence([CONFIRMED, STALE]) is STALE
    assert least_confidence([]) is CONFIRMED
