"""What risk knows: wishes, owned positions and orders as the router tells them, quotes, levels and health.

Used by `core/risk` alone. Everything that must survive a restart comes from journaled rows; quotes, heartbeats and
health are learnt anew. The one rule: `fold` is the only mutator.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from mytrading.core.pnl import newer, profit
from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied, SignalExpired, WithdrawEntries
from mytrading.messages.control import Heartbeat, ModeCleared, StrategySwitch, TradingState
from mytrading.messages.enums import Confidence, OrderState, Product, Purpose, TradingLevel
from mytrading.messages.market import Quote
from mytrading.messages.orders import (
    AccountModeChanged,
    GoalChanged,
    InstrumentHalted,
    Order,
    OrderChanged,
    Position,
    PositionAdjusted,
    PositionChanged,
    TimerFired,
    TradeClosed,
)
from mytrading.messages.records import LevelMoved, RiskOpened
from mytrading.messages.reports import AccountHealth
from mytrading.messages.signals import Leg, Signal

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
IST_NS = 19_800 * SECOND
SILENT_NS = 3 * SECOND
MACHINE_FLOOR_NS = 2 * SECOND
REMEMBERED = 4000
NEEDED = ("feed", "router", "reconciler")

ENDED = frozenset(
    {
        OrderState.FILLED,
        OrderState.DENIED,
        OrderState.REJECTED,
        OrderState.CANCELLED,
        OrderState.EXPIRED,
    }
)

Key = tuple[str, str, str, str]


class Wish(msgspec.Struct, kw_only=True):
    """The standing wish of a strategy for one watched instrument. `settled`: nothing more is to be done for it."""

    signal: Signal
    settled: bool = False
    spent: bool = False

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The legs that want a position."""
        return tuple(leg for leg in self.signal.legs if leg.lots)


class RiskState:
    """Levels by subject. Reading methods are pure."""

    def __init__(self, lot_of: Callable[[str], int] = lambda _: 1) -> None:
        self.lot_of = lot_of
        self.wishes: dict[tuple[str, str], Wish] = {}
        self.watch_of_signal: dict[str, tuple[str, str]] = {}
        self.bound: dict[tuple[str, str], str] = {}
        self.issued: dict[str, None] = {}
        self.closing: set[Key] = set()
        self.positions: dict[Key, Position] = {}
        self.orders: dict[str, Order] = {}
        self.booked: dict[str, int] = {}
        self.runs: dict[str, str] = {}
        self.entry_times: dict[str, deque[int]] = {}
        self.last_entry: dict[tuple[str, str], int] = {}
        self.quotes: dict[str, Quote] = {}
        self.trading: dict[str, TradingState] = {}
        self.switches: dict[str, StrategySwitch] = {}
        self.halted: dict[tuple[str, str, str], str] = {}
        self.wrong_mode: dict[str, str] = {}
        self.beats: dict[str, Heartbeat] = {}
        self.health: dict[str, AccountHealth] = {}
        self.levels: dict[str, float] = {}
        self.awaited: set[str] = set()
        self.machine_ns = 0
        self.disk_low = False
        self.killed = False

    def fold(self, row: Any) -> None:
        """Learn a row; rows that do not concern risk pass by."""
        learn = _LEARN.get(type(row))
        if learn is not None:
            learn(self, row)

    # learning

    def _signal(self, signal: Signal) -> None:
        key = (signal.strategy, signal.watch)
        self._remember(self.watch_of_signal, signal.id, key)
        known = self.wishes.get(key)
        if known is not None and known.signal.id == signal.id and known.settled:
            return
        spent = known is not None and known.spent and signal.created_ns <= known.signal.created_ns
        self.wishes[key] = Wish(signal=signal, spent=spent)
        self._settle_if_met(self.wishes[key])
        self._await()

    def _entry(self, entry: PlaceEntry) -> None:
        self._remember(self.issued, entry.id, None)
        self.runs[entry.strategy] = entry.run
        key = self.watch_of_signal.get(entry.cause)
        if key is None:
            return
        self.bound[entry.strategy, entry.instrument] = key[1]
        wish = self.wishes.get(key)
        if wish is None or wish.signal.id != entry.cause:
            return
        times = self.entry_times.setdefault(entry.strategy, deque(maxlen=256))
        times.append(wish.signal.created_ns)
        self.last_entry[key] = wish.signal.created_ns
        self.orders.setdefault(entry.id, _coming(entry))
        self._settle_if_met(wish)
        self._await()

    def _close(self, goal: CloseGoal) -> None:
        self._remember(self.issued, goal.id, None)
        self.closing.add((goal.account, goal.instrument, goal.product, goal.strategy))

    def _withdraw(self, row: WithdrawEntries) -> None:
        self._remember(self.issued, row.id, None)

    def _refused(self, row: SignalDenied | SignalExpired) -> None:
        key = self.watch_of_signal.get(row.signal)
        wish = self.wishes.get(key) if key else None
        if wish is not None and wish.signal.id == row.signal:
            wish.settled = True
        self._await()

    def _order(self, row: OrderChanged) -> None:
        self.orders[row.order.client_order_id] = row.order
        self._forget_booked(row.order)
        for wish in self.open_wishes():
            if wish.signal.strategy == row.order.strategy:
                self._settle_if_met(wish)
        self._await()

    def _forget_booked(self, order: Order) -> None:
        """An ended order counts until all it filled stands in its position: the two arrive one after the other."""
        if not self.remaining(order):
            self.orders.pop(order.client_order_id, None)
            if order.state in ENDED:
                self.booked.pop(order.client_order_id, None)

    def remaining(self, order: Order) -> int:
        """Units that an order may still add to its position: what it fills is gone from here only once booked there."""
        whole = order.filled if order.state in ENDED else order.quantity
        return max(0, whole - self.booked.get(order.client_order_id, 0))

    def _position(self, row: PositionChanged | PositionAdjusted) -> None:
        position = row.position
        key = (position.account, position.instrument, position.product, position.strategy)
        self.positions[key] = position
        if isinstance(row, PositionChanged) and row.fill_quantity:
            name = row.client_order_id
            self.booked[name] = self.booked.get(name, 0) + abs(row.fill_quantity)
            if (order := self.orders.get(name)) is not None:
                self._forget_booked(order)
        if not position.quantity and not position.quantity_seen:
            self.bound_cleanup(position)
        for wish in self.wishes.values():
            if wish.signal.strategy == position.strategy:
                self._settle_if_met(wish)
        self._await()

    def bound_cleanup(self, position: Position) -> None:
        """A flat position with nothing coming belongs to no watched instrument any more."""
        if not self.coming_units(position.strategy, position.instrument):
            self.bound.pop((position.strategy, position.instrument), None)

    def _trade(self, row: TradeClosed) -> None:
        for wish in self.wishes.values():
            if wish.signal.strategy == row.strategy and any(leg.instrument == row.instrument for leg in wish.legs):
                wish.spent = wish.settled = True

    def _goal(self, row: GoalChanged) -> None:
        goal = row.goal
        key = (goal.account, goal.instrument, goal.product, goal.strategy)
        if goal.state == "done":
            self.closing.discard(key)
        else:
            self.closing.add(key)

    def _level(self, row: LevelMoved) -> None:
        self.levels[row.name] = row.value

    def _timer(self, row: TimerFired) -> None:
        self.machine_ns = max(self.machine_ns, row.machine_ns)
        if row.name in _FLAGS:
            flag, value = _FLAGS[row.name]
            setattr(self, flag, value)

    def _beat(self, row: Heartbeat) -> None:
        self.beats[row.daemon] = row
        self.machine_ns = max(self.machine_ns, row.machine_ns)

    def _health(self, row: AccountHealth) -> None:
        self.health[row.account] = row

    def _quote(self, row: Quote) -> None:
        if newer(self.quotes.get(row.instrument), row):
            self.quotes[row.instrument] = row
            self.machine_ns = max(self.machine_ns, row.received_ns)

    def _trading(self, row: TradingState) -> None:
        self.trading[row.account] = row

    def _switch(self, row: StrategySwitch) -> None:
        self.switches[row.strategy] = row

    def _halt(self, row: InstrumentHalted) -> None:
        key = (row.account, row.instrument, row.product)
        if row.halted:
            self.halted[key] = row.reason
        else:
            self.halted.pop(key, None)

    def _mode(self, row: AccountModeChanged) -> None:
        if row.wrong_mode:
            self.wrong_mode[row.account] = row.message
        else:
            self.wrong_mode.pop(row.account, None)

    def _cleared(self, row: ModeCleared) -> None:
        self.wrong_mode.pop(row.account, None)

    def _opened(self, row: RiskOpened) -> None:
        self.wishes = {
            (signal.strategy, signal.watch): Wish(
                signal=signal, settled=signal.id in row.settled, spent=signal.id in row.spent
            )
            for signal in row.wishes
        }
        self.watch_of_signal = {signal.id: (signal.strategy, signal.watch) for signal in row.wishes}
        self.bound = {(strategy, instrument): watch for strategy, instrument, watch in row.bound}
        self.issued = dict.fromkeys(row.issued)
        self.positions = {(p.account, p.instrument, p.product, p.strategy): p for p in row.positions}
        self.orders = {order.client_order_id: order for order in row.orders}
        self.booked = dict(row.booked)
        self.closing = {(a, i, p, s) for a, i, p, s in row.closing}
        self.runs = dict(row.runs)
        self.levels = dict(row.levels)
        self.trading = {state.account: state for state in row.trading}
        self.switches = {switch.strategy: switch for switch in row.switches}
        self.halted = {(halt.account, halt.instrument, halt.product): halt.reason for halt in row.halted}
        self.wrong_mode = {mode.account: mode.message for mode in row.wrong_mode}
        self._await()

    def _remember(self, table: dict[str, Any], name: str, value: Any) -> None:
        table[name] = value
        while len(table) > REMEMBERED:
            del table[next(iter(table))]

    def _settle_if_met(self, wish: Wish) -> None:
        """A wish is settled when all its legs were ordered and nothing that it does not want is held or coming."""
        signal = wish.signal
        wanted = {leg.instrument for leg in wish.legs}
        held = {position.instrument for position in self.held(signal.strategy, signal.watch)}
        coming = {order.instrument for order in self.coming_entries(signal.strategy, signal.watch)}
        if wish.settled or (held | coming) - wanted:
            return
        wish.settled = all(self._met(wish, leg) for leg in wish.legs)

    def _met(self, wish: Wish, leg: Leg) -> bool:
        """True if the leg was ordered for this wish, or what is held and coming is what it wants."""
        signal = wish.signal
        if any(order.cause == signal.id and order.instrument == leg.instrument for order in self.orders.values()):
            return True
        there = self.units_of(signal.strategy, signal.watch, leg.instrument)
        return there + self.coming_units(signal.strategy, leg.instrument) == leg.lots * self.lot_of(leg.instrument)

    def _await(self) -> None:
        self.awaited = {leg.instrument for wish in self.wishes.values() if not wish.settled for leg in wish.legs}

    # asked

    def open_wishes(self) -> Iterator[Wish]:
        """Wishes that still need something."""
        return (wish for wish in self.wishes.values() if not wish.settled)

    def open_positions(self) -> list[Position]:
        """Positions that are not flat, seen ones included."""
        return [position for position in self.positions.values() if position.quantity or position.quantity_seen]

    def held(self, strategy: str, watch: str) -> list[Position]:
        """What a strategy holds for a watched instrument."""
        return [
            position
            for position in self.open_positions()
            if position.strategy == strategy and self.bound.get((strategy, position.instrument), watch) == watch
        ]

    def coming_entries(self, strategy: str, watch: str) -> list[Order]:
        """Entries of a strategy for a watched instrument whose units are not all in its position yet."""
        return [
            order
            for order in self.orders.values()
            if order.strategy == strategy
            and order.purpose is Purpose.ENTRY
            and self.remaining(order)
            and self.bound.get((strategy, order.instrument), watch) == watch
        ]

    def live_entries(self, strategy: str, watch: str) -> list[Order]:
        """Those of them that may still fill."""
        return [order for order in self.coming_entries(strategy, watch) if order.state not in ENDED]

    def is_closing(self, strategy: str, watch: str) -> bool:
        """True while something the strategy holds for the watched instrument is being closed."""
        return any(
            key[3] == strategy and self.bound.get((strategy, key[1]), watch) == watch and self._open_key(key)
            for key in self.closing
        )

    def _open_key(self, key: Key) -> bool:
        position = self.positions.get(key)
        return position is None or bool(position.quantity or position.quantity_seen)

    def units_of(self, strategy: str, watch: str, instrument: str) -> int:
        """Signed units held."""
        return sum(p.quantity for p in self.held(strategy, watch) if p.instrument == instrument)

    def coming_units(self, strategy: str, instrument: str) -> int:
        """Signed units that live entries of a strategy may still bring."""
        return sum(
            self.remaining(order) * order.side.sign
            for order in self.orders.values()
            if order.strategy == strategy and order.instrument == instrument and order.purpose is Purpose.ENTRY
        )

    def units_everywhere(self, account: str, instrument: str) -> int:
        """Signed units held and coming, of all owners."""
        held = sum(p.quantity for p in self.positions.values() if p.account == account and p.instrument == instrument)
        coming = sum(
            self.remaining(order) * order.side.sign
            for order in self.orders.values()
            if order.account == account and order.instrument == instrument and order.purpose is Purpose.ENTRY
        )
        return held + coming

    def busy_instruments(self, account: str) -> set[str]:
        """Instruments with a position, or an entry on its way."""
        held = {position.instrument for position in self.open_positions() if position.account == account}
        coming = {
            order.instrument
            for order in self.orders.values()
            if order.account == account and order.purpose is Purpose.ENTRY
        }
        return held | coming

    def other_watch(self, strategy: str, watch: str, instrument: str) -> str:
        """The other watched instrument for which the strategy holds or orders this one, if any."""
        bound = self.bound.get((strategy, instrument), watch)
        return "" if bound == watch else bound

    def opposed(self, account: str, instrument: str, product: str, strategy: str, units: int) -> str:
        """The strategy that holds the other side, if any."""
        for position in self.open_positions():
            mine = position.strategy == strategy
            there = (position.account, position.instrument, position.product) == (account, instrument, product)
            if there and not mine and (position.quantity or position.quantity_seen) * units < 0:
                return position.strategy
        return ""

    def run_of(self, strategy: str) -> str:
        """The run a strategy is in; empty when it is flat with nothing on the way."""
        held = any(position.strategy == strategy for position in self.open_positions())
        coming = any(order.strategy == strategy and order.purpose is Purpose.ENTRY for order in self.orders.values())
        return self.runs.get(strategy, "") if held or coming else ""

    def entries_of(self, strategy: str, now: int) -> list[int]:
        """Market times of the entries within the last minute."""
        return [at for at in self.entry_times.get(strategy, ()) if now - at < MINUTE]

    def confidence(self, strategy: str, instrument: str) -> Confidence:
        """The least confidence of the strategy's positions in an instrument."""
        found = [
            position.confidence
            for position in self.positions.values()
            if position.strategy == strategy and position.instrument == instrument
        ]
        return next((level for level in found if level is not Confidence.CONFIRMED), Confidence.CONFIRMED)

    def level(self, account: str) -> tuple[TradingLevel, str]:
        """The trading level in effect for an account, and why."""
        if self.killed:
            return TradingLevel.HALT, "the file KILL is there"
        states = [state for name in ("", account) if (state := self.trading.get(name)) is not None]
        for wanted in (TradingLevel.HALT, TradingLevel.REDUCE):
            for state in states:
                if state.level is wanted:
                    return wanted, state.reason
        return TradingLevel.NORMAL, ""

    def enabled(self, strategy: str) -> bool:
        """False while a strategy's entries are switched off."""
        switch = self.switches.get(strategy)
        return switch is None or switch.enabled

    def not_ready(self) -> str:
        """Which daemon or account keeps entries waiting, in words; empty if none."""
        for name in NEEDED:
            beat = self.beats.get(name)
            if beat is None or self.machine_ns - beat.machine_ns > SILENT_NS:
                return f"{name} is silent"
            if not beat.ready:
                return f"{name} is not ready ({'; '.join(beat.notes) or beat.state.value})"
        for account, health in self.health.items():
            if not health.healthy:
                return f"account {account}: {health.message or 'its books are not read yet'}"
        return "" if self.health else "no account has reported yet"

    def day_profit(self, day: str) -> float:
        """Rupees of today: realised by positions that moved today, and unrealised at present quotes."""
        today = [
            position for position in self.positions.values() if position.quantity or _day(position.updated_ns) == day
        ]
        return profit(today, self.quotes).total

    def loss_reached(self, day: str) -> bool:
        """True if the day's loss limit was reached once today."""
        return f"daily_loss:{day}" in self.levels

    def snapshot(self, day: str) -> RiskOpened:
        """All that must survive, as one row."""
        return RiskOpened(
            day=day,
            wishes=tuple(wish.signal for wish in self.wishes.values()),
            settled=tuple(wish.signal.id for wish in self.wishes.values() if wish.settled),
            spent=tuple(wish.signal.id for wish in self.wishes.values() if wish.spent),
            bound=tuple((strategy, instrument, watch) for (strategy, instrument), watch in self.bound.items()),
            issued=tuple(self.issued),
            positions=tuple(self.open_positions()),
            orders=tuple(self.orders.values()),
            booked={name: units for name, units in self.booked.items() if name in self.orders},
            closing=tuple(sorted(self.closing)),
            runs=dict(self.runs),
            levels={name: value for name, value in self.levels.items() if name.endswith(day)},
            trading=tuple(self.trading.values()),
            switches=tuple(self.switches.values()),
            halted=tuple(
                InstrumentHalted(
                    account=account,
                    instrument=instrument,
                    product=Product(product),
                    halted=True,
                    reason=reason,
                    at_ns=0,
                )
                for (account, instrument, product), reason in self.halted.items()
            ),
            wrong_mode=tuple(
                AccountModeChanged(account=account, wrong_mode=True, message=message, at_ns=0)
                for account, message in self.wrong_mode.items()
            ),
        )


def _coming(entry: PlaceEntry) -> Order:
    """An entry as it stands until the router says more."""
    return Order(
        client_order_id=entry.id,
        account=entry.account,
        instrument=entry.instrument,
        product=entry.product,
        strategy=entry.strategy,
        run=entry.run,
        cause=entry.cause,
        purpose=entry.purpose,
        side=entry.side,
        quantity=entry.quantity,
        order_type=entry.order_type,
        state=OrderState.INITIALIZED,
        created_ns=0,
        updated_ns=0,
    )


def _day(ns: int) -> str:
    """The Indian date of a market time."""
    return datetime.fromtimestamp((ns + IST_NS) / SECOND, UTC).date().isoformat()


_FLAGS = {
    "kill_on": ("killed", True),
    "kill_off": ("killed", False),
    "disk_low": ("disk_low", True),
    "disk_ok": ("disk_low", False),
}

_LEARN: dict[type, Any] = {
    Signal: RiskState._signal,
    PlaceEntry: RiskState._entry,
    CloseGoal: RiskState._close,
    WithdrawEntries: RiskState._withdraw,
    SignalDenied: RiskState._refused,
    SignalExpired: RiskState._refused,
    OrderChanged: RiskState._order,
    PositionChanged: RiskState._position,
    PositionAdjusted: RiskState._position,
    TradeClosed: RiskState._trade,
    GoalChanged: RiskState._goal,
    LevelMoved: RiskState._level,
    TimerFired: RiskState._timer,
    Heartbeat: RiskState._beat,
    AccountHealth: RiskState._health,
    Quote: RiskState._quote,
    TradingState: RiskState._trading,
    StrategySwitch: RiskState._switch,
    InstrumentHalted: RiskState._halt,
    AccountModeChanged: RiskState._mode,
    ModeCleared: RiskState._cleared,
    RiskOpened: RiskState._opened,
}
