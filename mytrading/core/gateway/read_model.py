"""Read model of the screens, folded from the streams: orders, positions, trades, signals. No trading reads it."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

from msgspec.structs import replace

from mytrading.core.accounting.pnl import exit_price
from mytrading.core.engine.protective_exits import ProtectiveExits
from mytrading.core.gateway.refusals import RefusalBook
from mytrading.core.orders.state_machine import PROVEN, RESTING, first_trigger
from mytrading.core.time import day_number
from mytrading.messages import account_events, orders
from mytrading.messages.commands import SignalDenied, SignalExpired
from mytrading.messages.control import CallBudget, Heartbeat, RiskPicture
from mytrading.messages.enums import OrderState, Purpose
from mytrading.messages.journal_rows import DayOpened
from mytrading.messages.keys import NetKey, OwnerKey
from mytrading.messages.market import Quote
from mytrading.messages.orders import Flatten, Goal, Order, Position, Protection, TradeClosed
from mytrading.messages.reports import AccountHealth, Funds
from mytrading.messages.signals import Signal, SignalVetoed, StrategyFaulted, StrategyStarted

KEPT = 5000
_REPEATED = (Quote, Heartbeat, CallBudget, AccountHealth, Funds, RiskPicture)


class StackView:
    """Latest levels by subject, and the last few thousand events. Counts begin at `since_machine_ns`."""

    def __init__(self, since_machine_ns: int = 0) -> None:
        self.since_machine_ns = since_machine_ns
        self.orders: dict[str, Order] = {}
        self.positions: dict[OwnerKey, Position] = {}
        self.goals: dict[str, Goal] = {}
        self.exit_reasons: dict[str, str] = {}
        """Reasons of exit orders, by client order id."""
        self.protective_exits = ProtectiveExits()
        self.protections: dict[OwnerKey, Protection] = {}
        self.unmanaged: dict[NetKey, account_events.UnmanagedChanged] = {}
        self.mismatches: dict[NetKey, account_events.MismatchSeen] = {}
        self.flattens: dict[str, Flatten] = {}
        self.answers: dict[str, orders.RequestAnswered] = {}
        self.adjusted: set[OwnerKey] = set()
        """Owners' positions that moved without an order of ours."""
        self.booked_machine_ns: dict[str, int] = {}
        """Machine time of the newest fill in the positions, by account."""
        self.halted: dict[NetKey, account_events.InstrumentHalted] = {}
        self.stopped: dict[tuple[str, str], account_events.EntriesStopped] = {}
        self.recoveries: dict[str, account_events.RecoveryChanged] = {}
        self.trades: deque[TradeClosed] = deque(maxlen=KEPT)
        self.signals: deque[Signal] = deque(maxlen=KEPT)
        self.denials: deque[SignalDenied | SignalExpired] = deque(maxlen=KEPT)
        self.held_back: deque[SignalVetoed] = deque(maxlen=KEPT)
        self.refusals = RefusalBook()
        self._refused: dict[str, None] = {}
        self.strategies: dict[str, StrategyStarted] = {}
        self.faults: dict[str, StrategyFaulted] = {}
        self.quotes: dict[str, Quote] = {}
        self.beats: dict[str, Heartbeat] = {}
        self.budgets: dict[str, CallBudget] = {}
        self.health: dict[str, AccountHealth] = {}
        self.funds: dict[str, Funds] = {}
        self.risk: RiskPicture | None = None
        self.counts: Counter[str] = Counter()
        self.forgotten: Counter[str] = Counter()
        """Orders, trades and signals that were too many to keep; the journals have them."""
        self.changes = 0
        """Messages applied so far but for levels that repeat: while it stays, so do orders, trades and signals."""
        self._day = 0

    def advance_to(self, market_ns: int) -> None:
        """Advance market time; on a new day, reset the day's profit counts as the router does."""
        day = day_number(market_ns)
        if day > self._day > 0:
            self.positions = {
                position.owner: replace(position, realised=0.0, bought=0, sold=0) for position in self.open_positions()
            }
            self.adjusted &= self.positions.keys()
            self.protective_exits.open_day()
        self._day = max(self._day, day)

    def apply(self, message: Any, machine_ns: int = 0) -> None:
        """Update the view by a message written at `machine_ns` (0: now); those of earlier runs are not counted."""
        counted = machine_ns == 0 or machine_ns >= self.since_machine_ns
        self.changes += not isinstance(message, _REPEATED)
        match message:
            case Quote():
                self.quotes[message.instrument] = message
            case orders.OrderChanged():
                self._apply_order(message, counted)
            case orders.PositionChanged() | orders.PositionAdjusted():
                self.positions |= {position.owner: position for position in message.levels}
                if isinstance(message, orders.PositionAdjusted) and message.quantity:
                    self.adjusted.add(message.position.owner)
                elif isinstance(message, orders.PositionChanged) and message.fill_quantity:
                    self.booked_machine_ns[message.position.account] = machine_ns
            case Heartbeat():
                self.beats[message.daemon] = message
            case Signal():
                self._keep(self.signals, message, "signals")
                self.refusals.count_signal(message)
                self.counts["signals"] += counted
            case SignalDenied() | SignalExpired():
                self.denials.append(message)
                self.refusals.deny(message)
                self._count_refused(message.signal, counted)
            case SignalVetoed():
                self._keep(self.held_back, message, "signals")
                self.refusals.count_signal(message)
                self.refusals.deny(message)
                self.counts["signals"] += counted
                self._count_refused(message.signal, counted)
            case TradeClosed():
                self._keep(self.trades, message, "trades")
                self.counts["round_trips"] += counted
            case orders.GoalChanged(goal=goal):
                self.goals[goal.id] = goal
                self.protective_exits.apply_goal(goal)
                if goal.order:
                    self.exit_reasons[goal.order] = goal.reason
                if goal.state == "done":
                    del self.goals[goal.id]
            case orders.ProtectionChanged(protection=protection):
                self.protections[protection.owner] = protection
            case orders.FlattenChanged(flatten=flatten):
                self.flattens[flatten.id] = flatten
            case orders.RequestAnswered():
                self.answers[message.id] = message
            case account_events.MismatchSeen():
                self.mismatches[message.net] = message
                if message.cleared:
                    del self.mismatches[message.net]
            case account_events.UnmanagedChanged():
                self.unmanaged[message.net] = message
            case account_events.RecoveryChanged():
                self.recoveries[message.account] = message
            case account_events.InstrumentHalted():
                self.halted[message.net] = message
            case account_events.EntriesStopped():
                self.stopped[message.account, message.instrument] = message
            case StrategyStarted():
                self.strategies[message.strategy] = message
                self.faults.pop(message.strategy, None)
            case StrategyFaulted():
                self.faults[message.strategy] = message
            case CallBudget():
                self.budgets[message.account] = message
            case AccountHealth():
                self.health[message.account] = message
            case Funds():
                self.funds[message.account] = message
            case RiskPicture():
                self.risk = message
            case DayOpened():
                self._open_day(message)

    def _keep(self, rows: deque[Any], message: Any, name: str) -> None:
        self.forgotten[name] += len(rows) == rows.maxlen
        rows.append(message)

    def _open_day(self, message: DayOpened) -> None:
        """Take what the router carried into a day; orders of the day before stay for screens."""
        self.orders.update((order.client_order_id, order) for order in message.orders)
        self.positions = {position.owner: position for position in message.positions}
        self.protections = {level.owner: level for level in message.protections}
        self.goals = {goal.id: goal for goal in message.goals}
        self.unmanaged = {row.net: row for row in message.unmanaged}
        self.mismatches = {row.net: row for row in message.mismatches}
        self.halted = {row.net: row for row in message.halted}
        self.stopped = {(row.account, row.instrument): row for row in message.stopped}
        self.flattens.update((level.id, level) for level in message.flattens)

    def _count_refused(self, signal: str, counted: bool) -> None:
        """Count a signal that was denied, once however many of its legs and accounts were."""
        if counted and signal not in self._refused:
            self._refused[signal] = None
            self.counts["refused"] += 1
            if len(self._refused) > KEPT:
                del self._refused[next(iter(self._refused))]

    def _apply_order(self, message: orders.OrderChanged, counted: bool) -> None:
        self.orders[message.order.client_order_id] = message.order
        self.protective_exits.apply_order(message.order)
        self.refusals.accept(message.order)
        if counted:
            self.counts[message.event] += 1
            if message.event == "denied":
                self._count_refused(message.order.cause, counted)
        if len(self.orders) > KEPT:
            for key in list(self.orders)[: KEPT // 5]:
                if self.orders[key].state in PROVEN:
                    del self.orders[key]
                    self.exit_reasons.pop(key, None)
                    self.forgotten["orders"] += 1

    def open_positions(self) -> list[Position]:
        """Return the positions with booked or observed units other than zero."""
        return [position for position in self.positions.values() if position.quantity or position.quantity_seen]

    def unmanaged_instruments(self) -> set[str]:
        """Return the instruments of which the broker holds units that no strategy owns."""
        return {row.instrument for row in self.unmanaged.values() if row.quantity}

    def realised(self) -> float:
        """Return the day's realised profit of all owners in rupees, as the router's positions carry it."""
        return sum(position.realised for position in self.positions.values())

    def unrealised_of(self, position: Position) -> float | None:
        """Return a position's unrealised rupees at bid or ask, else last price; None without a quote."""
        quote = self.quotes.get(position.instrument)
        if quote is None or not position.quantity:
            return None if position.quantity else 0.0
        return (exit_price(position.quantity, quote) - position.average_price) * position.quantity

    def unrealised(self) -> float:
        """Return the unrealised rupees of all open positions that have a quote."""
        return sum(self.unrealised_of(position) or 0.0 for position in self.open_positions())

    def stop_orders(self, position: Position | None = None) -> list[Order]:
        """Return the stop orders that rest at the broker by the router's records, of one position or of all."""
        return [
            order
            for order in self.orders.values()
            if order.purpose is Purpose.STOP
            and order.state in RESTING
            and (position is None or order.owner == position.owner)
        ]

    def stop_of(self, position: Position) -> dict[str, Any]:
        """Return a position's stop: `stop` (rupees or None), `stop_wanted` (the trigger that it is to get, None if it
        is to stay), `stop_covers` (units of live stops) and `stop_state`.

        The state is resting, triggered, partial (not all covered), missing, closing (an exit has taken over) or none.
        What rests is shown by the orders at the broker; the level in force is shown where none rests.
        """
        live = self.stop_orders(position)
        covered = sum(order.quantity - order.filled_seen for order in live)
        level = self.protections.get(position.owner)
        stop = wanted = None
        if level is not None and level.state != "done":
            stop = first_trigger(live) or level.trigger
            wanted = (level.moving or level).trigger
        return {
            "stop": stop,
            "stop_wanted": wanted if wanted != stop else None,
            "stop_covers": covered,
            "stop_state": self._stop_state(position, level, live, covered),
        }

    def _stop_state(self, position: Position, level: Protection | None, live: list[Order], covered: int) -> str:
        if any(goal.owner == position.owner for goal in self.goals.values()):
            return "closing"
        if level is None or level.state == "done":
            return "none"
        if any(order.state is not OrderState.ACCEPTED for order in live):
            return "triggered"
        held = abs(position.quantity_seen or position.quantity)
        return "resting" if covered >= held else "partial" if covered else "missing"

    def protection_of(self, order: Order) -> Protection | None:
        """Return the unfinished protection that a stop belongs to; None for other orders."""
        level = self.protections.get(order.owner) if order.purpose is Purpose.STOP else None
        return level if level is not None and level.state != "done" and level.side is order.side else None

    def order_counts(self) -> dict[str, int]:
        """Return this run's counts: placed, filled, rejected, cancelled, unknown and recorded orders, and the signals
        that were denied, in part or as a whole."""
        counts = self.counts
        recorded = counts["recorded"]
        return {
            "placed": counts["submitted"] - recorded,
            "filled": counts["filled"],
            "rejected": counts["rejected"],
            "cancelled": counts["cancelled"],
            "unknown": sum(1 for order in self.orders.values() if order.state is OrderState.UNKNOWN),
            "denied": counts["refused"],
            "recorded": recorded,
        }
