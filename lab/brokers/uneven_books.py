"""The simulator with books that show what an even, full one hides: `python -m lab.brokers.uneven_books OPTIONS`.

The middle of an even book is its last price, and the feed asks for no Depth while quotes have both sides: a Depth frame
whose last price is none could then not be told. Used by the chapter of prices, and by tests of a broker's market data.
Rule: prices, volume, matching and history are the market's; only the books of the socket differ.
"""

from __future__ import annotations

import sys

from msgspec.structs import replace

from mytrading.simulator import main as simulator
from mytrading.simulator.__main__ import main
from mytrading.simulator.formats.frames import DEPTH
from mytrading.simulator.market.day import SimulatedQuote
from mytrading.simulator.venue.venue import SimulatedVenue

FURTHER = 4
"""Ticks by which bids lie further off than the market makes them: the middle is two ticks from the last price."""
DEPTH_SHARE = "NSE:RELIANCE"


def is_on_depth(instrument: str) -> bool:
    """Return whether the chapter has an instrument on Depth frames wherever the broker has them: one share and calls.

    The others have the frames that the feed asks for by itself."""
    segment, _, symbol = instrument.partition(":")
    return instrument == DEPTH_SHARE or (segment == "NFO" and symbol.endswith("CE"))


class UnevenVenue(SimulatedVenue):
    """A venue with uneven books. Instruments, or those of `is_on_depth`, have no offers until a client has Depth."""

    everywhere = True
    """False: only instruments of `is_on_depth` begin without offers."""

    def publish(self, quote: SimulatedQuote) -> None:
        """Send a quote with such a book to its subscribers."""
        name, tick = quote.instrument.id, quote.instrument.tick_size
        if name in self.hub.watched_instruments and self._waits_for_depth(name):
            quote = replace(quote, bid=0.0, ask=0.0)
        elif quote.bid:
            quote = replace(quote, bid=round(max(quote.bid - FURTHER * tick, tick), 2))
        super().publish(quote)

    def _waits_for_depth(self, instrument: str) -> bool:
        frames = self.hub.frames
        if not (self.everywhere or is_on_depth(instrument)):
            return False
        if frames is not None and frames.refuses(DEPTH, is_index=False):
            return False
        return not any(DEPTH in client.modes.get(instrument, ()) for client in self.hub.clients)


class ChapterVenue(UnevenVenue):
    """The venue of the chapter: some instruments are on Depth, the others on what the feed asks for by itself."""

    everywhere = False


if __name__ == "__main__":
    simulator.SimulatedVenue = ChapterVenue  # type: ignore[attr-defined]
    sys.exit(main())
