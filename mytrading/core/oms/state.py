"""What the order machine knows: levels by key, and the indices that keep every question cheap.

Used by this package only. The one rule: everything here but `machine_ns` follows from journaled rows, and `fold` is
the only place where a row becomes knowledge.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from mytrading.core import throttle
from mytrading.core.oms.table import Table
from mytrading.core.order import ABSENT, LIVE, RESTING, TERMINAL, UNRESOLVED, live, settled, waits_for_its_trigger
from mytrading.core.slicing import Sizes
from mytrading.messages.commands import CloseGoal, PlaceEntry, WithdrawEntries
from mytrading.messages.control import KILL, ClaimRequested, FlattenRequested, StrategySwitch, TradingState
from mytrading.messages.enums import Call, OrderState, Product, Purpose, TradingLevel
from mytrading.messages.orders import (
    AccountModeChanged,
    CallOutcome,
    EntriesStopped,
    EntryChurned,
    Flatten,
    FlattenChanged,
    ForeignSeen,
    Goal,
    GoalChanged,
    InstrumentHalted,
    MismatchSeen,
    Order,
    OrderChanged,
    Position,
    PositionAdjusted,
    PositionChanged,
    Protection,
    ProtectionChanged,
    RecoveryChanged,
    TimerFired,
    UnmanagedChanged,
)
from mytrading.messages.records import DayOpened, JournalRelearned, RunStarted
from mytrading.messages.reports import BooksRead, BrokerOrder, ModeSeen, OrderReport, ReadRequest

KEPT_STAMPS = 64
BASKET_NS = 30_000_000_000
"""How long after the first leg's time calls are kept for the others: as long as risk may still order them."""
CALLS = frozenset(("submitted", "cancel_requested", "modify_requested"))
"""Events of an order that stand for a call at the broker."""
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
    """Tables of levels and indices. A fork is a draft: it folds rows of a decision without touching the original."""

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
            table = self.__dict__[name] = Table(table)
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
    """Conditions of this process that journaled timers tell of: `disk_low`."""

    baskets: Table[tuple[str, str, str], tuple[int, int]]
    """By account, strategy and cause: order calls that legs still to come need, and until when they are kept (machine).

    A basket whose last legs were commanded stands here without any, so that these have room before others."""

    begun: Table[tuple[str, str], int]
    """Signed units of an account and instrument that the day began with, anybody's."""

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

    def fold(self, row: Any) -> None:
        """Learn one row: an input message or a decision."""
        handler = _FOLDS.get(type(row))
        if handler is not None:
            handler(self, row)

    def known(self, identity: str) -> bool:
        """True if a command or goal of this id was ever seen."""
        return identity in self.orders or identity in self.parts or identity in self.goals or identity in self.used

    def open_orders(self, key: Key) -> list[Order]:
        """Orders of the key that are not settled, by id."""
        return [order for name in sorted(self.open_by_key.get(key) or _NONE) if (order := self.orders.get(name))]

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
        self.own("orders").set(name, order)
        _place(self, "open_by_key", key_of(order), name, not settled(order))
        _place(self, "resting", order.account, name, order.state in RESTING)
        if order.parent:
            _place(self, "parts", order.parent, name, True)
        _flag(self, "waiting", name, order.account, _wants_call(order))
        _flag(self, "restless", name, order.account, _restless(order))
        _flag(self, "seeking", name, order.account, order.state in UNRESOLVED or order.state in ABSENT)
        if order.broker_order_id:
            self.own("by_broker").set((order.account, order.broker_order_id), name)

    def put_position(self, position: Position) -> None:
        """Keep a position's new level."""
        owned = Owned(position.account, position.instrument, position.product, position.strategy)
        self.own("positions").set(owned, position)
        _place(self, "owners", key_of(position), position.strategy, bool(position.quantity or position.quantity_seen))


def _place(state: State, index: str, key: Any, name: str, member: bool) -> None:
    present = getattr(state, index).get(key) or _NONE
    if member == (name in present):
        return
    changed = present | {name} if member else present - {name}
    if changed:
        state.own(index).set(key, changed)
    else:
        state.own(index).drop(key)


def _flag(state: State, index: str, name: str, account: str, wanted: bool) -> None:
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


def _kinds_out(order: Order) -> tuple[Call, ...]:
    """The calls of the order that are on their way: a cancel may leave while a change has no answer yet."""
    if order.state is not OrderState.SUBMITTED and not order.cancelling and not order.modifying:
        return ()
    out = (order.state is OrderState.SUBMITTED, order.cancelling, order.modifying)
    return tuple(kind for kind, is_out in zip((Call.PLACE, Call.CANCEL, Call.MODIFY), out, strict=True) if is_out)


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


def _order(state: State, row: OrderChanged) -> None:
    order = row.order
    state.notice(row.machine_ns)
    before = state.orders.get(order.client_order_id)
    state.put_order(order)
    state.own("touched").set(key_of(order), row.machine_ns)
    _count_call(state, before, row)
    basket = (order.account, order.strategy, order.cause)
    if basket in state.baskets and order.state in TERMINAL and not order.filled_seen:
        state.own("baskets").drop(basket)  # a leg that nothing came of: whoever tries it again says what is to come
    if row.event == "cancelled" and order.purpose is Purpose.ENTRY and order.cancel_calls:
        state.own("withdrawn").set((order.account, order.instrument), order.updated_ns)
    elif row.event == "rate_limited":
        state.own("paused").set(order.account, _pause_of(order))


def _count_call(state: State, before: Order | None, row: OrderChanged) -> None:
    """Note when a call left, and when it ended."""
    order, earlier = row.order, _kinds_out(before) if before is not None else ()
    present = _kinds_out(order)
    if present == earlier:
        return
    for kind in present:
        if kind not in earlier:
            state.own("calling").set((order.account, order.client_order_id, kind), row.machine_ns)
    for kind in earlier:
        if kind not in present:
            state.own("calling").drop((order.account, order.client_order_id, kind))
            stamps = state.sent.get(order.account) or ()
            state.own("sent").set(order.account, throttle.remember(stamps, row.machine_ns, KEPT_STAMPS))


def _pause_of(order: Order) -> int:
    return max(order.not_before_machine_ns, order.cancel_machine_ns, order.modify_wait_ns)


def _goal(state: State, row: GoalChanged) -> None:
    state.own("goals").set(row.goal.id, row.goal)
    _flag(state, "open_goals", row.goal.id, row.goal.account, row.goal.state != "done")


def _protection(state: State, row: ProtectionChanged) -> None:
    level = row.protection
    owned = Owned(level.account, level.instrument, level.product, level.strategy)
    state.own("protections").set(owned, level)
    if level.state != "done":
        state.own("guarding").set(owned, level.id)
    elif owned in state.guarding:
        state.own("guarding").drop(owned)


def _unmanaged(state: State, row: UnmanagedChanged) -> None:
    key = Key(row.account, row.instrument, row.product)
    if row.quantity:
        state.own("unmanaged").set(key, row)
    else:
        state.own("unmanaged").drop(key)


def _halted(state: State, row: InstrumentHalted) -> None:
    key = Key(row.account, row.instrument, row.product)
    if row.halted:
        state.own("halted").set(key, row)
    else:
        state.own("halted").drop(key)


def _mode(state: State, row: AccountModeChanged) -> None:
    if row.mode:
        state.own("modes").set(row.account, row.mode)
        return
    state.own("modes").drop(row.account)
    if row.wrong_mode:
        state.own("wrong_mode").set(row.account, row)
    else:
        state.own("wrong_mode").drop(row.account)


def _timer(state: State, row: TimerFired) -> None:
    state.notice(row.machine_ns)
    if row.name == "disk_low":
        state.own("flags").set("disk_low", 1)
    elif row.name == "disk_ok" and "disk_low" in state.flags:
        state.own("flags").drop("disk_low")


def _relearned(state: State, row: JournalRelearned) -> None:
    if row.machine_ns:  # rows of older versions do not say: nothing is taken over by its shape then
        state.own("rebuilt").set("machine_ns", row.machine_ns)
    state.own("rebuilt").set("market_ns", row.at_ns)


def _mismatch(state: State, row: MismatchSeen) -> None:
    key = Key(row.account, row.instrument, row.product)
    if row.cleared:
        state.own("mismatches").drop(key)
    else:
        state.own("mismatches").set(key, row)


def _foreign(state: State, row: ForeignSeen) -> None:
    state.own("books").set(row.account, 1)
    for name in row.ids:
        state.own("foreign").set((row.account, name), row.machine_ns)
    for stranger in row.rows:
        state.own("strangers").set((row.account, stranger.broker_order_id), stranger)


def _flatten(state: State, row: FlattenChanged) -> None:
    level = row.flatten
    state.own("flattens").set(level.id, level)
    _flag(state, "open_flattens", level.id, level.account, level.state != "done")


def _churned(state: State, row: EntryChurned) -> None:
    known = state.churned.get(row.account) or ()
    state.own("churned").set(row.account, (*known, (row.instrument, row.at_ns))[-KEPT_STAMPS:])


def _stopped(state: State, row: EntriesStopped) -> None:
    """What a stop was made of counts no more when it ends."""
    if row.stopped:
        state.own("stopped").set((row.account, row.instrument), row)
        return
    state.own("stopped").drop((row.account, row.instrument))
    marks = state.churned.get(row.account) or ()
    state.own("churned").set(row.account, tuple(mark for mark in marks if row.instrument not in ("", mark[0])))


def _trading(state: State, row: TradingState) -> None:
    known = state.trading.get(row.account)
    if known is None or row.generation >= known.generation:
        state.own("trading").set(row.account, row)


def _switch(state: State, row: StrategySwitch) -> None:
    known = state.switches.get(row.strategy)
    if known is None or row.generation >= known.generation:
        state.own("switches").set(row.strategy, row)


def _day(state: State, row: DayOpened) -> None:
    recovering = state.recovering.sorted_items()
    for name in State.NAMES:
        state.own(name).clear()
    for account, recovery in recovering:
        state.own("recovering").set(account, recovery)
    for order in row.orders:
        state.put_order(order)
        for kind in _kinds_out(order):
            state.own("calling").set((order.account, order.client_order_id, kind), order.began_machine_ns)
        state.own("carried").set(order.client_order_id, row.day)
    for position in row.positions:
        state.put_position(position)
    held = [(position.account, position.instrument, position.quantity) for position in row.positions]
    held += [(level.account, level.instrument, level.quantity) for level in row.unmanaged]
    for account, instrument, units in held:
        state.own("begun").set((account, instrument), (state.begun.get((account, instrument)) or 0) + units)
    for protection in row.protections:
        _protection(state, ProtectionChanged(protection=protection, at_ns=0))
    for goal in row.goals:
        _goal(state, GoalChanged(goal=goal, at_ns=0))
    for flatten in row.flattens:
        _flatten(state, FlattenChanged(flatten=flatten, at_ns=0))
    parts = (row.unmanaged, row.halted, row.wrong_mode, row.mismatches, row.trading, row.switches, row.stopped)
    for part in parts:
        for level in part:
            state.fold(level)
    for text in row.used_ids:
        day, _, name = text.partition(" ")
        state.own("used").set(name, day)
    for instrument, sizes in row.sizes.items():
        state.own("sizes").set(instrument, Sizes(*sizes))
    for account, stamps in row.calls.items():
        state.own("sent").set(account, stamps)


def _entered(state: State, row: PlaceEntry) -> None:
    _sizes(state, row)
    basket = (row.account, row.strategy, row.cause)
    if row.basket_calls or basket in state.baskets:
        state.own("baskets").set(basket, (row.basket_calls, row.expires_machine_ns + BASKET_NS))


def _closed(state: State, row: CloseGoal) -> None:
    _sizes(state, row)
    _end_baskets(state, row.account, row.strategy)


def _end_baskets(state: State, account: str, strategy: str) -> None:
    """What is closed or withdrawn waits for no more legs; an empty field means all."""
    for basket, _ in state.baskets.sorted_items():
        if account in ("", basket[0]) and strategy in ("", basket[1]):
            state.own("baskets").drop(basket)


def _sizes(state: State, row: PlaceEntry | CloseGoal | ClaimRequested) -> None:
    if row.lot:
        state.own("sizes").set(row.instrument, Sizes(row.lot, row.freeze))


def _many_sizes(state: State, row: FlattenRequested) -> None:
    for instrument, sizes in row.sizes.items():
        state.own("sizes").set(instrument, Sizes(*sizes))


_FOLDS: dict[type, Any] = {
    PlaceEntry: _entered,
    CloseGoal: _closed,
    WithdrawEntries: lambda state, row: _end_baskets(state, row.account, row.strategy),
    ClaimRequested: _sizes,
    FlattenRequested: _many_sizes,
    OrderChanged: _order,
    PositionChanged: lambda state, row: state.put_position(row.position),
    PositionAdjusted: lambda state, row: state.put_position(row.position),
    GoalChanged: _goal,
    ProtectionChanged: _protection,
    UnmanagedChanged: _unmanaged,
    InstrumentHalted: _halted,
    AccountModeChanged: _mode,
    MismatchSeen: _mismatch,
    RecoveryChanged: lambda state, row: state.own("recovering").set(row.account, row),
    ForeignSeen: _foreign,
    EntryChurned: _churned,
    EntriesStopped: _stopped,
    FlattenChanged: _flatten,
    TradingState: _trading,
    StrategySwitch: _switch,
    DayOpened: _day,
    RunStarted: lambda state, _: state.own("modes").clear(),
    ReadRequest: lambda state, row: state.own("reads").set(row.account, row.machine_ns),
    TimerFired: _timer,
    JournalRelearned: _relearned,
    CallOutcome: lambda state, row: state.notice(row.ended_machine_ns),
    BooksRead: lambda state, row: state.notice(row.ended_machine_ns),
    OrderReport: lambda state, row: state.notice(row.received_machine_ns),
    ModeSeen: lambda state, row: state.notice(row.machine_ns),
}
