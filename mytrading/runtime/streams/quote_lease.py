"""Quotes of a running stack for a screen: subscribed by a lease that is renewed every few seconds until it ends."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.core.calendar.expiries import Ends
from mytrading.core.instruments.book import InstrumentBook
from mytrading.messages.market import Quote
from mytrading.messages.ops import QuoteLeaseQuery, StatusQuery
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.streams.endpoints import endpoint_of
from mytrading.runtime.streams.ops_client import Ops
from mytrading.runtime.streams.zmq_streams import ZMQSubscriber

RENEW_S = 3.0


class QuoteLease:
    """The stack's instruments (`book`), its market time (`now`) and quotes; use it in a `with` block.

    `ends` says when an expiry is past, `what` names the screen. The instruments are read unless they are given.
    """

    def __init__(self, config: RunConfig, what: str, ends: Ends, book: InstrumentBook | None = None) -> None:
        self.ends = ends
        self.book = book if book is not None else InstrumentFile(config.state, self.ends).book()
        self._ops = Ops(config)
        self.now = int(self._ops.ask(StatusQuery())["market_ns"])
        self._market = ZMQSubscriber("market", [endpoint_of(config, "market", "feed")], topics=())
        self._leased: set[str] = set()
        self._renewed_at = 0.0
        self._who = f"{what}-{os.getpid()}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._ops.ask(QuoteLeaseQuery(who=self._who))
        finally:
            self._ops.__exit__(None, None, None)
            self._market.close()

    def renew(self, wanted: set[str]) -> None:
        """Subscribe to quotes of exactly these instruments; the lease lapses unless renewed every few seconds."""
        for name in wanted - self._leased:
            self._market.subscribe(name)
        for name in self._leased - wanted:
            self._market.unsubscribe(name)
        if wanted != self._leased or time.monotonic() - self._renewed_at > RENEW_S:
            self._ops.ask(QuoteLeaseQuery(who=self._who, instruments=tuple(sorted(wanted))))
            self._renewed_at = time.monotonic()
        self._leased = set(wanted)

    def quotes(self, seconds: float) -> Iterator[Quote]:
        """Yield quotes received within `seconds` (0: those already queued), advancing `now` (market ns) with them."""
        until = time.monotonic() + seconds
        while True:
            while (frame := self._market.receive()) is not None:
                if isinstance(quote := frame.message, Quote):
                    self.now = max(self.now, quote.market_ns)
                    yield quote
            left = until - time.monotonic()
            if left <= 0:
                return
            self._market.socket.poll(int(left * 1000) + 1)
