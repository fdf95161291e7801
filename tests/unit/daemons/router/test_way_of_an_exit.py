"""The way of an exit through the real router: from the poll that finds risk's command to the request on the socket.

Functions of Python are counted as in `test_way_of_a_quote`: with cold caches each costs some 2 us. What the exit does
not need (publications, levels, logs, counts) comes after its bytes. A figure here may be lowered.
"""

from __future__ import annotations

import shutil
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.orders.state_machine import live
from mytrading.daemons.router.daemon import TradeManager
from mytrading.messages.account_events import AccountModeChanged, RecoveryChanged
from mytrading.messages.codec import encode_body, encode_frame
from mytrading.messages.commands import CloseGoal
from mytrading.messages.enums import OrderState, Product
from mytrading.messages.orders import GoalChanged, OrderChanged, Position, PositionChanged
from mytrading.runtime.daemon.machine_daemon import MachineDaemon
from mytrading.runtime.host.clock import machine_now
from tests.kit.feed_process import runtime_folder
from tests.kit.project import ROOT
from tests.kit.run_configs import run_config
from tests.kit.waiting import eventually

SHARES = ("NSE:SBIN", "NSE:INFY", "NSE:TCS")
HOUR_NS = 3_600_000_000_000


class Way:
    """A router that holds a position and an idle connection to a server that never answers; turned by hand."""

    def __init__(self, router: TradeManager, server: socket.socket) -> None:
        self.router, self.account, self.number = router, router.config.venue.account, 0
        self.commands = router.push("commands")
        now = router.clock.now()
        mode = router.config.venue.expected_mode.value
        router.record([AccountModeChanged(account=self.account, wrong_mode=False, message="", at_ns=now, mode=mode)])
        pool = router._accounts._pools[self.account]
        eventually(lambda: len(pool._idle) == router.config.venue.order_workers)
        self.connections = []
        for worker in pool._idle:
            worker.tool._client._connection(1.0, 0)  # type: ignore[attr-defined]
            self.connections.append(server.accept()[0])
        self.settle()
        for timer in router.timers._heap:
            timer.due_ns += HOUR_NS

    def settle(self) -> None:
        """Do what waits for a calm moment."""
        self.router.run_soon()
        self.router._run_later()

    def over(self) -> None:
        """The exit was done: its order ended and its goal with it."""
        orders = self.router.orders
        ended = [replace(order, state=OrderState.REJECTED) for order in orders.orders() if live(order)]
        done = [replace(goal, state="done") for goal in orders.goals() if goal.state != "done"]
        self.router.record([OrderChanged(event="rejected", order=order, machine_ns=1) for order in ended])
        self.router.record([GoalChanged(goal=goal, at_ns=1) for goal in done])
        self.settle()

    def hold(self, instrument: str) -> None:
        """A position."""
        level = Position(
            account=self.account, instrument=instrument, product=Product.MIS, strategy="S", run="r",
            quantity=10, quantity_seen=10, average_price=800.0,
        )  # fmt: skip
        moved = PositionChanged(position=level, client_order_id="", fill_quantity=0, fill_price=0.0, at_ns=1)
        self.router.record([moved])
        self.settle()

    def close(self, instrument: str) -> None:
        """What risk says."""
        self.number += 1
        goal = CloseGoal(
            account=self.account, instrument=instrument, product=Product.MIS, strategy="S", run="r",
            cause="stop", lot=1, id=f"g{self.number}", reason="exit",
        )  # fmt: skip
        body = encode_body(goal)
        self.commands._hand(encode_frame("risk", 1, self.number, bytes(8), machine_now(), body))
        time.sleep(0.05)


@pytest.fixture
def way(tmp_path: Path) -> Iterator[Way]:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    with runtime_folder() as runtime, ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        config = replace(run_config(tmp_path), home=str(tmp_path), runtime_dir=str(runtime))
        venue = replace(config.venue, rest_url=f"http://127.0.0.1:{server.getsockname()[1]}")
        router = TradeManager(replace(config, venue=venue, accounts=()))
        stack.callback(router.context.destroy, linger=0)
        router.setup()
        stack.callback(router.teardown)
        made = Way(router, server)
        yield made
        for connection in made.connections:
            connection.close()


def until_sent(router: TradeManager) -> tuple[Counter[str], Counter[str]]:
    """Functions of Python called in a turn before the request goes to the socket, and after the commit alone."""
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    sent = synced = False

    def note(frame: FrameType, event: str, arg: Any) -> None:
        nonlocal sent, synced
        if event == "c_call":
            sent = sent or arg.__name__ == "sendall"
            synced = synced or arg.__name__ == "fdatasync"
        elif event == "call" and not sent:
            before[frame.f_code.co_qualname] += 1
            if synced:
                after[frame.f_code.co_qualname] += 1

    sys.setprofile(note)
    try:
        router._turn()
    finally:
        sys.setprofile(None)
    assert sent and synced
    return before, after


def test_exit_goes_through_few_functions_until_its_bytes_leave(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[Any] = []
    step = MachineDaemon.step

    def kept(self: MachineDaemon, *args: Any, **named: Any) -> tuple[Any, ...]:
        rows.extend(found := step(self, *args, **named))
        return found

    monkeypatch.setattr(MachineDaemon, "step", kept)
    counts = []
    for instrument in SHARES:
        way.hold(instrument)
        way.close(instrument)
        counts.append(until_sent(way.router))
        way.over()
    assert [row.event for row in rows if isinstance(row, OrderChanged)] == ["submitted"] * len(SHARES)
    whole, after = min(before.total() for before, _ in counts), min(late.total() for _, late in counts)
    assert whole <= MOST_UNTIL_IT_LEAVES, counts[-1][0]
    assert after <= MOST_AFTER_THE_COMMIT, counts[-1][1]


MOST_UNTIL_IT_LEAVES, MOST_AFTER_THE_COMMIT = 156, 12


def test_router_that_waits_for_a_person_says_so_and_not_that_it_compares(way: Way) -> None:
    """A start after a wrong mode seemed to hang: its note spoke of books that were being compared."""
    now, account = way.router.clock.now(), way.account
    way.router.record([RecoveryChanged(account=account, done=False, began_machine_ns=1, at_ns=now)])
    assert not way.router.ready() and "being compared" in way.router.notes["recovery"]
    wrong = AccountModeChanged(account=account, wrong_mode=True, message="the server is in live mode", at_ns=now)
    way.router.record([wrong])
    assert not way.router.ready()
    assert "`mytrading resume`" in way.router.notes["recovery"]
    assert "the server is in live mode" in way.router.notes["recovery"]
