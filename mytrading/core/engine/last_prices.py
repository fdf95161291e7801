"""The last price of each instrument that reached the engine, with its age.

Strikes and greeks are taken from prices that are not too old (`fresh`). `latest` has any price, however old: it may
only say of which contracts quotes are needed, never become a level, a size or a strike.
"""

from __future__ import annotations

from collections.abc import Mapping

from mytrading.core.time import SECOND

PRICE_AGE_NS = 60 * SECOND
"""Market time for which a price counts: options are quoted no more often, and a bar's close lasts until the next."""
FLOOR_NS = 2 * SECOND
"""Machine time for which it counts at least, however fast market time runs."""


class LastPrices:
    """Prices in rupees by instrument. Budget of `note`: 200 ns, for every quote of the engine."""

    def __init__(self) -> None:
        self._latest: dict[str, float] = {}
        self._at_ns: dict[str, int] = {}
        self.patience_ns = PRICE_AGE_NS
        """Market time for which a price is fresh."""

    @property
    def latest(self) -> Mapping[str, float]:
        """The last prices, whatever their age."""
        return self._latest

    def note(self, instrument: str, price: float, at_ns: int) -> None:
        """Record the price of a quote or bar of market time `at_ns`."""
        self._latest[instrument] = price
        self._at_ns[instrument] = at_ns

    def fresh(self, instrument: str, now: int) -> float:
        """Return the last price at `now` (market ns); 0.0 if there is none, or it is too old."""
        price = self._latest.get(instrument, 0.0)
        return price if price and now - self._at_ns[instrument] <= self.patience_ns else 0.0

    def set_speed(self, speed: float) -> None:
        """Adapt the patience to so many market seconds in a machine second."""
        self.patience_ns = max(PRICE_AGE_NS, int(FLOOR_NS * speed))
