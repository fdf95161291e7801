"""Source failover: whether each market data source is alive, and when another one takes over.

A source is one account's connection, judged by its own ticks alone: counting those of another source once made a feed
change over every 25 seconds. A source is left only when it is sick, or for a better one that has been well for minutes;
each failure in service doubles the time it must be well before it serves again. All times are machine ns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from mytrading.core.time import SECOND

LONGEST_PATIENCE = 16
"""Mute connections are renewed at growing intervals, at most this many times the first one."""


class Pulse:
    """Liveness of one source. Budget of `record_quote`: 1 µs.

    `mute_ns` is how long it may be connected and give nothing while something is expected, `down_ns` how long it may be
    without a connection before it counts as sick. Servers were seen to freeze for 10.3 s and recover.
    """

    def __init__(self, mute_ns: int, down_ns: int, now_ns: int) -> None:
        self._mute_ns, self._down_ns = mute_ns, down_ns
        self._good_ns = self._since_ns = now_ns
        self._patience = 1
        self._proved = False
        self._expects = 0
        self.is_connected = False

    def record_connect(self, now_ns: int) -> None:
        """Record that the source's connection was established."""
        self.is_connected, self._proved = True, False
        self._since_ns = now_ns

    def record_loss(self) -> None:
        """Record that the source's connection was lost."""
        self.is_connected = self._proved = False

    def record_quote(self, now_ns: int) -> None:
        """Record that the source delivered a quote."""
        self._good_ns = now_ns
        self._proved = True
        if self._patience > 1 and now_ns - self._since_ns > 2 * self._mute_ns * self._patience:
            self._patience = 1

    def expect(self, factor: int, now_ns: int) -> None:
        """Set how patiently to wait for quotes, a factor: 0 in a closed market, 1 normally, more if quotes are rare."""
        if not factor and self.is_connected:
            self._good_ns = now_ns
        self._expects = factor

    def age(self, now_ns: int) -> int:
        """Return the ns since the source's last quote, or since quotes were first expected of it."""
        return now_ns - self._good_ns

    def is_well(self, now_ns: int) -> bool:
        """True if the source is connected and, where quotes are expected, has delivered one lately."""
        if not self.is_connected or not self._expects:
            return self.is_connected
        return self._proved and self.age(now_ns) <= self._mute_ns * self._expects

    def is_mute(self, now_ns: int) -> bool:
        """True if the source is connected but delivered no quote for too long while some are expected."""
        return self.is_connected and bool(self._expects) and self.age(now_ns) > self._mute_ns * self._expects

    def is_sick(self, now_ns: int) -> bool:
        """True if the source has been mute or disconnected for too long, so that another may take over."""
        return self.is_mute(now_ns) or (not self.is_connected and self.age(now_ns) > self._down_ns)

    def take_due_reconnect(self, now_ns: int) -> bool:
        """True if a mute source is due for a reconnect, counted as made: each True doubles the wait for the next."""
        limit = self._mute_ns * self._expects * self._patience
        if not self.is_mute(now_ns) or now_ns - max(self._good_ns, self._since_ns) <= limit:
            return False
        self._since_ns = now_ns
        self._patience = min(2 * self._patience, LONGEST_PATIENCE)
        return True


class Condition(Enum):
    """`doubtful`: not proved, and not yet given up."""

    WELL = "well"
    DOUBTFUL = "doubtful"
    SICK = "sick"


class SwitchReason(Enum):
    """Reason of the change of source."""

    TAKEOVER = "takeover"
    FAILBACK = "failback"


class Switch(NamedTuple):
    """From now on `to` serves; both are ranks."""

    previous: int
    to: int
    reason: SwitchReason


class ChoiceRules(NamedTuple):
    """A source takes over from a sick one after `steady_ns` of health, and takes the feed back after `failback_ns`.

    From its second failure in service on each doubles both for it, to at most `longest_steady_ns` and
    `longest_failback_ns`, until it was well for `forgive_ns` without a break.
    """

    steady_ns: int = 2 * SECOND
    failback_ns: int = 300 * SECOND
    longest_steady_ns: int = 60 * SECOND
    longest_failback_ns: int = 3600 * SECOND
    forgive_ns: int = 4 * 3600 * SECOND


@dataclass(slots=True)
class _Record:
    failures: int = 0
    well_since: int | None = None


class SourceChoice:
    """The serving source among `count`, ranked from 0, the primary; `switches` counts changes."""

    def __init__(self, count: int, rules: ChoiceRules) -> None:
        self._records = [_Record() for _ in range(count)]
        self._rules = rules
        self.active = 0
        self.switches = 0

    def choose(self, conditions: Sequence[Condition], now_ns: int) -> Switch | None:
        """Update all sources by their `conditions` (by rank); returns the switch to another serving source, or None."""
        for record, condition in zip(self._records, conditions, strict=True):
            self._learn(record, condition, now_ns)
        if conditions[self.active] is Condition.SICK:
            ready = [rank for rank in range(len(conditions)) if self._is_ready(rank, self.steady_ns(rank), now_ns)]
            return self._to(ready, SwitchReason.TAKEOVER)
        ready = [rank for rank in range(self.active) if self._is_ready(rank, self.failback_ns(rank), now_ns)]
        return self._to(ready, SwitchReason.FAILBACK)

    def steady_ns(self, rank: int) -> int:
        """Return how long (ns) the source of `rank` must be well to replace a sick one; doubles with each failure."""
        return _doubled(self._rules.steady_ns, self._records[rank].failures, self._rules.longest_steady_ns)

    def failback_ns(self, rank: int) -> int:
        """Return how long (ns) the source of `rank` must be well to take the feed back from a healthy one."""
        return _doubled(self._rules.failback_ns, self._records[rank].failures, self._rules.longest_failback_ns)

    def _learn(self, record: _Record, condition: Condition, now_ns: int) -> None:
        if condition is not Condition.WELL:
            record.well_since = None
        elif record.well_since is None:
            record.well_since = now_ns
        elif now_ns - record.well_since >= self._rules.forgive_ns:
            record.failures = 0

    def _is_ready(self, rank: int, wait_ns: int, now_ns: int) -> bool:
        since = self._records[rank].well_since
        return since is not None and now_ns - since >= wait_ns

    def _to(self, ready: Sequence[int], reason: SwitchReason) -> Switch | None:
        if not ready:
            return None
        if reason is SwitchReason.TAKEOVER:
            self._records[self.active].failures += 1
        switch = Switch(self.active, ready[0], reason)
        self.active = ready[0]
        self.switches += 1
        return switch


def _doubled(first_ns: int, failures: int, longest_ns: int) -> int:
    return min(first_ns << min(max(0, failures - 1), 20), max(first_ns, longest_ns))
