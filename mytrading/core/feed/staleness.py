"""Staleness: the age of each instrument's data, and the share of instruments with fresh data (coverage).

An instrument without quotes is healthy while its source ticks and the server acknowledged it: many trade once an hour.
One whose frames arrive with neither a book nor a believed price is deaf, and not healthy. A held instrument must have
a price of its own, from the stream or over REST; its age counts from its subscription.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from mytrading.core.calendar import Calendar
from mytrading.core.instruments.symbology import parse_symbol, split_id
from mytrading.core.time import SECOND
from mytrading.messages.instruments import InstrumentKind

FLOOR_NS = 2 * SECOND
LOW_SHARE = 0.9
LOW_FOR_NS = 5 * SECOND
SETTLE_NS = 10 * SECOND
FIRST_TICK_NS = 5 * SECOND
"""Time that a start waits for first ticks; risk enters nothing without a quote anyway."""
OPTION_PATIENCE = 12
DEAF_NS = 10 * SECOND
"""Machine time of dropped frames alone before an instrument counts as deaf."""


class StalenessLimits(NamedTuple):
    """After how long without a quote (market ns) an instrument is stale."""

    liquid_ns: int
    option_ns: int

    @classmethod
    def of(cls, seconds: float) -> StalenessLimits:
        """Build the limits from the configured seconds of liquid instruments; options have twelve times as long."""
        return cls(int(seconds * SECOND), int(seconds * OPTION_PATIENCE * SECOND))


class InstrumentTraits(NamedTuple):
    """Kind of an instrument, as far as the feed needs it."""

    exchange: str
    is_option: bool
    is_index: bool
    is_contract: bool


def instrument_traits(instrument: str) -> InstrumentTraits:
    """Derive exchange and kind of an instrument from its symbol."""
    exchange, symbol = split_id(instrument)
    kind = parse_symbol(symbol, exchange).kind
    return InstrumentTraits(exchange, kind.is_option, kind is InstrumentKind.INDEX, kind.is_derivative)


class Coverage(NamedTuple):
    """Number of instruments that should tick, and of those that have done so lately."""

    fresh: int
    total: int
    stale: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Return the fresh share of the instruments that should tick; 1 when none should."""
        return self.fresh / self.total if self.total else 1.0


class Freshness:
    """Last ticks of instruments, in both times.

    A quote is fresh while its market age is within the limit or its machine age within `floor_ns`: at a market speed
    of 600 a machine second without quotes is ten market minutes, and no reason to worry.
    """

    def __init__(self, floor_ns: int) -> None:
        self._floor = floor_ns
        self._seen: dict[str, tuple[int, int]] = {}
        self._dropped: dict[str, tuple[tuple[int, int] | None, int, int]] = {}

    def record_price(self, instrument: str, market_ns: int, machine_ns: int) -> None:
        """Record that an instrument has a price, or was added, at these times; its age counts from them."""
        self._seen[instrument] = (market_ns, machine_ns)

    def record_dropped_frame(self, instrument: str, machine_ns: int) -> None:
        """Count a dropped frame of an instrument since its last price. Budget: 1 µs."""
        seen, known = self._seen.get(instrument), self._dropped.get(instrument)
        count = known[1] + 1 if known is not None and known[0] is seen else 1
        self._dropped[instrument] = (seen, count, machine_ns)

    def drop_count(self, instrument: str, for_ns: int) -> int:
        """Return the frames dropped since the last price; 0 unless the last came `for_ns` (machine) or more later."""
        seen, known = self._seen.get(instrument), self._dropped.get(instrument)
        return 0 if seen is None or known is None or known[0] is not seen or known[2] - seen[1] < for_ns else known[1]

    def forget(self, instrument: str) -> None:
        """Forget an unsubscribed instrument."""
        self._seen.pop(instrument, None)
        self._dropped.pop(instrument, None)

    def age(self, instrument: str, machine_ns: int) -> int:
        """Return the machine ns since the instrument's last price; `machine_ns` itself if it has none."""
        seen = self._seen.get(instrument)
        return machine_ns - (seen[1] if seen is not None else 0)

    def is_fresh(self, instrument: str, limit_ns: int, market_ns: int, machine_ns: int) -> bool:
        """True if the last price is at most `limit_ns` old in market time, or `floor_ns` in machine time."""
        seen = self._seen.get(instrument)
        return seen is not None and (market_ns - seen[0] <= limit_ns or machine_ns - seen[1] <= self._floor)


class FeedHealth:
    """Ages and coverage of what is subscribed. Times: `market_ns` and `machine_ns` as named."""

    def __init__(self, calendar: Calendar, limits: StalenessLimits) -> None:
        self._calendar = calendar
        self._limits = limits
        self._freshness = Freshness(FLOOR_NS)
        self._traits: dict[str, InstrumentTraits] = {}
        self.traits = self._traits.get
        """Traits of a subscribed instrument, None for any other."""
        self.age = self._freshness.age
        """Machine time since an instrument's last price, at a given machine time."""
        self.ticked = self._freshness.record_price
        """Records a price, streamed or over REST, at these times (market and machine)."""
        self.dropped = self._freshness.record_dropped_frame
        """Records a dropped frame or a refused price at this machine time."""
        self._subscribed: dict[str, int] = {}
        self._settled_ns = 0
        self._low_since = 0
        self.is_low = False
        self.stale_held: tuple[str, ...] = ()
        self.deaf: dict[str, int] = {}
        """Dropped frames since the last price, by deaf instrument."""
        self.coverage = Coverage(0, 0)

    def add(self, instrument: str, market_ns: int, machine_ns: int) -> None:
        """Add a subscribed instrument, whose age counts from now."""
        self._traits[instrument] = instrument_traits(instrument)
        self._freshness.record_price(instrument, market_ns, machine_ns)

    def remove(self, instrument: str) -> None:
        """Remove an unsubscribed instrument."""
        self._traits.pop(instrument, None)
        self._subscribed.pop(instrument, None)
        self._freshness.forget(instrument)

    def on_connected(self, machine_ns: int) -> None:
        """Forget acknowledged subscriptions and wait 10 s to settle, as another connection became active."""
        self._settled_ns = machine_ns + SETTLE_NS
        self._subscribed.clear()

    def record_subscription(self, instrument: str, machine_ns: int) -> None:
        """Record when the server first acknowledged an instrument on this connection."""
        self._subscribed.setdefault(instrument, machine_ns)

    def is_ticking(self, instruments: Iterable[str], has_ticked: Callable[[str], bool], now: tuple[int, int]) -> bool:
        """True if each instrument has ticked, is an option, is closed or had 5 s to tick; `now`: (market, machine)."""
        return all(
            has_ticked(name)
            or traits.is_option
            or now[1] - self._subscribed.get(name, now[1]) > FIRST_TICK_NS
            or not self._calendar.is_open(traits.exchange, now[0])
            for name in instruments
            if (traits := self._traits.get(name)) is not None
        )

    def silent_instruments(self, held: Iterable[str], age_ns: int, market_ns: int, machine_ns: int) -> list[str]:
        """Return the instruments of `held` that are in session and had no price for `age_ns` of machine time."""
        return [
            name
            for name in held
            if (traits := self._traits.get(name)) is not None
            and self._calendar.is_open(traits.exchange, market_ns)
            and self._freshness.age(name, machine_ns) > age_ns
        ]

    def update_coverage(
        self, market_ns: int, machine_ns: int, held: frozenset[str], serves: Callable[[str], bool]
    ) -> Coverage:
        """Update and return the coverage of instruments in session; sets `is_low`, `stale_held` and `deaf`.

        A `held` instrument is fresh by the age of its price; any other if it is not deaf and `serves(instrument)`: its
        source ticks and has acknowledged the subscription.
        """
        open_now = {
            name: self._calendar.is_open(name, market_ns) for name in {f.exchange for f in self._traits.values()}
        }
        total, stale, stale_held = 0, [], []
        self.deaf = {name: count for name in self._traits if (count := self._freshness.drop_count(name, DEAF_NS))}
        for name, traits in self._traits.items():
            if not open_now[traits.exchange]:
                continue
            total += 1
            if name in held:
                limit_ns = self._limits.option_ns if traits.is_option else self._limits.liquid_ns
                if not self._freshness.is_fresh(name, limit_ns, market_ns, machine_ns):
                    stale.append(name)
                    stale_held.append(name)
            elif name in self.deaf or not serves(name):
                stale.append(name)
        self.coverage = Coverage(total - len(stale), total, tuple(stale))
        self.stale_held = tuple(stale_held)
        if self.coverage.share >= LOW_SHARE or machine_ns < self._settled_ns:
            self._low_since = 0
        elif not self._low_since:
            self._low_since = machine_ns
        self.is_low = bool(self._low_since) and machine_ns - self._low_since >= LOW_FOR_NS
        return self.coverage
