"""Entries on their way: what each strategy has asked for and not yet got, as the strategy sees it.

Used by the engine's machine; `BaseStrategy.pending` shows it to authors. The one rule: an entry counts until its order
has ended, whatever was wished since, so that nobody takes a cancel for granted.
"""

from __future__ import annotations

from mytrading.core.order import TERMINAL
from mytrading.messages.enums import Action, OrderState
from mytrading.messages.orders import Order
from mytrading.messages.signals import Leg, Signal
from mytrading.strategies.standing import Key
from mytrading.strategies.views import EntryView

_RESTING = frozenset({OrderState.ACCEPTED, OrderState.TRIGGERED, OrderState.PARTIALLY_FILLED, OrderState.PARKED})


class EntryBook:
    """The entries of all strategies of an engine, from their signals and orders."""

    def __init__(self) -> None:
        self._asked: dict[Key, Signal] = {}
        self._signals: dict[str, Signal] = {}
        self._legs: dict[tuple[str, str], tuple[str, Leg]] = {}
        self._places: dict[str, tuple[Key, Leg | None]] = {}
        """Of each order of the day: for what it was sent, and the leg that it is for."""
        self._live: dict[Key, dict[str, Order]] = {}

    def open_day(self) -> None:
        """Entries end with their day."""
        self._asked.clear()
        self._signals.clear()
        self._places.clear()
        self._live.clear()

    def signalled(self, signal: Signal) -> None:
        """A wish was sent."""
        key = (signal.strategy, signal.watch)
        if signal.action is Action.EXIT:
            self._asked.pop(key, None)
            return
        self._asked[key] = self._signals[signal.id] = signal
        for leg in signal.legs:
            self._legs[signal.strategy, leg.instrument] = (signal.watch, leg)

    def order_changed(self, order: Order) -> Signal | None:
        """An order moved; returns the signal that it was sent for, if that is one of today's."""
        if order.purpose.reduces:
            return None
        key, _ = self._place(order)
        live = self._live.setdefault(key, {})
        if order.state in TERMINAL:
            live.pop(order.client_order_id, None)
        else:
            live[order.client_order_id] = order
        asked = self._asked.get(key)
        if asked is not None and asked.id == order.cause:
            del self._asked[key]
        return self._signals.get(order.cause)

    def _place(self, order: Order) -> tuple[Key, Leg | None]:
        """For what an order was sent, and its leg: it stays that, whatever is signalled later."""
        known = self._places.get(order.client_order_id)
        if known is None:
            signal, leg = self._signals.get(order.cause), None
            watch = order.instrument
            if signal is None:
                watch, leg = self._legs.get((order.strategy, order.instrument), (watch, None))
            else:
                watch = signal.watch
                leg = next((leg for leg in signal.legs if leg.instrument == order.instrument), None)
            known = self._places[order.client_order_id] = (order.strategy, watch), leg
        return known

    def view(self, strategy: str, watch: str, now: int) -> EntryView | None:
        """The entry of a strategy for a watched instrument, the newest of several; None if there is none."""
        key = (strategy, watch)
        asked = self._asked.get(key)
        live = self._live.get(key)
        if live:
            return self._of_order(next(reversed(live.values())))
        if asked is None or now >= asked.expires_ns:
            return None
        leg = asked.legs[0]
        return EntryView(leg.instrument, leg.lots, 0, leg.order_type, leg.limit_price, leg.trigger_price,
                         leg.stop_price, rests=False)  # fmt: skip

    def is_live(self, strategy: str, watch: str) -> bool:
        """True while an order of it may still fill."""
        return bool(self._live.get((strategy, watch)))

    def _of_order(self, order: Order) -> EntryView:
        _, leg = self._place(order)
        left = order.side.sign * (order.quantity - order.filled)
        return EntryView(
            order.instrument,
            leg.lots if leg is not None else 0,
            left,
            order.order_type,
            order.price,
            order.trigger_price,
            leg.stop_price if leg is not None else 0.0,
            rests=order.state in _RESTING,
        )
