"""Facts of a day: the acts of each side, the quotes, the acts of operators, and absences of daemons.

Stack and backtest are folded from the same messages. A fact is what a record says; `explain` says what follows from it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from mytrading.messages.commands import SignalDenied, SignalExpired
from mytrading.messages.enums import Action
from mytrading.messages.market import Bar, Quote
from mytrading.messages.orders import Order, OrderChanged, Position, PositionAdjusted, PositionChanged
from mytrading.messages.signals import Signal, SignalVetoed, StrategyFaulted

EXPIRED = "EXPIRED"
RULE = "USER_RULE"
LATE = "LATE"
_ENDLESS = 1 << 62

T = TypeVar("T")


class RowSubject(NamedTuple):
    """Subject of a row of the comparison; a signal has no account yet, and its instrument is the watched one."""

    account: str
    strategy: str
    instrument: str


class OrderFill(NamedTuple):
    """Fill of an order in all: signed units at their average price, from its first part to its last (market ns)."""

    account: str
    strategy: str
    instrument: str
    units: int
    price: float
    first_ns: int
    at_ns: int
    parts: int = 1


class SideDenial(NamedTuple):
    """A signal, or a part of one, that led to nothing: a coded reason. An empty account or instrument means all."""

    signal: str
    strategy: str
    code: str
    message: str
    at_ns: int
    account: str = ""
    instrument: str = ""
    bar: tuple[str, Action, int] = ("", Action.EXIT, 0)
    """Instrument, action and end of the bar (market ns) of a signal that the engine itself kept back."""


class PositionMove(NamedTuple):
    """A position moved by signed units; `cause` is empty for a fill of an own order."""

    at_ns: int
    subject: RowSubject
    units: int
    price: float = 0.0
    cause: str = ""


class DaySide:
    """One side of a day, folded from the messages of its daemons: signals and orders by id, fills by order."""

    def __init__(self) -> None:
        self.signals: dict[str, Signal] = {}
        self.from_outside: set[str] = set()
        """Signals that a webhook or an operator sent."""
        self.orders: dict[str, Order] = {}
        self.fills: dict[str, OrderFill] = {}
        self.denials: list[SideDenial] = []
        self.moves: list[PositionMove] = []
        self.faults: list[StrategyFaulted] = []

    def apply(self, message: Any, from_outside: bool = False) -> None:
        """Record a message among this side's signals, orders, fills … (`from_outside`: written by the gateway or by
        webhooks); ignore other kinds."""
        match message:
            case Signal():
                self.signals[message.id] = message
                if from_outside:
                    self.from_outside.add(message.id)
            case OrderChanged():
                self.orders[message.order.client_order_id] = message.order
            case PositionChanged() if message.fill_quantity:
                self._filled(message)
            case PositionAdjusted():
                move = PositionMove(
                    message.at_ns, subject_of(message.position), message.quantity, message.price, message.cause
                )
                self.moves.append(move)
            case SignalDenied(signal=name, strategy=strategy, code=code, message=text):
                self.denials.append(
                    SideDenial(name, strategy, code, text, message.at_ns, message.account, message.instrument)
                )
            case SignalExpired(signal=name, strategy=strategy, at_ns=at_ns):
                text = f"it came {(at_ns - message.expired_ns) / 1e9:.1f} s too late"
                self.denials.append(SideDenial(name, strategy, EXPIRED, text, at_ns))
            case SignalVetoed(signal=name, strategy=strategy, message=text):
                code, text = (RULE, f"{message.rule}: {text}") if message.rule else (message.code or LATE, text)
                bar = message.watch, message.action, message.bar_ns
                self.denials.append(SideDenial(name, strategy, code, text, message.at_ns, bar=bar))
            case StrategyFaulted():
                self.faults.append(message)

    def _filled(self, row: PositionChanged) -> None:
        subject = subject_of(row.position)
        self.moves.append(PositionMove(row.at_ns, subject, row.fill_quantity, row.fill_price))
        before = self.fills.get(row.client_order_id)
        units, value, first, parts = row.fill_quantity, row.fill_quantity * row.fill_price, row.at_ns, 1
        if before is not None:
            units, value = units + before.units, value + before.units * before.price
            first, parts = before.first_ns, before.parts + 1
        price = value / units if units else row.fill_price
        self.fills[row.client_order_id] = OrderFill(*subject, units, price, first, row.at_ns, parts)

    def for_strategies(self, strategies: Collection[str]) -> DaySide:
        """Return this side restricted to some strategies."""

        def kept(items: dict[str, T]) -> dict[str, T]:
            return {name: one for name, one in items.items() if getattr(one, "strategy", "") in strategies}

        part = DaySide()
        part.signals, part.orders, part.fills = kept(self.signals), kept(self.orders), kept(self.fills)
        part.from_outside = self.from_outside
        part.denials = [one for one in self.denials if one.strategy in strategies]
        part.moves = [one for one in self.moves if one.subject.strategy in strategies]
        part.faults = [one for one in self.faults if one.strategy in strategies]
        return part

    @property
    def adjustments(self) -> list[PositionMove]:
        """Return the position changes that did not come from fills of own orders."""
        return [move for move in self.moves if move.cause]

    def net_units_before(self, strategy: str, before_ns: int) -> Mapping[tuple[str, str], int]:
        """Return the units (signed) a strategy gained on this day before a time, by account and instrument."""
        units: dict[tuple[str, str], int] = {}
        for move in self.moves:
            account, owner, instrument = move.subject
            if owner == strategy and move.at_ns < before_ns:
                units[account, instrument] = units.get((account, instrument), 0) + move.units
        return {key: held for key, held in units.items() if held}

    def signal_before(self, strategy: str, watch: str, bar_ns: int) -> Signal | None:
        """Return a strategy's last signal for instrument `watch` from a bar that ended before market ns `bar_ns`; None
        without one."""
        signals = (one for one in self.signals.values() if (one.strategy, one.watch) == (strategy, watch))
        return max((one for one in signals if one.bar_ns < bar_ns), key=lambda one: one.bar_ns, default=None)


def subject_of(item: Order | Position) -> RowSubject:
    """Return the (account, strategy, instrument) that an order or position belongs to."""
    return RowSubject(item.account, item.strategy, item.instrument)


class Quotes:
    """The quotes that a stack saw, by instrument, each in the order of market time."""

    def __init__(self, quotes: Iterable[Quote] = ()) -> None:
        self._quotes: dict[str, list[Quote]] = {}
        for quote in quotes:
            self._quotes.setdefault(quote.instrument, []).append(quote)

    def __len__(self) -> int:
        return sum(len(quotes) for quotes in self._quotes.values())

    def for_instrument(self, instrument: str) -> Sequence[Quote]:
        """Return all quotes of an instrument in order of market time."""
        return self._quotes.get(instrument, ())

    def between(self, instrument: str, first_ns: int, last_ns: int) -> Sequence[Quote]:
        """Return the quotes valid in a span of market time: the last one before it, and all within."""
        quotes = self.for_instrument(instrument)
        begin = bisect_left(quotes, first_ns, key=lambda quote: quote.market_ns)
        return quotes[max(0, begin - 1) : bisect_right(quotes, last_ns, key=lambda quote: quote.market_ns)]


class Opening(NamedTuple):
    """The strategies open at a market time, watching these instruments (by strategy)."""

    at_ns: int
    watches: Mapping[str, tuple[str, ...]]


class MarketMoment(NamedTuple):
    """One market time: quotes that came, one-minute bars that were complete, in this order."""

    now: int
    quotes: tuple[Quote, ...] = ()
    bars: tuple[Bar, ...] = ()


class Interference(NamedTuple):
    """An act of an operator, and the market times from and until which it had an effect.

    An empty account or strategy means all. `id` is the cause of orders that it led to. `entries` if it prevented
    entries, `signals` if it prevented signals.
    """

    what: str
    at_ns: int
    until_ns: int = _ENDLESS
    account: str = ""
    strategy: str = ""
    id: str = ""
    entries: bool = False
    signals: bool = False

    def covers(self, at_ns: int, account: str, strategy: str) -> bool:
        """True if the operator's act affected this account and strategy at a market time."""
        return (
            self.at_ns <= at_ns <= self.until_ns
            and self.account in ("", account)
            and (self.strategy in ("", strategy) or not strategy)
        )


class Absence(NamedTuple):
    """Market times between which a daemon was stopped, restarted, or behind with its reading."""

    daemon: str
    from_ns: int
    until_ns: int

    def covers(self, at_ns: int) -> bool:
        """True if the daemon was stopped or behind at a market time."""
        return self.from_ns <= at_ns <= self.until_ns


@dataclass
class DayFacts:
    """`bars` says of a bar (instrument, end in market ns) what was wrong with it; most bars are not in it.

    `within_ns`: fills at one price that are no further apart are the same. `our_venue` if the stack's orders went to
    the project's own exchange, which fills as a backtest does. `behind`: when a daemon had not yet read what was
    written for it. `signal_ns`: market time for which a signal stays valid on the stack at least.
    """

    quotes: Quotes = field(default_factory=Quotes)
    bars: Mapping[tuple[str, int], str] = field(default_factory=dict)
    interferences: Sequence[Interference] = ()
    absences: Sequence[Absence] = ()
    within_ns: int = 0
    our_venue: bool = True
    behind: Sequence[Absence] = ()
    signal_ns: int = 0
