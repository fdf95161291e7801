"""A broker's market data through the feed in one process: true quotes in at the simulator, quotes and bars out.

The simulator's venue makes frames as the broker's adapter does, and the feed's own parts read them: subscriptions,
parser, intake, checks, bars. Only sockets and waiting are left out: a message is handed over, and machine time is what
the bench says it is. Truth is what the test puts in, never what comes out of a frame.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, cast

import msgspec
from aiohttp import web

from mytrading.adapters.openalgo.ws.connection import Connected, SocketFrame
from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.config.brokers import load_brokers
from mytrading.core.calendar import Calendar
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.time import IST, SECOND
from mytrading.daemons.feed.daemon import DataManager
from mytrading.daemons.feed.rest_prices import RestNow
from mytrading.messages.brokers import BrokerRules
from mytrading.messages.instruments import Instrument, Snapshot
from mytrading.messages.market import Bar, Quote
from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import book_topic
from mytrading.runtime.host.clock import ClockSegment, MarketClock, machine_now
from mytrading.runtime.streams.zmq_streams import ZMQPublisher
from mytrading.simulator.faults.registry import parse_fault_setting
from mytrading.simulator.formats.frames import Body
from mytrading.simulator.market.day import SimulatedQuote
from mytrading.simulator.market.world import SimulatedWorld
from mytrading.simulator.settings.personality import personality
from mytrading.simulator.venue.store import BookStore
from mytrading.simulator.venue.venue import SimulatedVenue
from mytrading.simulator.ws.hub import Client, Key
from mytrading.simulator.ws.server import FeedServer
from tests.kit.feed_process import feed_config
from tests.kit.project import ROOT

BEGIN = int(datetime(2026, 11, 18, 10, 0, 50, tzinfo=IST).timestamp()) * SECOND
"""Ten seconds before a minute of a Wednesday's session."""
KEY = "bench"


@cache
def _world() -> SimulatedWorld:
    def read(name: str) -> dict[str, Any]:
        return tomllib.loads((ROOT / "config" / f"{name}.toml").read_text(encoding="utf-8"))

    calendar = Calendar.from_dict(read("calendar"))
    return SimulatedWorld(calendar, ContractFacts.from_dict(read("instruments")), 7, datetime(2026, 11, 18).date())


class _Market:
    """Takes what the feed publishes."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, topic: str, message: Any) -> None:
        """Take a message, but for books alone, which only risk reads."""
        if topic != book_topic(getattr(message, "instrument", "")):
            self.sent.append(message)


class _Feed(DataManager):
    """The feed's parts, wired, without its loop and its sockets."""

    def __init__(self, config: RunConfig, clock: MarketClock) -> None:
        super().__init__(config)
        self.clock, self.market = clock, _Market()
        self._wire()

    def publish(self, stream: str) -> ZMQPublisher:
        assert stream == "market"
        return cast(ZMQPublisher, self.market)


class _Listener(Client):
    """The feed's end of the socket."""

    def __init__(self) -> None:
        super().__init__(cast(web.WebSocketResponse, None), None)
        self.frames: list[bytes] = []

    def put(self, key: Key | None, frame: bytes, *, counted: bool = True) -> None:
        """Take a frame."""
        self.frames.append(frame)


class BrokerFeed:
    """One broker and the feed. `machine_ns` is the bench's machine time, `market_ns` its market time. `table` is what
    the feed believes of brokers."""

    def __init__(
        self, folder: Path, runtime: Path, broker: str, *, venue: type[SimulatedVenue] = SimulatedVenue,
        table: Mapping[str, BrokerRules] | None = None,
    ) -> None:  # fmt: skip
        self.broker = broker
        self._began_ns = self.machine_ns = machine_now()
        clock = MarketClock((ClockSegment(self._began_ns, BEGIN, 1.0),))
        self.venue = venue(clock, _world(), BookStore(None), 1e6, personality("live", broker))
        self.venue.open_day(datetime(2026, 11, 18).date())
        self._server, self._listener = FeedServer(self.venue, KEY), _Listener()
        self.venue.hub.add_client(self._listener)
        config = feed_config(folder, runtime, "http://127.0.0.1:1", "ws://127.0.0.1:1", (), historical=False)
        self.feed = _Feed(msgspec.structs.replace(config, brokers=table or load_brokers()), clock)
        self._contracts = InstrumentFile(folder / "listed")
        self.feed.rest_prices._contracts = self._contracts  # apart from the file of the fetch, which finds no server
        self._source = self.feed.connections.active
        self._source.socket.send = self._request  # type: ignore[method-assign]  the socket that is not there
        self._handle(Connected(1, self.machine_ns, broker))
        self._server.answer(self._listener, json.dumps({"action": "authenticate", "api_key": KEY}))
        self._deliver()

    @property
    def market_ns(self) -> int:
        """Market time now."""
        return BEGIN + self.machine_ns - self._began_ns

    def watch(self, *instruments: str) -> None:
        """Have the feed subscribe instruments."""
        self.feed.subscriptions.watch(instruments)
        if self._source.rules.feed.bare_tokens:
            self.feed.rest_prices.follow(RestNow(self.market_ns, self.machine_ns, frozenset()))
        self._exchange_requests()

    def list_contracts(self, *instruments: Instrument) -> None:
        """Give the feed the day's list of these, with the broker's tokens, as its master contract has them."""
        rows = [msgspec.structs.replace(item, token=self.venue.tokens.of(item.id)) for item in instruments]
        self._contracts.write(Snapshot(day="2026-11-18", fetched_ns=self.market_ns, instruments=tuple(rows)))

    def _request(self, request: Body) -> None:
        self._server.answer(self._listener, json.dumps(request))

    def _exchange_requests(self) -> None:
        """Let the feed send what it wants to subscribe, and read the answers, until it wants nothing more."""
        while (request := self._source.subscriptions.take_next_request(self.machine_ns)) is not None:
            self._request(request)
            self._deliver()

    def _handle(self, *events: Connected | SocketFrame) -> None:
        self.feed.frames.handle(self._source, events)

    def _deliver(self) -> None:
        frames, self._listener.frames = self._listener.frames, []
        if frames:
            self._handle(*(SocketFrame(frame, self.machine_ns) for frame in frames))

    def step(self, seconds: float = 1.0) -> None:
        """Let time pass; the broker repeats what it repeats."""
        self.machine_ns += round(seconds * SECOND)
        frames = self.venue.hub.frames
        if frames is not None and frames.form.repeat_seconds:
            self.venue.hub.repeat(self.market_ns)
        self._deliver()

    def trade(self, quote: SimulatedQuote) -> None:
        """Let the exchange show a quote now; one before the instrument is watched is what its subscription finds."""
        self.venue.publish_pushed_quote(msgspec.structs.replace(quote, at_ns=self.market_ns), hold=True)
        self._deliver()
        self._exchange_requests()

    def close_bars(self) -> None:
        """Let the feed's clock close the bars that have ended."""
        self.feed.bars.on_clock(self.market_ns, self.machine_ns)
        self.feed.intake.flush()

    def fault(self, kind: str, **parameters: Any) -> None:
        """Switch a fault of the simulator on."""
        setting, errors = parse_fault_setting({"kind": kind, **parameters})
        assert setting is not None, errors
        self.venue.faults.set(setting)

    def quotes(self, instrument: str) -> list[Quote]:
        """Return the quotes of an instrument that the feed published."""
        return [one for one in self.feed.market.sent if isinstance(one, Quote) and one.instrument == instrument]

    def bars(self, instrument: str) -> list[Bar]:
        """Return the bars of an instrument that the feed published."""
        return [one for one in self.feed.market.sent if isinstance(one, Bar) and one.instrument == instrument]

    def deaf(self) -> set[str]:
        """Return the instruments that the feed calls deaf."""
        self.feed.health.update_coverage(self.market_ns, self.machine_ns, frozenset(), lambda _: True)
        return set(self.feed.health.deaf)

    def age(self, instrument: str) -> float:
        """Return the seconds since the last price that the feed takes for one of the instrument."""
        return self.feed.health.age(instrument, self.machine_ns) / SECOND

    def close(self) -> None:
        """End the feed's threads and files."""
        self.feed.teardown()
        self.feed.context.destroy(linger=0)
        self.venue.close()


@contextmanager
def broker_feed(folder: Path, runtime: Path, broker: str, **other: Any) -> Iterator[BrokerFeed]:
    """A broker and the feed, ended afterwards; `other` as `BrokerFeed` takes it."""
    bench = BrokerFeed(folder, runtime, broker, **other)
    try:
        yield bench
    finally:
        bench.close()
