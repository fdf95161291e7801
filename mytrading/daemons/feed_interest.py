"""Open interest of contracts whose frames have none, as with zerodha: asked for over REST and put into their quotes.

Part of the feed. The one rule: it is asked for beside prices of what is held and never in their way, and a quote does
not wait for it.
"""

from __future__ import annotations

import msgspec

from mytrading.daemons.feed_fallback import Answer, QuoteFallback
from mytrading.daemons.feed_lines import FeedSource
from mytrading.messages.market import Quote
from mytrading.runtime.clock import SECOND
from mytrading.runtime.logging import get_logger

EVERY_NS = 60 * SECOND
"""Machine time between two questions for a contract; exchanges count open interest no more often."""
MOST = 50
"""Contracts of one question."""


class InterestDesk:
    """`filled` on a quote's way, `answers` and `ask` each second."""

    def __init__(self, sources: tuple[FeedSource, ...]) -> None:
        self._reader = QuoteFallback(sources, lambda: None, "feed.interest")
        self._log = get_logger("feed")
        self._known: dict[str, int] = {}
        self._asked: dict[str, int] = {}
        self._due: dict[str, None] = {}

    def filled(self, quote: Quote) -> Quote:
        """A contract's quote that came without, with what is known. Budget: 3 µs."""
        instrument = quote.instrument
        if quote.received_ns - self._asked.get(instrument, 0) >= EVERY_NS:
            self._due[instrument] = None
        known = self._known.get(instrument)
        return quote if known is None else msgspec.structs.replace(quote, open_interest=known)

    def ask(self, machine_ns: int) -> None:
        """Ask for some of what is due, unless a question is under way."""
        if not self._due or self._reader.busy:
            return
        asked = list(self._due)[:MOST]
        for instrument in asked:
            del self._due[instrument]
            self._asked[instrument] = machine_ns
        self._reader.ask(asked)

    def answers(self) -> list[Answer]:
        """What has been answered since the last call; its open interest is in the quotes from now on."""
        found = self._reader.answers()
        for answer in found:
            if answer.problem:
                self._log.warning("interest.not_read", count=len(answer.asked), problem=answer.problem)
            # A server that has none of any contract does not know it; where it has some, 0 is a figure.
            elif any(row.oi > 0 for row in answer.rows.values()):
                self._known.update({name: int(row.oi) for name, row in answer.rows.items() if name in self._asked})
        return found

    def forget(self, instrument: str) -> None:
        """The instrument is not subscribed any more."""
        for known in (self._known, self._asked, self._due):
            known.pop(instrument, None)

    def stop(self) -> None:
        """End the thread."""
        self._reader.stop()
