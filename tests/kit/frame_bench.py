"""The feed's way from a raw frame to bars and readers, in one thread: real parser, fields, price check and bars."""

from __future__ import annotations

import json
from datetime import date, datetime, time
from typing import Any, cast

from mytrading.adapters.openalgo.ws.market_frames import Acknowledged, FrameParser, Tick
from mytrading.core.bars.builder import BarBuilder
from mytrading.core.calendar import Calendar
from mytrading.core.feed.price_proof import PriceProof
from mytrading.core.feed.quote_checks import PriceCheck
from mytrading.core.feed.staleness import FeedHealth, StalenessLimits
from mytrading.core.time import IST, SECOND
from mytrading.daemons.feed.bars import BarPublisher
from mytrading.daemons.feed.quotes import MarketPublisher, QuoteIntake
from mytrading.daemons.feed.rest_quotes import OpenInterestReader
from mytrading.daemons.feed.sources import SourceConnection, SourceConnections
from mytrading.messages.brokers import BrokerRules, FeedRules
from mytrading.messages.market import Bar, Quote
from mytrading.messages.run_config import AccountRun, DataRules

NOON = int(datetime(2026, 11, 20, 12, 0, tzinfo=IST).timestamp()) * SECOND
NAME = "NSE:SBIN"
LTP, QUOTE, DEPTH = 1, 2, 3
PAD = {"price": 0, "quantity": 0, "orders": 0}


def level(price: float, quantity: int = 50) -> dict[str, float]:
    """One level of a book as servers send it."""
    return {"price": price, "quantity": quantity, "orders": 2}


def book(bid: float | None, ask: float | None) -> dict[str, Any]:
    """A Depth frame's book: a best level and a padded one on each side that has any."""
    return {"depth": {"buy": [level(bid), PAD] if bid else [PAD, PAD], "sell": [level(ask), PAD] if ask else [PAD]}}


class _Bars:
    """Bars as the feed builds them, and the quotes they are made of."""

    def __init__(self, calendar: Calendar) -> None:
        self.builder = BarBuilder(calendar)
        self.builder.watch(NAME, 0)
        self.recount = self.builder.recount
        self.quotes: list[Quote] = []
        self.bars: list[Bar] = []
        self.closed: tuple[()] = ()

    def add(self, quote: Quote) -> None:
        """Take a quote as the feed's bars do."""
        self.quotes.append(quote)
        if (closed := self.builder.add(quote)) is not None:
            self.bars.append(closed.bar)


class _Readers:
    """Who reads the market stream: every quote, none replaced by a newer one."""

    levels = 5

    def __init__(self) -> None:
        self.quotes: list[Quote] = []
        self.offer = self.quotes.append
        self.books: dict[str, Tick] = {}
        self.alone: dict[str, Quote] = {}

    def flush(self) -> None:
        """Each quote is here already."""


class FrameBench:
    """An intake with one share of one source, under the rules of its broker; `at` is seconds after noon."""

    def __init__(self, rules: FeedRules | None = None) -> None:
        hours = {"sessions": [{"from": date(2020, 1, 1), "open": time(9, 15), "close": time(15, 30)}], "holidays": []}
        calendar = Calendar.from_dict({"exchanges": {"NSE": hours}, "holidays": {}})
        sources = (AccountRun(id="one", rest_url="http://127.0.0.1:1", ws_url="ws://127.0.0.1:1", api_key="k"),)
        self.health = FeedHealth(calendar, StalenessLimits.of(5.0))
        self.connections = SourceConnections(sources, DataRules(watch=()), calendar, lambda: None)
        self.bars, self.readers, self.check = _Bars(calendar), _Readers(), PriceCheck(20.0)
        self.proof = PriceProof(5 * SECOND)
        self.interest = OpenInterestReader(sources)
        self.intake = QuoteIntake(
            self.connections, self.health, self.check, cast(BarPublisher, self.bars),
            cast(MarketPublisher, self.readers), self.interest, False, self.proof,
        )  # fmt: skip
        self.parser = FrameParser()
        self.connections.subscribe(NAME)
        self.health.add(NAME, NOON, 0)
        self.connection.on_connected(0)
        self.connection.pulse.expect(1, 0)
        if rules is not None:
            self.connection.rules = BrokerRules(feed=rules)
        self.connection.subscriptions.apply_answer(Acknowledged("", ((NAME, "Quote"),), ()), 0)

    @property
    def connection(self) -> SourceConnection:
        """The one source."""
        return self.connections.active

    def send(self, at: float, mode: int, **data: Any) -> None:
        """A frame that OpenAlgo's proxy sends, read from the socket at this second after noon."""
        fields = {"type": "market_data", "symbol": "SBIN", "exchange": "NSE", "mode": mode, "data": data}
        self.send_raw(at, json.dumps(fields).encode())

    def send_raw(self, at: float, data: bytes) -> None:
        """The same with the bytes of the message."""
        machine_ns = round(at * SECOND)
        tick = self.parser.parse(data, machine_ns, NOON + machine_ns)
        assert isinstance(tick, Tick), tick
        self.intake.on_tick(self.connection, tick, machine_ns)

    def minute(self) -> Bar:
        """The unfinished bar, closed."""
        (closed,) = self.bars.builder.advance(NOON + 24 * 3600 * SECOND, 0, 0)
        return closed.bar

    def age_s(self, at: float) -> float:
        """Seconds since the instrument's last price."""
        return self.health.age(NAME, round(at * SECOND)) / SECOND

    def deaf(self, at: float) -> dict[str, int]:
        """Deaf instruments with the number of frames since the last price, as the feed finds them once a second."""
        machine_ns = round(at * SECOND)
        self.health.update_coverage(NOON + machine_ns, machine_ns, frozenset(), lambda _: True)
        return self.health.deaf

    @property
    def last(self) -> Quote:
        """The newest quote that readers have."""
        return self.readers.quotes[-1]
