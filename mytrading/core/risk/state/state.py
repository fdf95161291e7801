"""How risk learns: every row that concerns it, folded into its books.

What must survive a restart comes from journaled rows; quotes, heartbeats and health are learnt again. `fold` is the
only mutator.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from mytrading.core.orders.state_machine import TERMINAL, with_modify
from mytrading.core.risk.books import orphan_hedges, rollover_state
from mytrading.core.risk.books.books import UNKNOWN_WATCH, BasketReserve, RiskBooks, note_entry
from mytrading.core.risk.books.hedges import Contract, hedging
from mytrading.core.risk.books.intent import Intent
from mytrading.core.risk.books.intent_status import is_met
from mytrading.core.risk.books.settling import SETTLES_NOTHING, coming, counts
from mytrading.core.risk.pnl.day_pnl import ACCOUNT, STRATEGY
from mytrading.core.risk.protection.stop_coverage import IsOpen, StopCoverage
from mytrading.core.risk.state import day_carry
from mytrading.core.risk.state.folds import WORLD
from mytrading.core.time import iso_day
from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied, SignalExpired, WithdrawEntries
from mytrading.messages.control import Alert
from mytrading.messages.enums import Side
from mytrading.messages.journal_rows import IntentSized, RiskOpened, Rolled
from mytrading.messages.keys import OwnerKey
from mytrading.messages.orders import (
    Order,
    OrderChanged,
    Position,
    PositionAdjusted,
    PositionChanged,
    TradeClosed,
)
from mytrading.messages.reports import BrokerHeld, Funds, MarginAnswer, MarginRequest, ReadRequest
from mytrading.messages.signals import Signal

REMEMBERED = 4000

_LOOKED_AT = frozenset(("contradicted", "observed"))
"""Events of a book that shows an ended order, this way or that."""


class RiskState(RiskBooks):
    """The books, and `fold`. `guarded`: is an owner's stop to rest at the broker; `accounts`: where it trades."""

    def __init__(
        self,
        lot_of: Callable[[str], int] = lambda _: 1,
        is_open: IsOpen = lambda _exchange, _now: True,
        guarded: Callable[[str], bool] = lambda _strategy: True,
        accounts: Callable[[str], tuple[str, ...]] = lambda _strategy: (),
        stale_seconds: float = 5.0,
        watch_for: Callable[[str, str], str | None] = lambda _strategy, _instrument: None,
        contract_of: Callable[[str], Contract | None] = lambda _instrument: None,
        reach: Callable[[str, float], float] = lambda _instrument, _price: math.inf,
    ) -> None:
        super().__init__(lot_of, stale_seconds, contract_of, reach)
        self._watch_for = watch_for
        self.guard = StopCoverage(is_open)
        self._guarded = guarded
        self._accounts = accounts
        self._awaited: set[str] | None = set()
        self._looked_at: set[str] = set()
        """Strategies of which nothing that could settle an intent was learnt since their intents were looked at."""

    def fold(self, row: Any) -> None:
        """Learn a row; rows that do not concern risk pass by."""
        kind = type(row)
        learn = _LEARN.get(kind)
        if learn is not None:
            learn(self, row)
            if kind not in SETTLES_NOTHING:
                self._looked_at.clear()

    def look_again(self) -> None:
        """What is asked for lots and accounts may answer otherwise from now on."""
        self._looked_at.clear()

    # learning

    def _signal(self, signal: Signal) -> None:
        key = (signal.strategy, signal.watch)
        self._remember(self.watch_of_signal, signal.id, key)
        self._take_up(signal)
        known = self.intents.get(key)
        if known is not None and known.signal.id == signal.id and known.settled:
            return
        moved = rollover_state.moved(self, signal.strategy) if self.rolls else {}
        intent = self.intents[key] = Intent(signal=signal, since_ns=signal.created_ns, moved=moved)
        same = known is not None and len(known.legs) == len(intent.legs) and known.value == intent.value
        if not same and self.baskets:
            self.baskets = {name: kept for name, kept in self.baskets.items() if name[:2] != key}
        if known is not None and same and self._keeps_size(known, signal):
            intent.sized = known.sized
        if known is not None and known.signal.id == signal.id:
            intent.ended, intent.given_up, intent.entered = known.ended, known.given_up, known.entered
        again = same and not signal.rearmed
        if known is not None and again and iso_day(max(known.since_ns, known.spent_ns)) == iso_day(signal.created_ns):
            intent.since_ns, intent.spent, intent.spent_ns = known.since_ns, known.spent, known.spent_ns
            orphan_hedges.carry(self, intent, known)
            self._stay_given_up(intent, known)
        if known is not None and same and known.terms == intent.terms:
            intent.kin = known.kin | {known.signal.id} - {signal.id}
            if len(intent.legs) > 1 and not known.settled:
                self._go_on(intent, known)
        self._settle_if_met(intent)
        self._await()

    def _stay_given_up(self, intent: Intent, known: Intent) -> None:
        """What was given up in an account is given up in its repeat, as long as a closing of it is not done."""
        if known.given_up:
            over = known.given_up & self.closing_in(intent.signal.strategy, intent.signal.watch)
            intent.given_up |= over
            intent.ended |= over

    def _go_on(self, intent: Intent, known: Intent) -> None:
        """A basket that is said again while its first legs fill is the one that began, not another one to be counted.

        Where it broke it stays broken.
        """
        intent.entered |= known.entered
        intent.begun_as |= known.begun_as
        intent.given_up |= known.given_up
        intent.ended |= known.ended & known.given_up
        if known.entered and known.signal.id != intent.signal.id:
            intent.begun_as.add(known.signal.id)

    def _take_up(self, signal: Signal) -> None:
        """An intent that wants a position just as it is, of which nobody knows what it is held for, has it."""
        for position in self.positions.of(signal.strategy):
            place = (signal.strategy, position.instrument)
            held = position.quantity or position.quantity_seen
            if not held or self.bound.get(place) != UNKNOWN_WATCH:
                continue
            if any(leg.instrument == position.instrument and leg.lots * held > 0 for leg in signal.legs):
                self.bound[place] = signal.watch

    def _bind(self, position: Position) -> None:
        """Bind a position that no entry was bound with: to what its strategy's rules tell, or to nothing."""
        place = (position.strategy, position.instrument)
        if not (position.quantity or position.quantity_seen):
            if self.bound.get(place) == UNKNOWN_WATCH and not self.owns(*place):
                del self.bound[place]
        elif place not in self.bound and (watch := self._watch_for(*place)) is not None:
            self.bound[place] = watch

    def _keeps_size(self, known: Intent, signal: Signal) -> bool:
        """True if a repeated intent is not sized again: it is of the same day, or held."""
        return iso_day(known.since_ns) == iso_day(signal.created_ns) or bool(self.held(signal.strategy, signal.watch))

    def _sized(self, row: IntentSized) -> None:
        key = self.watch_of_signal.get(row.signal)
        intent = self.intents.get(key) if key else None
        if intent is not None and intent.signal.id == row.signal:
            intent.sized = {row.account: row.lots, **intent.sized}

    def _rolled(self, row: Rolled) -> None:
        rollover_state.learn(self, row)
        self._await()

    def _margin_asked(self, row: MarginRequest) -> None:
        self._remember(self.margin_asked, row.id, row.machine_ns)

    def _margin_told(self, row: MarginAnswer) -> None:
        self._remember(self.margin_told, row.id, row.total or 0.0)

    def _funds(self, row: Funds) -> None:
        self.margin.refresh(row)
        self.memory.funds[row.account] = row.available + row.used + row.collateral

    def _entry(self, entry: PlaceEntry) -> None:
        self._remember(self.issued, entry.id, None)
        self.margin.allocate(entry.account, entry.id, entry.margin, entry.quantity, entry.strategy, entry.instrument)
        self.runs[entry.strategy] = entry.run
        owner = entry.owner
        key = self.watch_of_signal.get(entry.cause)
        hedge = key is not None and self._is_hedge_entry(entry, key[1])
        self.memory.money.stop(owner, entry.stop_trigger or (0.0 if hedge else entry.held_stop))
        if key is None:
            if any(roll.cause == entry.cause for roll in self.rolls.values()):
                self.orders.setdefault(entry.id, coming(entry))
            return
        self.bound[entry.strategy, entry.instrument] = key[1]
        self.baskets.pop((*key, entry.account), None)
        if entry.basket_margin or entry.basket_legs:
            self.baskets[*key, entry.account] = BasketReserve(entry.basket_margin, entry.basket_legs)
        intent = self.intents.get(key)
        if intent is None or intent.signal.id != entry.cause:
            return
        if not intent.entered:  # one entry, however many legs and accounts it has
            note_entry(self.entry_times.setdefault(entry.strategy, []), intent.signal.created_ns)
        intent.entered = True
        self.last_entry[key] = intent.signal.created_ns
        self.orders.setdefault(entry.id, coming(entry))
        self._settle_if_met(intent)
        self._await()

    def _is_hedge_entry(self, entry: PlaceEntry, watch: str) -> bool:
        """True of what only hedges: it risks what the sold legs do, and its level is for the time after them."""
        if entry.side is not Side.BUY or not entry.held_stop:
            return False
        covers = self.covers(entry.account, entry.strategy, watch)
        return hedging(covers, entry.instrument) >= entry.quantity

    def _close(self, goal: CloseGoal) -> None:
        self._remember(self.issued, goal.id, None)
        self.closing.add(goal.owner)

    def _withdraw(self, row: WithdrawEntries) -> None:
        self._remember(self.issued, row.id, None)

    def _refused(self, row: SignalDenied | SignalExpired) -> None:
        key = self.watch_of_signal.get(row.signal)
        intent = self.intents.get(key) if key else None
        if intent is not None and intent.signal.id == row.signal:
            if isinstance(row, SignalDenied) and row.account:
                intent.ended.add(row.account)
                if row.unwinds:
                    intent.given_up.add(row.account)
            intent.settled |= isinstance(row, SignalExpired) or not row.account
            self._settle_if_met(intent)
        self._await()

    def _order(self, row: OrderChanged) -> None:
        order = row.order
        before = self.orders.get(order.client_order_id)
        self.guard.moved(order, row.machine_ns)
        self.margin.shown(order, row.machine_ns)
        self.retold = before is None and row.event in _LOOKED_AT and self._is_over(order)
        if self.retold:
            return
        self.tally.order(row)
        self._take_from_parent(order)
        self._take_from_replaced(order)
        self.orders[order.client_order_id] = order
        self._forget_booked(order)
        if self.uncovered:
            orphan_hedges.settle(self, order.strategy)
        if before is None or counts(before) != counts(order):
            self._looked_at.discard(order.strategy)
        self._look_at_intents(order.strategy)

    def _is_over(self, order: Order) -> bool:
        """True of an order that ended and is booked, where no other stands for it either."""
        stands = order.links.parent in self.orders or order.links.replaces in self.orders
        return order.state in TERMINAL and not stands and not self.remaining(order)

    def _look_at_intents(self, strategy: str) -> None:
        """Settle what is met, unless nothing that could settle an intent was learnt since the last look."""
        if strategy in self._looked_at:
            return
        for intent in self.open_intents():
            if intent.signal.strategy == strategy:
                self._settle_if_met(intent)
        self._await()
        self._looked_at.add(strategy)

    def _take_from_parent(self, order: Order) -> None:
        """An entry stands for its slices until each of them is known, so that together they never count for less."""
        parent = self.orders.get(order.links.parent) if order.links.parent and not order.links.replaces else None
        if parent is None or order.client_order_id in self.orders:
            return
        if parent.quantity > order.quantity:
            self.orders[order.links.parent] = replace(parent, quantity=parent.quantity - order.quantity)
        else:
            del self.orders[order.links.parent]

    def _take_from_replaced(self, order: Order) -> None:
        """An order that was cancelled to be replaced stands for the next, until that is known."""
        gone = self.orders.get(order.links.replaces) if order.links.replaces else None
        if gone is not None and gone.evidence.modify.by_replacement:
            gone = replace(gone, evidence=with_modify(gone.evidence, by_replacement=False))
            self.orders[gone.client_order_id] = gone
            self._forget_booked(gone)

    def _forget_booked(self, order: Order) -> None:
        """An ended order counts until all it filled stands in its position: the two arrive one after the other.

        What was booked is remembered, since an order that was cancelled in part may fill further, late.
        """
        if not self.remaining(order):
            self.orders.pop(order.client_order_id, None)

    def _position(self, row: PositionChanged | PositionAdjusted) -> None:
        position = row.position
        key = position.owner
        before = self.positions.get(key)
        self.positions[key] = position
        self._bind(position)
        self._move_money(position)
        closer = self.orders.get(row.client_order_id) if isinstance(row, PositionChanged) else None
        if isinstance(row, PositionChanged) and row.fill_quantity:
            name = row.client_order_id
            self._remember(self.booked, name, self.booked.get(name, 0) + abs(row.fill_quantity))
            if (order := self.orders.get(name)) is not None:
                self._forget_booked(order)
        if isinstance(row, PositionAdjusted) and row.cause == "claim":
            self.claimed.add(key)
        if not (position.quantity or position.quantity_seen):
            self.claimed.discard(key)
            self.guard.flat(key)
        if before is not None and before.quantity and not position.quantity:
            protected = orphan_hedges.is_protective(self, closer)
            if protected and before.quantity > 0:
                orphan_hedges.uncover(self, key, before)
            self._spend(before, row.at_ns, protected=protected)
            self.margin.closed(position.account, position.strategy, position.instrument)
        if self.uncovered:
            orphan_hedges.settle(self, position.strategy)
        for intent in self.intents.values():
            if intent.signal.strategy == position.strategy:
                self._settle_if_met(intent)
        self._await()

    def _move_money(self, position: Position) -> None:
        self.memory.notice_day(position.updated_ns)
        self.memory.money.position(position)
        moved = [(ACCOUNT, position.account), (STRATEGY, position.strategy)]
        self.memory.raise_peaks(moved, position.updated_ns)

    def _trade(self, row: TradeClosed) -> None:
        self.tally.trade(row)

    def _spend(self, closed: Position, at_ns: int, *, protected: bool) -> None:
        """A position that a intent had opened, and still wants, was closed: by the clock, an operator, the venue.

        Or (`protected`) by its stop.

        One that is older than the intent was closed to make way for it.
        """
        for intent in self.intents.values():
            if intent.signal.strategy != closed.strategy:
                continue
            legs = intent.in_account(closed.account).legs
            wanted = any(leg.instrument == closed.instrument and leg.lots * closed.quantity > 0 for leg in legs)
            given_up = closed.account in intent.given_up
            if wanted and not given_up and closed.opened_ns >= intent.since_ns:
                intent.spent.add(closed.account)
                intent.spent_ns = at_ns
                intent.ended.add(closed.account)
                if protected:
                    orphan_hedges.note(self, intent, closed)

    def guarded_positions(self) -> dict[OwnerKey, Position]:
        """Positions that are not flat and whose stop is to rest at the broker.

        Not those that an operator released, or claimed without a stop, no hedges, and none whose stop risk itself
        holds.
        """
        states = {key: level.state for key, level in self.protections.items()}
        free = {key for key in self.claimed if states.get(key, "done") == "done"}
        free |= {key for key, state in states.items() if state == "released"}
        found = self.positions.items()
        held = {key: p for key, p in found if (p.quantity or p.quantity_seen) and key not in free}
        guarded = ((key, p) for key, p in held.items() if self._guarded(p.strategy))
        return {key: p for key, p in guarded if not self.engine_holds(key, p) and not self.is_hedge(p)}

    def _held(self, row: BrokerHeld) -> None:
        self.guard.read(row, self.guarded_positions(), self.orders.values())

    def _asked(self, row: ReadRequest) -> None:
        self.guard.asked(row.account, row.machine_ns)

    def _told(self, row: Alert) -> None:
        self.guard.alarmed(row.code, row.subject)

    def _opened(self, row: RiskOpened) -> None:
        day_carry.reopen(self, row)
        for intent in self.intents.values():
            intent.moved = rollover_state.moved(self, intent.signal.strategy)
        self.guard.open_day(row.positions)
        for position in row.positions:
            self._bind(position)
        self._await()

    def _remember(self, table: dict[str, Any], name: str, value: Any) -> None:
        table[name] = value
        while len(table) > REMEMBERED:
            del table[next(iter(table))]

    def _settle_if_met(self, intent: Intent) -> None:
        """An intent is settled when all its legs were ordered and nothing that it does not want is held or coming."""
        if intent.settled:
            return
        signal = intent.signal
        strategy, watch = signal.strategy, signal.watch
        accounts = self._accounts(strategy)
        held = () if signal.keeps else self.held(strategy, watch)
        there = (*held, *self.coming_entries(strategy, watch))
        if there:
            wanted = {leg.instrument for account in accounts for leg in intent.in_account(account).legs}
            if any(thing.instrument not in wanted for thing in there):
                return
        if self.closing and self.closing_in(strategy, watch):
            return
        for account in accounts:
            if account not in intent.ended and not is_met(self, intent, account):
                return
        intent.settled = True

    def _await(self) -> None:
        """Intents may have been settled, or not be any more: a replay looks once, at its end."""
        self._awaited = None

    @property
    def awaited(self) -> set[str]:
        """The instruments that wants still need something of."""
        if self._awaited is None:
            waiting = [intent for intent in self.intents.values() if not intent.settled]
            self._awaited = {leg.instrument for intent in waiting for leg in intent.legs}
            if self.rolls:
                self._awaited |= {
                    far for intent in waiting for names in intent.moved.values() for far in names.values()
                }
        return self._awaited


_LEARN: dict[type, Any] = {
    Signal: RiskState._signal,
    IntentSized: RiskState._sized,
    Rolled: RiskState._rolled,
    Funds: RiskState._funds,
    MarginRequest: RiskState._margin_asked,
    MarginAnswer: RiskState._margin_told,
    PlaceEntry: RiskState._entry,
    CloseGoal: RiskState._close,
    WithdrawEntries: RiskState._withdraw,
    SignalDenied: RiskState._refused,
    SignalExpired: RiskState._refused,
    OrderChanged: RiskState._order,
    PositionChanged: RiskState._position,
    PositionAdjusted: RiskState._position,
    TradeClosed: RiskState._trade,
    BrokerHeld: RiskState._held,
    ReadRequest: RiskState._asked,
    Alert: RiskState._told,
    RiskOpened: RiskState._opened,
    **WORLD,
}
