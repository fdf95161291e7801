"""Pending entries of each strategy, as `BaseStrategy.pending` shows them, and entries that an operator cancelled.

An entry is pending until its order has ended, whatever was signalled since: a cancel under way may still fail.
"""

from __future__ import annotations

from mytrading.core.engine.active_signals import Key
from mytrading.core.orders.state_machine import TERMINAL
from mytrading.messages.control import CancelRequested
from mytrading.messages.enums import Action, OrderState
from mytrading.messages.orders import Order
from mytrading.messages.signals import Leg, Signal
from mytrading.strategies.views import EntryView

_RESTING = frozenset({OrderState.ACCEPTED, OrderState.TRIGGERED, OrderState.PARTIALLY_FILLED, OrderState.PARKED})


class PendingEntries:
    """The pending entries of all strategies of an engine, from their signals and orders."""

    def __init__(self) -> None:
        self._signalled: dict[Key, Signal] = {}
        """Signals whose first order has not been seen yet."""
        self._signals: dict[str, Signal] = {}
        """All of the day, by id."""
        self._legs: dict[tuple[str, str], tuple[str, Leg]] = {}
        """Watched instrument and leg by strategy and traded instrument, of the newest signal."""
        self._origins: dict[str, tuple[Key, Leg | None]] = {}
        """The key and leg that each order of the day was sent for."""
        self._live: dict[Key, dict[str, Order]] = {}

    def open_day(self) -> None:
        """Clear all: entries end with their day."""
        self._signalled.clear()
        self._signals.clear()
        self._origins.clear()
        self._live.clear()

    def apply_signal(self, signal: Signal) -> None:
        """Record a sent signal: an exit withdraws what has no order yet."""
        key = (signal.strategy, signal.watch)
        if signal.action is Action.EXIT:
            self._signalled.pop(key, None)
            return
        self._signalled[key] = self._signals[signal.id] = signal
        for leg in signal.legs:
            self._legs[signal.strategy, leg.instrument] = (signal.watch, leg)

    def apply_order(self, order: Order) -> Signal | None:
        """Record an entry's state; returns the signal behind it, if that is one of today's."""
        if order.purpose.reduces:
            return None
        key, _ = self._origin(order)
        live = self._live.setdefault(key, {})
        if order.state in TERMINAL:
            live.pop(order.client_order_id, None)
        else:
            live[order.client_order_id] = order
        signalled = self._signalled.get(key)
        if signalled is not None and signalled.id == order.cause:
            del self._signalled[key]
        return self._signals.get(order.cause)

    def _origin(self, order: Order) -> tuple[Key, Leg | None]:
        """The key and leg that an order was sent for, fixed when it is first seen."""
        known = self._origins.get(order.client_order_id)
        if known is None:
            signal, leg = self._signals.get(order.cause), None
            watch = order.instrument
            if signal is None:
                watch, leg = self._legs.get((order.strategy, order.instrument), (watch, None))
            else:
                watch = signal.watch
                leg = next((leg for leg in signal.legs if leg.instrument == order.instrument), None)
            known = self._origins[order.client_order_id] = (order.strategy, watch), leg
        return known

    def view(self, strategy: str, watch: str, now: int) -> EntryView | None:
        """The newest pending entry of a strategy for a watched instrument; None if there is none."""
        key = (strategy, watch)
        if live := self._live.get(key):
            return self._view_of(next(reversed(live.values())))
        signalled = self._signalled.get(key)
        if signalled is None or now >= signalled.expires_ns:
            return None
        leg = signalled.legs[0]
        return EntryView(leg.instrument, leg.lots, 0, leg.order_type, leg.limit_price, leg.trigger_price,
                         leg.stop_price, rests=False)  # fmt: skip

    def is_live(self, strategy: str, watch: str) -> bool:
        """True while an entry order may still fill."""
        return bool(self._live.get((strategy, watch)))

    def _view_of(self, order: Order) -> EntryView:
        _, leg = self._origin(order)
        return EntryView(
            order.instrument,
            leg.lots if leg is not None else 0,
            order.side.sign * (order.quantity - order.filled),
            order.order_type,
            order.price,
            order.trigger_price,
            leg.stop_price if leg is not None else 0.0,
            rests=order.state in _RESTING,
        )


class OperatorCancels:
    """Entries that an operator cancelled before any fill: leg strategies enter nothing more that day.

    Request and order end may arrive in either order; an operator's modify is no cancel.
    """

    def __init__(self) -> None:
        self._requests: set[str] = set()
        self._ended: dict[str, tuple[str, int]] = {}
        """Strategy and market time of unfilled ends, by the operator's request."""
        self._cancelled_ns: dict[str, int] = {}

    def apply_request(self, request: CancelRequested) -> str:
        """Record an operator's cancel; returns the strategy whose entry it ended, empty if none (yet)."""
        self._requests.add(request.id)
        return self._match(request.id)

    def apply_order(self, order: Order) -> str:
        """Record an order; returns the strategy whose entry an operator's cancel ended, empty otherwise."""
        if not order.links.request or order.purpose.reduces or order.state not in TERMINAL or order.filled:
            return ""
        self._ended[order.links.request] = order.strategy, order.updated_ns
        return self._match(order.links.request)

    def last_cancel_ns(self, strategy: str) -> int:
        """Market time at which an operator last cancelled an entry of a strategy, 0 if never."""
        return self._cancelled_ns.get(strategy, 0)

    def _match(self, request: str) -> str:
        if request not in self._requests or request not in self._ended:
            return ""
        strategy, at_ns = self._ended[request]
        self._cancelled_ns[strategy] = max(at_ns, self.last_cancel_ns(strategy))
        return strategy
