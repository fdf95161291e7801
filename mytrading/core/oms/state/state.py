"""State of the order machine, all but `machine_ns` from journaled rows: levels, and indices for cheap questions."""

from __future__ import annotations

from operator import itemgetter
from typing import Any, TypeVar

from mytrading.core.orders.slicing import Sizes
from mytrading.core.orders.state_machine import (
    ABSENT,
    LIVE,
    RESTING,
    TERMINAL,
    UNRESOLVED,
    is_live,
    is_settled,
    is_untriggered_stop,
)
from mytrading.messages import account_events
from mytrading.messages.commands import HoldStop
from mytrading.messages.control import KILL, DayTraded, StrategySwitch, TradingState
from mytrading.messages.enums import Call, OrderState, Product, TradingLevel
from mytrading.messages.keys import NetKey, OwnerKey
from mytrading.messages.orders import Flatten, Goal, Order, Position, PositionAdjusted, Protection, RequestAnswered
from mytrading.messages.reports import BrokerOrder
from mytrading.messages.settlements import SettlementOpened, UnitsAwaited

BOOKS_LOST, BOOKS_BACK = "books_lost ", "books_back "
"""Prefixes of timers: the books of an account (its id follows) cannot be read, or can again."""
_NONE: frozenset[str] = frozenset()
K = TypeVar("K")
V = TypeVar("V")
_STRICTNESS = {TradingLevel.NORMAL: 0, TradingLevel.REDUCE: 1, TradingLevel.HALT: 2}


class Table(dict[K, V]):
    """A dict of immutable values; decisions and digests take its pairs by key, never in the order of changes."""

    __slots__ = ()

    def sorted_items(self) -> list[tuple[K, V]]:
        """Return all pairs, sorted by key."""
        return sorted(self.items(), key=itemgetter(0)) if self else []

    def sorted_values(self) -> list[V]:
        """Return all values, sorted by key."""
        return [value for _, value in self.sorted_items()]


class State:
    """Tables of levels and indices. A decision learns its own rows here between `begin_tentative` and `roll_back`."""

    def __init__(self) -> None:
        self.machine_ns: int = 0
        self.__dict__.update({name: Table() for name in TABLES})
        self._changes: list[tuple[Table[Any, Any], Any, Any]] | None = None
        self._began_ns = 0

    def put(self, table: Table[K, V], key: K, value: V) -> None:
        """Set a key in one of the state's tables; within a tentative decision `roll_back` can undo it."""
        if self._changes is not None:
            self._changes.append((table, key, table.get(key)))
        table[key] = value

    def drop(self, table: Table[K, V], key: K) -> None:
        """Remove the key from one of the tables, if it is there."""
        before = table.pop(key, None)
        if before is not None and self._changes is not None:
            self._changes.append((table, key, before))

    def put_or_drop(self, table: Table[K, V], key: K, value: V, wanted: object) -> None:
        """Put a value under a key if `wanted`, else remove the key."""
        if wanted:
            self.put(table, key, value)
        else:
            self.drop(table, key)

    def clear(self, table: Table[Any, Any]) -> None:
        """Remove all entries of a table; not allowed in a decision."""
        if self._changes is not None:
            raise TypeError("a decision cannot clear a table: only an input does")
        table.clear()

    def begin_tentative(self) -> None:
        """Start to record changes of the state, so that `roll_back` can undo them."""
        self._changes, self._began_ns = [], self.machine_ns

    def roll_back(self) -> None:
        """Undo every change of the state since `begin_tentative`."""
        changes, self._changes = self._changes, None
        for table, key, before in reversed(changes or ()):
            if before is None:
                del table[key]
            else:
                table[key] = before
        self.machine_ns = self._began_ns

    orders: Table[str, Order]
    positions: Table[OwnerKey, Position]
    goals: Table[str, Goal]
    unmanaged: Table[NetKey, account_events.UnmanagedChanged]
    halted: Table[NetKey, account_events.InstrumentHalted]
    wrong_mode: Table[str, account_events.AccountModeChanged]
    mismatches: Table[NetKey, account_events.MismatchSeen]
    trading: Table[str, TradingState]
    switches: Table[str, StrategySwitch]
    used: Table[str, str]
    """Ids of commands and goals of earlier days, with the day."""
    foreign: Table[tuple[str, str], int]
    earlier: Table[tuple[str, str], int]
    """Broker ids, anybody's, of orders of earlier days, with the market time (ns) of the midnight that they were known
    before: a row under one is yesterday's, unless it says that it is younger. An id and a day are one order."""
    books: Table[str, int]
    """Accounts whose order book has been read today."""
    compared: Table[str, int]
    """Accounts whose position book has been read today."""
    sent: Table[str, tuple[int, ...]]
    """Ends of an account's calls that may still count in its rate: ascending machine ns."""
    paused: Table[str, int]
    reads: Table[str, tuple[int, ...]]
    """Times of the last requests for reads of an account: ascending machine ns."""
    touched: Table[NetKey, int]
    open_by_key: Table[NetKey, frozenset[str]]
    owners: Table[NetKey, frozenset[str]]
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
    protections: Table[OwnerKey, Protection]
    guarding: Table[OwnerKey, str]
    """Owners whose protection is not done."""
    carried: Table[str, str]
    """Orders of an earlier day: today's order book does not show them, and as DAY orders they ended with theirs."""
    filled_before: Table[str, int]
    """Units of these orders that were filled before this day: a trade row of theirs tells of today what is beyond."""
    modes: Table[str, str]
    """The mode each account's server was seen in, as expected, since this run of the router began."""
    brokers: Table[str, str]
    """The broker that each account's server named last, by OpenAlgo's name."""
    recovering: Table[str, account_events.RecoveryChanged]
    """Findings of this start in each account."""
    flags: Table[str, int]
    """Conditions of this process that journaled timers tell of: `disk_low`, and `books_lost` with an account.

    Besides, `run_ns` of the present `run` and of the `stopped_run` that `mytrading down` is stopping."""
    baskets: Table[tuple[str, str, str], tuple[int, int]]
    """By account, strategy and cause: order calls that legs still to come need, and until when they are kept (machine).

    A basket whose last legs were commanded stands here without any, so that these have room before others."""
    agreed: Table[NetKey, int]
    """Keys of which a read has shown what strategies hold, with the signed units at that time."""
    agreed_today: Table[NetKey, int]
    """Of these, the keys of which a read of this day has, with the market time of the last row that says so."""
    short: Table[NetKey, account_events.HeldShort]
    """Keys of which the newest read of the position book lacks units of strategies."""
    told: Table[NetKey, int]
    """Keys of which a position book of today has told, with the market time; of carried ones alone in each case."""
    copies: Table[tuple[str, str], str]
    """Orders of the broker that are copies of ours, by account and broker id: of what; empty if they tell nothing."""
    outside: Table[NetKey, account_events.OutsideClosing]
    """Keys of which live orders outside our journal would close units of strategies."""
    filled_at: Table[NetKey, int]
    """Machine time at which an order of a key was last known to have filled more: a read begun before says nothing."""
    names: Table[NetKey, account_events.ProductNamed]
    """Names that the broker's books have for products of ours, learnt from our own fills."""
    shown_first: Table[NetKey, Product]
    """Products under which alone the read after our first fill of a key showed it."""
    emptied: Table[str, account_events.EmptyBooksSeen]
    """Accounts whose order book is empty though they have orders of today."""
    last_prices: Table[tuple[str, str], float]
    """Last price (rupees) that position books showed of an account's contract before it expired today."""
    estimated_expiries: Table[OwnerKey, PositionAdjusted]
    """Expiries of today whose price is an estimate."""
    begun: Table[tuple[str, str], int]
    """Signed units of an account and instrument that the day began with, anybody's."""
    begun_shown: Table[tuple[str, str], int]
    """Of those, the units that agreed books of today have shown."""
    delivered: Table[NetKey, int]
    """Units that strategies held as CNC when the day began: the position book need not show them any more."""
    unexplained: Table[NetKey, int]
    """Signed units that no order of today explains: held when the day began (anybody's), claimed or converted since."""
    rebuilt: Table[str, int]
    """Time at which the journal of this day was rebuilt, `machine_ns` and `market_ns`; empty if it never was."""
    calling: Table[tuple[str, str, Call], int]
    """Send times of calls on their way, by account, order and kind."""
    sizes: Table[str, Sizes]
    """Lot and freeze quantity by instrument, by the last command."""
    odd_lots: Table[OwnerKey, account_events.OddUnitsRefused]
    """What the broker refused of positions since it is no whole lot, as it was then."""
    parts: Table[str, frozenset[str]]
    """The slices of each parent."""
    withdrawn: Table[tuple[str, str], int]
    """Market time at which an entry of an account and instrument last ended by a cancel of ours."""
    placed: Table[str, int]
    """Orders placed today, by account."""
    claims: Table[str, account_events.ClaimWaits]
    """Claims that wait for a read, by request."""
    churned: Table[str, tuple[tuple[str, int], ...]]
    """Instruments and market times of entries that left soon after, by account."""
    stopped: Table[tuple[str, str], account_events.EntriesStopped]
    foreign_orders: Table[tuple[str, str], BrokerOrder]
    """Orders of the broker that are not ours, as they were first seen."""
    settlements: Table[str, SettlementOpened]
    """Requests that settle something by hand and wait for a read of the books, by id."""
    answered: Table[str, RequestAnswered]
    """Requests of operators that were answered today, by id: none is executed twice."""
    awaited: Table[OwnerKey, UnitsAwaited]
    """Corporate actions of which units are still to come, or that were booked today."""
    gone: Table[str, PositionAdjusted]
    """Units of today that went at a price which no trade told, by their id: the newest row of them."""
    explaining: Table[tuple[str, str], str]
    """Orders of strangers, by account and broker id, whose trades told the price of units that went: the instrument."""
    held_stops: Table[OwnerKey, HoldStop]
    """Owners whose stop is not placed, since a corporate action may have happened."""
    first_priced: Table[OwnerKey, str]
    """Owners of carried shares whose first price of the day was judged, by the command that said so."""
    traded_days: Table[str, str]
    """The last day (ISO) on which a price of an exchange was seen traded, where that is looked for."""
    in_run: Table[str, int]
    """Accounts that orders may go to in this run; empty: all. What others hold stays as it is, and nothing is sent."""
    returned: Table[str, int]
    """Of those, the ones that were not in the run before and whose books have not agreed since: exits wait for them."""
    flattens: Table[str, Flatten]
    open_flattens: Table[str, str]
    """Flattens that are not done, with their account."""

    def is_known_id(self, identity: str) -> bool:
        """True if an order, parent, goal or command of this id was seen in the kept days."""
        return identity in self.orders or identity in self.parts or identity in self.goals or identity in self.used

    def open_orders(self, key: NetKey) -> list[Order]:
        """Return the unsettled orders of a key (account, instrument, product), sorted by id."""
        return [order for name in sorted(self.open_by_key.get(key) or ()) if (order := self.orders.get(name))]

    def unfinished_goals(self) -> list[Goal]:
        """Return the exit goals that are not done, sorted by id."""
        return [self.goals[name] for name in sorted(self.open_goals)]

    def open_protections(self) -> list[Protection]:
        """Return the stop protections that are not done, sorted by owner."""
        return [level for owned in sorted(self.guarding) if (level := self.protections.get(owned))]

    def owner_positions(self, key: NetKey) -> list[Position]:
        """Positions of all owners of a net key, flat ones with unconfirmed units included, by owner."""
        names = sorted(self.owners.get(key) or ())
        return [found for name in names if (found := self.positions.get(OwnerKey(*key, name)))]

    def covering_flatten(self, owner: OwnerKey) -> Flatten | None:
        """Return the first unfinished flatten whose scope covers this owner; None if there is none."""
        names = (name for name, account in self.open_flattens.sorted_items() if account == owner.account)
        return next((level for name in names if is_covered(level := self.flattens[name], owner)), None)

    def trading_level(self, account: str) -> TradingLevel:
        """Return an account's trading level: the strictest of its own, that of all accounts and the KILL file's."""
        strictest = TradingLevel.NORMAL
        for name in (KILL, "", account) if self.trading else ():
            if (found := self.trading.get(name)) and _STRICTNESS[found.level] > _STRICTNESS[strictest]:
                strictest = found.level
        return strictest

    def trading_level_reason(self, account: str) -> str:
        """Return the reason of the account's trading level and who set it, in brackets; empty without one."""
        level = self.trading_level(account)
        found = next((s for name in (KILL, "", account) if (s := self.trading.get(name)) and s.level is level), None)
        if found is None:
            return ""
        said = [found.reason] if found.reason else []
        return f" ({', '.join([*said, f'by {found.by}'] if found.by else said)})" if said or found.by else ""

    def learns_trading(self, level: DayTraded) -> bool:
        """True if a level says of an exchange that it trades which is not known for that day."""
        return any(self.traded_days.get(exchange) != level.day for exchange in level.exchanges)

    def is_absent(self, account: str) -> bool:
        """True of an account that is not in this run: renamed or removed, its server is neither read nor called."""
        return bool(self.in_run) and account not in self.in_run

    def books_lost(self, account: str) -> bool:
        """True while the books of an account cannot be read, or its order book is empty though orders of today stand in
        it, so that the end of no order can be proven."""
        return BOOKS_LOST + account in self.flags or account in self.emptied

    def advance_machine_time(self, machine_ns: int) -> None:
        """Advance the machine time of the state (ns); an earlier time has no effect."""
        if machine_ns > self.machine_ns:
            self.machine_ns = machine_ns

    def put_order(self, order: Order, key: NetKey) -> Order | None:
        """Store an order's new version and update the indices; `key`: its net key. Returns the version before."""
        name = order.client_order_id
        before = self.orders.get(name)
        if self._changes is not None:
            self._changes.append((self.orders, name, before))
        self.orders[name] = order
        # no index tells apart ended levels of one state that have these alike: a day's rows are mostly such
        if (
            before is None
            or before.state is not order.state
            or order.state not in TERMINAL
            or (before.filled, before.filled_seen) != (order.filled, order.filled_seen)
            or before.broker_order_id != order.broker_order_id
        ):
            self._index(order, name, key)
        if before is not None and before.broker_order_id not in ("", order.broker_order_id):
            place = (before.account, before.broker_order_id)
            if self.by_broker.get(place) == name:
                self.drop(self.by_broker, place)
        return before

    def _index(self, order: Order, name: str, key: NetKey) -> None:
        account, state = order.account, order.state
        rests = state in RESTING
        under_way = not rests and state in LIVE
        is_open = rests or under_way or not is_settled(order)
        if is_open != (name in (self.open_by_key.get(key) or _NONE)):
            _place(self, self.open_by_key, key, name, is_open)
        if rests != (name in (self.resting.get(account) or _NONE)):
            _place(self, self.resting, account, name, rests)
        if order.links.parent:
            _place(self, self.parts, order.links.parent, name, True)
        cancel, modify = order.evidence.cancel, order.evidence.modify
        change = not cancel.out if cancel.wanted else modify.wanted is not None and not modify.unproven
        for table, wanted in (
            (self.waiting, change if rests else state is OrderState.INITIALIZED),
            (
                self.restless,
                under_way or needs_read_or_call(order) or bool(order.plan.rests_until_ns and is_live(order)),
            ),
            (self.seeking, state in UNRESOLVED or state in ABSENT),
        ):
            if wanted != (name in table):
                self.put(table, name, account) if wanted else self.drop(table, name)
        place = (account, order.broker_order_id)
        if place[1] and (name not in self.carried or (self.by_broker.get(place) or name) == name):
            self.put(self.by_broker, place, name)  # but for an id that was used again today

    def put_position(self, position: Position) -> None:
        """Store a position's new version and update the indices."""
        self.put(self.positions, position.owner, position)
        _place(self, self.owners, position.net, position.strategy, bool(position.quantity or position.quantity_seen))


TABLES = tuple(name for name, kind in State.__annotations__.items() if kind.startswith("Table["))
"""Names of all tables of a state."""


def _place(state: State, index: Table[K, frozenset[str]], key: K, name: str, member: bool) -> None:
    present = index.get(key) or _NONE
    if member == (name in present):
        return
    changed = present | {name} if member else present - {name}
    state.put_or_drop(index, key, changed, changed)


def is_covered(level: Flatten, thing: Order | Position | OwnerKey) -> bool:
    """True if a flatten is about this order, position or owner."""
    same = thing.account == level.account and level.instrument in ("", thing.instrument)
    return same and level.strategy in ("", thing.strategy) and level.product in (None, thing.product)


def needs_read_or_call(order: Order) -> bool:
    """True while an order needs reads of the books, or a call of it is due or unanswered."""
    evidence = order.evidence
    if order.filled_seen > order.filled or ((evidence.cancel.wanted or evidence.modify.unproven) and is_live(order)):
        return True
    if order.state not in RESTING:
        return order.state in LIVE
    return (order.purpose.reduces and not is_untriggered_stop(order)) or bool(
        evidence.end or evidence.modify.reads or evidence.limit_reads
    )
