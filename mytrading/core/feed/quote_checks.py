"""Quote checks of the feed: is a price believable, is it the newest, is it fresh.

Invariant: no check locks an instrument out. A held price is believed once it persists, and any price after a bounded
time and number of quotes.
"""

from __future__ import annotations

import math
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
    """When a price that jumped is believed. Machine ns.

    It must be confirmed by a quote near it at least `settle_ns` later: a wrong tick may come in several frames at
    once. Prices that agree with nothing are believed with the `most`-th quote in a row, or the first one later than
    `patience_ns`, whichever is later.
    """

    settle_ns: int = SECOND
    patience_ns: int = 5_000_000_000
    most: int = 3


_RULES = PriceRules()


class _Price:
    __slots__ = ("count", "good", "held", "held_ns", "jumped_ns")

    def __init__(self, good: float) -> None:
        self.good = good
        self.held = 0.0
        self.held_ns = 0
        self.jumped_ns = 0
        self.count = 0


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
        """What to do with a price that arrived at machine time `now_ns`; remembers it.

        The first price of an instrument is held against `reference`, say the previous close, if there is one.
        """
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
        """Forget the last good price."""
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
        """Add a quote; it replaces an older one of its instrument."""
        if quote.instrument in self._newest:
            self.replaced += 1
        self._newest[quote.instrument] = quote

    def drain(self) -> list[Quote]:
        """The newest quotes, instruments in the order in which they first arrived; empties the store."""
        quotes = list(self._newest.values())
        self._newest.clear()
        return quotes


class Coverage(NamedTuple):
    """How many of the instruments that should tick have done so lately."""

    fresh: int
    total: int
    stale: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Fresh by total; 1 when nothing should tick."""
        return self.fresh / self.total if self.total else 1.0


class Freshness:
    """When each instrument last ticked, in both times.

    A quote is fresh while its market age is within the limit or its machine age within `floor_ns`: at a market speed
    of 600 a machine second without quotes is ten market minutes, and no reason to worry.
    """

    def __init__(self, floor_ns: int) -> None:
        self._floor = floor_ns
        self._seen: dict[str, tuple[int, int]] = {}
        self._dropped: dict[str, tuple[tuple[int, int] | None, int, int]] = {}

    def touch(self, instrument: str, market_ns: int, machine_ns: int) -> None:
        """Record a price, or the start of the age."""
        self._seen[instrument] = (market_ns, machine_ns)

    def dropped(self, instrument: str, machine_ns: int) -> None:
        """Record a dropped frame. Budget: 1 µs."""
        seen, known = self._seen.get(instrument), self._dropped.get(instrument)
        count = known[1] + 1 if known is not None and known[0] is seen else 1
        self._dropped[instrument] = (seen, count, machine_ns)

    def deaf(self, instrument: str, for_ns: int) -> int:
        """Dropped frames since its last price, if they kept coming for so long (machine time); else 0."""
        seen, known = self._seen.get(instrument), self._dropped.get(instrument)
        if seen is None or known is None or known[0] is not seen or known[2] - seen[1] < for_ns:
            return 0
        return known[1]

    def forget(self, instrument: str) -> None:
        """Drop an unsubscribed instrument."""
        self._seen.pop(instrument, None)
        self._dropped.pop(instrument, None)

    def age(self, instrument: str, machine_ns: int) -> int:
        """Machine time since its last price; all of it if it has none."""
        seen = self._seen.get(instrument)
        return machine_ns - (seen[1] if seen is not None else 0)

    def fresh(self, instrument: str, limit_ns: int, market_ns: int, machine_ns: int) -> bool:
        """True if the instrument ticked within `limit_ns` of market time or the floor of machine time."""
        seen = self._seen.get(instrument)
        return seen is not None and (market_ns - seen[0] <= limit_ns or machine_ns - seen[1] <= self._floor)
