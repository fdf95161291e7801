"""Real daemons in one process, without their loops: a caller hands them frames and runs one turn after the other.

Timers are moved out of the way, sockets to a server are never opened or never answered, and what a daemon puts off
until it is idle (publications, levels, logs) runs in `settle`.
"""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from unittest.mock import patch

import zmq
from msgspec.structs import replace

from mytrading.adapters.openalgo.ws.connection import FeedSocket, SocketFrame
from mytrading.adapters.openalgo.ws.market_frames import Acknowledged
from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.config.loading import load_settings
from mytrading.config.run_config import build_run_config
from mytrading.core.orders.state_machine import is_live
from mytrading.core.time import IST, SECOND
from mytrading.daemons.engine.daemon import StrategyEngine
from mytrading.daemons.feed.daemon import DataManager
from mytrading.daemons.feed.instruments import InstrumentLoader
from mytrading.daemons.risk.daemon import RiskManager
from mytrading.daemons.router.daemon import TradeManager
from mytrading.messages.account_events import AccountModeChanged
from mytrading.messages.codec import encode_body, encode_frame
from mytrading.messages.commands import CloseGoal
from mytrading.messages.control import Heartbeat
from mytrading.messages.enums import DaemonState, OrderState, Product, Side
from mytrading.messages.instruments import Instrument, InstrumentKind, Snapshot
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.keys import OwnerKey
from mytrading.messages.level_names import stop_level_name
from mytrading.messages.orders import GoalChanged, OrderChanged, Position, PositionChanged
from mytrading.messages.reports import AccountHealth, Funds
from mytrading.messages.run_config import Direction, RunConfig, StrategyRun, TradeKind, TradeRule
from mytrading.runtime.daemon.daemon import Daemon
from mytrading.runtime.host.clock import ClockFile, ClockSegment, machine_now, write_clock_file
from mytrading.runtime.host.paths import project_home

SBIN = "NSE:SBIN"
SHARES = ("NSE:SBIN", "NSE:INFY", "NSE:TCS")
_NOON = int(datetime(2026, 11, 23, 12, 0, tzinfo=IST).timestamp()) * 1_000_000_000
_PATIENCE_S = 60.0
_STRATEGY = """
from mytrading.strategies import BaseStrategy

class EachQuote(BaseStrategy):
    subscribe_quotes = True

    def on_data(self, data):
        return self.create_signal("BUY", limit_price=round(data.ltp - 1, 2)) if hasattr(data, "ltp") else None
"""


@contextmanager
def _run_config() -> Iterator[RunConfig]:
    """A configuration at noon with home, state and sockets in a temporary folder; sockets need a short path."""
    with tempfile.TemporaryDirectory(prefix="mt-", dir="/tmp") as name:
        home, state, runtime = (Path(name) / part for part in ("home", "state", "run"))
        shutil.copytree(project_home() / "config", home / "config", ignore=shutil.ignore_patterns("webhooks"))
        state.mkdir()
        runtime.mkdir()
        made = build_run_config(load_settings(project_home(), "paper", {}), home, state, runtime)
        write_clock_file(made.clock_path, ClockFile(segments=(ClockSegment(machine_now(), _NOON, 1.0),)))
        yield replace(made, log_dir=str(home / "logs"))


def wait_for(condition: Callable[[], bool]) -> None:
    """Return once `condition` holds; `TimeoutError` after a minute."""
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the daemons did not come to the state to measure within {_PATIENCE_S:g} s")
        time.sleep(0.01)


def _put_off_timers(daemon: Daemon) -> None:
    timers = daemon.timers
    timers._heap = [(due_ns + 3600 * SECOND, *timer) for due_ns, *timer in timers._heap]  # type: ignore[misc]


class QuotePath:
    """Feed, engine and risk of one stack; a strategy that asks for an entry on every quote of SBIN."""

    def __init__(self, config: RunConfig) -> None:
        (Path(config.home) / "each_quote.py").write_text(_STRATEGY)
        rule = TradeRule(kind=TradeKind.SAME, side=Side.BUY)
        run = StrategyRun(
            name="EachQuote", file="each_quote.py", symbols=(SBIN,), long=rule, short=None, direction=Direction.LONG
        )
        config = replace(
            config,
            strategies=(run,),
            data=replace(config.data, watch=(SBIN,), historical=False, tick_data=False),
            venue=replace(config.venue, rest_url="http://127.0.0.1:9", ws_url="ws://127.0.0.1:9"),
            rates=replace(config.rates, entries_per_minute=100),
        )
        stock = Instrument(id=SBIN, exchange="NSE", symbol="SBIN", kind=InstrumentKind.EQ, underlying="SBIN")
        day = "2026-11-23"
        InstrumentFile(config.state).write(Snapshot(day=day, fetched_ns=_NOON, instruments=(stock,), good_day=day))
        self.feed, self.engine, self.risk = DataManager(config), StrategyEngine(config), RiskManager(config)
        self.daemons: tuple[Daemon, ...] = (self.feed, self.engine, self.risk)
        for daemon in self.daemons:
            daemon.status.bind()
            daemon.setup()
        self.feed._polled.append((self.feed.wake_pipe.fileno(), 1))
        self.number = 0

    def open(self) -> None:
        """Connection up, strategy running, nothing that keeps risk from admitting an entry."""
        connection = self.feed.connections.active
        connection.on_connected(machine_now())
        self.feed.supervisor.on_acknowledged(connection, Acknowledged("", ((SBIN, "2"),), ()))
        self.engine._feed_ready = True
        self.engine._look()
        self.risk._announced = (SBIN,)
        self.risk._follow_instruments()
        self.risk.risk.environment.patient_until = 0
        for daemon in self.daemons:
            _put_off_timers(daemon)

    def refresh(self) -> None:
        """Heartbeats, account health and funds of now; orders of earlier quotes end."""
        risk, now = self.risk.risk, self.risk.clock.now()
        account = risk.environment.account
        for name in ("feed", "router", "reconciler", "engine"):
            risk.apply(Heartbeat(daemon=name, pid=1, state=DaemonState.RUNNING, ready=True, machine_ns=machine_now(),
                                 market_ns=now, started_machine_ns=1))  # fmt: skip
        risk.apply(AccountHealth(account=account, connected=True, right_mode=True, stream_up=True, books_agree=True))
        risk.apply(Funds(account=account, available=1e7, collateral=0.0, used=0.0, machine_ns=machine_now()))
        for order in list(risk.state.orders.values()):
            ended = OrderChanged(event="cancelled", order=replace(order, state=OrderState.CANCELLED), machine_ns=1)
            risk.apply(ended)
            self.engine.engine.apply(ended)

    def quote(self) -> None:
        """Enqueue the next quote's frame as the reader thread does."""
        self.number += 1
        price = 800.0 + self.number / 20
        data = {"ltp": price, "volume": 1000 + self.number, "bid": price - 0.05, "ask": price + 0.05,
                "bid_quantity": 10, "ask_quantity": 12, "open": 790.0, "close": 795.0}  # fmt: skip
        body = {"type": "market_data", "symbol": "SBIN", "exchange": "NSE", "mode": 2, "data": data}
        self.feed.connections.active.socket._put(SocketFrame(json.dumps(body).encode(), machine_now()))

    def hold(self, number: int) -> None:
        """Risk holds a position with a stop above the next price; `number` tells positions apart."""
        risk, now = self.risk.risk, self.risk.clock.now()
        held = Position(account=risk.environment.account, instrument=SBIN, product=Product.MIS,
                        strategy="EachQuote", run="r", quantity=10, quantity_seen=10, average_price=900.0, bought=10,
                        opened_ns=now + number, updated_ns=now, trip_quantity=10, trip_value=9000.0,
                        held_stop=890.0)  # fmt: skip
        for position in (replace(held, quantity=0, quantity_seen=0), held):
            risk.apply(PositionChanged(position=position, client_order_id="e", fill_quantity=10, fill_price=900.0,
                                       at_ns=now))  # fmt: skip
        risk.state.closing.clear()
        key = OwnerKey(risk.environment.account, SBIN, Product.MIS, "EachQuote")
        risk.apply(LevelMoved(name=stop_level_name(key), value=890.0, at_ns=now))

    def until_signal(self) -> None:
        """Send quotes until one leads to a signal: by then all subscriptions have reached their writers."""

        def sent() -> bool:
            self.refresh()
            self.settle()
            self.quote()
            self.feed._turn()
            time.sleep(0.01)
            signals = self.engine._signals
            self.engine._turn()
            self.settle()
            return self.engine._signals > signals

        wait_for(sent)
        self.drain(self.risk)
        self.drain(self.engine)

    def until_risk_has_a_quote(self) -> None:
        """Send quotes until risk knows one."""

        def known() -> bool:
            self.quote()
            self.feed._turn()
            time.sleep(0.01)
            self.risk._turn()
            self.settle()
            return SBIN in self.risk.risk.state.quotes

        wait_for(known)
        self.drain(self.risk)

    def drain(self, daemon: Daemon) -> None:
        """Run turns until nothing more arrives."""
        handled = -1
        while handled != daemon.handled:
            handled = daemon.handled
            time.sleep(0.02)
            daemon._turn()

    def settle(self) -> None:
        """Do what waits for an idle moment."""
        for daemon in self.daemons:
            while daemon._later:
                daemon._turn()


@contextmanager
def quote_path() -> Iterator[QuotePath]:
    """Feed, engine and risk; no connection is opened and no instrument list fetched."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(FeedSocket, "start", lambda _: None))
        stack.enter_context(patch.object(InstrumentLoader, "request_if_due", lambda *_: None))
        path = QuotePath(stack.enter_context(_run_config()))
        for daemon in path.daemons:
            stack.callback(daemon.context.destroy, linger=0)
            stack.callback(daemon.teardown)
        yield path


class ExitPath:
    """A router that holds positions, its idle connections at a server that never answers."""

    def __init__(self, router: TradeManager, server: socket.socket) -> None:
        self.router, self.account, self.number = router, router.config.venue.account, 0
        self.commands = router.push("commands")
        now = router.clock.now()
        mode = router.config.venue.expected_mode.value
        router.record([AccountModeChanged(account=self.account, wrong_mode=False, message="", at_ns=now, mode=mode)])
        pool = router._accounts._pools[self.account]
        wait_for(lambda: len(pool._idle) == router.config.venue.order_workers)
        self.connections = []
        for worker in pool._idle:
            worker.tool._client._connection(1.0, 0)  # type: ignore[attr-defined]
            self.connections.append(server.accept()[0])
        self.settle()
        _put_off_timers(router)

    def settle(self) -> None:
        """Do what waits for an idle moment."""
        self.router.run_queued_now()
        self.router._run_later()

    def end_exits(self) -> None:
        """End all orders and goals."""
        orders = self.router.orders
        ended = [replace(order, state=OrderState.REJECTED) for order in orders.orders() if is_live(order)]
        done = [replace(goal, state="done") for goal in orders.goals() if goal.state != "done"]
        self.router.record([OrderChanged(event="rejected", order=order, machine_ns=1) for order in ended])
        self.router.record([GoalChanged(goal=goal, at_ns=1) for goal in done])
        self.settle()

    def hold(self, instrument: str) -> None:
        """Hold ten of an instrument."""
        position = Position(
            account=self.account, instrument=instrument, product=Product.MIS, strategy="S", run="r",
            quantity=10, quantity_seen=10, average_price=800.0,
        )  # fmt: skip
        self.router.record(
            [PositionChanged(position=position, client_order_id="", fill_quantity=0, fill_price=0.0, at_ns=1)]
        )
        self.settle()

    def close(self, instrument: str) -> None:
        """Send risk's command to close it; the next turn finds it."""
        self.number += 1
        goal = CloseGoal(
            account=self.account, instrument=instrument, product=Product.MIS, strategy="S", run="r",
            cause="stop", lot=1, id=f"g{self.number}", reason="exit",
        )  # fmt: skip
        self.commands._hand(
            encode_frame("risk", 1, self.number, bytes(8), machine_now(), encode_body(goal)), zmq.NOBLOCK
        )
        time.sleep(0.05)


@contextmanager
def exit_path() -> Iterator[ExitPath]:
    """A router and the server that never answers it."""
    with ExitStack() as stack:
        config = stack.enter_context(_run_config())
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        venue = replace(config.venue, rest_url=f"http://127.0.0.1:{server.getsockname()[1]}")
        router = TradeManager(replace(config, venue=venue, accounts=()))
        stack.callback(router.context.destroy, linger=0)
        router.setup()
        stack.callback(router.teardown)
        path = ExitPath(router, server)
        yield path
        for connection in path.connections:
            connection.close()
