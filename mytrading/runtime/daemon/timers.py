"""Machine-time timers of a poll loop: a heap of what is due next. No threads; the loop asks and runs."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

Handler = Callable[[int], None]


@dataclass(order=True)
class _Timer:
    due_ns: int
    number: int
    interval_ns: int = field(compare=False)
    handler: Handler = field(compare=False)
    name: str = field(compare=False)


class Timers:
    """Repeating timers. One that fell behind runs once and goes on in step: it never runs in a burst.

    All timers of a process are due at whole multiples of their interval after `phase_ns`, so that those that fall
    together cost one waking; each process has a phase of its own, so that not all wake at once.
    """

    def __init__(self, phase_ns: int = 0) -> None:
        self._heap: list[_Timer] = []
        self._number = 0
        self._phase_ns = phase_ns

    def every(self, interval_ns: int, handler: Handler, name: str, now_ns: int) -> None:
        """Call `handler(machine_ns)` each `interval_ns`, the first time within one interval from now."""
        self._number += 1
        heapq.heappush(self._heap, _Timer(self._next(now_ns, interval_ns), self._number, interval_ns, handler, name))

    def _next(self, now_ns: int, interval_ns: int) -> int:
        return now_ns + interval_ns - (now_ns - self._phase_ns) % interval_ns

    def wait_ms(self, now_ns: int, longest_ms: int = 1000) -> int:
        """Milliseconds until the next timer is due, rounded up, at most `longest_ms`."""
        if not self._heap:
            return longest_ms
        left = self._heap[0].due_ns - now_ns
        return max(0, min(longest_ms, -(-left // 1_000_000)))

    def run_due(self, now_ns: int) -> int:
        """Run what is due; returns how many ran."""
        ran = 0
        while self._heap and self._heap[0].due_ns <= now_ns:
            timer = heapq.heappop(self._heap)
            timer.handler(now_ns)
            timer.due_ns = self._next(now_ns, timer.interval_ns)
            heapq.heappush(self._heap, timer)
            ran += 1
        return ran
