"""Prices of what legs may be chosen from, off the running stack's market stream.

Used by `mytrading legs show`. The one rule: a price is that of a quote, the middle of a sane spread or the last one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from mytrading.cli.looking import Looking
from mytrading.core.options.chain import ChainView, fair_price
from mytrading.messages.runconfig import RunConfig
from mytrading.strategies.chains import Chains


class LegQuotes(Looking):
    """`prices` by instrument, in rupees; use it in a `with` block."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config, "legs")
        self.prices: dict[str, float] = {}
        self._chains = Chains()
        self._wanted: set[str] = set()

    def fill(self, instruments: Iterable[str], seconds: float) -> list[str]:
        """Wait until all have a price, at most so long; returns those that have none."""
        wanted = set(instruments)
        self._wanted |= wanted
        until = time.monotonic() + seconds
        while (missing := sorted(wanted - self.prices.keys())) and time.monotonic() < until:
            self.look(self._wanted)
            for quote in self.quotes(0.1):
                self._chains.apply(quote)
                if (price := fair_price(quote)) is not None:
                    self.prices[quote.instrument] = price
        return missing

    def chain(self, underlying: str, expiry: str) -> ChainView | None:
        """The chain as it stands."""
        return self._chains.view(self.book, underlying, expiry, self.now)
