"""Quotes over REST: prices of held instruments that the stream does not deliver, and open interest its frames lack.

Requests run on a thread, one at a time, and never delay a streamed quote. A request goes to the source that answered
last, then to the others in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from mytrading.adapters.openalgo.endpoints import ServerQuote as Row
from mytrading.adapters.openalgo.endpoints import quotes
from mytrading.adapters.openalgo.rest.client import OpenAlgoClient, TransportFailed
from mytrading.adapters.openalgo.rest.errors import OpenAlgoError
from mytrading.adapters.openalgo.rest.numbers import count_of, price_of
from mytrading.core.instruments.symbology import instrument_id, split_id
from mytrading.core.time import SECOND
from mytrading.messages.market import Quote
from mytrading.messages.run_config import AccountRun
from mytrading.runtime.daemon.workers import WorkerPool
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.observability.logging import get_logger

INTEREST_EVERY_NS = 60 * SECOND
"""Machine time between two requests for a contract's open interest; exchanges update it no more often."""
INTEREST_BATCH = 50
"""Contracts in one request."""


class RestAnswer(NamedTuple):
    """The answer to one request: rows by instrument and their time of receipt, or the problem. `rank`: which of the
    sources gave it."""

    requested: tuple[str, ...]
    rows: dict[str, Row]
    received_ns: int
    problem: str = ""
    rank: int = 0


class RestQuotes:
    """Requests prices; `take_answers` has them after `wake` was called."""

    def __init__(self, sources: tuple[AccountRun, ...], wake: Callable[[], None], name: str = "feed.fallback") -> None:
        self._sources = sources
        self._first = 0
        self.busy = False
        """True from a request until its answer is taken."""
        self._pool: WorkerPool[tuple[str, ...], list[OpenAlgoClient], RestAnswer] = WorkerPool(
            name,
            1,
            self._connect,
            self._fetch,
            lambda requested, error: RestAnswer(requested, {}, machine_now(), f"{type(error).__name__}: {error}"),
            wake,
        )

    def request(self, instruments: list[str]) -> None:
        """Begin to read prices of instruments, unless the request before is unanswered; see `take_answers`."""
        if instruments and not self.busy:
            self.busy = True
            self._pool.submit(tuple(instruments))

    def take_answers(self) -> list[RestAnswer]:
        """Return the answers received since the last call, failed ones too; empty if there is none yet."""
        if found := self._pool.take_results():
            self.busy = False
        return found

    def stop(self) -> None:
        """Stop the request thread, waiting at most a second."""
        self._pool.stop(1.0)

    def _connect(self) -> list[OpenAlgoClient]:
        return [OpenAlgoClient(source.rest_url, source.api_key, machine_now) for source in self._sources]

    def _fetch(self, clients: list[OpenAlgoClient], requested: tuple[str, ...]) -> RestAnswer:
        pairs = [(symbol, exchange) for exchange, symbol in map(split_id, requested)]
        problems = []
        for turn in range(len(clients)):
            rank = (self._first + turn) % len(clients)
            try:
                found = quotes(clients[rank], pairs)
            except (OpenAlgoError, TransportFailed) as error:
                problems.append(f"{self._sources[rank].id}: {error}")
                continue
            rows = {instrument_id(row.exchange, row.symbol): row.data for row in found if row.data is not None}
            if any(row.ltp > 0 for row in rows.values()):
                self._first = rank
                return RestAnswer(requested, rows, machine_now(), rank=rank)
            problems.append(f"{self._sources[rank].id}: no price of {', '.join(requested[:3])}")
        return RestAnswer(requested, {}, machine_now(), "; ".join(problems))


def quote_of(instrument: str, row: Row, market_ns: int, received_ns: int) -> Quote:
    """Convert a REST row to a quote with these times; what the row has as 0 (not known) is None, but `ltp` is 0."""
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


class OpenInterestReader:
    """Requests open interest of contracts whose frames have none, as with zerodha, and adds it to their quotes."""

    def __init__(self, sources: tuple[AccountRun, ...]) -> None:
        self._reader = RestQuotes(sources, lambda: None, "feed.interest")
        self._log = get_logger("feed")
        self._known: dict[str, int] = {}
        self._requested: dict[str, int] = {}
        self._due: dict[str, None] = {}

    def add_interest(self, quote: Quote) -> Quote:
        """Return the quote with its contract's open interest, if known; queues a request each minute. Budget: 3 µs."""
        instrument = quote.instrument
        if quote.received_ns - self._requested.get(instrument, 0) >= INTEREST_EVERY_NS:
            self._due[instrument] = None
        known = self._known.get(instrument)
        return quote if known is None else msgspec.structs.replace(quote, open_interest=known)

    def request_due(self, machine_ns: int) -> None:
        """Request open interest that `add_interest` queued (one batch), unless a request is unanswered."""
        if not self._due or self._reader.busy:
            return
        batch = list(self._due)[:INTEREST_BATCH]
        for instrument in batch:
            del self._due[instrument]
            self._requested[instrument] = machine_ns
        self._reader.request(batch)

    def take_answers(self) -> list[RestAnswer]:
        """Return answers since the last call, failed ones too; `add_interest` adds their figures from now on."""
        found = self._reader.take_answers()
        for answer in found:
            if answer.problem:
                self._log.warning("interest.not_read", count=len(answer.requested), problem=answer.problem)
            # A server that reports none for any contract does not know it; where it reports some, 0 is a figure.
            elif any(row.oi > 0 for row in answer.rows.values()):
                self._known.update({name: int(row.oi) for name, row in answer.rows.items() if name in self._requested})
        return found

    def drop(self, instrument: str) -> None:
        """Forget the open interest of an unsubscribed contract."""
        for known in (self._known, self._requested, self._due):
            known.pop(instrument, None)

    def stop(self) -> None:
        """Stop the request thread, waiting at most a second."""
        self._reader.stop()
