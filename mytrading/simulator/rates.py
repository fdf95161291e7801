"""How many calls of a class came in within a second, at most: what a rate limit would have seen.

Kept by the REST side for `/sim/state`, read by tests and judges. The one rule: a call counts when it comes in, answered
or refused, by the machine time of its first byte here.
"""

from __future__ import annotations

from collections import deque

SECOND = 1_000_000_000


class Seconds:
    """Calls of one class: how many in all, and the most within any rolling and any calendar second."""

    def __init__(self) -> None:
        self.calls = 0
        self.most_rolling = 0
        self.most_calendar = 0
        self._recent: deque[int] = deque()

    def count(self, now: int) -> None:
        """One call more, at `now` (ns, ascending)."""
        recent = self._recent
        recent.append(now)
        while now - recent[0] >= SECOND:
            recent.popleft()
        self.calls += 1
        self.most_rolling = max(self.most_rolling, len(recent))
        self.most_calendar = max(self.most_calendar, sum(at // SECOND == now // SECOND for at in recent))

    def row(self) -> dict[str, int]:
        """The counts, for `/sim/state`."""
        return {"calls": self.calls, "most_rolling": self.most_rolling, "most_calendar": self.most_calendar}


class CallRates:
    """The classes that limits are made for: orders, smart orders, and all other calls."""

    def __init__(self) -> None:
        self._classes = {"orders": Seconds(), "smart_orders": Seconds(), "data": Seconds()}

    def count(self, route: str, order: bool, now: int) -> None:
        """One call of a route, which places, changes or cancels an order or does not."""
        name = "smart_orders" if route == "placesmartorder" else "orders" if order else "data"
        self._classes[name].count(now)

    def rows(self) -> dict[str, dict[str, int]]:
        """The counts of each class."""
        return {name: seconds.row() for name, seconds in self._classes.items()}
