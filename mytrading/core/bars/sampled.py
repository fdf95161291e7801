"""Minutes of instruments whose price is asked for once a second, as their frames carry none.

The feed counts the samples of each minute: enough of them make a bar, which is then said to be sampled; a minute with
fewer is one that was missed, and comes from history. Times are market ns.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from mytrading.core.bars.builder import Closed
from mytrading.core.time import MINUTE

LEAST = 20
"""Samples that make a minute's bar."""


class SampledMinutes:
    """Which minutes of the sampled instruments (`names`) have enough samples."""

    def __init__(self) -> None:
        self._settled_ns: dict[str, int] = {}
        """End of the last minute of each that is judged, or before which none is."""
        self._judged_ns = 0

    @property
    def names(self) -> Collection[str]:
        """Return the sampled instruments."""
        return self._settled_ns.keys()

    def follow(self, names: Collection[str], now_ns: int) -> None:
        """Set the sampled instruments; of a new one the minutes from the next on are judged."""
        begin = now_ns // MINUTE * MINUTE + MINUTE
        self._settled_ns = {name: self._settled_ns.get(name, begin) for name in names}

    def judge(self, closed: Closed) -> Closed:
        """Return a closed bar, not whole if it is of a sampled instrument and has too few samples."""
        bar = closed.bar
        if bar.instrument not in self._settled_ns:
            return closed
        self._settled_ns[bar.instrument] = max(self._settled_ns[bar.instrument], bar.end_ns)
        return Closed(bar, closed.whole and bar.ticks >= LEAST)

    def take_missed(self, until_ns: int, is_open: Callable[[str, int], bool]) -> list[tuple[str, int]]:
        """Return instruments without any sample in a minute, with the end of the last such that ended by `until_ns`.
        Bars that ended by then were judged before. `is_open(instrument, ns)`: True if it is in session then."""
        end_ns = until_ns // MINUTE * MINUTE
        if end_ns <= self._judged_ns:
            return []
        self._judged_ns = end_ns
        late = [name for name, settled_ns in self._settled_ns.items() if settled_ns < end_ns]
        self._settled_ns.update(dict.fromkeys(late, end_ns))
        return [(name, end_ns) for name in late if is_open(name, end_ns - 1)]
