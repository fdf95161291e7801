"""Sends quotes to their listeners, with what switched-on faults make of their frames: torn, out of order,
twice, and hostile ones beside them.

Used by `Venue` for every quote that goes out. The one rule: with no fault on, a quote goes out at once and once.
"""

from __future__ import annotations

from mytrading.simulator import hostile
from mytrading.simulator.faults import Faults
from mytrading.simulator.hub import Hub
from mytrading.simulator.market.day import Quote


class QuoteFrames:
    """The way of quotes from the market to the hub; one that is overtaken waits for the next of its instrument."""

    def __init__(self, hub: Hub, faults: Faults) -> None:
        self._hub = hub
        self._faults = faults
        self._overtaken: dict[str, Quote] = {}

    def send(self, quote: Quote) -> None:
        """Send one quote, unless a fault makes something else of it."""
        name = quote.instrument.id
        if (odd := self._faults.take("ws_hostile", instrument=name)) is not None:
            self._hub.publish(quote, hostile.frame(odd.acted))
        if self._faults.take("ws_corrupted", instrument=name) is not None:
            self._hub.publish(quote, hostile.torn)
            return
        if name not in self._overtaken and self._faults.take("ws_reordered", instrument=name) is not None:
            self._overtaken[name] = quote
            return
        twice = self._faults.take("ws_duplicated", instrument=name)
        for _ in range(1 + (int(twice.number("times")) if twice is not None else 0)):
            self._hub.publish(quote)
        if (late := self._overtaken.pop(name, None)) is not None:
            self._hub.publish(late)
