"""What the screens show of orders, positions, trades and signals: a fold of the streams, nothing more.

Used by the gateway. The one rule: it answers questions; nothing that trades reads it.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

from mytrading.messages.commands import SignalDenied, SignalExpired
from mytrading.messages.control import Heartbeat
from mytrading.messages.enums import OrderState
from mytrading.messages.market import Quote
from mytrading.messages.orders import (
    Goal,
    GoalChanged,
    InstrumentHalted,
    Order,
    OrderChanged,
    Position,
    PositionAdjusted,
    PositionChanged,
    RecoveryChanged,
    TradeClosed,
    UnmanagedChanged,
)
from mytrading.messages.reports import AccountHealth, Funds
from mytrading.messages.signals import Signal, StrategyFaulted, StrategyStarted

KEPT = 5000


class StackView:
    """Latest levels by subject, and the last few thousand events. Counts begin at `since_machine_ns`."""

    def __init__(self, since_machine_ns: int = 0) -> None:
        self.since_machine_ns = since_machine_ns
        self.orders: dict[str, Order] = {}
        self.positions: dict[tuple[str, str, str, str], Position] = {}
        self.goals: dict[str, Goal] = {}
        self.unmanaged: dict[tuple[str, str, str], UnmanagedChanged] = {}
        self.halted: dict[tuple[str, str, str], InstrumentHalted] = {}
        self.recoveries: dict[str, RecoveryChanged] = {}
        self.trades: deque[TradeClosed] = deque(maxlen=KEPT)
        self.signals: deque[Signal] = deque(maxlen=KEPT)
        self.denials: deque[SignalDenied | SignalExpired] = deque(maxlen=KEPT)
        self.strategies: dict[str, StrategyStarted] = {}
        self.faults: dict[str, StrategyFaulted] = {}
        self.quotes: dict[str, Quote] = {}
        self.beats: dict[str, Heartbeat] = {}
        self.health: dict[str, AccountHealth] = {}
        self.funds: dict[str, Funds] = {}
        self.counts: Counter[str] = Counter()

    def apply(self, message: Any, machine_ns: int = 0) -> None:
        """Fold one message; `machine_ns` is when it was written (0: now), for the counts."""
        handler = _HANDLERS.get(type(message))
        if handler is not None:
            handler(self, message, machine_ns == 0 or machine_ns >= self.since_machine_ns)

    def _order(self, message: OrderChanged, counted: bool) -> None:
        self.orders[message.order.client_order_id] = message.order
        if counted:
            self.counts[message.event] += 1
        if len(self.orders) > KEPT:
            self._forget_ended()

    def _forget_ended(self) -> None:
        for key in list(self.orders)[: KEPT // 5]:
            if self.orders[key].state in ENDED:
                del self.orders[key]

    def _position(self, message: PositionChanged | PositionAdjusted, _: bool) -> None:
        position = message.position
        self.positions[position.account, position.instrument, position.product, position.strategy] = position

    def _trade(self, message: TradeClosed, counted: bool) -> None:
        self.trades.append(message)
        self.counts["round_trips"] += counted

    def _goal(self, message: GoalChanged, _: bool) -> None:
        self.goals[message.goal.id] = message.goal
        if message.goal.state == "done":
            del self.goals[message.goal.id]

    def _unmanaged(self, message: UnmanagedChanged, _: bool) -> None:
        self.unmanaged[message.account, message.instrument, message.product] = message

    def _recovery(self, message: RecoveryChanged, _: bool) -> None:
        self.recoveries[message.account] = message

    def _halt(self, message: InstrumentHalted, _: bool) -> None:
        self.halted[message.account, message.instrument, message.product] = message

    def _signal(self, message: Signal, counted: bool) -> None:
        self.signals.append(message)
        self.counts["signals"] += counted

    def _denial(self, message: SignalDenied | SignalExpired, counted: bool) -> None:
        self.denials.append(message)
        self.counts["denials"] += counted

    def _started(self, message: StrategyStarted, _: bool) -> None:
        self.strategies[message.strategy] = message
        self.faults.pop(message.strategy, None)

    def _fault(self, message: StrategyFaulted, _: bool) -> None:
        self.faults[message.strategy] = message

    def _quote(self, message: Quote, _: bool) -> None:
        self.quotes[message.instrument] = message

    def _beat(self, message: Heartbeat, _: bool) -> None:
        self.beats[message.daemon] = message

    def _health(self, message: AccountHealth, _: bool) -> None:
        self.health[message.account] = message

    def _funds(self, message: Funds, _: bool) -> None:
        self.funds[message.account] = message

    # asked

    def open_positions(self) -> list[Position]:
        """Positions that are not flat."""
        return [position for position in self.positions.values() if position.quantity or position.quantity_seen]

    def realised(self) -> float:
        """Rupees realised by all owners, as the router's positions carry it."""
        return sum(position.realised for position in self.positions.values())

    def unrealised_of(self, position: Position) -> float | None:
        """Rupees at the bid for a long, the ask for a short, else the last price; None without a quote."""
        quote = self.quotes.get(position.instrument)
        if quote is None or not position.quantity:
            return None if position.quantity else 0.0
        price = (quote.bid if position.quantity > 0 else quote.ask) or quote.ltp
        return (price - position.average_price) * position.quantity

    def unrealised(self) -> float:
        """Rupees of all open positions that have a quote."""
        return sum(self.unrealised_of(position) or 0.0 for position in self.open_positions())

    def order_counts(self) -> dict[str, int]:
        """Order events of this run, in the words of the summary."""
        counts = self.counts
        recorded = counts["recorded"]
        unknown = sum(1 for order in self.orders.values() if order.state is OrderState.UNKNOWN)
        return {
            "placed": counts["submitted"] - recorded,
            "filled": counts["filled"],
            "rejected": counts["rejected"],
            "cancelled": counts["cancelled"],
            "unknown": unknown,
            "denied": counts["denials"] + counts["denied"],
            "recorded": recorded,
        }


ENDED = frozenset(
    {
        OrderState.FILLED,
        OrderState.DENIED,
        OrderState.REJECTED,
        OrderState.CANCELLED,
        OrderState.EXPIRED,
        OrderState.RECORDED,
    }
)

_HANDLERS: dict[type, Any] = {
    OrderChanged: StackView._order,
    PositionChanged: StackView._position,
    PositionAdjusted: StackView._position,
    TradeClosed: StackView._trade,
    GoalChanged: StackView._goal,
    RecoveryChanged: StackView._recovery,
    UnmanagedChanged: StackView._unmanaged,
    InstrumentHalted: StackView._halt,
    Signal: StackView._signal,
    SignalDenied: StackView._denial,
    SignalExpired: StackView._denial,
    StrategyStarted: StackView._started,
    StrategyFaulted: StackView._fault,
    Quote: StackView._quote,
    Heartbeat: StackView._beat,
    AccountHealth: StackView._health,
    Funds: StackView._funds,
}
