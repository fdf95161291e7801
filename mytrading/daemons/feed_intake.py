"""The feed's way in: a price from the socket or asked for, judged, counted, and handed on to bars and bus.

Part of the feed, and its hottest path. The one rule: only a good price of the line that serves goes on, to the bars
before the bus.
"""

from __future__ import annotations

from mytrading.adapters.openalgo.market_feed import (
    FeedMode,
    Tick,
)
from mytrading.core.feed.quotes import PriceCheck, Verdict
from mytrading.daemons.feed_bars import BarDesk
from mytrading.daemons.feed_fallback import Answer, quote_of
from mytrading.daemons.feed_health import FeedHealth
from mytrading.daemons.feed_lines import Line, Lines
from mytrading.daemons.feed_outlet import Outlet

_GOOD = Verdict.GOOD


class Intake:
    """Counts `quotes` of the stream and quotes `asked` for."""

    def __init__(
        self,
        lines: Lines,
        health: FeedHealth,
        check: PriceCheck,
        bars: BarDesk,
        outlet: Outlet,
        lock_step: bool,
    ) -> None:
        self._lines = lines
        self._health = health
        self._check = check
        self._bars = bars
        self._outlet = outlet
        self._lock_step = lock_step
        self._facts, self._ticked, self._judge, self._offer = health.facts, health.ticked, check.judge, outlet.offer
        self.quotes = self.asked = 0

    def tick(self, line: Line, tick: Tick, machine_ns: int) -> None:
        """One frame with a price, at the machine time of its burst: on only if its line serves and asked for it."""
        quote = tick.quote
        instrument = quote.instrument
        line.ticked(quote, machine_ns)
        facts = self._facts(instrument)
        if not line.subscriptions.seen(instrument, tick.mode) or facts is None or line is not self._lines.active:
            return
        if tick.book is not None:
            self._outlet.offer_book(tick)
        elif tick.mode is FeedMode.QUOTE and quote.bid is None and quote.ask is None and not facts.is_index:
            line.subscriptions.upgrade(instrument)
        self.quotes += 1
        self._ticked(instrument, quote.market_ns, quote.received_ns)
        if self._judge(instrument, quote.ltp, facts.is_option, quote.received_ns, quote.previous_close) is _GOOD:
            self._bars.add(quote)
            self._offer(quote)
            if self._lock_step:
                self.flush()  # no quote is overtaken

    def answered(self, answer: Answer, market_ns: int) -> None:
        """Prices asked for over REST: for what is held, and no part of bars, since they skip what was traded."""
        for instrument, row in answer.rows.items():
            quote = quote_of(instrument, row, market_ns, answer.received_ns)
            facts = self._facts(instrument)
            if facts is None:
                continue
            if self._judge(instrument, quote.ltp, facts.is_option, quote.received_ns, quote.previous_close) is _GOOD:
                self.asked += 1
                self._ticked(instrument, market_ns, answer.received_ns)
                self._offer(quote)
        self.flush()

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
