"""Is the line alive: the connection, what ticks and what should, and when to give the connection up.

Part of the feed. Silence counts only while an exchange is open, and only after longer than the freezes that servers
were seen to have. The one rule: coverage is judged on what trades often; options get more time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mytrading.core.calendar import Calendar
from mytrading.core.quotes import Coverage, Freshness
from mytrading.core.symbology import parse_symbol, split_id
from mytrading.messages.instruments import InstrumentKind

SECOND = 1_000_000_000
FLOOR_NS = 2 * SECOND
LOW_SHARE = 0.9
LOW_FOR_NS = 5 * SECOND
SETTLE_NS = 10 * SECOND
SILENT_NS = 30 * SECOND
OPTION_PATIENCE = 12


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


class FeedHealth:
    """The state of the line. Times: `market_ns` and `machine_ns` as named."""

    def __init__(self, calendar: Calendar, limits: StaleLimits) -> None:
        self._calendar = calendar
        self._limits = limits
        self._freshness = Freshness(FLOOR_NS)
        self._facts: dict[str, Facts] = {}
        self._ticked: set[str] = set()
        self._connected_ns = 0
        self._last_tick_ns = 0
        self._low_since = 0
        self.is_connected = False
        self.is_low = False
        self.coverage = Coverage(0, 0)

    def add(self, instrument: str) -> None:
        """An instrument is subscribed."""
        exchange, symbol = split_id(instrument)
        kind = parse_symbol(symbol, exchange).kind
        self._facts[instrument] = Facts(exchange, kind.is_option, kind is InstrumentKind.INDEX)

    def remove(self, instrument: str) -> None:
        """An instrument is not subscribed any more."""
        self._facts.pop(instrument, None)
        self._ticked.discard(instrument)
        self._freshness.forget(instrument)

    def facts(self, instrument: str) -> Facts | None:
        """What is known of a subscribed instrument, None for any other."""
        return self._facts.get(instrument)

    def connected(self, machine_ns: int) -> None:
        """A new connection: nothing has ticked on it."""
        self.is_connected = True
        self._connected_ns = self._last_tick_ns = machine_ns
        self._ticked.clear()

    def lost(self) -> None:
        """The connection is gone."""
        self.is_connected = False

    def ticked(self, instrument: str, market_ns: int, machine_ns: int) -> None:
        """A quote of the instrument came. Budget: 1 µs."""
        self._freshness.touch(instrument, market_ns, machine_ns)
        self._ticked.add(instrument)
        self._last_tick_ns = machine_ns

    def ticking(self, instruments: Iterable[str], market_ns: int) -> bool:
        """True if all of these whose exchange is open have ticked on this connection; options may be silent."""
        return all(
            name in self._ticked or facts.is_option or not self._calendar.is_open(facts.exchange, market_ns)
            for name in instruments
            if (facts := self._facts.get(name)) is not None
        )

    def look(self, market_ns: int, machine_ns: int) -> Coverage:
        """Judge anew: coverage of what is in session, and whether it has been low for a while."""
        open_now = {
            name: self._calendar.is_open(name, market_ns) for name in {f.exchange for f in self._facts.values()}
        }
        expected = (
            (name, self._limits.option_ns if facts.is_option else self._limits.liquid_ns)
            for name, facts in self._facts.items()
            if open_now[facts.exchange]
        )
        self.coverage = self._freshness.coverage(expected, market_ns, machine_ns)
        settled = machine_ns - self._connected_ns > SETTLE_NS or not self.is_connected
        if self.coverage.share >= LOW_SHARE or not settled:
            self._low_since = 0
        elif not self._low_since:
            self._low_since = machine_ns
        self.is_low = bool(self._low_since) and machine_ns - self._low_since >= LOW_FOR_NS
        if not self.coverage.total:
            self._last_tick_ns = machine_ns
        return self.coverage

    def is_silent(self, machine_ns: int) -> bool:
        """True if a connection gives nothing at all though it should: a new one may help. Says so once a silence."""
        if not self.is_connected or machine_ns - self._last_tick_ns < SILENT_NS:
            return False
        self._last_tick_ns = machine_ns
        return True
