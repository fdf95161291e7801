"""Entries that the broker got although a limit had been reached, by the simulator's own record.

Entries on their way when a limit was reached may still arrive, for a moment; the value of an order is the
simulator's figure, not ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lab.chaos.records import Broken, Held, Ours
from mytrading.core.exchange.model import BookOrder
from mytrading.core.time import SECOND, ist_date
from mytrading.messages.control import TradingState
from mytrading.messages.enums import Purpose, TradingLevel
from mytrading.messages.orders import Order
from mytrading.simulator.venue.event_log import ORDER, LoggedEvent

_ON_ITS_WAY_S = 3.0
"""Machine time in which an entry that left before a limit was reached still arrives."""
_BEFORE_S = 10.0
"""Seconds after which the effects of a fault are over, recovery included."""
_ITS_WAY = frozenset({"", "gateway", "risk", "router", "simulator", "supervisord"})
"""Processes whose trouble keeps an order, or a limit, from its destination."""
_MOVED = 1.02
"""A price may have moved so much between the quote that risk went by and the fill."""


class Most(NamedTuple):
    """The limits: positions at a time, rupees of one entry and of one position (0: not judged)."""

    positions: int
    order_value: float = 0.0
    position_value: float = 0.0


class _Books:
    """Sums over the simulator's record up to a moment: net units and worth of the entries."""

    def __init__(self) -> None:
        self._filled: dict[Held, dict[str, int]] = {}
        self._entries: dict[str, dict[str, float]] = {}

    def net(self, held: Held) -> int:
        return sum(self._filled.get(held, {}).values())

    def taken(self) -> int:
        return sum(1 for held in self._filled if self.net(held))

    def worth(self, entry: str) -> float:
        """Rupees of an entry with all its slices."""
        return sum(self._entries.get(entry, {}).values())

    def take(self, placed: BookOrder, entry: str) -> None:
        held = (placed.request.instrument, placed.request.product)
        self._filled.setdefault(held, {})[placed.order_id] = placed.filled * placed.request.side.sign
        if entry:
            price = placed.average_price or placed.reference_price
            units = placed.request.quantity if placed.is_live else placed.filled
            self._entries.setdefault(entry, {})[placed.order_id] = units * price


def limit_breaches(events: Iterable[LoggedEvent], ours: Ours, most: Most, broken: Sequence[Broken] = ()) -> list[str]:
    """A line for each entry that the broker got after trading was halted, the day's loss or a size was reached."""
    found: dict[str, str] = {}
    seen: set[str] = set()
    books = _Books()
    for event in events:
        if event.kind != ORDER:
            continue
        placed, order = event.body, ours.orders.get(event.body.request.strategy)
        entry = order if order is not None and order.purpose is Purpose.ENTRY else None
        held = (placed.request.instrument, placed.request.product)
        if entry is not None and placed.order_id not in seen:
            for line in _when_placed(entry, event.machine_ns, ours, broken):
                found.setdefault(f"{entry.client_order_id} {line[:12]}", line)
            if books.taken() >= most.positions and not books.net(held):
                name = f"{entry.client_order_id} positions"
                found[name] = f"entry {entry.client_order_id} opened one more than {most.positions} positions"
        seen.add(placed.order_id)
        name = (entry.links.parent or entry.client_order_id) if entry is not None else ""
        if order is not None:
            books.take(placed, name)
        if entry is not None:
            found |= _too_much(name, placed, books, most)
    return list(found.values())


def _when_placed(entry: Order, at_ns: int, ours: Ours, broken: Sequence[Broken]) -> list[str]:
    lines = []
    reached = [(since, False, f"trading was at level {state.level}") for since, state in _levels_at(ours, at_ns)]
    reached += [
        (loss.machine_ns, True, f"the day's loss limit of {loss.strategy or 'the account'} was reached")
        for loss in ours.losses
        if loss.machine_ns <= at_ns
        and loss.strategy in ("", entry.strategy)
        and ist_date(entry.created_ns) == ist_date(loss.market_ns)
    ]
    for since, by_risk, what in reached:
        late = by_risk and ours.commanded.get(entry.links.parent or entry.client_order_id, since) > since
        if late or not _was_on_its_way(entry, since, at_ns, ours, broken):
            lines.append(f"{what} at {since}, entry {entry.client_order_id} came at {at_ns}")
    return lines[:1]


def _was_on_its_way(entry: Order, since: int, at_ns: int, ours: Ours, broken: Sequence[Broken]) -> bool:
    """True if an entry had left risk when a limit was reached, and no fault kept it from arriving.

    A level has to come to risk, and a withdrawal to the router, before either can follow it; what risk itself found
    holds for the next thing that it decides.
    """
    trouble = [
        thing.end_ns for thing in broken
        if thing.target in _ITS_WAY and thing.begin_ns <= at_ns and thing.end_ns >= since - round(_BEFORE_S * SECOND)
    ]  # fmt: skip
    until = max([since, *trouble]) + round(_ON_ITS_WAY_S * SECOND)
    commanded = ours.commanded.get(entry.links.parent or entry.client_order_id, since)
    return at_ns <= until and commanded <= until


def _too_much(entry: str, placed: BookOrder, books: _Books, most: Most) -> dict[str, str]:
    found = {}
    if most.order_value and (worth := books.worth(entry)) > most.order_value * _MOVED:
        found[f"{entry} worth"] = f"entry {entry} is worth {worth:.2f}, {most.order_value:g} is the most"
    net = books.net((placed.request.instrument, placed.request.product))
    held = abs(net) * (placed.average_price or placed.reference_price)
    if most.position_value and held > most.position_value * _MOVED and net * placed.request.side.sign > 0:
        what = f"entry {entry} made {placed.request.instrument} worth {held:.2f}"
        found[f"{entry} held"] = f"{what}, {most.position_value:g} is the most"
    return found


def _levels_at(ours: Ours, at_ns: int) -> list[tuple[int, TradingState]]:
    """The level that held at a time, if it allowed no entries; empty otherwise."""
    until = [(since, state) for since, state in ours.levels if since <= at_ns]
    latest = {state.account: (since, state) for since, state in until}
    return [each for each in latest.values() if each[1].level is not TradingLevel.NORMAL]
