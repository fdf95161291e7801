"""An exit through the real router: from the poll that finds risk's command to the request on the socket.

How many functions that takes is measured by `mytrading bench call_counts`.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from lab.bench.turned_daemons import SHARES, ExitPath, exit_path
from mytrading.core.orders.state_machine import is_live
from mytrading.messages.account_events import AccountModeChanged, RecoveryChanged
from mytrading.messages.enums import OrderState


@pytest.fixture
def path() -> Iterator[ExitPath]:
    with exit_path() as made:
        yield made


def received(connection: socket.socket) -> bytes:
    """Messages received on the socket."""
    connection.setblocking(False)
    with suppress(BlockingIOError):
        return connection.recv(1 << 16)
    return b""


def test_exit_is_submitted_and_its_bytes_leave_in_the_turn_that_reads_the_command(path: ExitPath) -> None:
    for instrument in SHARES:
        path.hold(instrument)
        path.close(instrument)
        path.router._turn()
        (request,) = filter(None, map(received, path.connections))
        assert instrument.partition(":")[2].encode() in request
        (order,) = [order for order in path.router.orders.orders() if is_live(order)]
        assert (order.instrument, order.state) == (instrument, OrderState.SUBMITTED)
        path.end_exits()


def test_router_that_waits_for_a_person_says_so_and_not_that_it_compares(path: ExitPath) -> None:
    """A start after a wrong mode seemed to hang: its note spoke of books that were being compared."""
    now, account = path.router.clock.now(), path.account
    path.router.record([RecoveryChanged(account=account, done=False, began_machine_ns=1, at_ns=now)])
    assert not path.router.ready() and "being compared" in path.router.notes["recovery"]
    wrong = AccountModeChanged(account=account, wrong_mode=True, message="the server is in live mode", at_ns=now)
    path.router.record([wrong])
    assert not path.router.ready()
    assert "`mytrading resume`" in path.router.notes["recovery"]
    assert "the server is in live mode" in path.router.notes["recovery"]
