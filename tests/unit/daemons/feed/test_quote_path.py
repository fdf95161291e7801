"""A quote from the socket to an order, through the real feed, engine and risk in one process.

How many functions that takes is measured by `mytrading bench call_counts`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.bench.turned_daemons import QuotePath, quote_path
from mytrading.runtime.daemon.daemon import Daemon
from mytrading.runtime.journal.journal import Row
from mytrading.runtime.streams.zmq_streams import PushSocket


@pytest.fixture
def path() -> Iterator[QuotePath]:
    with quote_path() as made:
        made.open()
        yield made


def turn(daemon: Daemon) -> None:
    """Run turns until the daemon has handled a frame."""
    handled = daemon.handled
    while daemon.handled == handled:
        daemon._turn()


def test_each_quote_becomes_one_order_in_one_turn_of_each_daemon(path: QuotePath) -> None:
    path.until_signal()
    for _ in range(5):
        path.refresh()
        path.settle()
        path.quote()
        entries = path.risk._counts["entries"]
        path.feed._turn()
        for daemon in (path.risk, path.engine, path.risk):
            turn(daemon)
        path.settle()
        assert path.risk._counts["entries"] == entries + 1


def test_quote_beyond_a_stop_that_risk_holds_leads_to_one_exit_in_the_turn_that_reads_it(
    path: QuotePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed: list[Row] = []
    monkeypatch.setattr(PushSocket, "send_row", lambda _self, _topic, row: pushed.append(row))
    path.until_risk_has_a_quote()
    for number in range(5):
        path.refresh()
        path.hold(number)
        path.settle()
        path.quote()
        path.feed._turn()
        exits = path.risk._counts["exits"]
        pushed.clear()
        turn(path.risk)
        assert [row.stream for row in pushed] == ["commands"], "the goal has left by then"
        path.settle()
        assert path.risk._counts["exits"] == exits + 1


def test_backlog_of_a_flood_is_taken_in_turns_that_leave_time_for_the_heartbeat(path: QuotePath) -> None:
    path.settle()
    backlog, before = path.feed.connections.active.socket.events, path.feed.intake.quotes
    for _ in range(20_000):
        path.quote()
    path.feed._turn()
    first = path.feed.intake.quotes - before
    assert 0 < first <= 1000
    path.feed.frames._portion, slow = 800, 300_000_000
    assert [
        path.feed.frames.next_portion(slow),
        path.feed.frames.next_portion(slow // 2),
        path.feed.frames.next_portion(slow // 10),
    ] == [400, 800, 1600]
    while not backlog.empty():
        path.feed._turn()
    assert path.feed.intake.quotes - before == 20_000
