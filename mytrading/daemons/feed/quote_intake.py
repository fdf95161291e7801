"""Quote intake: a price from the socket or over REST is checked, counted, and passed on to bars and bus.

The feed's hottest path. Invariant: only a good price of the active source goes on, to the bars before the bus.
"""

from __future__ import annotations

from mytrading.adapters.openalgo.ws.market_frames import FeedMode, Tick
from mytrading.core.feed.quote_checks import PriceCheck, QuoteVerdict
from mytrading.core.time import SECOND
from mytrading.daemons.feed.bars import BarPublisher
from mytrading.daemons.feed.publisher import MarketPublisher
from mytrading.daemons.feed.rest_quotes import OpenInterestReader, RestAnswer, quote_of
from mytrading.daemons.feed.sources import SourceConnection, SourceConnections
from mytrading.daemons.feed.staleness import FeedHealth

_GOOD = QuoteVerdict.GOOD
QUIET_NS = 2 * SECOND
"""Machine time without a streamed price after which a REST price is at least as new."""


class QuoteIntake:
    """Counts `quotes` of the stream and prices `from_rest`."""

    def __init__(
        self,
        connections: SourceConnections,
        health: FeedHealth,
        check: PriceCheck,
        bars: BarPublisher,
        publisher: MarketPublisher,
        open_interest: OpenInterestReader,
        lock_step: bool,
    ) -> None:
        self._connections = connections
        self._health = health
        self._check = check
        self._bars = bars
        self._publisher = publisher
        self._open_interest = open_interest
        self._lock_step = lock_step
        self._traits, self._ticked, self._judge, self._offer = (
            health.traits,
            health.ticked,
            check.judge,
            publisher.offer,
        )
        self._add_interest = open_interest.add_interest
        self.quotes = self.from_rest = 0

    def on_tick(self, connection: SourceConnection, tick: Tick, machine_ns: int) -> None:
        """Take a frame with a price; it goes on only if its source is active and subscribed it."""
        quote = tick.quote
        instrument = quote.instrument
        taken = connection.subscriptions.seen(instrument, tick.mode, quote.received_ns)
        if taken:
            connection.ticked(quote, machine_ns)
        traits = self._traits(instrument)
        if traits is None or connection is not self._connections.active:
            return
        if tick.mode is FeedMode.QUOTE and quote.bid is None and quote.ask is None and not traits.is_index:
            connection.subscriptions.upgrade(instrument)
        if not taken:
            self._health.dropped(instrument, quote.received_ns)
            return
        if tick.book is not None:
            self._publisher.offer_book(tick)
        self.quotes += 1
        if self._judge(instrument, quote.ltp, traits.is_option, quote.received_ns, quote.previous_close) is _GOOD:
            self._ticked(instrument, quote.market_ns, quote.received_ns)
            if traits.is_contract and quote.open_interest is None:
                quote = self._add_interest(quote)
            self._bars.add(quote)
            self._offer(quote)
            if self._lock_step:
                self.flush()  # no quote is replaced
        else:
            self._health.dropped(instrument, quote.received_ns)

    def on_rest_prices(self, answer: RestAnswer, market_ns: int) -> None:
        """Take REST prices of held instruments; bars leave them out, since trades between them are missing."""
        self.from_rest += self._offer_rows(answer, market_ns)

    def on_open_interest(self, answer: RestAnswer, market_ns: int) -> None:
        """Take the price that came with the open interest of a quiet contract; others show it in their next quote."""
        quiet = {name: row for name, row in answer.rows.items() if self._is_quiet(name, answer.received_ns)}
        self._offer_rows(answer._replace(rows=quiet), market_ns)

    def _is_quiet(self, instrument: str, machine_ns: int) -> bool:
        return self._health.age(instrument, machine_ns) > QUIET_NS

    def _offer_rows(self, answer: RestAnswer, market_ns: int) -> int:
        """Pass on good prices; returns their number."""
        offered = 0
        for instrument, row in answer.rows.items():
            quote = quote_of(instrument, row, market_ns, answer.received_ns)
            traits = self._traits(instrument)
            if traits is None:
                continue
            if self._judge(instrument, quote.ltp, traits.is_option, quote.received_ns, quote.previous_close) is _GOOD:
                offered += 1
                self._ticked(instrument, market_ns, answer.received_ns)
                self._offer(quote)
        self.flush()
        return offered

    def flush(self) -> None:
        """Store and publish closed bars, then publish the newest quote of each instrument."""
        if self._bars.closed:
            self._bars.flush()
        self._publisher.flush()

    def drop(self, instrument: str) -> None:
        """Drop an unsubscribed instrument everywhere."""
        self._bars.drop(instrument)
        self._check.forget(instrument)
        self._health.remove(instrument)
        self._publisher.drop(instrument)
        self._open_interest.drop(instrument)
