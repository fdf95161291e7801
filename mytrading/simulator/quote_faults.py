"""What listeners of the feed are shown for a quote, while faults of the feed are on.

Used by `Venue` before a quote goes out and by the WebSocket server for first quotes. The one rule: matching, books and
REST quotes always see the true market; only the feed lies.
"""

from __future__ import annotations

import msgspec

from mytrading.simulator.faults import Faults, Switch
from mytrading.simulator.market.day import Quote


class QuoteFaults:
    """The feed's faults, and what a stalled feed stands at."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._stall: Switch | None = None
        self._stalled: dict[str, Quote] = {}

    def shown(self, quote: Quote) -> Quote | None:
        """The quote to send in place of a true one; None to send nothing."""
        instrument = quote.instrument.id
        if self._faults.take("ws_mute", instrument=instrument) is not None:
            return None
        quote = self._standing(quote)
        if (wrong := self._faults.take("price_wrong", instrument=instrument)) is not None:
            quote = _scaled(quote, wrong.number("factor"))
        if self._faults.take("price_zero", instrument=instrument) is not None:
            quote = _scaled(quote, 0.0)
        return quote

    def _standing(self, quote: Quote) -> Quote:
        stall = self._faults.take("ws_stall", instrument=quote.instrument.id)
        if stall is None:
            return quote
        if stall is not self._stall:
            self._stall, self._stalled = stall, {}
        old = self._stalled.setdefault(quote.instrument.id, quote)
        return msgspec.structs.replace(old, at_ns=quote.at_ns) if stall.flag("restamp") else old


def _scaled(quote: Quote, factor: float) -> Quote:
    return msgspec.structs.replace(
        quote, ltp=round(quote.ltp * factor, 2), bid=round(quote.bid * factor, 2), ask=round(quote.ask * factor, 2)
    )
