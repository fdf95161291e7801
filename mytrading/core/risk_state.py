"""How risk learns: every row that concerns it, folded into its books.

Used by `core/risk` alone. What must survive a restart comes from journaled rows; quotes, heartbeats and health are
learnt anew. The one rule: `fold` is the only mutator.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from mytrading.core import leg_targets, risk_stops
from mytrading.core.pnl import newer
from mytrading.core.risk_books import Key, RiskBooks, Wish, day_of
from mytrading.core.risk_guard import Guard, IsOpen
from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied, SignalExpired, WithdrawEntries
from mytrading.messages.control import Alert, Heartbeat, ModeCleared, StrategySwitch, TradingState
from mytrading.messages.enums import OrderState, Product
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
    ProtectionChanged,
    RecoveryChanged,
    TimerFired,
)
from mytrading.messages.records import ControlOpened, DayOpened, LevelMoved, RiskOpened
from mytrading.messages.reports import AccountHealth, BrokerHeld, ReadRequest
from mytrading.messages.signals import Leg, Signal

REMEMBERED = 4000


class RiskState(RiskBooks):
    """The books, and `fold`. `guarded`: is an owner's stop to rest at the broker; `accounts`: where it trades."""

    def __init__(
        self,
        lot_of: Callable[[str], int] = lambda _: 1,
        is_open: IsOpen = lambda _exchange, _now: True,
        guarded: Callable[[str], bool] = lambda _strategy: True,
        accounts: Callable[[str], tuple[str, ...]] = lambda _strategy: (),
    ) -> None:
        super().__init__(lot_of)
        self.guard = Guard(is_open)
        self._guarded = guarded
        self._accounts = accounts

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
        wish = self.wishes[key] = Wish(signal=signal, since_ns=signal.created_ns)
        if known is not None and known.signal.id == signal.id:
            wish.ended, wish.given_up = known.ended, known.given_up
        if known is not None and known.value == wish.value and day_of(known.since_ns) == day_of(signal.created_ns):
            wish.since_ns, wish.spent = known.since_ns, known.spent
        self._settle_if_met(wish)
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
            if isinstance(row, SignalDenied) and row.account:
                wish.ended.add(row.account)
                if row.unwinds:
                    wish.given_up.add(row.account)
            wish.settled |= isinstance(row, SignalExpired) or not row.account
            self._settle_if_met(wish)
        self._await()

    def _order(self, row: OrderChanged) -> None:
        self._take_from_parent(row.order)
        self.guard.moved(row.order, row.machine_ns)
        self.orders[row.order.client_order_id] = row.order
        self._forget_booked(row.order)
        for wish in self.open_wishes():
            if wish.signal.strategy == row.order.strategy:
                self._settle_if_met(wish)
        self._await()

    def _take_from_parent(self, order: Order) -> None:
        """An entry stands for its slices until each of them is known, so that together they never count for less."""
        parent = self.orders.get(order.parent) if order.parent else None
        if parent is None or order.client_order_id in self.orders:
            return
        if parent.quantity > order.quantity:
            self.orders[order.parent] = replace(parent, quantity=parent.quantity - order.quantity)
        else:
            del self.orders[order.parent]

    def _forget_booked(self, order: Order) -> None:
        """An ended order counts until all it filled stands in its position: the two arrive one after the other.

        What was booked is remembered, since an order that was cancelled in part may fill further, late.
        """
        if not self.remaining(order):
            self.orders.pop(order.client_order_id, None)

    def _position(self, row: PositionChanged | PositionAdjusted) -> None:
        position = row.position
        key = (position.account, position.instrument, position.product, position.strategy)
        before = self.positions.get(key)
        self.positions[key] = position
        if isinstance(row, PositionChanged) and row.fill_quantity:
            name = row.client_order_id
            self._remember(self.booked, name, self.booked.get(name, 0) + abs(row.fill_quantity))
            if (order := self.orders.get(name)) is not None:
                self._forget_booked(order)
        if isinstance(row, PositionAdjusted) and row.cause == "claim":
            self.claimed.add(key)
        if not (position.quantity or position.quantity_seen):
            self.claimed.discard(key)
        if before is not None and before.quantity and not position.quantity:
            self._spend(before)
        for wish in self.wishes.values():
            if wish.signal.strategy == position.strategy:
                self._settle_if_met(wish)
        self._await()

    def _spend(self, closed: Position) -> None:
        """A position that a standing wish had opened, and still wants, was closed: by the clock, a person, the venue.

        One that is older than the wish was closed to make way for it.
        """
        for wish in self.wishes.values():
            wanted = any(leg.instrument == closed.instrument and leg.lots * closed.quantity > 0 for leg in wish.legs)
            given_up = closed.account in wish.given_up
            if (
                wanted
                and not given_up
                and wish.signal.strategy == closed.strategy
                and closed.opened_ns >= wish.since_ns
            ):
                wish.spent.add(closed.account)
                wish.ended.add(closed.account)

    def _goal(self, row: GoalChanged) -> None:
        goal = row.goal
        key = (goal.account, goal.instrument, goal.product, goal.strategy)
        if goal.state == "done":
            self.closing.discard(key)
        else:
            self.closing.add(key)

    def _level(self, row: LevelMoved) -> None:
        if (owner := leg_targets.key_in(row.name)) is not None:
            self.target_levels[owner] = row.value
            if not row.value:
                del self.target_levels[owner]
            return
        owner = risk_stops.key_in(row.name)
        if owner is None:
            self.levels[row.name] = row.value
            return
        if row.value:
            self.stop_levels[owner] = row.value
        else:
            self.stop_levels.pop(owner, None)
        self.stop_instruments = {key[1] for key in self.stop_levels}

    def _protection(self, row: ProtectionChanged) -> None:
        level = row.protection
        self.protections[level.account, level.instrument, level.product, level.strategy] = level

    def guarded_positions(self) -> dict[Key, Position]:
        """Positions that are not flat and whose stop is to rest at the broker.

        Not those that a person released, or claimed without a stop, and no hedges.
        """
        states = {key: level.state for key, level in self.protections.items()}
        free = {key for key in self.claimed if states.get(key, "done") == "done"}
        free |= {key for key, state in states.items() if state == "released"}
        found = self.positions.items()
        held = {key: p for key, p in found if (p.quantity or p.quantity_seen) and key not in free}
        return {key: p for key, p in held.items() if self._guarded(p.strategy) and not self.is_hedge(p)}

    def _held(self, row: BrokerHeld) -> None:
        self.guard.read(row, self.guarded_positions(), self.orders.values())

    def _asked(self, row: ReadRequest) -> None:
        self.guard.asked(row.account, row.machine_ns)

    def _told(self, row: Alert) -> None:
        self.guard.alarmed(row.subject)

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

    def _recovery(self, row: RecoveryChanged) -> None:
        if row.done:
            self.recovering.discard(row.account)
        else:
            self.recovering.add(row.account)

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
                signal=signal,
                settled=signal.id in row.settled,
                spent={account for name, account in row.spent if name == signal.id},
                since_ns=signal.created_ns,
                ended={account for name, account in row.ended if name == signal.id},
                given_up={account for name, account in row.given_up if name == signal.id},
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
        self.claimed = {(a, i, p, s) for a, i, p, s in row.claimed}
        self.runs = dict(row.runs)
        self.levels, self.stop_levels, self.stop_instruments = {}, {}, set()
        self.target_levels = {}
        for name, value in row.levels.items():
            self._level(LevelMoved(name=name, value=value, at_ns=0))
        self.protections = {(p.account, p.instrument, p.product, p.strategy): p for p in row.protections}
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
        if wish.settled or (held | coming) - wanted or self.is_closing(signal.strategy, signal.watch):
            return
        accounts = self._accounts(signal.strategy)
        wish.settled = all(account in wish.ended or self._met_in(wish, account) for account in accounts)

    def _met_in(self, wish: Wish, account: str) -> bool:
        return all(self._met(wish, leg, account) for leg in wish.legs)

    def _met(self, wish: Wish, leg: Leg, account: str) -> bool:
        """True if the leg was ordered for this wish, or what is held and coming is what it wants.

        A leg of several must be held: until then it may have to be tried again, or the others be given up.
        """
        signal = wish.signal
        target = leg.lots * self.lot_of(leg.instrument)
        there = self.units_of(signal.strategy, signal.watch, leg.instrument, account)
        if len(wish.legs) > 1:
            return there == target
        if any(
            (order.cause, order.instrument, order.account) == (signal.id, leg.instrument, account)
            for order in self.orders.values()
        ):
            return True
        if self.is_withdrawing(signal.strategy, leg.instrument):
            return False
        return there + self.coming_units(signal.strategy, leg.instrument, account) == target

    def _await(self) -> None:
        self.awaited = {leg.instrument for wish in self.wishes.values() if not wish.settled for leg in wish.legs}

    def snapshot(self, day: str) -> RiskOpened:
        """All that must survive, as one row."""
        return RiskOpened(
            day=day,
            wishes=tuple(wish.signal for wish in self.wishes.values()),
            settled=tuple(wish.signal.id for wish in self.wishes.values() if wish.settled),
            spent=tuple((w.signal.id, account) for w in self.wishes.values() for account in sorted(w.spent)),
            ended=tuple((w.signal.id, account) for w in self.wishes.values() for account in sorted(w.ended)),
            given_up=tuple((w.signal.id, account) for w in self.wishes.values() for account in sorted(w.given_up)),
            claimed=tuple(sorted(self.claimed)),
            bound=tuple(
                (strategy, instrument, watch)
                for (strategy, instrument), watch in self.bound.items()
                if self._owns(strategy, instrument)
            ),
            issued=tuple(self.issued),
            positions=tuple(replace(p, realised=0.0, bought=0, sold=0) for p in self.open_positions()),
            orders=tuple(self.orders.values()),
            booked={name: units for name, units in self.booked.items() if name in self.orders},
            closing=tuple(sorted(self.closing)),
            runs=dict(self.runs),
            levels={
                **{name: value for name, value in self.levels.items() if name.endswith(day)},
                **{risk_stops.name_of(key): level for key, level in self.stop_levels.items()},
                **{leg_targets.name_of(key): level for key, level in self.target_levels.items()},
            },
            protections=tuple(level for level in self.protections.values() if level.state != "done"),
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


def foundation(records: Sequence[Any]) -> tuple[RiskOpened, ...]:
    """What risk's lost journal begins with: the opening of the day as the router and the gateway carried it over."""
    router = next((row for row in records if isinstance(row, DayOpened)), None)
    control = next((row for row in records if isinstance(row, ControlOpened)), None)
    if router is None and control is None:
        return ()
    opened = router or DayOpened(day=control.day if control else "")
    return (
        RiskOpened(
            day=opened.day,
            positions=opened.positions,
            orders=opened.orders,
            halted=opened.halted,
            wrong_mode=opened.wrong_mode,
            closing=tuple((g.account, g.instrument, g.product, g.strategy) for g in opened.goals),
            trading=control.trading if control else opened.trading,
            switches=control.switches if control else opened.switches,
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


_FLAGS = {
    "kill_on": ("killed", True),
    "kill_off": ("killed", False),
    "doubt_on": ("doubted", True),
    "doubt_off": ("doubted", False),
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
    GoalChanged: RiskState._goal,
    LevelMoved: RiskState._level,
    TimerFired: RiskState._timer,
    Heartbeat: RiskState._beat,
    AccountHealth: RiskState._health,
    ProtectionChanged: RiskState._protection,
    BrokerHeld: RiskState._held,
    ReadRequest: RiskState._asked,
    Alert: RiskState._told,
    Quote: RiskState._quote,
    TradingState: RiskState._trading,
    StrategySwitch: RiskState._switch,
    InstrumentHalted: RiskState._halt,
    RecoveryChanged: RiskState._recovery,
    AccountModeChanged: RiskState._mode,
    ModeCleared: RiskState._cleared,
    RiskOpened: RiskState._opened,
}
