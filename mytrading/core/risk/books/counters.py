"""Counts that entries are judged by: how much data there is, cancels of the day, trades lost in a row.

A count ends with its day.
"""

from __future__ import annotations

from mytrading.messages.control import Heartbeat
from mytrading.messages.orders import OrderChanged, TradeClosed

LOW_FOR_NS = 5_000_000_000
"""Machine time for which coverage must have been incomplete before a low one counts: what was subscribed just now has
no data yet."""


class EntryCounters:
    """`cancels` by account; `losses` by account and strategy: how many in a row, and when the last one closed."""

    def __init__(self) -> None:
        self.cancels: dict[str, int] = {}
        self.losses: dict[tuple[str, str], tuple[int, int]] = {}
        self._coverage = 1.0
        self._incomplete_ns = 0

    def open_day(self) -> None:
        """Nothing happened yet."""
        self.cancels.clear()
        self.losses.clear()

    def beat(self, row: Heartbeat) -> None:
        """What the feed says of its coverage."""
        self._coverage = row.figures.get("coverage", 1.0) if row.figures.get("expected", 0.0) else 1.0
        if self._coverage >= 1.0:
            self._incomplete_ns = 0
        elif not self._incomplete_ns:
            self._incomplete_ns = row.machine_ns

    def coverage(self, machine_ns: int) -> float:
        """The share of what is watched that has data; all of it while some of it has lacked them for a moment only."""
        lasting = self._incomplete_ns and machine_ns - self._incomplete_ns >= LOW_FOR_NS
        return self._coverage if lasting else 1.0

    def order(self, row: OrderChanged) -> None:
        """An order moved."""
        if row.event == "cancel_requested":
            self.cancels[row.order.account] = self.cancels.get(row.order.account, 0) + 1

    def trade(self, row: TradeClosed) -> None:
        """A round trip ended."""
        key = (row.account, row.strategy)
        count = self.losses.get(key, (0, 0))[0] + 1
        self.losses[key] = (count, row.closed_ns) if row.realised < 0 else (0, row.closed_ns)
