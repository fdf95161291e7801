"""Quote checks of the feed: is a price believable, and is it the newest.

Invariant: no check locks an instrument out. A held price is believed once it persists, and any price after a bounded
time and number of quotes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from mytrading.core.time import SECOND
from mytrading.messages.market import Quote

OPTION_FACTOR = 10.0
"""An option may multiply or divide its price by this between two quotes before it needs a confirmation."""


class QuoteVerdict(Enum):
    """`held`: believed only if later quotes confirm it."""

    GOOD = "good"
    HELD = "held"
    REFUSED = "refused"


class PriceRules(NamedTuple):
    """Terms on which a price that jumped is believed. Machine ns.

    It must be confirmed by a quote near it at least `settle_ns` later: a wrong tick may come in several frames at
    once. Prices that agree with nothing are believed with the `most`-th quote in a row, or the first one later than
    `patience_ns`, whichever is later.
    """

    settle_ns: int = SECOND
    patience_ns: int = 5_000_000_000
    most: int = 3


_RULES = PriceRules()


@dataclass(slots=True)
class _Price:
    good: float
    held: float = 0.0
    held_ns: int = 0
    jumped_ns: int = 0
    count: int = 0


class PriceCheck:
    """Is a price possible? Budget of `judge`: 1 µs.

    Prices that are no positive number are refused. A jump of more than `max_change_percent` from the last good price
    (for options: by more than a factor of ten) is held until it persists (`PriceRules`); a quote near the last good
    price disproves it. Whatever comes, an instrument has a good price again after a bounded time.
    """

    def __init__(self, max_change_percent: float, enabled: bool = True, rules: PriceRules = _RULES) -> None:
        self._share = max_change_percent / 100.0 if enabled else math.inf
        self._factor = OPTION_FACTOR if enabled else math.inf
        self._rules = rules
        self._prices: dict[str, _Price] = {}
        self.refused = 0
        self.held = 0

    def judge(
        self, instrument: str, price: float, option: bool, now_ns: int, reference: float | None = None
    ) -> QuoteVerdict:
        """Judge and record a price at machine time `now_ns`: good, held until later quotes confirm its jump, or
        refused. An `option` may jump further; an instrument's first price is compared with `reference`, if any."""
        if not 0.0 < price < math.inf:
            self.refused += 1
            return QuoteVerdict.REFUSED
        known = self._prices.get(instrument)
        if known is None:
            known = self._prices[instrument] = _Price(reference or price)
        good = known.good
        near = self._near(good, price, option) if option else abs(price - good) <= self._share * good
        if near or self._persists(known, price, option, now_ns):
            known.good, known.held, known.count = price, 0.0, 0
            return QuoteVerdict.GOOD
        self.held += 1
        return QuoteVerdict.HELD

    def forget(self, instrument: str) -> None:
        """Forget the prices of an unsubscribed instrument."""
        self._prices.pop(instrument, None)

    def _persists(self, known: _Price, price: float, option: bool, now_ns: int) -> bool:
        """Count a jump; true if a later quote confirms it, or if nothing has been believed for too long."""
        rules = self._rules
        if not known.count:
            known.jumped_ns = now_ns
        known.count += 1
        if not known.held or not self._near(known.held, price, option):
            known.held, known.held_ns = price, now_ns
        elif now_ns - known.held_ns >= rules.settle_ns:
            return True
        return known.count >= rules.most and now_ns - known.jumped_ns >= rules.patience_ns

    def _near(self, reference: float, price: float, option: bool) -> bool:
        if option:
            return reference <= price * self._factor and price <= reference * self._factor
        return abs(price - reference) <= self._share * reference


class Conflator:
    """Keeps the newest quote of each instrument between two drains; `replaced` counts the older ones."""

    def __init__(self) -> None:
        self._newest: dict[str, Quote] = {}
        self.replaced = 0

    def offer(self, quote: Quote) -> None:
        """Store a quote as the newest of its instrument."""
        if quote.instrument in self._newest:
            self.replaced += 1
        self._newest[quote.instrument] = quote

    def drain(self) -> list[Quote]:
        """Return and remove the newest quotes, in the order in which their instruments first arrived."""
        quotes = list(self._newest.values())
        self._newest.clear()
        return quotes
