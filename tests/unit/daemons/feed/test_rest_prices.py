"""What the feed asks for over REST, second by second, and what it makes of the answers: real bars, intake and health.

Only the calls are made here: answers are given as `RestQuotes` brings them.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import cast

import pytest
import zmq

from mytrading.adapters.openalgo.endpoints import ServerQuote
from mytrading.adapters.openalgo.ws.market_frames import Acknowledged, FrameParser, Tick
from mytrading.adapters.storage.bar_store import BarReader
from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.core.active_alerts import ActiveAlerts
from mytrading.core.calendar import Calendar
from mytrading.core.feed.instrument_demand import InstrumentDemand
from mytrading.core.feed.quote_checks import PriceCheck
from mytrading.core.feed.staleness import FeedHealth, StalenessLimits
from mytrading.core.time import IST, MINUTE, SECOND
from mytrading.daemons.feed.bars import BarPublisher
from mytrading.daemons.feed.quotes import MarketPublisher, QuoteIntake
from mytrading.daemons.feed.report import feed_report
from mytrading.daemons.feed.rest_prices import RestNow, RestPrices
from mytrading.daemons.feed.rest_quotes import OpenInterestReader, RestAnswer, RestQuotes
from mytrading.daemons.feed.sources import SourceConnections
from mytrading.messages.brokers import BrokerRules, FeedRules
from mytrading.messages.control import EntriesClosed
from mytrading.messages.enums import Severity
from mytrading.messages.instruments import Instrument, InstrumentKind, Snapshot
from mytrading.messages.market import Bar
from mytrading.messages.run_config import AccountRun
from mytrading.runtime.host.clock import MarketClock
from mytrading.runtime.observability.metrics import Histogram
from mytrading.runtime.streams.zmq_streams import ZMQPublisher
from tests.kit.feed_process import feed_config
from tests.kit.project import ROOT

NOON = int(datetime(2026, 11, 20, 12, 0, tzinfo=IST).timestamp()) * SECOND
NIFTY, SBIN, USDINR = "NSE_INDEX:NIFTY", "NSE:SBIN", "CDS:USDINR27NOV26FUT"
XTS = BrokerRules(name="xts", feed=FeedRules(index_prices=False))
BARE = BrokerRules(name="bare", feed=FeedRules(bare_tokens=True))


class Calls:
    """The calls that are sent; an answer frees the thread, as in `RestQuotes`."""

    def __init__(self) -> None:
        self.sent: list[list[str]] = []
        self.busy = False

    def request(self, instruments: list[str]) -> None:
        if instruments and not self.busy:
            self.busy = True
            self.sent.append(instruments)


class BenchClock(MarketClock):
    """The market time of a bench."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self._bench = bench

    def now(self) -> int:
        return NOON + self._bench.second * SECOND


class Bench:
    """A feed with one source; seconds of market and machine pass alike, from noon."""

    def __init__(self, folder: Path, runtime: Path, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self.config = feed_config(folder, runtime, "http://127.0.0.1:1", "ws://127.0.0.1:1", (), history_days=1)
        calendar = Calendar.from_dict(tomllib.loads((ROOT / "config" / "calendar.toml").read_text(encoding="utf-8")))
        self.second = 0
        sources = (AccountRun(id="one", rest_url="http://127.0.0.1:1", ws_url="ws://127.0.0.1:1", api_key="k"),)
        self.health = FeedHealth(calendar, StalenessLimits.of(5.0))
        self.connections = SourceConnections(sources, self.config.data, calendar, lambda: None)
        self.problems: ActiveAlerts = {}
        self.made: list[Bar] = []
        self.bars = BarPublisher(
            self.config, calendar, BenchClock(self), self.problems, self.made.append, lambda: None, lambda _: None
        )
        publisher = MarketPublisher(ZMQPublisher(f"ipc://{runtime}/m", context=context), self.config.data, Histogram())
        self.interest = OpenInterestReader(sources)
        self.intake = QuoteIntake(
            self.connections, self.health, PriceCheck(20.0), self.bars, publisher, self.interest, False
        )
        self.calls, self.closed = Calls(), cast(list[EntriesClosed], [])
        self.contracts = InstrumentFile(self.config.state)
        self.prices = RestPrices(
            self.connections, self.health, self.bars, self.intake, cast(RestQuotes, self.calls), calendar,
            self.contracts, 5 * SECOND, self.problems, self.closed.append,
        )  # fmt: skip
        self.parser, self.held = FrameParser(), frozenset[str]()
        self.connections.active.on_connected(0)

    def now(self) -> RestNow:
        return RestNow(NOON + self.second * SECOND, self.second * SECOND, self.held)

    def watch(self, *instruments: str) -> None:
        for name in instruments:
            self.connections.subscribe(name)
            self.health.add(name, NOON, 0)
            self.bars._builder.watch(name, NOON)
            self.connections.active.subscriptions.apply_answer(Acknowledged("", ((name, "Quote"),), ()), 0)

    def frame(self, instrument: str, ltp: float) -> None:
        exchange, symbol = instrument.split(":")
        body = {"ltp": ltp, "bid": ltp, "ask": ltp}
        fields = {"type": "market_data", "symbol": symbol, "exchange": exchange, "mode": 2, "data": body}
        at = self.second * SECOND
        tick = self.parser.parse(json.dumps(fields).encode(), at, NOON + at)
        assert isinstance(tick, Tick), tick
        self.intake.on_tick(self.connections.active, tick, at)

    def turn(self, silent: tuple[str, ...] = ()) -> list[str]:
        """A second passes; the instruments of the call that is sent, [] if none."""
        self.second += 1
        before = len(self.calls.sent)
        self.prices.on_second(silent, self.now())
        return self.calls.sent[-1] if len(self.calls.sent) > before else []

    def answer(self, prices: dict[str, float], problem: str = "", late: int = 0) -> str:
        """The answer to the last call, `late` seconds after it; the problem that is reported."""
        self.calls.busy = False
        at = (self.second + late) * SECOND
        rows = {name: ServerQuote(price) for name, price in prices.items()}
        answer = RestAnswer(tuple(self.calls.sent[-1]), rows, at, problem)
        return self.prices.on_answer(answer, NOON + at, self.now())

    def reasons(self) -> dict[str, str]:
        """Why entries are closed, as last reported."""
        return self.closed[-1].reasons if self.closed else {}

    def published(self) -> dict[str, float]:
        """The newest published price of each instrument."""
        return {name: quote.ltp for name, quote in self.intake._publisher._newest.items()}


@pytest.fixture
def bench(tmp_path: Path, runtime: Path, context: zmq.Context[zmq.Socket[bytes]]) -> Iterator[Bench]:
    made = Bench(tmp_path, runtime, context)
    yield made
    made.interest.stop()
    made.bars.close()


def compare_twice(bench: Bench, frame: float, rest: float) -> None:
    """Two comparisons of USDINR, five seconds apart."""
    for _ in range(2):
        for _ in range(5):
            bench.frame(USDINR, frame)
            if bench.turn():
                bench.answer({USDINR: rest})


def test_start_with_200_instruments_costs_four_calls_and_then_none(bench: Bench) -> None:
    """Before instruments were compared, a start made no call: nothing is held."""
    names = [f"NSE:S{number}" for number in range(200)]
    bench.watch(*names)
    for _ in range(30):
        for name in names:
            bench.frame(name, 100.0)
        if asked := bench.turn():
            bench.answer(dict.fromkeys(asked, 100.0))
    assert [len(asked) for asked in bench.calls.sent] == [50, 50, 50, 50]
    assert (bench.prices.calls, bench.prices.comparisons) == (4, 200)


def test_frames_in_another_scale_close_entries_and_the_price_then_comes_over_rest(bench: Bench) -> None:
    bench.watch(USDINR, SBIN)
    bench.frame(SBIN, 800.0)
    compare_twice(bench, 9_654_750.0, 96.5475)
    assert list(bench.reasons()) == [USDINR]
    assert bench.problems["PRICES_APART", USDINR].severity is Severity.WARNING
    bench.held = frozenset([USDINR])
    bench.frame(USDINR, 9_654_760.0)
    assert USDINR in bench.turn()
    bench.answer({USDINR: 96.55})
    assert (bench.published()[USDINR], bench.published()[SBIN]) == (96.55, 800.0)
    alert = bench.problems["PRICES_APART", USDINR]
    assert (alert.severity, "goes by REST quotes" in alert.text) == (Severity.CRITICAL, True)


def test_comparison_that_agrees_opens_entries_and_takes_frames_again(bench: Bench) -> None:
    bench.watch(USDINR)
    compare_twice(bench, 9_654_750.0, 96.5475)
    for _ in range(61):
        bench.frame(USDINR, 96.54)
        if bench.turn():
            bench.answer({USDINR: 96.5475})
    assert (bench.reasons(), bench.problems) == ({}, {})
    bench.frame(USDINR, 96.60)
    bench.intake.flush()
    assert bench.published()[USDINR] == 96.60


def test_first_rest_price_of_an_instrument_that_closed_is_published_though_it_is_far_from_its_frames(
    bench: Bench,
) -> None:
    bench.watch(USDINR)
    for _ in range(6):
        bench.frame(USDINR, 9_654_750.0)
        if bench.turn():
            bench.answer({USDINR: 96.5475})
    assert list(bench.reasons()) == [USDINR]
    assert bench.published()[USDINR] == 9_654_750.0
    bench.turn()
    bench.answer({USDINR: 96.5475})
    assert bench.published()[USDINR] == 96.5475


def test_closed_instrument_makes_no_bar_of_frames_or_rest_prices_and_whole_ones_once_it_is_open(bench: Bench) -> None:
    bench.watch(USDINR)
    made_by = {}
    for second in range(250):
        bench.frame(USDINR, 9_654_750.0 if second < 70 else 96.5475)
        if bench.turn():
            bench.answer({USDINR: 96.5475})
        bench.bars.on_clock(bench.now().market_ns, bench.now().machine_ns)
        made_by[second] = len(bench.made)
    assert made_by[190] == 0, "neither those before, nor that in which it opened again"
    assert [(bar.start_ns - NOON, bar.low, bar.high) for bar in bench.made] == [(3 * MINUTE, 96.5475, 96.5475)]


def test_live_instrument_whose_rest_price_is_0_or_missing_keeps_its_frames(bench: Bench) -> None:
    bench.watch(USDINR)
    for second in range(130):
        bench.frame(USDINR, 96.5 + second / 1000)
        if bench.turn():
            bench.answer({USDINR: 0.0} if second < 60 else {}, "no price")
    bench.intake.flush()
    assert (bench.reasons(), bench.published()[USDINR]) == ({}, 96.5 + 129 / 1000)
    assert len(bench.calls.sent) == 3, "asked once a minute, not each second"


def test_held_instrument_that_stays_silent_is_asked_first_and_does_not_end_the_comparisons_of_others(
    bench: Bench,
) -> None:
    bench.watch(USDINR, SBIN)
    bench.held = frozenset([SBIN])
    sent = []
    for _ in range(3):
        bench.frame(USDINR, 96.5)
        sent.append(bench.turn((SBIN,)))
        assert "which are held" in bench.answer({}, "timed out")
    assert sent == [[SBIN], [SBIN, USDINR], [SBIN]]


def test_one_call_at_a_time_and_no_more_often_than_the_brokers_limit_allows(bench: Bench) -> None:
    bench.connections.active.rules = BrokerRules(feed=FeedRules(index_prices=False, multiquote_seconds=3.0))
    bench.watch(NIFTY)
    assert bench.turn() == [NIFTY]
    assert [bench.turn() for _ in range(4)] == [[], [], [], []], "the first one is not answered"
    bench.answer({NIFTY: 26_000.0})
    assert [bool(bench.turn()) for _ in range(1)] == [True]
    bench.answer({NIFTY: 26_000.0})
    assert [bool(bench.turn()) for _ in range(3)] == [False, False, True]


def sample(bench: Bench, seconds: int, *, every: int = 1) -> None:
    """So many seconds with a sample of NIFTY in each `every`-th, 0: in none."""
    for number in range(seconds):
        bench.frame(NIFTY, 0.0)
        if bench.turn():
            has_price = every and number % every == 0
            bench.answer({NIFTY: 26_000.0 + number} if has_price else {}, "" if has_price else "no price")
        bench.bars.on_clock(bench.now().market_ns, bench.now().machine_ns)


def test_index_whose_frames_have_no_price_gets_quotes_and_bars_that_are_marked_as_sampled(bench: Bench) -> None:
    bench.connections.active.rules = XTS
    bench.bars.keep_history(NIFTY, 1)
    bench.watch(NIFTY, SBIN)
    bench.bars._merge._joins[NIFTY].holding = False  # its history is there
    sample(bench, 130)
    (first, second) = bench.made
    assert (first.ticks, second.ticks) == (59, 60)
    assert (second.open, second.high, second.close) == (26_059.0, 26_118.0, 26_118.0)
    stored = BarReader(bench.config.bars_dir).sampled_bars(NOON, NOON + 5 * MINUTE)
    assert stored == {NIFTY: 2}
    assert "NSE_INDEX:NIFTY" in bench.problems["INDEX_SAMPLED", "feed"].text
    bench.health.update_coverage(NOON, 130 * SECOND, frozenset(), lambda _: True)
    assert bench.health.deaf == {}
    report = feed_report(bench.connections, InstrumentDemand(["NSE"]), bench.health, 1, bench.prices.by_rest())
    assert [(row.instrument, row.mode) for row in report.subscriptions] == [(NIFTY, "REST"), (SBIN, "Quote")]
    assert bench.reasons() == {}


def test_minute_of_few_samples_makes_no_bar_and_is_asked_for_from_history(bench: Bench) -> None:
    bench.connections.active.rules = XTS
    bench.bars.keep_history(NIFTY, 1)
    bench.watch(NIFTY)
    bench.bars._merge._joins[NIFTY].holding = False
    sample(bench, 60, every=4)
    asked = bench.bars.figures()["history_asked"]
    sample(bench, 5, every=4)
    assert (bench.made, bench.bars.figures()["history_asked"] - asked) == ([], 1)
    assert bench.bars.gaps()[0] == (NIFTY,), "entries wait for the minute"


def test_minute_without_any_sample_is_asked_for_from_history(bench: Bench) -> None:
    bench.connections.active.rules = XTS
    bench.bars.keep_history(NIFTY, 1)
    bench.watch(NIFTY)
    bench.bars._merge._joins[NIFTY].holding = False
    sample(bench, 59)
    asked = bench.bars.figures()["history_asked"]
    sample(bench, 66, every=0)
    assert (len(bench.made), bench.bars.figures()["history_asked"] - asked) == (1, 1)


def test_frames_of_a_sampled_index_that_have_a_price_after_all_are_neither_taken_nor_compared(bench: Bench) -> None:
    bench.connections.active.rules = XTS
    bench.watch(NIFTY)
    for _ in range(30):
        bench.frame(NIFTY, 26.0)
        if bench.turn():
            bench.answer({NIFTY: 26_000.0})
    bench.intake.flush()
    assert (bench.published()[NIFTY], bench.reasons(), bench.prices.comparisons) == (26_000.0, {}, 0)


def test_index_without_a_sample_for_five_seconds_closes_its_entries_until_the_next(bench: Bench) -> None:
    bench.connections.active.rules = XTS
    bench.watch(NIFTY)
    sample(bench, 2)
    assert bench.reasons() == {}
    for _ in range(6):
        bench.turn()
        bench.answer({}, "timed out")
    assert list(bench.reasons()) == [NIFTY]
    bench.turn()
    bench.answer({NIFTY: 26_000.0})
    bench.turn()
    assert bench.reasons() == {}


def test_sample_that_took_longer_than_a_quote_may_be_old_is_none(bench: Bench) -> None:
    bench.connections.active.rules = XTS
    bench.watch(NIFTY)
    bench.turn()
    bench.answer({NIFTY: 26_000.0}, late=6)
    assert NIFTY not in bench.published()
    bench.turn()
    bench.answer({NIFTY: 26_000.0}, late=5)
    assert bench.published()[NIFTY] == 26_000.0


def test_index_at_a_broker_whose_frames_have_its_price_is_not_sampled(bench: Bench) -> None:
    bench.watch(NIFTY)
    bench.frame(NIFTY, 26_000.0)
    assert bench.turn() == [NIFTY], "compared once, as others are"
    bench.answer({NIFTY: 26_001.0})
    bench.frame(NIFTY, 26_002.0)
    bench.intake.flush()
    assert (bench.turn(), bench.published()[NIFTY], bench.problems) == ([], 26_002.0, {})


def list_tokens(bench: Bench, **tokens: str) -> None:
    rows = tuple(
        Instrument(id=name, exchange="NSE", symbol=name, kind=InstrumentKind.EQ, underlying=name, token=token)
        for name, token in tokens.items()
    )
    bench.contracts.write(Snapshot(day="2026-11-20", fetched_ns=NOON, instruments=rows))


def test_one_of_two_instruments_of_a_token_has_no_stream_where_tokens_are_bare(bench: Bench) -> None:
    list_tokens(bench, **{SBIN: "3045", USDINR: "3045"})
    bench.watch(SBIN, USDINR)
    bench.turn()
    assert (bench.prices.left_out, USDINR in bench.connections.active.subscriptions) == ({}, True), "by exchange too"
    bench.connections.active.rules = BARE
    bench.prices.follow(bench.now())
    assert USDINR not in bench.connections.active.subscriptions
    assert SBIN in bench.connections.active.subscriptions
    assert not bench.connections.active.serves(SBIN), "it is asked for anew: the broker may have routed it to the other"
    assert list(bench.reasons()) == [USDINR]
    assert "NSE:SBIN" in bench.problems["TOKEN_SHARED", USDINR].text


def test_held_instrument_takes_the_stream_and_one_that_is_held_without_one_goes_by_rest(bench: Bench) -> None:
    list_tokens(bench, **{SBIN: "3045", USDINR: "3045"})
    bench.connections.active.rules = BARE
    bench.watch(SBIN, USDINR)
    bench.held = frozenset([USDINR])
    bench.prices.follow(bench.now())
    subscriptions = bench.connections.active.subscriptions
    assert (list(subscriptions), list(bench.reasons())) == ([USDINR], [SBIN])
    bench.held = frozenset([SBIN, USDINR])
    bench.prices.follow(bench.now())
    assert (list(subscriptions), bench.problems["TOKEN_SHARED", USDINR].severity) == ([SBIN], Severity.CRITICAL)
    assert USDINR in bench.turn()
    bench.answer({USDINR: 96.5})
    assert bench.published()[USDINR] == 96.5
    bench.connections.drop(SBIN)
    bench.prices.follow(bench.now())
    assert (list(subscriptions), bench.reasons()) == ([USDINR], {}), "alone it has the stream again"
