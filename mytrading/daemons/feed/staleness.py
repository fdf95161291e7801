"""How old are the data of each instrument, and how much of what should be known is.

Part of the feed. An instrument that gives nothing is healthy while its source ticks and the server acknowledged it:
many trade once an hour. An instrument whose frames arrive and are all dropped is deaf, and not healthy. The one rule:
what somebody holds must have a price of its own, from the stream or asked for, and ages from the moment it was
subscribed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from mytrading.core.calendar import Calendar
from mytrading.core.feed.quotes import Coverage, Freshness
from mytrading.core.symbology import parse_symbol, split_id
from mytrading.messages.instruments import InstrumentKind

SECOND = 1_000_000_000
FLOOR_NS = 2 * SECOND
LOW_SHARE = 0.9
LOW_FOR_NS = 5 * SECOND
SETTLE_NS = 10 * SECOND
FIRST_TICK_NS = 5 * SECOND
"""How long a start waits for the first tick of what is watched; without a quote nothing of it is entered anyway."""
OPTION_PATIENCE = 12
DEAF_NS = 10 * SECOND
"""Machine time for which frames of an instrument come and none is taken before it counts as deaf."""


class StaleLimits(NamedTuple):
    """After how long without a quote (market ns) an instrument is stale."""

    liquid_ns: int
    option_ns: int

    @classmethod
    def of(cls, seconds: float) -> StaleLimits:
        """From the setting, which is meant for what trades all the time."""
        return cls(int(seconds * SECOND), int(seconds * OPTION_PATIENCE * SECOND))


class Facts(NamedTuple):
    """What the feed must know of an instrument."""

    exchange: str
    is_option: bool
    is_index: bool
    is_contract: bool


def facts_of(instrument: str) -> Facts:
    """From the symbol alone."""
    exchange, symbol = split_id(instrument)
    kind = parse_symbol(symbol, exchange).kind
    return Facts(exchange, kind.is_option, kind is InstrumentKind.INDEX, kind.is_derivative)


class FeedHealth:
    """Ages and coverage of what is subscribed. Times: `market_ns` and `machine_ns` as named."""

    def __init__(self, calendar: Calendar, limits: StaleLimits) -> None:
        self._calendar = calendar
        self._limits = limits
        self._freshness = Freshness(FLOOR_NS)
        self._facts: dict[str, Facts] = {}
        self.facts = self._facts.get
        """What is known of a wanted instrument, None for any other."""
        self.age = self._freshness.age
        """Machine time since the last price of the instrument, as of the given one."""
        self.ticked = self._freshness.touch
        """A price of the instrument was taken, at these times (market and machine), from the stream or asked for."""
        self.dropped = self._freshness.dropped
        """A frame of the instrument came at this machine time and was not taken, or its price not believed."""
        self._subscribed: dict[str, int] = {}
        self._settled_ns = 0
        self._low_since = 0
        self.is_low = False
        self.stale_held: tuple[str, ...] = ()
        self.deaf: dict[str, int] = {}
        """Frames that were dropped since the last price, by instrument that is deaf."""
        self.coverage = Coverage(0, 0)

    def add(self, instrument: str, market_ns: int, machine_ns: int) -> None:
        """An instrument is wanted; its age counts from now."""
        self._facts[instrument] = facts_of(instrument)
        self._freshness.touch(instrument, market_ns, machine_ns)

    def remove(self, instrument: str) -> None:
        """An instrument is not subscribed any more."""
        self._facts.pop(instrument, None)
        self._subscribed.pop(instrument, None)
        self._freshness.forget(instrument)

    def connected(self, machine_ns: int) -> None:
        """A new connection serves: nothing is subscribed on it yet."""
        self._settled_ns = machine_ns + SETTLE_NS
        self._subscribed.clear()

    def subscribed(self, instrument: str, machine_ns: int) -> None:
        """The server acknowledged it."""
        self._subscribed.setdefault(instrument, machine_ns)

    def ticking(self, instruments: Iterable[str], has_ticked: Callable[[str], bool], now: tuple[int, int]) -> bool:
        """True if each of these has ticked, may be silent (an option, a closed exchange), or was given its time.

        `now` is market and machine time.
        """
        return all(
            has_ticked(name)
            or facts.is_option
            or now[1] - self._subscribed.get(name, now[1]) > FIRST_TICK_NS
            or not self._calendar.is_open(facts.exchange, now[0])
            for name in instruments
            if (facts := self._facts.get(name)) is not None
        )

    def silent(self, held: Iterable[str], age_ns: int, market_ns: int, machine_ns: int) -> list[str]:
        """Which of the held, in session, have had no price for `age_ns` of machine time."""
        return [
            name
            for name in held
            if (facts := self._facts.get(name)) is not None
            and self._calendar.is_open(facts.exchange, market_ns)
            and self._freshness.age(name, machine_ns) > age_ns
        ]

    def look(self, market_ns: int, machine_ns: int, held: frozenset[str], serves: Callable[[str], bool]) -> Coverage:
        """Judge anew: coverage of what is in session, and whether it has been low for a while.

        `serves(instrument)` is true while its source ticks and has acknowledged it; what is held needs data besides.
        """
        open_now = {
            name: self._calendar.is_open(name, market_ns) for name in {f.exchange for f in self._facts.values()}
        }
        total, stale, stale_held = 0, [], []
        self.deaf = {name: count for name in self._facts if (count := self._freshness.deaf(name, DEAF_NS))}
        for name, facts in self._facts.items():
            if not open_now[facts.exchange]:
                continue
            total += 1
            if name in held:
                limit_ns = self._limits.option_ns if facts.is_option else self._limits.liquid_ns
                if not self._freshness.fresh(name, limit_ns, market_ns, machine_ns):
                    stale.append(name)
                    stale_held.append(name)
            elif name in self.deaf or not serves(name):
                stale.append(name)
        self.coverage = Coverage(total - len(stale), total, tuple(stale))
        self.stale_held = tuple(stale_held)
        self._judge_low(machine_ns)
        return self.coverage

    def _judge_low(self, machine_ns: int) -> None:
        if self.coverage.share >= LOW_SHARE or machine_ns < self._settled_ns:
            self._low_since = 0
        elif not self._low_since:
            self._low_since = machine_ns
        self.is_low = bool(self._low_since) and machine_ns - self._low_since >= LOW_FOR_NS
