"""Which last prices are none, by the quote they come with and by what a call is a call on.

Used by the feed and by the replay of a tape. Unlike `quote_checks`, nothing here is believed because it persists: a
price that contradicts its own book goes to no bar and no reader but risk, which gets the book alone.
"""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.instruments.book import InstrumentBook, spot_of_call
from mytrading.core.no_price import contradicts_book
from mytrading.core.time import SECOND
from mytrading.messages.market import Quote

BOOK_NS = 10 * SECOND
"""Machine time for which the book of a frame without a price is held against a price that comes with none (REST)."""
FLOOR_NS = 2 * SECOND


class PriceProof:
    """Judges quotes; `believe` takes those whose price passed every check. `stale_ns`: age (market ns) from which on a
    price says nothing of a call on it. Disabled it proves nothing wrong. Budget of `is_none`: 500 ns."""

    def __init__(self, stale_ns: int, enabled: bool = True) -> None:
        self._stale_ns, self._enabled = stale_ns, enabled
        self._ticks: dict[str, float] = {}
        self._spot_of: dict[str, str] = {}
        self._spots: dict[str, Quote] = {}
        self._wanted: frozenset[str] = frozenset()
        self._alone: dict[str, Quote] = {}
        self._doubted: set[str] = set()
        """Instruments whose newest last price is none."""
        self.refused = 0
        """Last prices that were none."""

    def set_instruments(self, book: InstrumentBook) -> None:
        """Take the day's instruments: their ticks, and what calls are calls on."""
        listed = list(book)
        self._ticks = {one.id: one.tick_size for one in listed}
        self._spot_of = {one.id: spot for one in listed if (spot := spot_of_call(book, one))}
        self._wanted = frozenset(self._spot_of.values())

    def is_none(self, quote: Quote) -> bool:
        """True if the last price of a quote is none. One that comes without a book is held against that of the last
        frame whose price was none."""
        if not self._enabled:
            return False
        name = quote.instrument
        none = contradicts_book(quote, self._ticks.get(name, 0.0)) or self._above_spot(quote)
        if none:
            self.refused += 1
            self._doubted.add(name)
            if quote.bid is not None or quote.ask is not None:
                self._alone[name] = quote
        elif self._alone and quote.bid is None and quote.ask is None:
            return self._contradicts_known(quote)
        return none

    def is_doubted(self, instrument: str) -> bool:
        """True if the newest last price of an instrument is none, so that the one before it is none of now."""
        return instrument in self._doubted

    def believe(self, quote: Quote) -> None:
        """Record a quote whose last price is believed. Budget: 100 ns."""
        if self._doubted:
            self._doubted.discard(quote.instrument)
        if self._alone and (quote.bid is not None or quote.ask is not None):
            self._alone.pop(quote.instrument, None)
        if quote.instrument in self._wanted:
            self._spots[quote.instrument] = quote

    def forget(self, instrument: str) -> None:
        """Forget the prices of an unsubscribed instrument."""
        self._spots.pop(instrument, None)
        self._alone.pop(instrument, None)
        self._doubted.discard(instrument)

    def _contradicts_known(self, quote: Quote) -> bool:
        known = self._alone.get(quote.instrument)
        if known is None or quote.received_ns - known.received_ns > BOOK_NS:
            return False
        return contradicts_book(replace(known, ltp=quote.ltp), self._ticks.get(quote.instrument, 0.0))

    def _above_spot(self, quote: Quote) -> bool:
        """True of a call that would cost more than what it is a call on, by a fresh price of that."""
        spot = self._spots.get(self._spot_of.get(quote.instrument, ""))
        if spot is None or quote.ltp <= spot.ltp:
            return False
        young = quote.market_ns - spot.market_ns <= self._stale_ns
        return young or quote.received_ns - spot.received_ns <= FLOOR_NS
