"""Quotes from frame to bus: intake checks and counts them, the publisher sends the newest of a burst.

The feed's hottest path. Invariant: only a good price of the active source goes on, to the bars before the bus. Within a
burst the newest quote of an instrument wins; replaced ones are counted, never queued.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from msgspec.structs import replace

from mytrading.adapters.openalgo.ws.market_frames import FeedMode, Tick, depth_of
from mytrading.core.feed.day_proof import REST, DayProof
from mytrading.core.feed.instrument_demand import digest
from mytrading.core.feed.price_proof import PriceProof
from mytrading.core.feed.quote_checks import Conflator, PriceCheck, QuoteVerdict
from mytrading.core.feed.quote_fields import CHANGED, InstrumentQuote
from mytrading.core.feed.staleness import FeedHealth, InstrumentTraits
from mytrading.core.no_price import book_alone
from mytrading.core.time import SECOND
from mytrading.daemons.feed.bars import BarPublisher
from mytrading.daemons.feed.rest_quotes import OpenInterestReader, RestAnswer, quote_of
from mytrading.daemons.feed.sources import SourceConnection, SourceConnections
from mytrading.messages.control import StepDone, WantInstruments
from mytrading.messages.market import Bar, MarketStep, Quote
from mytrading.messages.run_config import DataRules
from mytrading.messages.streams import STEP_TOPIC, book_topic, screen_topic
from mytrading.runtime.daemon.lockstep import Progress
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.observability.metrics import Histogram
from mytrading.runtime.streams.zmq_streams import ZMQPublisher

_GOOD = QuoteVerdict.GOOD
QUIET_NS = 2 * SECOND
"""Machine time without a streamed price after which a REST price is at least as new."""
STEP_PATIENCE_NS = 300_000_000
"""Machine time after a step before a reader that is behind counts as having missed it."""


class MarketPublisher:
    """The stream `market`. `latency` records the ns from the socket to the bus."""

    def __init__(self, market: ZMQPublisher, rules: DataRules, latency: Histogram) -> None:
        self._market = market
        self.levels = rules.depth_levels if rules.depth_data else 0
        """Levels of the order books that are published; 0 if none are."""
        self._latency = latency
        self._received_ns = 0
        self._conflator = Conflator()
        self.offer = self._conflator.offer
        """Takes a good quote; `flush` follows once per burst."""
        self.alone: dict[str, Quote] = {}
        """Quotes without a last price, of their book alone, for the next `flush`, by instrument."""
        self.books: dict[str, Tick] = {}
        """Ticks with order books for the next `flush`, by instrument."""
        self._newest: dict[str, Quote] = {}
        self._shown: dict[str, Quote] = {}
        self.published = 0
        self.step = machine_now() // 1000
        """Number of the last step message; those of a later start are higher."""
        self.step_due = True
        """True if something was published, or a mark came, since the last step message."""
        self.mark_due = False
        """In lock-step: True if quotes were published after the last mark, which others may follow before the next."""

    def figures(self) -> dict[str, float]:
        """Return counts since the start: published quotes, and those that a newer one replaced."""
        return {"published": float(self.published), "conflated": float(self._conflator.replaced)}

    def flush(self) -> None:
        """Publish the newest quote and depth of each instrument that had any since the last flush."""
        quotes = self._conflator.drain()
        for quote in quotes:
            self._market.send(quote.instrument, quote)
            self._newest[quote.instrument] = quote
        if quotes:
            self.step_due = self.mark_due = True
            os.sched_yield()  # the thread that carries them may wait for this very core
            self.published += len(quotes)
            self._record_latency(quotes)
        if self.alone:
            self._flush_alone()
        if self.books:
            for instrument, tick in self.books.items():
                if (depth := depth_of(tick, self.levels)) is not None:
                    self._market.send(f"depth/{instrument}", depth)
            self.books.clear()

    def _record_latency(self, quotes: list[Quote]) -> None:
        """Record the delay of quotes, but of none that bears the stamps of its price because only its book is new."""
        now, before = machine_now(), self._received_ns
        latest = before
        for quote in quotes:
            if (received_ns := quote.received_ns) > before:
                self._latency.add(now - received_ns)
                latest = received_ns if received_ns > latest else latest
        self._received_ns = latest

    def _flush_alone(self) -> None:
        """Publish books whose last price is none, unless a newer quote of the instrument has one."""
        for name, quote in self.alone.items():
            newest = self._newest.get(name)
            if newest is None or newest.received_ns <= quote.received_ns:
                self._market.send(book_topic(name), quote)
                self.step_due = self.mark_due = True
        self.alone.clear()

    def send_bar(self, bar: Bar) -> None:
        """Publish a closed bar on the `market` stream; a lock-step step message is then due."""
        self._market.send(bar.instrument, bar)
        self.step_due = True

    def send_step(self, market_ns: int, again: bool) -> None:
        """Publish the end-of-step message of `market_ns` if due; `again`: in any case, with the newest quotes."""
        if again:
            self._send_step_message(market_ns)
            for quote in self._newest.values():
                self._market.send(quote.instrument, quote)
        if again or self.step_due:
            self._send_step_message(market_ns)

    def _send_step_message(self, market_ns: int) -> None:
        self.step_due = False
        self.step += 1
        self._market.send(STEP_TOPIC, MarketStep(self.step, market_ns))

    def publish_to_screens(self, held: Iterable[str]) -> None:
        """Publish the newest quotes of `held` and other shown instruments on the screens' topic, if changed since the
        last call."""
        for instrument in held:
            quote = self._newest.get(instrument)
            if quote is not None and quote is not self._shown.get(instrument):
                self._shown[instrument] = quote
                self._market.send(screen_topic(instrument), quote)

    def drop(self, instrument: str) -> None:
        """Forget the newest quote of an unsubscribed instrument."""
        self._newest.pop(instrument, None)
        self._shown.pop(instrument, None)


class QuoteIntake:
    """Checks quotes and passes good ones on; counts `quotes` of the stream and prices `from_rest`."""

    def __init__(
        self,
        connections: SourceConnections,
        health: FeedHealth,
        check: PriceCheck,
        bars: BarPublisher,
        publisher: MarketPublisher,
        open_interest: OpenInterestReader,
        lock_step: bool,
        proof: PriceProof | None = None,
        day_proof: DayProof | None = None,
    ) -> None:
        self._connections = connections
        self._health = health
        self._check = check
        self._bars = bars
        self._publisher = publisher
        self._open_interest = open_interest
        self._lock_step = lock_step
        self._traits, self._ticked = health.traits, health.ticked
        self._proof = proof or PriceProof(0)
        self._day_proof = day_proof
        self._judge, self._offer, self._add_interest = check.judge, publisher.offer, open_interest.add_interest
        self.quotes = self.from_rest = 0
        self.frames: dict[str, Quote] = {}
        """The newest frame with a price of each instrument, believed or not: what REST quotes are compared with."""
        self.by_rest: frozenset[str] = frozenset()
        """Instruments whose frames give neither quotes nor bars, as REST brings their price."""

    def on_tick(self, connection: SourceConnection, tick: Tick, machine_ns: int) -> None:
        """Put a tick together with what is known of its instrument; a good price of the active source goes to bars and
        readers, a book without a last price to readers alone."""
        frame = tick.quote
        instrument = frame.instrument
        if (found := connection.on_frame(frame, tick.mode, machine_ns)) is None:
            return
        traits = self._traits(instrument)
        if traits is None or connection is not self._connections.active:
            found.believe()
            return
        quote = found.quote
        if frame.bid is None and frame.ask is None and tick.mode is FeedMode.QUOTE and not traits.is_index:
            connection.subscriptions.request_depth(instrument)
        if found.priced:
            self.frames[instrument] = frame
        if instrument in self.by_rest:
            return
        if found.news != CHANGED and connection.fields.republishes:
            return
        if tick.book is not None and self._publisher.levels:
            self._publisher.books[instrument] = tick
        self.quotes += 1
        if quote is None or not found.priced:
            self._on_book(found, frame, traits)
        elif self._proof.is_none(quote):
            self._publisher.alone[instrument] = book_alone(quote)
            self._health.dropped(instrument, quote.received_ns)
            if self._lock_step:
                self.flush()
        elif self._judge(instrument, quote.ltp, traits.is_option, quote.received_ns, quote.previous_close) is _GOOD:
            found.believe()
            self._ticked(instrument, quote.market_ns, quote.received_ns)
            self._proof.believe(quote)
            if (days := self._day_proof) is not None and days.waits:
                days.on_frame(frame, tick.mode, frame.market_ns, connection.rules.feed)
            if traits.is_contract and quote.open_interest is None:
                quote = self._add_interest(quote)
            if found.recounts:
                found.recounts = False
                self._bars.recount(instrument)
            self._bars.add(quote)
            self._offer(quote)
            if self._lock_step:
                self.flush()  # no quote is replaced
        else:
            self._health.dropped(instrument, quote.received_ns)

    def _on_book(self, found: InstrumentQuote, frame: Quote, traits: InstrumentTraits) -> None:
        """Publish what a frame without a last price changed: no bar, no tick of one, and nothing is fresher by it."""
        found.believe()
        if found.is_empty:
            self._health.dropped(frame.instrument, frame.received_ns)
        if (quote := found.quote) is None or found.news != CHANGED:
            return
        if self._proof.is_doubted(frame.instrument):
            self._publisher.alone[frame.instrument] = book_alone(quote, frame)
        else:
            self._offer(self._add_interest(quote) if traits.is_contract and quote.open_interest is None else quote)
        if self._lock_step:
            self.flush()

    def on_rest_prices(self, answer: RestAnswer, market_ns: int) -> None:
        """Publish the good prices of a REST answer as quotes of `market_ns`, counted in `from_rest`; not in bars."""
        self.from_rest += len(self._offer_rows(answer, market_ns))

    def forget_price(self, instrument: str) -> None:
        """Forget the price that the next one is judged by: it comes from elsewhere now."""
        self._check.forget(instrument)

    def forget_frames(self, instrument: str) -> None:
        """Forget what frames said of an instrument, as some were another's. Its last good price stays: it holds a late
        one of these back, and one that is wrong itself gives way within a second."""
        self.frames.pop(instrument, None)
        self._connections.active.fields.drop(instrument)
        self._proof.forget(instrument)

    def on_samples(self, answer: RestAnswer, market_ns: int) -> list[str]:
        """Publish the good prices of sampled indices as quotes of `market_ns`, and add them to bars; returns whose."""
        return self._offer_rows(answer, market_ns, self._bars.add)

    def on_open_interest(self, answer: RestAnswer, market_ns: int) -> None:
        """Publish an open interest answer's prices as quotes of `market_ns`, for contracts without a recent one."""
        age, received_ns = self._health.age, answer.received_ns
        quiet = {name: row for name, row in answer.rows.items() if age(name, received_ns) > QUIET_NS}
        self._offer_rows(answer._replace(rows=quiet), market_ns)

    def _offer_rows(
        self, answer: RestAnswer, market_ns: int, add_to_bars: Callable[[Quote], object] | None = None
    ) -> list[str]:
        offered = []
        rules, days = self._connections.all[answer.rank].rules.feed, self._day_proof
        closes = rules.rest_previous_close
        for instrument, row in answer.rows.items():
            quote = quote_of(instrument, row, market_ns, answer.received_ns)
            if not closes:
                quote = replace(quote, previous_close=None)
            if (traits := self._traits(instrument)) is None or self._proof.is_none(quote):
                continue
            if self._judge(instrument, quote.ltp, traits.is_option, quote.received_ns, quote.previous_close) is _GOOD:
                offered.append(instrument)
                self._ticked(instrument, market_ns, answer.received_ns)
                self._proof.believe(quote)
                if days is not None and days.waits:
                    days.on_frame(quote, REST, market_ns, rules)
                if add_to_bars is not None:
                    add_to_bars(quote)
                self._offer(quote)
        self.flush()
        return offered

    def flush(self) -> None:
        """Store and publish closed bars, then publish the newest quote of each instrument."""
        if self._bars.closed:
            self._bars.flush()
        self._publisher.flush()

    def drop(self, instrument: str) -> None:
        """Forget an unsubscribed instrument in all parts of the feed."""
        self.frames.pop(instrument, None)
        self._bars.drop(instrument)
        self._check.forget(instrument)
        self._proof.forget(instrument)
        self._health.remove(instrument)
        self._publisher.drop(instrument)
        self._open_interest.drop(instrument)


class MarketSteps:
    """In lock-step: marks of the exchange in, step messages to the readers of `market` out.

    A step message follows everything before it, and leaves only when the feed has done all that its mark led to.
    Readers that started late get the newest quotes again.
    """

    def __init__(self, publisher: MarketPublisher, market_now: Callable[[], int]) -> None:
        self._publisher, self._market_now = publisher, market_now
        self._mark = self._marked_ns = 0
        self._fresh = False
        self._at_rest = False
        self._readers: dict[str, tuple[int, int]] = {}
        self._step, self._stepped_ns = 0, 0
        self._wants: dict[str, int] = {}

    def take_mark(self) -> bool:
        """Return True if a new lock-step mark of the simulator came since the last call; asking resets that."""
        fresh, self._fresh = self._fresh, False
        return fresh

    def on_mark(self, mark: int) -> None:
        """Record the simulator's step number `mark`: frames sent before it are handled, a step message is due."""
        self._publisher.mark_due, self._marked_ns = False, self._market_now()
        if mark != self._mark:
            self._mark, self._fresh = mark, True
            self._publisher.step_due = True

    def on_step_done(self, done: StepDone, machine_ns: int) -> None:
        """Record the last market step that a daemon reports as read; `repeat_missed_steps` repeats steps it missed."""
        self._readers[done.daemon] = done.seen.get("feed/market", 0), machine_ns

    def on_request(self, wants: WantInstruments) -> None:
        """Record which instruments a daemon requests, as a checksum that lock-step compares with the daemon's own."""
        self._wants[f"{wants.daemon}/wants"] = digest(wants.instruments)

    def repeat_missed_steps(self, machine_ns: int) -> None:
        """Repeat step message and newest quotes if a daemon reports, well after a step, that it has not read it."""
        if self._step != self._publisher.step:
            self._step, self._stepped_ns = self._publisher.step, machine_ns
        since = self._stepped_ns + STEP_PATIENCE_NS
        if self._at_rest and any(seen != self._step and at > since for seen, at in self._readers.values()):
            self._publisher.send_step(self._marked_ns, again=True)

    def lock_step_progress(self, waits: str) -> Progress:
        """Return lock-step progress; if `waits` (what the feed waits for) is "", first send a due step message: never
        between the quotes of a step, of which more may come until its mark does."""
        self._at_rest = bool(self._mark and not waits and not self._publisher.mark_due)
        if self._at_rest:
            self._publisher.send_step(self._marked_ns, again=False)
        return Progress(self._mark, waits, {"market": self._publisher.step}, dict(self._wants))
