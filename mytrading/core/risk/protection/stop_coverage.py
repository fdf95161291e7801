"""Is every position that needs a stop at the broker covered there? Judged on the broker's own books alone.

A book counts for an instrument only if its reading began after the last event of its orders, and two must agree.
Every reading without the stop, whatever the router has on its way, is counted as doubt until one shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from mytrading.core.time import SECOND
from mytrading.messages.enums import OrderState, Product, Side
from mytrading.messages.keys import NetKey, OwnerKey
from mytrading.messages.orders import Order, Position
from mytrading.messages.reports import BrokerHeld

READ_EVERY = 10 * SECOND
"""Interval of requests for the books while something is held and all is well; machine ns, as below."""
READ_SOON = SECOND
"""Interval while a position seems to lack its stop."""

STOP_UNCOVERED, STOP_UNCERTAIN = "POSITION_BARE", "PROTECTION_IN_DOUBT"
"""The alerts: no stop at the broker and none on its way; none at the broker for long, whatever is on its way."""

IsOpen = Callable[[str, int], bool]

_MOVING = frozenset((OrderState.INITIALIZED, OrderState.SUBMITTED, OrderState.UNKNOWN, OrderState.PARKED))
_RESTS = frozenset((OrderState.ACCEPTED, OrderState.TRIGGERED, OrderState.PARTIALLY_FILLED))


class UncoveredPosition(NamedTuple):
    """A position whose stops are not what it holds: units owned and covered, and since when two readings show it."""

    key: OwnerKey
    owned: int
    covered: int
    since_ns: int
    alerted_already: bool

    @property
    def subject(self) -> str:
        """The alert subject: strategy, instrument and account."""
        account, instrument, _, strategy = self.key
        return f"{strategy} {instrument} {account}"


class _Sighting(msgspec.Struct):
    """Readings of the books in a row: since the end of the second reading (0 before), of a doubt of the first (`again`:
    there was a second)."""

    owned: int
    covered: int
    since_ns: int = 0
    alerted_already: bool = False
    again: bool = False
    began_ns: int = 0
    """Start of the newest read that left a doubt."""

    def of(self, key: OwnerKey) -> UncoveredPosition:
        return UncoveredPosition(key, self.owned, self.covered, self.since_ns, self.alerted_already)


class StopCoverage:
    """Learns order events and books; `bare` are positions that two readings found bare."""

    def __init__(self, is_open: IsOpen) -> None:
        self._is_open = is_open
        self._events: dict[tuple[str, str], int] = {}
        self._rested: dict[OwnerKey, int] = {}
        """Times at which a stop or exit of an owner was last reported to rest at the broker."""
        self._sightings: dict[OwnerKey, _Sighting] = {}
        self._doubts: dict[OwnerKey, _Sighting] = {}
        self.doubtful: frozenset[str] = frozenset()
        """Instruments of the positions in `missed`."""
        self._requested: dict[str, int] = {}
        self._delivered: dict[NetKey, int] = {}
        """Units held as CNC when the day began: they may have left the position book."""

    def open_day(self, positions: Iterable[Position]) -> None:
        """Start a new day: record the carried delivery (CNC) units, which may have left the broker's position book."""
        self._delivered.clear()
        for position in positions:
            if position.product is Product.CNC and position.quantity > 0:
                place = position.net
                self._delivered[place] = self._delivered.get(place, 0) + position.quantity

    def on_order_event(self, order: Order, machine_ns: int) -> None:
        """Discard coverage readings of the order's instrument; record when a stop or exit was seen at the broker."""
        self._events[order.account, order.instrument] = machine_ns
        if self._sightings:
            for key in [key for key in self._sightings if key[:2] == (order.account, order.instrument)]:
                del self._sightings[key]
        if order.state in _RESTS and order.purpose.reduces:
            self._rested[order.owner] = machine_ns
            self._look_again()

    def forget_position(self, key: OwnerKey) -> None:
        """Forget the coverage readings of a position that is flat."""
        self._rested.pop(key, None)
        if self._doubts.pop(key, None) is not None:
            self._look_again()

    def _look_again(self) -> None:
        self.doubtful = frozenset(key[1] for key in self.owners_missing_stop())

    def record_request(self, account: str, machine_ns: int) -> None:
        """Record that the books of an account were requested at this machine time."""
        self._requested[account] = machine_ns

    def record_alert(self, code: str, subject: str) -> None:
        """Record that an operator was alerted of this subject, with STOP_UNCERTAIN or another code."""
        for bare, kept in ((self.uncovered_positions(), self._sightings), (self.doubted_positions(), self._doubts)):
            for found in bare:
                if found.subject == subject and (code == STOP_UNCERTAIN) == (kept is self._doubts):
                    kept[found.key].alerted_already = True

    def apply_broker_books(
        self, held: BrokerHeld, positions: Mapping[OwnerKey, Position], orders: Iterable[Order]
    ) -> None:
        """Record which of an account's positions have no stop, or one of wrong size, by one reading of its books."""
        mine = [order for order in orders if order.account == held.account and order.purpose.reduces]
        for kept in (self._sightings, self._doubts):
            for key in [key for key in kept if key[0] == held.account and key not in positions]:
                del kept[key]
        ours: dict[NetKey, int] = {}
        for position in positions.values():
            ours[position.net] = ours.get(position.net, 0) + position.quantity_seen
        for key, position in positions.items():
            if position.account == held.account:
                here = [o for o in mine if (o.strategy, o.instrument) == (position.strategy, position.instrument)]
                net = sum(
                    row.quantity
                    for row in held.positions
                    if row.instrument == position.instrument and row.product is position.product
                )  # what may have left the position book for the holdings is there too, at most what is ours
                net += min(self._delivered.get(position.net, 0), max(ours[position.net] - net, 0))
                self._judge(key, position, held, here, net)
        self._look_again()

    def _judge(self, key: OwnerKey, position: Position, held: BrokerHeld, here: list[Order], net: int) -> None:
        owned = position.quantity_seen or position.quantity
        there = net * (1 if owned > 0 else -1)
        ids = {order.broker_order_id for order in here} - {""}
        covered = _covered(position, owned, held, ids)
        least, most = min(abs(position.quantity_seen), there), max(abs(owned), abs(position.quantity))
        readable = _tells(position, held, ids)
        if readable:
            self._doubt(key, owned, covered, held, missing=there > 0 and covered < least)
        event = self._events.get((position.account, position.instrument), -1)
        readable = readable and held.began_machine_ns > event
        readable = readable and self._is_open(position.instrument.partition(":")[0], held.at_ns)
        if there <= 0 or not readable or any(order.state in _MOVING for order in here):
            self._sightings.pop(key, None)
            return
        known = self._sightings.get(key)
        if least <= covered <= most:
            self._sightings.pop(key, None)
        elif known is None or (known.owned, known.covered) != (owned, covered):
            self._sightings[key] = _Sighting(owned, covered)
        elif not known.since_ns:
            known.since_ns = held.ended_machine_ns

    def _doubt(self, key: OwnerKey, owned: int, covered: int, held: BrokerHeld, *, missing: bool) -> None:
        """Count from the first of readings in a row that miss the stop, whatever happens between them."""
        known = self._doubts.get(key)
        if not missing or not self._is_open(key[1].partition(":")[0], held.at_ns):
            self._doubts.pop(key, None)
        elif known is None:
            self._doubts[key] = _Sighting(owned, covered, held.ended_machine_ns, began_ns=held.began_machine_ns)
        else:
            known.owned, known.covered, known.again = owned, covered, True
            known.began_ns = max(known.began_ns, held.began_machine_ns)

    def uncovered_positions(self) -> list[UncoveredPosition]:
        """Return positions proven uncovered: two equal readings in a row showed no stop or one of wrong size."""
        return [seen.of(key) for key, seen in self._sightings.items() if seen.since_ns]

    def doubted_owners(self) -> list[OwnerKey]:
        """Return owners whose stop was missing or too small in two readings in a row, order events between or not."""
        return [key for key, seen in self._doubts.items() if seen.again]

    def owners_missing_stop(self) -> list[OwnerKey]:
        """Return the owners whose stop is in doubt (`doubted_owners`) and not shown resting by a later order book."""
        return [key for key in self.doubted_owners() if self._doubts[key].began_ns > self._rested.get(key, -1)]

    def doubted_positions(self) -> list[UncoveredPosition]:
        """Return the positions of `doubted_owners` that are not proven uncovered, with the time of the first doubt."""
        bare = {key for key, seen in self._sightings.items() if seen.since_ns}
        return [self._doubts[key].of(key) for key in self.doubted_owners() if key not in bare]

    def is_read_due(
        self, account: str, positions: Iterable[Position], orders: Iterable[Order], machine_ns: int
    ) -> bool:
        """True if an account's books are to be read again: sooner while a stop of these positions seems missing."""
        live = list(orders)
        seeming = any(key[0] == account for kept in (self._sightings, self._doubts) for key in kept)
        doubtful = seeming or any(resting_units(position, live) < abs(position.quantity_seen) for position in positions)
        last = self._requested.get(account)
        return last is None or machine_ns - last >= (READ_SOON if doubtful else READ_EVERY)


def _tells(position: Position, held: BrokerHeld, ours: set[str]) -> bool:
    """False where a book lacks what it may have: a row that nobody could read, or every row of an order book that had
    some. `ours`: the broker's ids of the owner's stops and exits."""
    if position.instrument in held.unread or (held.no_orders and ours):
        return False
    return not any(
        row.broker_order_id in ours or (not row.broker_order_id and row.instrument in ("", position.instrument))
        for row in held.unread_rows
    )


def _covered(position: Position, owned: int, held: BrokerHeld, ours: set[str]) -> int:
    """Units that live orders of the owner would close, by the broker's order book."""
    closes = Side.SELL if owned > 0 else Side.BUY
    return sum(
        row.quantity
        for row in held.orders
        if row.broker_order_id in ours and row.side is closes and row.instrument == position.instrument
    )


def resting_units(position: Position, orders: Iterable[Order]) -> int:
    """Units of a position that stop and exit orders known to be at the broker, triggered or not, may still close."""
    return sum(
        order.quantity - order.filled_seen
        for order in orders
        if order.purpose.reduces and order.state in _RESTS and order.owner == position.owner
    )
