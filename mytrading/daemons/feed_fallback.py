"""Quotes asked for over REST, on a thread of their own: prices of what is held while the stream gives none.

Part of the feed; `feed_interest.py` asks for open interest in the same way. The one rule: one question is under way
at a time, and it goes to the source that answered last, then to the others in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from mytrading.adapters.openalgo.client import OpenAlgoClient
from mytrading.adapters.openalgo.endpoints.market import Quote as Row
from mytrading.adapters.openalgo.endpoints.market import quotes
from mytrading.adapters.openalgo.errors import TransportFailed
from mytrading.adapters.openalgo.numbers import count_of, price_of
from mytrading.adapters.openalgo.refusals import OpenAlgoError
from mytrading.core.symbology import instrument_id, split_id
from mytrading.daemons.feed_lines import FeedSource
from mytrading.messages.market import Quote
from mytrading.runtime.clock import machine_now
from mytrading.runtime.worker import WorkerPool


class Answer(NamedTuple):
    """What one question brought: rows by instrument and when they came, or why there are none."""

    asked: tuple[str, ...]
    rows: dict[str, Row]
    received_ns: int
    problem: str = ""


class QuoteFallback:
    """`ask` and `answers` in the poll loop, the latter after `wake` rang."""

    def __init__(self, sources: tuple[FeedSource, ...], wake: Callable[[], None], name: str = "feed.fallback") -> None:
        self._sources = sources
        self._first = 0
        self.busy = False
        """True while a question is under way."""
        self._pool: WorkerPool[tuple[str, ...], list[OpenAlgoClient], Answer] = WorkerPool(
            name, 1, self._connect, self._fetch, self._failed, wake
        )

    def ask(self, instruments: list[str]) -> None:
        """Ask for these, unless a question is still under way."""
        if instruments and not self.busy:
            self.busy = True
            self._pool.submit(tuple(instruments))

    def answers(self) -> list[Answer]:
        """What has been answered since the last call."""
        found = self._pool.results()
        if found:
            self.busy = False
        return found

    def stop(self) -> None:
        """End the thread; a question that takes longer than a second is left behind."""
        self._pool.stop(1.0)

    def _connect(self) -> list[OpenAlgoClient]:
        return [OpenAlgoClient(source.rest_url, source.api_key, machine_now) for source in self._sources]

    def _fetch(self, clients: list[OpenAlgoClient], asked: tuple[str, ...]) -> Answer:
        pairs = [(symbol, exchange) for exchange, symbol in map(split_id, asked)]
        problems = []
        for turn in range(len(clients)):
            rank = (self._first + turn) % len(clients)
            try:
                found = quotes(clients[rank], pairs)
            except (OpenAlgoError, TransportFailed) as error:
                problems.append(f"{self._sources[rank].name}: {error}")
                continue
            rows = {instrument_id(row.exchange, row.symbol): row.data for row in found if row.data is not None}
            if any(row.ltp > 0 for row in rows.values()):
                self._first = rank
                return Answer(asked, rows, machine_now())
            problems.append(f"{self._sources[rank].name}: no price of {', '.join(asked[:3])}")
        return Answer(asked, {}, machine_now(), "; ".join(problems))

    def _failed(self, asked: tuple[str, ...], error: Exception) -> Answer:
        return Answer(asked, {}, machine_now(), f"{type(error).__name__}: {error}")


def quote_of(instrument: str, row: Row, market_ns: int, received_ns: int) -> Quote:
    """The answer as a quote. It has no time of its own, so that its receipt stands for it; 0 is not known."""
    return Quote(
        instrument,
        market_ns,
        received_ns,
        price_of(row.ltp) or 0.0,
        price_of(row.bid),
        price_of(row.ask),
        volume=count_of(row.volume) or None,
        open_interest=count_of(row.oi) or None,
        open=price_of(row.open),
        high=price_of(row.high),
        low=price_of(row.low),
        previous_close=price_of(row.prev_close),
    )
