"""The way of a quote from the socket to an order, through the real feed, engine and risk in one process.

With cold caches, which a daemon has after some idle milliseconds, each Python function on this way costs some 2 us, so
the functions of one turn are counted. A figure here may be lowered; one that has to be raised needs a reason.
"""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from mytrading.adapters.openalgo.ws.connection import FeedSocket, SocketFrame
from mytrading.adapters.openalgo.ws.market_frames import Acknowledged
from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.core.risk.protection import engine_stops
from mytrading.core.time import IST
from mytrading.daemons.engine.daemon import StrategyEngine
from mytrading.daemons.feed.daemon import DataManager
from mytrading.daemons.feed.instruments import InstrumentLoader
from mytrading.daemons.risk.daemon import RiskManager
from mytrading.messages.control import Heartbeat
from mytrading.messages.enums import DaemonState, OrderState, Product, Side
from mytrading.messages.instruments import Instrument, InstrumentKind, Snapshot
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.orders import OrderChanged, Position, PositionChanged
from mytrading.messages.reports import AccountHealth, Funds
from mytrading.messages.run_config import Direction, StrategyRun, TradeKind, TradeRule
from mytrading.runtime.daemon.daemon import Daemon
from mytrading.runtime.host.clock import ClockFile, ClockSegment, machine_now, write_clock_file
from tests.kit.call_counter import python_calls
from tests.kit.project import ROOT
from tests.kit.run_configs import run_config
from tests.kit.waiting import eventually

SBIN, DAY, HOUR_NS = "NSE:SBIN", "2026-11-23", 3_600_000_000_000
NOON = int(datetime(2026, 11, 23, 12, 0, tzinfo=IST).timestamp()) * 1_000_000_000
ASKS = """
from mytrading.strategies import BaseStrategy

class EachQuote(BaseStrategy):
    subscribe_quotes = True

    def on_data(self, data):
        return self.create_signal("BUY", limit_price=round(data.ltp - 1, 2)) if hasattr(data, "ltp") else None
"""


class Way:
    """Feed, engine and risk of one stack, each turned by hand; their timers are kept from falling into a count."""

    def __init__(self, folder: Path) -> None:
        home = folder / "home"
        shutil.copytree(ROOT / "config", home / "config")
        (home / "asks.py").write_text(ASKS)
        rule = TradeRule(kind=TradeKind.SAME, side=Side.BUY)
        run = StrategyRun(
            name="EachQuote", file="asks.py", symbols=(SBIN,), long=rule, short=None, direction=Direction.LONG
        )
        made = run_config(folder)
        data = replace(made.data, watch=(SBIN,), historical=False, tick_data=False)
        venue = replace(made.venue, rest_url="http://127.0.0.1:9", ws_url="ws://127.0.0.1:9")
        rates = replace(made.rates, entries_per_minute=100)
        config = replace(made, home=str(home), strategies=(run,), data=data, venue=venue, rates=rates)
        write_clock_file(config.clock_path, ClockFile(segments=(ClockSegment(machine_now(), NOON, 1.0),)))
        stock = Instrument(id=SBIN, exchange="NSE", symbol="SBIN", kind=InstrumentKind.EQ, underlying="SBIN")
        InstrumentFile(config.state).write(Snapshot(day=DAY, fetched_ns=NOON, instruments=(stock,), good_day=DAY))
        self.feed, self.engine, self.risk = DataManager(config), StrategyEngine(config), RiskManager(config)
        self.daemons: tuple[Daemon, ...] = (self.feed, self.engine, self.risk)
        for daemon in self.daemons:
            daemon.status.bind()
            daemon.setup()
        self.number = 0

    def open(self) -> None:
        """The connection gives quotes, the strategy runs, and nothing keeps risk from admitting."""
        connection = self.feed.connections.active
        connection.connected(machine_now())
        self.feed.supervisor.on_acknowledged(connection, Acknowledged("", ((SBIN, "2"),), ()))
        self.engine._feed_ready = True
        self.engine._look()
        self.risk._announced = (SBIN,)
        self.risk._follow_instruments()
        self.risk.risk.environment.patient_until = 0
        for daemon in self.daemons:
            for timer in daemon.timers._heap:
                timer.due_ns += HOUR_NS

    def well(self) -> None:
        """What others would have told by now."""
        risk, now = self.risk.risk, self.risk.clock.now()
        for name in ("feed", "router", "reconciler", "engine"):
            risk.apply(Heartbeat(daemon=name, pid=1, state=DaemonState.RUNNING, ready=True, machine_ns=machine_now(),
                                 market_ns=now, started_machine_ns=1))  # fmt: skip
        risk.apply(AccountHealth(account=risk.environment.account, connected=True, right_mode=True, stream_up=True,
                                 books_agree=True))  # fmt: skip
        risk.apply(Funds(account=risk.environment.account, available=1e7, collateral=0.0, used=0.0,
                         machine_ns=machine_now()))  # fmt: skip
        for order in list(risk.state.orders.values()):
            ended = OrderChanged(event="cancelled", order=replace(order, state=OrderState.CANCELLED), machine_ns=1)
            risk.apply(ended)
            self.engine.engine.apply(ended)

    def quote(self) -> None:
        """A frame as the reader thread leaves it."""
        self.number += 1
        price = 800.0 + self.number / 20
        said = {"ltp": price, "volume": 1000 + self.number, "bid": price - 0.05, "ask": price + 0.05,
                "bid_quantity": 10, "ask_quantity": 12, "open": 790.0, "close": 795.0}  # fmt: skip
        body = {"type": "market_data", "symbol": "SBIN", "exchange": "NSE", "mode": 2, "data": said}
        self.feed.connections.active.socket._put(SocketFrame(json.dumps(body).encode(), machine_now()))

    def hold(self, number: int) -> None:
        """Risk holds a position with a stop that the next price is below."""
        risk, now = self.risk.risk, self.risk.clock.now()
        held = Position(account=risk.environment.account, instrument=SBIN, product=Product.MIS,
                        strategy="EachQuote", run="r", quantity=10, quantity_seen=10, average_price=900.0, bought=10,
                        opened_ns=now + number, updated_ns=now, trip_quantity=10, trip_value=9000.0,
                        held_stop=890.0)  # fmt: skip
        for position in (replace(held, quantity=0, quantity_seen=0), held):
            risk.apply(PositionChanged(position=position, client_order_id="e", fill_quantity=10, fill_price=900.0,
                                       at_ns=now))  # fmt: skip
        risk.state.closing.clear()
        key = (risk.environment.account, SBIN, "MIS", "EachQuote")
        risk.apply(LevelMoved(name=engine_stops.name_of(key), value=890.0, at_ns=now))

    def turned(self, daemon: Daemon, handled: int = 1, until: str = "") -> Counter[str]:
        """What a daemon calls in the turn in which it has handled so many frames; one that took more calls more."""
        before = daemon.handled
        found = python_calls(daemon._turn, until)
        while daemon.handled < before + handled:
            found = python_calls(daemon._turn, until)
        return found

    def drain(self, daemon: Daemon) -> None:
        """Have a daemon take up what is still on its way to it from before."""
        handled = -1
        while handled != daemon.handled:
            handled = daemon.handled
            time.sleep(0.02)
            daemon._turn()

    def settle(self) -> None:
        """Do what waits for a calm moment."""
        for daemon in self.daemons:
            while daemon._later:
                daemon._turn()


@pytest.fixture
def way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    monkeypatch.setattr(FeedSocket, "start", lambda _: None)
    monkeypatch.setattr(InstrumentLoader, "look", lambda *_: None)
    made = Way(tmp_path)
    yield made
    for daemon in made.daemons:
        daemon.teardown()
        daemon.context.destroy(linger=0)


def test_quote_that_becomes_an_order_goes_through_few_functions(way: Way) -> None:
    way.feed._polled.append((way.feed.doorbell.fileno(), 1))
    way.open()
    counts: list[tuple[int, int, int, int]] = []

    def go() -> bool:
        """One quote, once all subscriptions have reached their writers: until then it does not get through."""
        way.well()
        way.settle()
        way.quote()
        way.feed._turn()
        time.sleep(0.01)
        signals = way.engine._signals
        way.engine._turn()
        way.settle()
        return way.engine._signals > signals

    eventually(go)
    way.drain(way.risk)
    way.drain(way.engine)
    for _ in range(5):
        way.well()
        way.settle()
        way.quote()
        fed = python_calls(way.feed._turn)
        seen = way.turned(way.risk)
        decided = way.turned(way.engine)
        entries = way.risk._counts["entries"]
        judged = way.turned(way.risk)
        way.settle()
        assert way.risk._counts["entries"] == entries + 1
        counts.append((fed.total(), seen.total(), decided.total(), judged.total()))
    feed, quote, engine, signal = map(min, zip(*counts, strict=True))
    assert feed <= 51
    assert quote <= 43
    assert engine <= 120
    assert signal <= 407


def test_quote_beyond_a_stop_that_risk_holds_goes_through_few_functions(way: Way) -> None:
    way.feed._polled.append((way.feed.doorbell.fileno(), 1))
    way.open()
    eventually(lambda: _seen(way))
    way.drain(way.risk)
    counts = []
    for number in range(5):
        way.well()
        way.hold(number)
        way.settle()
        way.quote()
        way.feed._turn()
        exits = way.risk._counts["exits"]
        counts.append(way.turned(way.risk, until="encode_frame"))
        way.settle()
        assert way.risk._counts["exits"] == exits + 1
    assert min(counted.total() for counted in counts) <= MOST_OF_A_BREACH
    assert min(counted["encode_frame"] for counted in counts) == 1, "the goal has left by then"


def test_backlog_of_a_flood_is_taken_in_turns_that_leave_time_for_the_heartbeat(way: Way) -> None:
    way.feed._polled.append((way.feed.doorbell.fileno(), 1))
    way.open()
    way.settle()
    backlog, before = way.feed.connections.active.socket.events, way.feed.intake.quotes
    for _ in range(20_000):
        way.quote()
    way.feed._turn()
    first = way.feed.intake.quotes - before
    assert 0 < first <= 1000
    way.feed.frames._portion, slow = 800, 300_000_000
    assert [
        way.feed.frames.next_portion(slow),
        way.feed.frames.next_portion(slow // 2),
        way.feed.frames.next_portion(slow // 10),
    ] == [400, 800, 1600]
    while not backlog.empty():
        way.feed._turn()
    assert way.feed.intake.quotes - before == 20_000


def _seen(way: Way) -> bool:
    way.quote()
    way.feed._turn()
    time.sleep(0.01)
    way.risk._turn()
    way.settle()
    return SBIN in way.risk.risk.state.quotes


MOST_OF_A_BREACH = 80
"""Until the goal is handed over; what an exit does not need comes behind. Three ask if its owner sells anything, two
what the quote before said."""
