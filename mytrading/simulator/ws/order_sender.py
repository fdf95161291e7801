"""Sends order updates to their listeners, with what switched-on faults make of them: lost, twice, late, out of order.

Used by `Venue` for every change of an order. The one rule: with no fault on, an update goes out at once and once.
"""

from __future__ import annotations

import asyncio

from mytrading.simulator import hostile
from mytrading.simulator.faults import Faults
from mytrading.simulator.frames import Body
from mytrading.simulator.hub import Hub


class OrderUpdates:
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
