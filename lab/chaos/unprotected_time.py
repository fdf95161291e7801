"""Time that positions were unprotected at the broker: a walk through the simulator's record, order by order.

A stretch is bare while what one owner holds at the broker is more than its live stops and exits there could close. Only
what the broker recorded counts; what we believed at the time does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mytrading.core.exchange.model import BookOrder
from mytrading.messages.enums import Purpose
from mytrading.messages.keys import OwnerKey
from mytrading.messages.orders import Order
from mytrading.simulator.venue.event_log import ORDER, LoggedEvent


class Stretch(NamedTuple):
    """A time in which an owner's position was bare, machine ns; `opened` if a fill of an entry began it."""

    owner: OwnerKey
    begin_ns: int
    end_ns: int
    opened: bool


class _Book:
    """The orders of one owner, as the broker has them."""

    def __init__(self) -> None:
        self.net = 0
        self.closing: dict[str, tuple[int, int]] = {}
        """Sign and open units of live orders that reduce, by broker order id."""
        self.filled: dict[str, int] = {}

    def take(self, order: BookOrder, purpose: Purpose) -> bool:
        """Learn an order's new level; true if it filled further."""
        more = order.filled - self.filled.get(order.order_id, 0)
        self.filled[order.order_id] = order.filled
        sign = order.request.side.sign
        self.net += sign * more
        if purpose.reduces and order.is_live and order.pending_units:
            self.closing[order.order_id] = (sign, order.pending_units)
        else:
            self.closing.pop(order.order_id, None)
        return more > 0

    @property
    def bare(self) -> int:
        """Units that nothing at the broker would close."""
        sign = -1 if self.net > 0 else 1
        covered = sum(units for side, units in self.closing.values() if side == sign)
        return max(0, abs(self.net) - covered)


def stretches(
    events: Iterable[LoggedEvent], ours: Mapping[str, Order], guarded: frozenset[str], end_ns: int
) -> list[Stretch]:
    """All bare stretches of owners in `guarded` (strategies with a stop at the broker), by their begin.

    `ours` are our orders by the id that stands in the broker's tag. What is still bare ends at `end_ns`.
    """
    books: dict[OwnerKey, _Book] = {}
    since: dict[OwnerKey, tuple[int, bool]] = {}
    found: list[Stretch] = []
    for event in events:
        order = ours.get(event.body.request.strategy) if event.kind == ORDER else None
        if order is None or order.strategy not in guarded:
            continue
        owner = order.owner
        book = books.setdefault(owner, _Book())
        filled = book.take(event.body, order.purpose)
        if book.bare and owner not in since:
            since[owner] = (event.machine_ns, filled and order.purpose is Purpose.ENTRY)
        elif not book.bare and owner in since:
            begin, opened = since.pop(owner)
            found.append(Stretch(owner, begin, event.machine_ns, opened))
    found += [Stretch(owner, begin, end_ns, opened) for owner, (begin, opened) in since.items()]
    return sorted(found, key=lambda stretch: stretch.begin_ns)
