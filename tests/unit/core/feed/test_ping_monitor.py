"""Pings of an account that stands by: three failures in a row, and it is down; one answer, and it is up."""

from __future__ import annotations

import pytest

from mytrading.core.feed.ping_monitor import PingBook
from mytrading.core.time import SECOND

EVERY = 30 * SECOND


@pytest.fixture
def pings() -> PingBook:
    """An account that answered its first ping."""
    book = PingBook("spare", EVERY, 3)
    assert book.begin_if_due(0)
    book.record_answer("angel", right_mode=True)
    return book


def test_ping_is_sent_at_once_and_then_at_intervals_one_at_a_time(pings: PingBook) -> None:
    assert not pings.begin_if_due(EVERY - 1)
    assert pings.begin_if_due(EVERY)
    assert not pings.begin_if_due(5 * EVERY), "the one before has not ended"
    pings.record_failure("no answer within 5 s")
    assert pings.begin_if_due(5 * EVERY)


def test_account_is_down_after_three_failures_and_up_after_one_answer(pings: PingBook) -> None:
    connected = []
    for _ in range(3):
        pings.record_failure("refused")
        connected.append(pings.health.connected)
    assert connected == [True, True, False]
    assert (pings.is_down, pings.health.message, pings.health.failures) == (True, "refused", 3)
    pings.record_answer("angel", right_mode=False)
    assert (pings.is_down, pings.health.connected, pings.health.right_mode) == (False, True, False)


def test_failures_with_an_answer_between_are_no_outage(pings: PingBook) -> None:
    for _ in range(2):
        pings.record_failure("refused")
    pings.record_answer("angel", right_mode=True)
    for _ in range(2):
        pings.record_failure("refused")
    assert pings.health.connected
    assert not pings.is_down


def test_account_that_never_answered_is_not_connected() -> None:
    book = PingBook("spare", EVERY, 3)
    book.record_failure("refused")
    assert not book.health.connected
    assert not book.is_down


def test_health_says_failed_after_three_failures_and_connected_after_one_answer(pings: PingBook) -> None:
    said = [pings.health.status]
    for _ in range(3):
        pings.record_failure("refused")
        said.append(pings.health.status)
    pings.record_answer("angel", right_mode=True)
    assert [*said, pings.health.status] == ["connected", "connected", "connected", "failed", "connected"]
