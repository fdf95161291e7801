"""What the order machine knows: levels by key, and the indices that keep every question cheap.

Used by this package only. The one rule: everything here but `machine_ns` follows from journaled rows, and
`core/oms/learning` is the only place where a row becomes knowledge.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from mytrading.core.oms.table import Layer, Table
from mytrading.core.order import ABSENT, LIVE, RESTING, TERMINAL, UNRESOLVED, live, settled, waits_for_its_trigger
from mytrading.core.slicing import Sizes
from mytrading.messages.account_events import (
    AccountModeChanged,
    EntriesStopped,
    InstrumentHalted,
    MismatchSeen,
    RecoveryChanged,
    UnmanagedChanged,
)
from mytrading.messages.control import KILL, StrategySwitch, TradingState
from mytrading.messages.enums import Call, OrderState, Product, TradingLevel
from mytrading.messages.orders import Flatten, Goal, Order, Position, Protection
from mytrading.messages.reports import BrokerOrder

CALLS = frozenset(("submitted", "cancel_requested", "modify_requested"))
"""Events of an order that stand for a call at the broker."""
BOOKS_LOST, BOOKS_BACK = "books_lost ", "books_back "
"""How timers begin that tell that the books of an account (its id follows) cannot be read, or can again."""
_NONE: frozenset[str] = frozenset()
_STRICTNESS = {TradingLevel.NORMAL: 0, TradingLevel.REDUCE: 1, TradingLevel.HALT: 2}


class Key(NamedTuple):
    """One thing the broker nets: an instrument under a product in an account."""

    account: str
    instrument: str
    product: Product


class Owned(NamedTuple):
    """One owner's share of a key."""

    account: str
    instrument: str
    product: Product
    strategy: str


def key_of(thing: Order | Goal | Position | Protection) -> Key:
    """The key an order, goal, position or protection belongs to."""
    return tuple.__new__(Key, (thing.account, thing.instrument, thing.product))


class State:
    """Tables of levels and indices. A fork is a draft: it learns rows of a decision without touching the original."""

    NAMES = (
        "orders",
        "positions",
        "goals",
        "unmanaged",
        "halted",
        "wrong_mode",
        "mismatches",
        "trading",
        "switches",
        "used",
        "foreign",
        "books",
        "sent",
        "paused",
        "reads",
        "touched",
        "open_by_key",
        "owners",
        "by_broker",
        "waiting",
        "restless",
        "seeking",
        "resting",
        "open_goals",
        "protections",
        "guarding",
        "carried",
        "modes",
        "calling",
        "sizes",
        "parts",
        "withdrawn",
        "churned",
        "stopped",
        "strangers",
        "flattens",
        "open_flattens",
        "recovering",
        "flags",
        "rebuilt",
        "begun",
        "delivered",
        "baskets",
    )

    def __init__(self, under: State | None = None) -> None:
        self.machine_ns: int = 0
        self.__dict__.update(under.__dict__ if under is not None else {name: Table() for name in self.NAMES})
        self._under = under

    def own(self, name: str) -> Table[Any, Any]:
        """The table to write to: a fork reads the original's, and lays one over it before its first change."""
        table: Table[Any, Any] = self.__dict__[name]
        if self._under is not None and table is self._under.__dict__[name]:
            table = self.__dict__[name] = Layer(table)
        return table

    orders: Table[str, Order]
    positions: Table[Owned, Position]
    goals: Table[str, Goal]
    unmanaged: Table[Key, UnmanagedChanged]
    halted: Table[Key, InstrumentHalted]
    wrong_mode: Table[str, AccountModeChanged]
    mismatches: Table[Key, MismatchSeen]
    trading: Table[str, TradingState]
    switches: Table[str, StrategySwitch]
    used: Table[str, str]
    """Ids of commands and goals of earlier days, with the day."""
    foreign: Table[tuple[str, str], int]
    books: Table[str, int]
    """Accounts whose order book has been read today."""
    sent: Table[str, tuple[int, ...]]
    """When the calls of an account ended that may still count in its rate: ascending machine ns."""
    paused: Table[str, int]
    reads: Table[str, int]
    touched: Table[Key, int]
    open_by_key: Table[Key, frozenset[str]]
    owners: Table[Key, frozenset[str]]
    """Strategies that hold, or are thought to hold, something of the key."""
    by_broker: Table[tuple[str, str], str]
    waiting: Table[str, str]
    """Orders that want a call: unsent ones, wanted cancels and modifies."""
    restless: Table[str, str]
    """Orders that time alone moves on; resting entries are not among them."""
    seeking: Table[str, str]
    """Orders that may be at the broker under an id we do not know."""
    resting: Table[str, frozenset[str]]
    open_goals: Table[str, str]
    protections: Table[Owned, Protection]
    guarding: Table[Owned, str]
    """Owners whose protection is not done."""
    carried: Table[str, str]
    """Orders of an earlier day: today's order book does not show them, and as DAY orders they ended with theirs."""

    modes: Table[str, str]
    """The mode each account's server was seen in, as expected, since this run of the router began."""
    recovering: Table[str, RecoveryChanged]
    """What the present start found in each account."""
    flags: Table[str, int]
    """Conditions of this process that journaled timers tell of: `disk_low`, and `books_lost` with an account."""

    baskets: Table[tuple[str, str, str], tuple[int, int]]
    """By account, strategy and cause: order calls that legs still to come need, and until when they are kept (machine).

    A basket whose last legs were commanded stands here without any, so that these have room before others."""

    begun: Table[tuple[str, str], int]
    """Signed units of an account and instrument that the day began with, anybody's."""

    delivered: Table[Key, int]
    """Units that strategies held as CNC when the day began: the position book need not show them any more."""

    rebuilt: Table[str, int]
    """When the journal of this day was rebuilt, `machine_ns` and `market_ns`; empty if it never was."""

    calling: Table[tuple[str, str, Call], int]
    """When the call left that is on its way, by account, order and kind."""
    sizes: Table[str, Sizes]
    """Lot and freeze quantity by instrument, as the last command told them."""
    parts: Table[str, frozenset[str]]
    """The slices of each parent."""
    withdrawn: Table[tuple[str, str], int]
    """Market time at which an entry of an account and instrument last ended by a cancel of ours."""

    churned: Table[str, tuple[tuple[str, int], ...]]
    """Instruments and market times of entries that left soon after, by account."""

    stopped: Table[tuple[str, str], EntriesStopped]
    strangers: Table[tuple[str, str], BrokerOrder]
    """Orders of the broker that are not ours, as they were first seen."""
    flattens: Table[str, Flatten]
    open_flattens: Table[str, str]
    """Flattens that are not done, with their account."""

    def fork(self) -> State:
        """A draft over this state."""
        return State(self)

    def known(self, identity: str) -> bool:
        """True if a command or goal of this id was ever seen."""
        return identity in self.orders or identity in self.parts or identity in self.goals or identity in self.used

    def open_orders(self, key: Key) -> list[Order]:
        """Orders of the key that are not settled, by id."""
        if not (names := self.open_by_key.get(key)):
            return []
        return [order for name in sorted(names) if (order := self.orders.get(name))]

    def position(self, owned: Owned) -> Position | None:
        """What one owner holds, or None if it never held any today."""
        return self.positions.get(owned)

    def holders(self, key: Key) -> list[Position]:
        """Positions of the key that are not flat or not sure to be, by owner."""
        names = sorted(self.owners.get(key) or _NONE)
        return [found for name in names if (found := self.positions.get(Owned(*key, name)))]

    def level(self, account: str) -> TradingLevel:
        """How much trading is allowed on an account: the strictest of its own level, that for all, the KILL file's."""
        levels = [found.level for name in (KILL, "", account) if (found := self.trading.get(name))]
        return max(levels, key=_STRICTNESS.__getitem__, default=TradingLevel.NORMAL)

    def why_level(self, account: str) -> str:
        """Why that level stands and who set it, in brackets; empty if nobody said."""
        level = self.level(account)
        found = next((s for name in (KILL, "", account) if (s := self.trading.get(name)) and s.level is level), None)
        if found is None:
            return ""
        said = [found.reason] if found.reason else []
        return f" ({', '.join([*said, f'by {found.by}'] if found.by else said)})" if said or found.by else ""

    def blind(self, account: str) -> bool:
        """True while the books of an account cannot be read: the end of no order there could be proven."""
        return BOOKS_LOST + account in self.flags

    def resting_orders(self, account: str) -> Iterator[Order]:
        """Orders that are known to rest at the broker, by id."""
        names = sorted(self.resting.get(account) or _NONE)
        return (order for name in names if (order := self.orders.get(name)))

    def digest(self) -> bytes:
        """The whole knowledge as bytes, equal for equal knowledge; machine time is not part of it."""
        levels = {name: getattr(self, name).sorted_items() for name in self.NAMES}
        return msgspec.msgpack.encode(levels, enc_hook=_plain)

    def notice(self, machine_ns: int) -> None:
        """Move machine time on; it never goes back."""
        self.machine_ns = max(self.machine_ns, machine_ns)

    def put_order(self, order: Order) -> None:
        """Keep an order's new level and move it between the indices."""
        name = order.client_order_id
        before = self.orders.get(name)
        self.own("orders").set(name, order)
        if before is not None and _ended_alike(before, order):
            return
        _place(self, "open_by_key", key_of(order), name, not settled(order))
        _place(self, "resting", order.account, name, order.state in RESTING)
        if order.parent:
            _place(self, "parts", order.parent, name, True)
        mark(self, "waiting", name, order.account, _wants_call(order))
        mark(self, "restless", name, order.account, _restless(order))
        mark(self, "seeking", name, order.account, order.state in UNRESOLVED or order.state in ABSENT)
        if order.broker_order_id:
            self.own("by_broker").set((order.account, order.broker_order_id), name)

    def put_position(self, position: Position) -> None:
        """Keep a position's new level."""
        owned = Owned(position.account, position.instrument, position.product, position.strategy)
        self.own("positions").set(owned, position)
        _place(self, "owners", key_of(position), position.strategy, bool(position.quantity or position.quantity_seen))


def _ended_alike(before: Order, order: Order) -> bool:
    """True of a level that no index tells from the one before: most of a day's rows are looks at ended orders."""
    return (
        before.state is order.state
        and order.state in TERMINAL
        and (before.filled, before.filled_seen) == (order.filled, order.filled_seen)
        and before.broker_order_id == order.broker_order_id
    )


def _place(state: State, index: str, key: Any, name: str, member: bool) -> None:
    present = getattr(state, index).get(key) or _NONE
    if member == (name in present):
        return
    changed = present | {name} if member else present - {name}
    if changed:
        state.own(index).set(key, changed)
    else:
        state.own(index).drop(key)


def mark(state: State, index: str, name: str, account: str, wanted: bool) -> None:
    """Keep a name in an index of names by account, or take it out."""
    if wanted:
        state.own(index).set(name, account)
    elif name in getattr(state, index):
        state.own(index).drop(name)


def _wants_call(order: Order) -> bool:
    if order.state is OrderState.INITIALIZED:
        return True
    if order.state not in RESTING:
        return False
    if order.pending_cancel:
        return not order.cancelling
    return order.pending_modify and not order.modify_asked


def _restless(order: Order) -> bool:
    return uneasy(order) or bool(order.rests_until_ns and live(order))


def uneasy(order: Order) -> bool:
    """True while reads are wanted for an order, or a call of it is to be made or answered."""
    if order.filled_seen > order.filled or ((order.pending_cancel or order.modify_asked) and live(order)):
        return True
    if order.state in RESTING:
        return (order.purpose.reduces and not waits_for_its_trigger(order)) or bool(order.ending or order.modify_reads)
    return order.state in LIVE


def _plain(value: object) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError(f"no plain form of {type(value).__name__}")
