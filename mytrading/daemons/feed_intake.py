"""The feed's way in: a price from the socket or asked for, judged, counted, and handed on to bars and bus.

Part of the feed, and its hottest path. The one rule: only a good price of the line that serves goes on, to the bars
before the bus.
"""

from __future__ import annotations

from mytrading.adapters.openalgo.market_feed import FeedMode, Tick
from mytrading.core.feed.quotes import PriceCheck, Verdict
from mytrading.daemons.feed_bars import BarDesk
from mytrading.daemons.feed_fallback import Answer, quote_of
from mytrading.daemons.feed_health import FeedHealth
from mytrading.daemons.feed_interest import InterestDesk
from mytrading.daemons.feed_lines import Line, Lines
from mytrading.daemons.feed_outlet import Outlet
from mytrading.runtime.clock import SECOND

_GOOD = Verdict.GOOD
QUIET_NS = 2 * SECOND
"""Machine time without a streamed price after which one that came with open interest is no older."""


class Intake:
    """Counts `quotes` of the stream and quotes `asked` for."""

    def __init__(
        self,
        lines: Lines,
        health: FeedHealth,
        check: PriceCheck,
        bars: BarDesk,
        outlet: Outlet,
        interest: InterestDesk,
        lock_step: bool,
    ) -> None:
        self._lines = lines
        self._health = health
        self._check = check
        self._bars = bars
        self._outlet = outlet
        self._interest = interest
        self._lock_step = lock_step
        self._facts, self._ticked, self._judge, self._offer = health.facts, health.ticked, check.judge, outlet.offer
        self._filled = interest.filled
        self.quotes = self.asked = 0

    def tick(self, line: Line, tick: Tick, machine_ns: int) -> None:
        """One frame with a price, at the machine time of its burst: on only if its line serves and asked for it."""
        quote = tick.quote
        instrument = quote.instrument
        taken = line.subscriptions.seen(instrument, tick.mode, quote.received_ns)
        if taken:
            line.ticked(quote, machine_ns)
        facts = self._facts(instrument)
        if facts is None or line is not self._lines.active:
            return
        if tick.mode is FeedMode.QUOTE and quote.bid is None and quote.ask is None and not facts.is_index:
            line.subscriptions.upgrade(instrument)
        if not taken:
            self._health.dropped(instrument, quote.received_ns)
            return
        if tick.book is not None:
            self._outlet.offer_book(tick)
        self.quotes += 1
        if self._judge(instrument, quote.ltp, facts.is_option, quote.received_ns, quote.previous_close) is _GOOD:
            self._ticked(instrument, quote.market_ns, quote.received_ns)
            if facts.is_contract and quote.open_interest is None:
                quote = self._filled(quote)
            self._bars.add(quote)
            self._offer(quote)
            if self._lock_step:
                self.flush()  # no quote is overtaken
        else:
            self._health.dropped(instrument, quote.received_ns)

    def answered(self, answer: Answer, market_ns: int) -> None:
        """Prices asked for over REST: for what is held, and no part of bars, since they skip what was traded."""
        self.asked += self._offer_rows(answer, market_ns)

    def interest_came(self, answer: Answer, market_ns: int) -> None:
        """Of a contract that is quiet the price that came with open interest; others have that in their next quote."""
        quiet = {name: row for name, row in answer.rows.items() if self._is_quiet(name, answer.received_ns)}
        self._offer_rows(answer._replace(rows=quiet), market_ns)

    def _is_quiet(self, instrument: str, machine_ns: int) -> bool:
        return self._health.age(instrument, machine_ns) > QUIET_NS

    def _offer_rows(self, answer: Answer, market_ns: int) -> int:
        """Hand on what is a good price; returns how many are."""
        offered = 0
        for instrument, row in answer.rows.items():
            quote = quote_of(instrument, row, market_ns, answer.received_ns)
            facts = self._facts(instrument)
            if facts is None:
                continue
            if self._judge(instrument, quote.ltp, facts.is_option, quote.received_ns, quote.previous_close) is _GOOD:
                offered += 1
                self._ticked(instrument, market_ns, answer.received_ns)
                self._offer(quote)
        self.flush()
        return offered

    def flush(self) -> None:
        """Bars first, committed before anybody sees them, then the newest quote of each instrument."""
        if self._bars.closed:
            self._bars.flush()
        self._outlet.flush()

    def forget(self, instrument: str) -> None:
        """The instrument is not subscribed any more."""
        self._bars.forget(instrument)
        self._check.forget(instrument)
        self._health.remove(instrument)
        self._outlet.forget(instrument)
        self._interest.forget(instrument)
