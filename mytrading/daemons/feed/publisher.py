"""Market publisher: sends the newest quote and depth of each instrument of a burst, bars, and step messages.

Within a burst the newest quote wins; replaced ones are counted, never queued. Quotes of held instruments go out a
second time on topics for screens.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from mytrading.adapters.openalgo.ws.market_frames import Tick, depth_of
from mytrading.core.feed.quote_checks import Conflator
from mytrading.messages.market import Bar, MarketStep, Quote
from mytrading.messages.run_config import DataRules
from mytrading.messages.streams import STEP_TOPIC, shown_topic
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.observability.metrics import Histogram
from mytrading.runtime.streams.zmq_streams import ZMQPublisher


class MarketPublisher:
    """The stream `market`. `latency` records the ns from the socket to the bus."""

    def __init__(self, market: ZMQPublisher, rules: DataRules, latency: Histogram) -> None:
        self._market = market
        self._levels = rules.depth_levels if rules.depth_data else 0
        self._latency = latency
        self._conflator = Conflator()
        self.offer = self._conflator.offer
        """Takes a good quote; `flush` follows once per burst."""
        self._books: dict[str, Tick] = {}
        self._newest: dict[str, Quote] = {}
        self._shown: dict[str, Quote] = {}
        self.published = 0
        self.step = machine_now() // 1000
        """Number of the last step message; those of a later start are higher."""
        self._after_step = True

    def figures(self) -> dict[str, float]:
        """Quotes published since the start, and those that a newer one replaced before."""
        return {"published": float(self.published), "conflated": float(self._conflator.replaced)}

    def offer_book(self, tick: Tick) -> None:
        """Keep a frame with a book until `flush`."""
        if self._levels:
            self._books[tick.quote.instrument] = tick

    def flush(self) -> None:
        """Publish the newest quotes and depths of the burst."""
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
        """Publish a stored bar."""
        self._market.send(bar.instrument, bar)
        self._after_step = True

    def step_due(self) -> None:
        """Note a step of the market, with or without quotes."""
        self._after_step = True

    def send_step(self, market_ns: int, again: bool) -> None:
        """In lock-step, end a step; `again` repeats the newest quotes for readers that missed some."""
        if again:
            self._send_step_message(market_ns)
            for quote in self._newest.values():
                self._market.send(quote.instrument, quote)
        if again or self._after_step:
            self._send_step_message(market_ns)

    def _send_step_message(self, market_ns: int) -> None:
        self._after_step = False
        self.step += 1
        self._market.send(STEP_TOPIC, MarketStep(self.step, market_ns))

    def show(self, held: Iterable[str]) -> None:
        """Publish changed quotes of held instruments for screens, which need not wake for each quote."""
        for instrument in held:
            quote = self._newest.get(instrument)
            if quote is not None and quote is not self._shown.get(instrument):
                self._shown[instrument] = quote
                self._market.send(shown_topic(instrument), quote)

    def drop(self, instrument: str) -> None:
        """Drop an unsubscribed instrument."""
        self._newest.pop(instrument, None)
        self._shown.pop(instrument, None)
