"""What one side did on a day: its signals, orders, fills and denials, folded from the messages that daemons exchange.

A stack's journals and a backtest's machines speak the same messages, so both sides are made here. Nothing is worked out
that a message did not say.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from mytrading.messages.commands import SignalDenied, SignalExpired
from mytrading.messages.enums import Action, OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.orders import Order, OrderChanged, PositionAdjusted, PositionChanged
from mytrading.messages.signals import Signal, SignalVetoed, StrategyFaulted

EXPIRED = "EXPIRED"
FAULT = "FAULT"
RULE = "USER_RULE"
LATE = "LATE"

Owner = tuple[str, str, str]
"""Account, strategy, instrument."""


class SignalSeen(NamedTuple):
    """A signal: what was asked for at the close of which bar (market ns), signed lots by instrument."""

    id: str
    strategy: str
    watch: str
    action: Action
    at_ns: int
    bar_ns: int
    price: float
    legs: tuple[tuple[str, int], ...]
    person: bool = False
    """True if it came from outside: a webhook, or a person at the command line."""


class OrderSeen(NamedTuple):
    """An order at its last level; prices in rupees, times market ns."""

    id: str
    account: str
    strategy: str
    instrument: str
    purpose: Purpose
    side: Side
    quantity: int
    order_type: OrderType
    price: float
    trigger_price: float
    product: Product
    cause: str
    at_ns: int
    state: OrderState
    message: str
    request: str
    sent: bool = True
    """False if its end came before it went to the venue."""

    @property
    def owner(self) -> Owner:
        """Whose it is, and of what."""
        return self.account, self.strategy, self.instrument


class FillSeen(NamedTuple):
    """What an order got in all: signed units at their average price, from its first part to its last (market ns)."""

    order: str
    account: str
    strategy: str
    instrument: str
    units: int
    price: float
    first_ns: int
    at_ns: int
    parts: int = 1

    @property
    def owner(self) -> Owner:
        """Whose it is, and of what."""
        return self.account, self.strategy, self.instrument


class DenialSeen(NamedTuple):
    """A signal, or a part of one, that led to nothing: a coded reason. An empty account or instrument means all."""

    signal: str
    strategy: str
    code: str
    message: str
    at_ns: int
    account: str = ""
    instrument: str = ""
    bar: tuple[str, Action, int] = ("", Action.EXIT, 0)
    """What was watched, what was wanted, and for which bar, where the engine itself kept it back."""


class MoveSeen(NamedTuple):
    """A position moved by signed units; `cause` is empty for a fill of ours."""

    at_ns: int
    owner: Owner
    units: int
    price: float = 0.0
    cause: str = ""


class DaySide:
    """One side of a day. Messages of any daemon go into `hear`; what is of no interest is passed over."""

    def __init__(self) -> None:
        self.signals: dict[str, SignalSeen] = {}
        self.orders: dict[str, OrderSeen] = {}
        self.fills: dict[str, FillSeen] = {}
        self.denials: list[DenialSeen] = []
        self.moves: list[MoveSeen] = []
        self.faults: list[DenialSeen] = []

    def hear(self, message: Any, person: bool = False) -> None:
        """A message that a daemon wrote; `person` if the gateway wrote it."""
        if isinstance(message, Signal):
            self._signalled(message, person)
            return
        handler = _HANDLERS.get(type(message))
        if handler is not None:
            handler(self, message)

    def only(self, strategies: Collection[str]) -> DaySide:
        """The same, of these strategies alone."""
        part = DaySide()
        part.signals = {name: one for name, one in self.signals.items() if one.strategy in strategies}
        part.orders = {name: one for name, one in self.orders.items() if one.strategy in strategies}
        part.fills = {name: one for name, one in self.fills.items() if one.strategy in strategies}
        part.denials = [one for one in self.denials if one.strategy in strategies]
        part.moves = [one for one in self.moves if one.owner[1] in strategies]
        part.faults = [one for one in self.faults if one.strategy in strategies]
        return part

    @property
    def adjustments(self) -> list[MoveSeen]:
        """Positions that moved without an order of ours."""
        return [move for move in self.moves if move.cause]

    def held(self, strategy: str, before_ns: int) -> Mapping[tuple[str, str], int]:
        """Signed units by account and instrument that a strategy gained on this day before a market time."""
        units: dict[tuple[str, str], int] = {}
        for move in self.moves:
            account, owner, instrument = move.owner
            if owner == strategy and move.at_ns < before_ns:
                units[account, instrument] = units.get((account, instrument), 0) + move.units
        return {key: held for key, held in units.items() if held}

    def signalled(self, strategy: str, watch: str, bar_ns: int) -> SignalSeen | None:
        """The signal of a strategy that stood before a bar (its end, market ns): the last one of an earlier bar."""
        return max(
            (
                one
                for one in self.signals.values()
                if (one.strategy, one.watch) == (strategy, watch) and one.bar_ns < bar_ns
            ),
            key=lambda one: one.bar_ns,
            default=None,
        )

    def _signalled(self, signal: Signal, person: bool) -> None:
        legs = tuple((leg.instrument, leg.lots) for leg in signal.legs)
        self.signals[signal.id] = SignalSeen(
            signal.id, signal.strategy, signal.watch, signal.action, signal.created_ns, signal.bar_ns, signal.price,
            legs, person,
        )  # fmt: skip

    def _ordered(self, changed: OrderChanged) -> None:
        order = changed.order
        self.orders[order.client_order_id] = _seen(order)

    def _filled(self, row: PositionChanged) -> None:
        if not row.fill_quantity:
            return
        held = row.position
        owner = (held.account, held.strategy, held.instrument)
        self.moves.append(MoveSeen(row.at_ns, owner, row.fill_quantity, row.fill_price))
        before = self.fills.get(row.client_order_id)
        units, value, first, parts = row.fill_quantity, row.fill_quantity * row.fill_price, row.at_ns, 1
        if before is not None:
            units, value = units + before.units, value + before.units * before.price
            first, parts = before.first_ns, before.parts + 1
        price = value / units if units else row.fill_price
        self.fills[row.client_order_id] = FillSeen(
            row.client_order_id, *owner, units, price, first, row.at_ns, parts
        )  # fmt: skip

    def _adjusted(self, row: PositionAdjusted) -> None:
        held = row.position
        owner = (held.account, held.strategy, held.instrument)
        self.moves.append(MoveSeen(row.at_ns, owner, row.quantity, row.price, row.cause))

    def _denied(self, row: SignalDenied) -> None:
        self.denials.append(
            DenialSeen(row.signal, row.strategy, row.code, row.message, row.at_ns, row.account, row.instrument)
        )

    def _expired(self, row: SignalExpired) -> None:
        late = (row.at_ns - row.expired_ns) / 1e9
        self.denials.append(DenialSeen(row.signal, row.strategy, EXPIRED, f"it came {late:.1f} s too late", row.at_ns))

    def _ruled_out(self, row: SignalVetoed) -> None:
        code, text = (RULE, f"{row.rule}: {row.message}") if row.rule else (LATE, row.message)
        bar = row.watch, row.action, row.bar_ns
        self.denials.append(DenialSeen(row.signal, row.strategy, code, text, row.at_ns, bar=bar))

    def _faulted(self, row: StrategyFaulted) -> None:
        self.faults.append(DenialSeen("", row.strategy, FAULT, f"{row.where}: {row.error}", row.at_ns))


def _seen(order: Order) -> OrderSeen:
    return OrderSeen(
        order.client_order_id, order.account, order.strategy, order.instrument, order.purpose, order.side,
        order.quantity, order.order_type, order.price, order.trigger_price, order.product, order.cause,
        order.created_ns, order.state, order.message, order.links.request,
        bool(order.broker_order_id) or order.state is not OrderState.EXPIRED,
    )  # fmt: skip


_HANDLERS: dict[type, Callable[[DaySide, Any], None]] = {
    OrderChanged: DaySide._ordered,
    PositionChanged: DaySide._filled,
    PositionAdjusted: DaySide._adjusted,
    SignalDenied: DaySide._denied,
    SignalExpired: DaySide._expired,
    SignalVetoed: DaySide._ruled_out,
    StrategyFaulted: DaySide._faulted,
}
