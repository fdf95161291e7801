"""Rates of requests that come from outside."""

from __future__ import annotations

from collections import deque
from typing import Any

from mytrading.core.time import MINUTE, SECOND

MOST_A_MINUTE = 100
"""Requests of one sender's address to one webhook within any minute."""
MOST_KEYS = 20_000


class RequestCounter:
    """Counts requests by key within any minute of machine time; at most `most` of each count."""

    def __init__(self, most: int = MOST_A_MINUTE) -> None:
        self.most = most
        self._times: dict[Any, deque[int]] = {}

    def seconds_left(self, key: Any, machine_ns: int) -> int:
        """Return the seconds after which one more may come; 0 if it may now."""
        times = self._times.get(key)
        if times is None or len(times) < self.most or machine_ns - times[0] >= MINUTE:
            return 0
        return max(-(-(times[0] + MINUTE - machine_ns) // SECOND), 1)

    def count(self, key: Any, machine_ns: int) -> None:
        """Count a request; keys without one for a minute are forgotten when there are many."""
        self._times.setdefault(key, deque(maxlen=self.most)).append(machine_ns)
        if len(self._times) > MOST_KEYS:
            old = machine_ns - MINUTE
            self._times = {name: times for name, times in self._times.items() if times[-1] > old}

    def count_if_allowed(self, key: Any, machine_ns: int) -> int:
        """Count a request if it may come, and return 0; else the seconds until one may."""
        if not (left := self.seconds_left(key, machine_ns)):
            self.count(key, machine_ns)
        return left
