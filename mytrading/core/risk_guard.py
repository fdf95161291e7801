"""Is every position that needs a stop at the broker covered there? Judged on the broker's own books alone.

Used by risk, beside the router, which places the stops: what the router believes is not asked. The one rule: a book
says something of an instrument only if its reading began after the last event of its orders, and only two that say the
same are believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from mytrading.messages.enums import OrderState, Side
from mytrading.messages.orders import Order, Position
from mytrading.messages.reports import BrokerHeld

SECOND = 1_000_000_000
READ_EVERY = 10 * SECOND
"""How often the books are asked for while something is held and all is well; machine ns, as below."""
READ_SOON = SECOND
"""How often while a position seems to lack its stop."""

Key = tuple[str, str, str, str]
IsOpen = Callable[[str, int], bool]

_MOVING = frozenset((OrderState.INITIALIZED, OrderState.SUBMITTED, OrderState.UNKNOWN, OrderState.PARKED))
_RESTS = frozenset((OrderState.ACCEPTED, OrderState.TRIGGERED, OrderState.PARTIALLY_FILLED))


class Bare(NamedTuple):
    """A position whose stops are not what it holds: units owned and covered, and since when two readings say so."""

    key: Key
    owned: int
    covered: int
    since_ns: int
    alarmed: bool

    @property
    def subject(self) -> str:
        """Whom the alarm is about: owner, instrument and account."""
        account, instrument, _, strategy = self.key
        return f"{strategy} {instrument} {account}"


class _Sighting(msgspec.Struct):
    """How often in a row the books showed this; `since_ns` is the end of the second reading, 0 before it."""

    owned: int
    covered: int
    since_ns: int = 0
    alarmed: bool = False


class Guard:
    """Learns order events and books; `bare` says which positions two readings found bare, for how long."""

    def __init__(self, is_open: IsOpen) -> None:
        self._is_open = is_open
        self._events: dict[tuple[str, str], int] = {}
        self._sightings: dict[Key, _Sighting] = {}
        self._asked: dict[str, int] = {}

    def moved(self, order: Order, machine_ns: int) -> None:
        """An order event: what the books said of its instrument so far says nothing any more."""
        self._events[order.account, order.instrument] = machine_ns
        for key in [key for key in self._sightings if key[:2] == (order.account, order.instrument)]:
            del self._sightings[key]

    def asked(self, account: str, machine_ns: int) -> None:
        """The books of an account were asked for."""
        self._asked[account] = machine_ns

    def alarmed(self, subject: str) -> None:
        """A person was told."""
        for bare in self.bare():
            if bare.subject == subject:
                self._sightings[bare.key].alarmed = True

    def read(self, held: BrokerHeld, positions: Mapping[Key, Position], orders: Iterable[Order]) -> None:
        """Judge the positions of an account, those whose stop is to rest at the broker, by a reading of its books."""
        mine = [order for order in orders if order.account == held.account and order.purpose.reduces]
        for key in [key for key in self._sightings if key[0] == held.account and key not in positions]:
            del self._sightings[key]
        for key, position in positions.items():
            if position.account == held.account:
                self._judge(key, position, held, [order for order in mine if order.strategy == position.strategy])

    def _judge(self, key: Key, position: Position, held: BrokerHeld, orders: list[Order]) -> None:
        here = [order for order in orders if order.instrument == position.instrument]
        owned = position.quantity_seen or position.quantity
        there = _net(position, held) * (1 if owned > 0 else -1)
        if there <= 0 or not self._tells(position, held) or any(order.state in _MOVING for order in here):
            self._sightings.pop(key, None)
            return
        covered = _covered(position, owned, held, {order.broker_order_id for order in here})
        least, most = min(abs(position.quantity_seen), there), max(abs(owned), abs(position.quantity))
        known = self._sightings.get(key)
        if least <= covered <= most:
            self._sightings.pop(key, None)
        elif known is None or (known.owned, known.covered) != (owned, covered):
            self._sightings[key] = _Sighting(owned, covered)
        elif not known.since_ns:
            known.since_ns = held.ended_machine_ns

    def _tells(self, position: Position, held: BrokerHeld) -> bool:
        exchange = position.instrument.partition(":")[0]
        event = self._events.get((position.account, position.instrument), -1)
        readable = position.instrument not in held.unread
        return readable and held.began_machine_ns > event and self._is_open(exchange, held.at_ns)

    def bare(self) -> list[Bare]:
        """The positions that two readings found bare."""
        return [
            Bare(key, seen.owned, seen.covered, seen.since_ns, seen.alarmed)
            for key, seen in self._sightings.items()
            if seen.since_ns
        ]

    def wants_read(self, account: str, positions: Iterable[Position], orders: Iterable[Order], machine_ns: int) -> bool:
        """True if the books of an account are due: sooner while one of these positions seems to lack its stop."""
        live = list(orders)
        doubtful = any(key[0] == account for key in self._sightings) or any(
            _resting(position, live) < abs(position.quantity_seen) for position in positions
        )
        last = self._asked.get(account)
        return last is None or machine_ns - last >= (READ_SOON if doubtful else READ_EVERY)


def _net(position: Position, held: BrokerHeld) -> int:
    rows = (row for row in held.positions if row.instrument == position.instrument and row.product is position.product)
    return sum(row.quantity for row in rows)


def _covered(position: Position, owned: int, held: BrokerHeld, ours: set[str]) -> int:
    """Units that live orders of the owner would close, by the broker's order book."""
    closes = Side.SELL if owned > 0 else Side.BUY
    return sum(
        row.quantity
        for row in held.orders
        if row.broker_order_id in ours and row.side is closes and row.instrument == position.instrument
    )


def _resting(position: Position, orders: list[Order]) -> int:
    return sum(
        order.quantity - order.filled_seen
        for order in orders
        if order.purpose.reduces
        and order.state in _RESTS
        and (order.account, order.instrument, order.product, order.strategy)
        == (position.account, position.instrument, position.product, position.strategy)
    )
