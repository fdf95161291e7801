"""What a run did: fills, round trips with their costs, denials, and a hash over all trades.

Fed with the rows of the machines. The one rule: nothing is worked out here that the order machine has not booked.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from mytrading.messages.commands import SignalDenied, SignalExpired
from mytrading.messages.control import Alert
from mytrading.messages.enums import Product
from mytrading.messages.orders import Position, PositionAdjusted, PositionChanged, TradeClosed
from mytrading.messages.signals import Signal, StrategyFaulted

ChargeOf = Callable[[str, Product, int, float, int], float]
"""Rupees that a fill costs: instrument, product, signed units, price, market ns."""


class Fill(NamedTuple):
    """One execution: signed units at a price in rupees, and what it cost."""

    at_ns: int
    instrument: str
    strategy: str
    units: int
    price: float
    cost: float


class Trade(NamedTuple):
    """A round trip, flat to flat. `side` is that of the entry, `gross` and `costs` are rupees.

    `leg` is the place in its wish, from 1, of what was one of several legs; 0 for what was wished alone.
    """

    entry_ns: int
    exit_ns: int
    instrument: str
    strategy: str
    side: str
    quantity: int
    entry_price: float
    exit_price: float
    gross: float
    costs: float
    leg: int = 0

    @property
    def net(self) -> float:
        """Rupees that are left."""
        return self.gross - self.costs


class Event(NamedTuple):
    """Something a person should read: a denial, an alert, a fault."""

    at_ns: int
    code: str
    subject: str
    text: str


MOST_EVENTS = 2000
"""Events kept with their words; all are counted."""


class Ledger:
    """Rows in, lists out."""

    def __init__(self, charge: ChargeOf) -> None:
        self._charge = charge
        self._open_costs: dict[tuple[str, str], float] = {}
        self._legs: dict[tuple[str, str], int] = {}
        self.fills: list[Fill] = []
        self.trades: list[Trade] = []
        self.events: list[Event] = []
        self.counts: Counter[str] = Counter()

    def hear(self, row: Any) -> None:
        """A row of risk, of the engine or of the order machine."""
        handler = _HANDLERS.get(type(row))
        if handler is not None:
            handler(self, row)

    def _wished(self, row: Signal) -> None:
        """Which leg a contract is; what is held stays the leg as which it was bought or sold."""
        several = len(row.legs) > 1
        for number, leg in enumerate(row.legs, 1):
            key = (row.strategy, leg.instrument)
            if key not in self._open_costs:
                self._legs[key] = number if several else 0

    def _filled(self, row: PositionChanged) -> None:
        if not row.fill_quantity:
            return
        held = row.position
        self.filled(row.at_ns, held.instrument, held.strategy, held.product, row.fill_quantity, row.fill_price)

    def filled(self, at_ns: int, name: str, strategy: str, product: Product, units: int, price: float) -> None:
        """Signed units were filled at a price."""
        cost = self._charge(name, product, units, price, at_ns)
        key = (strategy, name)
        self._open_costs[key] = self._open_costs.get(key, 0.0) + cost
        self.fills.append(Fill(at_ns, name, strategy, units, price, cost))

    def _closed(self, row: TradeClosed) -> None:
        trade = Trade(
            row.opened_ns,
            row.closed_ns,
            row.instrument,
            row.strategy,
            row.side.value,
            row.quantity,
            row.entry_price,
            row.exit_price,
            row.realised,
            0.0,
        )
        self.closed(trade)

    def closed(self, trade: Trade) -> None:
        """A round trip ended; what it cost is what its fills did."""
        key = (trade.strategy, trade.instrument)
        costs = self._open_costs.pop(key, 0.0)
        self.trades.append(trade._replace(costs=costs, leg=self._legs.get(key, 0)))

    def settled(self, row: PositionAdjusted, held: Position, price: float, cost: float = 0.0) -> None:
        """What was held ended without an order: its contract expired at this price, which cost so much."""
        name, units = held.instrument, held.quantity
        self.fills.append(Fill(row.at_ns, name, held.strategy, -units, price, cost))
        self.trades.append(
            Trade(
                held.opened_ns,
                row.at_ns,
                name,
                held.strategy,
                "BUY" if units > 0 else "SELL",
                abs(units),
                held.average_price,
                price,
                units * (price - held.average_price),
                self._open_costs.pop((held.strategy, name), 0.0) + cost,
                self._legs.get((held.strategy, name), 0),
            )
        )

    def _denied(self, row: SignalDenied | SignalExpired) -> None:
        code = row.code if isinstance(row, SignalDenied) else "EXPIRED"
        text = row.message if isinstance(row, SignalDenied) else "the wish was too late"
        self.note(row.at_ns, code, row.strategy, text)

    def _alert(self, row: Alert) -> None:
        self.note(row.first_ns, row.code, row.subject, row.message)

    def _fault(self, row: StrategyFaulted) -> None:
        self.note(row.at_ns, "FAULT", row.strategy, f"{row.error} ({row.where})")

    def note(self, at_ns: int, code: str, subject: str, text: str) -> None:
        """Count an event, and keep its words as long as there are not too many."""
        self.counts[code] += 1
        if len(self.events) < MOST_EVENTS:
            self.events.append(Event(at_ns, code, subject, text))

    @property
    def costs(self) -> float:
        """Rupees of all fills."""
        return sum(fill.cost for fill in self.fills)

    def hash(self) -> str:
        """16 hex digits over all fills: times, instruments, units and prices; equal runs have equal ones."""
        digest = hashlib.blake2b(digest_size=8)
        for fill in self.fills:
            digest.update(f"{fill.at_ns}|{fill.instrument}|{fill.strategy}|{fill.units}|{fill.price:.6f}\n".encode())
        return digest.hexdigest()


_HANDLERS: dict[type, Callable[[Ledger, Any], None]] = {
    PositionChanged: Ledger._filled,
    TradeClosed: Ledger._closed,
    SignalDenied: Ledger._denied,
    SignalExpired: Ledger._denied,
    Alert: Ledger._alert,
    StrategyFaulted: Ledger._fault,
    Signal: Ledger._wished,
}
