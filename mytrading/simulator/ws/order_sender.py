"""Sends order updates to their listeners, with what switched-on faults make of them: lost, twice, late, out of order.

With no fault on, an update goes out at once and once.
"""

from __future__ import annotations

import asyncio

from mytrading.simulator.faults import hostile
from mytrading.simulator.faults.registry import Faults
from mytrading.simulator.formats.frames import Body
from mytrading.simulator.market.day import SimulatedQuote
from mytrading.simulator.ws.hub import Hub


class QuoteFrames:
    """The way of quotes from the market to the hub; one that is overtaken waits for the next of its instrument."""

    def __init__(self, hub: Hub, faults: Faults) -> None:
        self._hub = hub
        self._faults = faults
        self._overtaken: dict[str, SimulatedQuote] = {}

    def send(self, quote: SimulatedQuote) -> None:
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


class OrderSender:
    """The way of order updates from the books to the hub."""

    def __init__(self, hub: Hub, faults: Faults) -> None:
        self._hub = hub
        self._faults = faults
        self._overtaken: list[Body] = []
        self._waiting: asyncio.TimerHandle | None = None

    def send(self, update: Body) -> None:
        """Send one update, unless a fault makes something else of it."""
        status = str(update["order_status"])
        if self._faults.take("order_updates_off", status=status) is not None:
            return
        if (odd := self._faults.take("update_hostile", status=status)) is not None:
            self._hub.publish_order(update, hostile.frame(odd.acted))
        if self._faults.take("update_corrupted", status=status) is not None:
            self._hub.publish_order(update, hostile.torn)
            return
        twice = self._faults.take("update_duplicated", status=status)
        updates = [update] * (1 + (int(twice.number("times")) if twice is not None else 0))
        late = self._faults.take("update_delayed", status=status)
        if late is not None:
            asyncio.get_running_loop().call_later(late.number("seconds"), self._publish, updates)
            return
        if not self._overtaken and (switch := self._faults.take("update_reordered", status=status)) is not None:
            self._overtaken = updates
            self._waiting = asyncio.get_running_loop().call_later(switch.number("seconds"), self._catch_up)
            return
        self._publish(updates)
        self._catch_up()

    def _catch_up(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        updates, self._overtaken = self._overtaken, []
        self._publish(updates)

    def _publish(self, updates: list[Body]) -> None:
        for update in updates:
            self._hub.publish_order(update)
