"""What happens to quotes between the socket and the bus: is the price believable, is it the newest, is it fresh.

Used by the feed alone. The one rule: nothing here can lock an instrument out: a price that is refused once is
believed as soon as the next quote confirms it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from mytrading.messages.market import Quote

OPTION_FACTOR = 10.0
"""An option may multiply or divide its price by this between two quotes before it needs a confirmation."""


class Verdict(Enum):
    """`held`: believed only if the next quote confirms it."""

    GOOD = "good"
    HELD = "held"
    REFUSED = "refused"


class _Price:
    __slots__ = ("good", "held")

    def __init__(self, good: float) -> None:
        self.good = good
        self.held = 0.0


class PriceCheck:
    """Is a price possible? Budget of `judge`: 1 µs.

    Prices that are no positive number are refused. A jump of more than `max_change_percent` from the last good price
    (for options: by more than a factor of ten) is held; the next quote that is no jump from the held one confirms it,
    one that is no jump from the last good one disproves it.
    """

    def __init__(self, max_change_percent: float, enabled: bool = True) -> None:
        self._share = max_change_percent / 100.0 if enabled else math.inf
        self._factor = OPTION_FACTOR if enabled else math.inf
        self._prices: dict[str, _Price] = {}
        self.refused = 0
        self.held = 0

    def judge(self, instrument: str, price: float, option: bool) -> Verdict:
        """What to do with a price that just arrived; remembers it."""
        if not 0.0 < price < math.inf:
            self.refused += 1
            return Verdict.REFUSED
        known = self._prices.get(instrument)
        if known is None:
            self._prices[instrument] = _Price(price)
            return Verdict.GOOD
        if self._near(known.good, price, option) or (known.held and self._near(known.held, price, option)):
            known.good, known.held = price, 0.0
            return Verdict.GOOD
        known.held = price
        self.held += 1
        return Verdict.HELD

    def forget(self, instrument: str) -> None:
        """Start anew with the next quote."""
        self._prices.pop(instrument, None)

    def _near(self, reference: float, price: float, option: bool) -> bool:
        if option:
            return reference <= price * self._factor and price <= reference * self._factor
        return abs(price - reference) <= self._share * reference


class Conflator:
    """Keeps the newest quote of each instrument between two drains; `replaced` counts what was overtaken."""

    def __init__(self) -> None:
        self._newest: dict[str, Quote] = {}
        self.replaced = 0

    def offer(self, quote: Quote) -> None:
        """A quote that arrived; it takes the place of an older one of its instrument."""
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

    def touch(self, instrument: str, market_ns: int, machine_ns: int) -> None:
        """A quote came, good or not: the line to the exchange is alive."""
        self._seen[instrument] = (market_ns, machine_ns)

    def forget(self, instrument: str) -> None:
        """The instrument is not subscribed any more."""
        self._seen.pop(instrument, None)

    def has(self, instrument: str) -> bool:
        """True if it ever ticked."""
        return instrument in self._seen

    def fresh(self, instrument: str, limit_ns: int, market_ns: int, machine_ns: int) -> bool:
        """True if the instrument ticked within `limit_ns` of market time or the floor of machine time."""
        seen = self._seen.get(instrument)
        return seen is not None and (market_ns - seen[0] <= limit_ns or machine_ns - seen[1] <= self._floor)

    def coverage(self, expected: Iterable[tuple[str, int]], market_ns: int, machine_ns: int) -> Coverage:
        """Coverage of the `expected` instruments, each with its own limit in market ns."""
        stale = []
        total = 0
        for instrument, limit_ns in expected:
            total += 1
            if not self.fresh(instrument, limit_ns, market_ns, machine_ns):
                stale.append(instrument)
        return Coverage(total - len(stale), total, tuple(stale))
