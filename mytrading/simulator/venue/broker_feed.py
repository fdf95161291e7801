"""What the market data of a live server's broker needs besides its frames: tokens, repeats, and what is true.

Tokens count up within a segment, so that one number means an instrument in each of several segments. `TrueQuotes` keeps
the quotes as they were before the broker's adapter made frames of them: what a client saw is held against that.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from mytrading.core.instruments.symbology import split_id
from mytrading.messages.instruments import Instrument
from mytrading.runtime.host.clock import MarketClock
from mytrading.simulator.market.day import SimulatedQuote
from mytrading.simulator.ws.hub import Hub

_SHORTEST_PAUSE = 0.02
_MOST_QUOTES = 30_000
"""Of one instrument: more than a session of one a second."""


class SegmentTokens:
    """Tokens of instruments, counted up within each segment in the order of their symbols; a later one gets the next
    number, and none ever changes. `listing` gives what is listed now."""

    def __init__(self, listing: Callable[[], Iterable[Instrument]]) -> None:
        self._listing = listing
        self._tokens: dict[str, str] = {}
        self._counts: defaultdict[str, int] = defaultdict(int)

    def of(self, instrument: str) -> str:
        """Return the token of an instrument by its id."""
        if instrument not in self._tokens:
            listed = {item.id for item in self._listing()} | {instrument}
            for name in sorted(listed - self._tokens.keys()):
                segment, _ = split_id(name)
                self._counts[segment] += 1
                self._tokens[name] = str(self._counts[segment])
        return self._tokens[instrument]


class SentQuote(NamedTuple):
    """A true quote that went to the socket: its market time, last price in rupees, and volume of the day."""

    at_ns: int
    ltp: float
    volume: int


class TrueQuotes:
    """The true quotes of watched instruments, by instrument, oldest first."""

    def __init__(self) -> None:
        self._quotes: dict[str, list[SentQuote]] = {}

    def record(self, quote: SimulatedQuote) -> None:
        """Record a quote before anything is done to it."""
        kept = self._quotes.setdefault(quote.instrument.id, [])
        kept.append(SentQuote(quote.at_ns, quote.ltp, quote.volume))
        if len(kept) > 2 * _MOST_QUOTES:
            del kept[:_MOST_QUOTES]

    def of(self, instrument: str) -> list[SentQuote]:
        """Return the true quotes of an instrument."""
        return self._quotes.get(instrument, [])


async def repeat_quotes(hub: Hub, clock: MarketClock) -> None:
    """Send what was sent last again at the interval of the broker, in market time, until cancelled."""
    assert hub.frames is not None
    pause = max(hub.frames.form.repeat_seconds / max(clock.speed, 1.0), _SHORTEST_PAUSE)
    while True:
        await asyncio.sleep(pause)
        hub.repeat(clock.now())
