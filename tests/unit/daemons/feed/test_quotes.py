"""The feed's way in: which frames make bars, what they say of the connection's life, and what is made of the others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, cast

import pytest
import zmq

from mytrading.adapters.openalgo.ws.market_frames import Acknowledged, FrameParser, Tick
from mytrading.core.calendar import Calendar
from mytrading.core.feed.day_proof import DayProof
from mytrading.core.feed.quote_checks import PriceCheck
from mytrading.core.feed.staleness import DEAF_NS, FeedHealth, StalenessLimits
from mytrading.core.time import IST, SECOND
from mytrading.daemons.feed.bars import BarPublisher
from mytrading.daemons.feed.quotes import MarketPublisher, MarketSteps, QuoteIntake
from mytrading.daemons.feed.rest_quotes import OpenInterestReader
from mytrading.daemons.feed.sources import SourceConnection, SourceConnections
from mytrading.messages.market import Quote
from mytrading.messages.run_config import AccountRun, DataRules
from mytrading.runtime.observability.metrics import Histogram
from mytrading.runtime.streams.zmq_streams import ZMQPublisher

NOON = int(datetime(2026, 11, 20, 12, 0, tzinfo=IST).timestamp()) * SECOND
SBIN = "NSE:SBIN"
LEVEL = {"price": 800.0, "quantity": 5, "orders": 1}


class Bars:
    """Takes the quotes that bars are made of."""

    closed: tuple[()] = ()

    def __init__(self) -> None:
        self.quotes: list[Quote] = []
        self.add = self.quotes.append

    def recount(self, instrument: str) -> None:
        """These bars have no volume."""


class Bench:
    """An intake with one share that is held in Quote and Depth, and a second hand."""

    def __init__(self, runtime: Path, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        hours = {"sessions": [{"from": date(2020, 1, 1), "open": time(9, 15), "close": time(15, 30)}], "holidays": []}
        calendar = Calendar.from_dict({"exchanges": {"NSE": hours}, "holidays": {}})
        sources = (AccountRun(id="one", rest_url="http://127.0.0.1:1", ws_url="ws://127.0.0.1:1", api_key="k"),)
        rules = DataRules(watch=())
        self.health = FeedHealth(calendar, StalenessLimits.of(5.0))
        self.connections = SourceConnections(sources, rules, calendar, lambda: None)
        self.bars = Bars()
        market = ZMQPublisher(f"ipc://{runtime}/m", context=context)
        self.publisher = MarketPublisher(market, rules, Histogram())
        self.interest = OpenInterestReader(sources)
        check = PriceCheck(20.0)
        bars = cast(BarPublisher, self.bars)
        self.intake = QuoteIntake(self.connections, self.health, check, bars, self.publisher, self.interest, False)
        self.parser = FrameParser()
        self.connections.subscribe(SBIN)
        self.health.add(SBIN, NOON, 0)
        self.connection.on_connected(0)
        self.connection.pulse.expect(1, 0)
        for mode in ("Quote", "Depth"):
            answer = Acknowledged("", ((SBIN, mode),), ())
            self.connection.subscriptions.apply_answer(answer, 0)

    @property
    def connection(self) -> SourceConnection:
        return self.connections.active

    def frame(self, at_ns: int, mode: int, **data: Any) -> None:
        """A frame as the socket has it, read at this machine time."""
        body = {"volume": 7, "ltt": 5, **data}
        if mode == 3:
            body["depth"] = {"buy": [LEVEL], "sell": [LEVEL]}
        fields = {"type": "market_data", "symbol": "SBIN", "exchange": "NSE", "mode": mode, "data": body}
        tick = self.parser.parse(json.dumps(fields).encode(), at_ns, NOON + at_ns)
        assert isinstance(tick, Tick), tick
        self.intake.on_tick(self.connection, tick, at_ns)


@pytest.fixture
def bench(runtime: Path, context: zmq.Context[zmq.Socket[bytes]]) -> Iterator[Bench]:
    made = Bench(runtime, context)
    yield made
    made.interest.stop()


def test_quote_and_the_book_it_was_cut_from_are_one_tick(bench: Bench) -> None:
    for second in range(5):
        bench.frame(second * SECOND, 3, ltp=800.0 + second)
        bench.frame(second * SECOND, 2, ltp=800.0 + second)
    assert [(quote.ltp, quote.bid) for quote in bench.bars.quotes] == [(800.0 + second, 800.0) for second in range(5)]


def test_source_that_repeats_a_quote_and_its_book_for_ever_is_mute(bench: Bench) -> None:
    for second in range(30):
        bench.frame(second * SECOND, 3, ltp=800.0)
        bench.frame(second * SECOND, 2, ltp=800.0)
    assert bench.connection.pulse.is_mute(30 * SECOND)


def test_quotes_beside_a_book_without_a_price_are_heard(bench: Bench) -> None:
    """A Depth frame with ltp 0 once shut the good Quote frames out: no bar, every entry denied, QUOTES_DROPPED."""
    for second in range(DEAF_NS // SECOND + 5):
        bench.frame(second * SECOND, 3, ltp=0.0)
        bench.frame(second * SECOND, 2, ltp=800.0 + second)
    now = (DEAF_NS // SECOND + 5) * SECOND
    coverage = bench.health.update_coverage(NOON + now, now, frozenset(), lambda _: True)
    assert [quote.ltp for quote in bench.bars.quotes] == [800.0 + second for second in range(DEAF_NS // SECOND + 5)]
    assert (coverage.fresh, bench.health.deaf) == (1, {})


@pytest.mark.parametrize("prices", [(0.0,) * 11, (900.0,) + (0.0,) * 9 + (1500.0,)])
def test_instrument_of_which_every_price_is_held_or_refused_is_deaf(bench: Bench, prices: tuple[float, ...]) -> None:
    """Guards against a deaf instrument that stays in the coverage, unnamed by any alert, since such frames counted."""
    bench.frame(0, 2, ltp=500.0)
    for second, price in enumerate(prices):
        bench.frame(second * SECOND, 2, ltp=price)
    coverage = bench.health.update_coverage(NOON + DEAF_NS, DEAF_NS, frozenset(), lambda _: True)
    assert (len(bench.bars.quotes), coverage.fresh, bench.health.deaf) == (1, 0, {SBIN: len(prices)})


def test_price_of_nothing_does_not_make_what_is_held_fresh(bench: Bench) -> None:
    for second in range(10):
        bench.frame(second * SECOND, 3, ltp=0.0)
    bench.health.update_coverage(NOON + 10 * SECOND, 10 * SECOND, frozenset((SBIN,)), lambda _: True)
    assert bench.health.stale_held == (SBIN,)


def test_step_message_never_comes_between_the_quotes_of_a_step(bench: Bench) -> None:
    """A burst that was read in two parts ended the step for its readers after the first one."""
    publisher, now = bench.publisher, NOON
    steps = MarketSteps(publisher, lambda: now)
    steps.on_mark(1)
    before = steps.lock_step_progress("").sent["market"]
    for price in (800.0, 801.0):
        bench.frame(int(price), 2, ltp=price)
        bench.intake.flush()
        assert steps.lock_step_progress("").sent["market"] == before
    steps.on_mark(2)
    assert steps.lock_step_progress("").sent["market"] == before + 1


def test_feed_sees_that_an_exchange_trades_on_a_day_that_may_be_a_holiday(bench: Bench) -> None:
    hours = {"sessions": [{"from": date(2020, 1, 1), "open": time(9, 15), "close": time(15, 30)}]}
    days = bench.intake._day_proof = DayProof(
        Calendar.from_dict({"exchanges": {"NSE": hours}, "holidays": {"NSE": {}}})
    )
    days.follow(NOON)
    for second in range(3):
        bench.frame(second * SECOND, 2, ltp=800.0)
    assert days.news() is None, "the price of a closed day is repeated"
    bench.frame(3 * SECOND, 2, ltp=800.05)
    level = days.news()
    assert level is not None and (level.day, level.exchanges) == ("2026-11-20", {"NSE": SBIN})
