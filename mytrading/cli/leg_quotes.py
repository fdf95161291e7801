"""Prices of what legs may be chosen from, off the running stack's market stream.

Used by `mytrading legs show`. The one rule: it only looks; when it ends, what it asked for is let go.
"""

from __future__ import annotations

import os
import time
import tomllib
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from mytrading.adapters.instrument_store import InstrumentFile
from mytrading.core.calendar import Calendar
from mytrading.core.expiries import session_ends
from mytrading.core.option_chain import ChainView, fair_price
from mytrading.messages.market import Quote
from mytrading.messages.runconfig import RunConfig
from mytrading.runtime.endpoints import endpoint_of
from mytrading.runtime.ops import Ops
from mytrading.runtime.streams import ZMQSubscriber
from mytrading.strategies.chains import Chains

LOOK_AGAIN_S = 3.0


class LegQuotes:
    """`prices` by instrument, in rupees; use it in a `with` block."""

    def __init__(self, config: RunConfig) -> None:
        calendar = Calendar.from_dict(tomllib.loads(config.calendar_path.read_text(encoding="utf-8")))
        self.book = InstrumentFile(config.state, session_ends(calendar)).book()
        self.prices: dict[str, float] = {}
        self._chains = Chains()
        self._ops = Ops(config)
        self.now = int(self._ops.ask("status", None)["market_ns"])
        self._market = ZMQSubscriber("market", [endpoint_of(config, "market", "feed")], topics=())
        self._wanted: set[str] = set()
        self._asked_at = 0.0
        self._who = f"legs-{os.getpid()}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._ops.ask("look", None, who=self._who, instruments="")
        finally:
            self._ops.__exit__(None, None, None)
            self._market.close()

    def fill(self, instruments: Iterable[str], seconds: float) -> list[str]:
        """Wait until all have a price, at most so long; returns those that have none."""
        wanted = set(instruments)
        for name in wanted - self._wanted:
            self._market.subscribe(name)
        self._wanted |= wanted
        self._asked_at = 0.0
        until = time.monotonic() + seconds
        while (missing := sorted(wanted - self.prices.keys())) and time.monotonic() < until:
            self._poll()
        return missing

    def _poll(self) -> None:
        if time.monotonic() - self._asked_at > LOOK_AGAIN_S:
            self._ops.ask("look", None, who=self._who, instruments=",".join(sorted(self._wanted)))
            self._asked_at = time.monotonic()
        self._market.socket.poll(100)
        while (frame := self._market.receive()) is not None:
            if isinstance(quote := frame.message, Quote):
                self.now = max(self.now, quote.market_ns)
                self._chains.apply(quote)
                if (price := fair_price(quote)) is not None:
                    self.prices[quote.instrument] = price

    def chain(self, underlying: str, expiry: str) -> ChainView | None:
        """The chain as it stands."""
        return self._chains.view(self.book, underlying, expiry, self.now)
