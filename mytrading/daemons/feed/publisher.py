"""The feed's way out: the newest quote and book of each instrument in a burst, and once more for screens.

Part of the feed. The one rule: within a burst newest wins; what was overtaken is counted, never queued.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from mytrading.adapters.openalgo.market_feed import Tick, depth_of
from mytrading.core.feed.quotes import Conflator
from mytrading.messages.market import Bar, MarketStep, Quote
from mytrading.messages.runconfig import DataRules
from mytrading.messages.streams import STEP_TOPIC, shown_topic
from mytrading.runtime.clock import machine_now
from mytrading.runtime.metrics import Histogram
from mytrading.runtime.streams import ZMQPublisher


class Outlet:
    """What goes onto the stream `market`. `latency` takes the ns from the socket to the bus."""

    def __init__(self, market: ZMQPublisher, rules: DataRules, latency: Histogram) -> None:
        self._market = market
        self._levels = rules.depth_levels if rules.depth_data else 0
        self._latency = latency
        self._conflator = Conflator()
        self.offer = self._conflator.offer
        """A good quote; `flush` follows once per burst."""
        self._books: dict[str, Tick] = {}
        self._newest: dict[str, Quote] = {}
        self._shown: dict[str, Quote] = {}
        self.published = 0
        self.step = machine_now() // 1000
        """Number of the last step message; those of a later start are higher."""
        self._after_step = True

    def figures(self) -> dict[str, float]:
        """Quotes published since the start, and those that a newer one overtook before they were."""
        return {"published": float(self.published), "conflated": float(self._conflator.replaced)}

    def offer_book(self, tick: Tick) -> None:
        """A frame with a book."""
        if self._levels:
            self._books[tick.quote.instrument] = tick

    def flush(self) -> None:
        """Publish what the burst left."""
        quotes = self._conflator.drain()
        for quote in quotes:
            self._market.send(quote.instrument, quote)
            self._newest[quote.instrument] = quote
        if quotes:
            self._after_step = True
            os.sched_yield()  # the thread that carries them may wait for this very core
            self.published += len(quotes)
            now = machine_now()
            for quote in quotes:
                self._latency.add(now - quote.received_ns)
        if self._books:
            for instrument, tick in self._books.items():
                depth = depth_of(tick, self._levels)
                if depth is not None:
                    self._market.send(f"depth/{instrument}", depth)
            self._books.clear()

    def send_bar(self, bar: Bar) -> None:
        """Publish a bar, which the store has."""
        self._market.send(bar.instrument, bar)
        self._after_step = True

    def step_due(self) -> None:
        """A step came, whether or not it has quotes of what is watched."""
        self._after_step = True

    def send_step(self, market_ns: int, again: bool) -> None:
        """In lock-step, after all that a step brought: say so; `again` with the newest quotes, for who missed some."""
        if again:
            self._say_step(market_ns)
            for quote in self._newest.values():
                self._market.send(quote.instrument, quote)
        if again or self._after_step:
            self._say_step(market_ns)

    def _say_step(self, market_ns: int) -> None:
        self._after_step = False
        self.step += 1
        self._market.send(STEP_TOPIC, MarketStep(self.step, market_ns))

    def show(self, held: Iterable[str]) -> None:
        """What is held, once more for screens, which need not be woken by each quote."""
        for instrument in held:
            quote = self._newest.get(instrument)
            if quote is not None and quote is not self._shown.get(instrument):
                self._shown[instrument] = quote
                self._market.send(shown_topic(instrument), quote)

    def forget(self, instrument: str) -> None:
        """The instrument is not subscribed any more."""
        self._newest.pop(instrument, None)
        self._shown.pop(instrument, None)
