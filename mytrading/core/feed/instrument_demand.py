"""Instruments that must be quoted, and by whom: configuration, other daemons, orders, positions and screens."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from mytrading.core.orders.state_machine import PROVEN
from mytrading.core.time import MINUTE, SECOND
from mytrading.messages.keys import OwnerKey
from mytrading.messages.orders import OrderChanged, OrderMessage, PositionAdjusted, PositionChanged

DROP_AFTER_NS = MINUTE
"""Machine time for which an instrument stays subscribed after its last request: it is often wanted again."""
REQUESTED_NS = 5 * SECOND
"""A request is repeated each second: one that is older has ended."""
LEASE_NS = 10 * SECOND
MOST_LEASED = 1000
"""Instruments of one screen; a chain of 41 strikes has 83."""


def digest(instruments: Iterable[str]) -> int:
    """Return a checksum of a set of instruments, equal in every process and independent of order."""
    return zlib.crc32(" ".join(sorted(set(instruments))).encode())


class InstrumentDemand:
    """Wanted instruments with the machine time of their last request. Unusable ids are in `refused`."""

    def __init__(self, exchanges: Iterable[str], drop_after_ns: int = DROP_AFTER_NS) -> None:
        self._drop_after_ns = drop_after_ns
        self._exchanges = frozenset(exchanges)
        self._watched: frozenset[str] = frozenset()
        self._requested: dict[str, int] = {}
        self._requests: dict[str, tuple[frozenset[str], int]] = {}
        """By daemon its last request, and when."""
        self._orders: dict[str, str] = {}
        self._positions: dict[OwnerKey, str] = {}
        self._held: dict[str, frozenset[str]] = {}
        self.refused: set[str] = set()

    def watch(self, instruments: Iterable[str]) -> tuple[str, ...]:
        """Replace the configured instruments; returns those that are EXCHANGE:SYMBOL of a known exchange."""
        usable = tuple(name for name in instruments if self._is_usable(name))
        self._watched = frozenset(usable)
        return usable

    def request(self, instruments: Iterable[str], machine_ns: int, daemon: str = "") -> list[str]:
        """Record that a daemon requested quotes at this time; returns the instruments of a known exchange."""
        usable = [name for name in instruments if self._is_usable(name)]
        if daemon:
            self._requests[daemon] = frozenset(usable), machine_ns
        self._requested.update(dict.fromkeys(usable, machine_ns))
        return usable

    def set_held(self, daemon: str, instruments: Iterable[str]) -> None:
        """Replace the set of instruments in which a daemon reports positions."""
        self._held[daemon] = frozenset(name for name in instruments if self._is_usable(name))

    def apply_order_message(self, message: OrderMessage, machine_ns: int) -> list[str]:
        """Track live orders and open positions by message; returns the instrument if it needs quotes, else []."""
        if isinstance(message, OrderChanged):
            order = message.order
            if order.state in PROVEN:
                self._orders.pop(order.client_order_id, None)
                return []
            self._orders[order.client_order_id] = order.instrument
            return self.request((order.instrument,), machine_ns)
        if isinstance(message, PositionChanged | PositionAdjusted):
            for held in message.levels:
                if held.quantity == 0 and held.quantity_seen == 0:
                    self._positions.pop(held.owner, None)
                else:
                    self._positions[held.owner] = held.instrument
            name = message.position.instrument
            return self.request((name,), machine_ns) if message.position.owner in self._positions else []
        return []

    def held(self) -> frozenset[str]:
        """Return the instruments with an open position."""
        return frozenset(self._positions.values()).union(*self._held.values())

    def wanted_by(self, machine_ns: int) -> dict[str, tuple[str, ...]]:
        """Return by instrument who wants it: "watched" by the configuration, daemons, "position", "order"."""
        reasons: dict[str, list[str]] = {name: ["watched"] for name in self._watched}
        for daemon, (names, at) in sorted(self._requests.items()):
            for name in names if machine_ns - at <= REQUESTED_NS else ():
                reasons.setdefault(name, []).append(daemon)
        for word, names in (("position", self.held()), ("order", frozenset(self._orders.values()))):
            for name in names:
                reasons.setdefault(name, []).append(word)
        return {name: tuple(words) for name, words in reasons.items()}

    def unwanted(self, subscribed: Iterable[str], machine_ns: int) -> list[str]:
        """Return subscribed instruments not configured, without position or live order, and not requested lately."""
        stays = self._watched | self.held() | {*self._orders.values()}
        return [
            name
            for name in subscribed
            if name not in stays and machine_ns - self._requested.get(name, 0) > self._drop_after_ns
        ]

    def _is_usable(self, instrument: str) -> bool:
        exchange, colon, symbol = instrument.partition(":")
        if exchange in self._exchanges and colon and symbol:
            return True
        self.refused.add(instrument)
        return False


class QuoteLeases:
    """Instruments that screens show. A lease ends by itself, so that a screen that vanished costs nothing after it."""

    def __init__(self) -> None:
        self._leases: dict[str, tuple[tuple[str, ...], int]] = {}

    def renew(self, who: str, instruments: Iterable[str], machine_ns: int) -> None:
        """Lease instruments to the screen `who` for ten seconds, in place of its former lease; none ends it."""
        wanted = tuple(dict.fromkeys(instruments))
        if wanted:
            self._leases[who] = wanted, machine_ns + LEASE_NS
        else:
            self._leases.pop(who, None)

    def screens(self, machine_ns: int) -> dict[str, list[str]]:
        """Return by leased instrument the screens that show it."""
        found: dict[str, list[str]] = {}
        for who, (names, until) in self._leases.items():
            for name in names if until > machine_ns else ():
                found.setdefault(name, []).append(who)
        return found

    def wanted(self, machine_ns: int) -> tuple[str, ...]:
        """Return all leased instruments, sorted; drops leases that have expired."""
        self._leases = {who: lease for who, lease in self._leases.items() if lease[1] > machine_ns}
        return tuple(sorted({name for names, _ in self._leases.values() for name in names}))
