"""Positions of the strategies of webhooks, from the router's journal (for no-ops, status pages and cooling-off), and
their denials, from risk's."""

from __future__ import annotations

from typing import Any

from mytrading.core.orders.state_machine import PROVEN
from mytrading.core.webhooks.exit_outcomes import ExitOutcomes
from mytrading.messages.commands import SignalDenied, SignalExpired
from mytrading.messages.enums import OrderState, Purpose
from mytrading.messages.journal_rows import DayOpened
from mytrading.messages.keys import OwnerKey
from mytrading.messages.orders import Order, OrderChanged, Position, PositionAdjusted, PositionChanged

EXPIRED = "EXPIRED"
MOST_CAUSES = 50_000
"""Signals, goals and other causes whose orders are remembered."""


class StrategyPositions:
    """Positions and unfinished orders of webhooks' strategies, by strategy and instrument. Risk does not use them."""

    def __init__(self) -> None:
        self.exits = ExitOutcomes()
        self._states: dict[str, dict[str, str]] = {}
        self._denied: dict[str, list[str]] = {}
        self._positions: dict[OwnerKey, Position] = {}
        self._live: dict[str, Order] = {}
        self._stopped: dict[tuple[str, str], int] = {}
        self._emptied: dict[tuple[str, str], int] = {}

    def apply(self, message: Any, machine_ns: int) -> None:
        """Apply a message of the router or a command of risk that came at this machine time."""
        self.exits.apply(message)
        if isinstance(message, SignalDenied | SignalExpired):
            self._denial(message)
        elif isinstance(message, OrderChanged):
            self._order(message.order, machine_ns)
        elif isinstance(message, PositionChanged | PositionAdjusted):
            self._positions |= {position.owner: position for position in message.levels}
            for position in message.levels:
                if not self._held(position.strategy, position.instrument):
                    self._emptied[position.strategy, position.instrument] = machine_ns
        elif isinstance(message, DayOpened):
            self._positions = {position.owner: position for position in message.positions}
            self._live.clear()
            for order in message.orders:
                self._order(order, machine_ns)

    def units(self, strategy: str, instrument: str) -> int | None:
        """Return the signed units held in all accounts; None while an order of it has not ended."""
        if any((order.strategy, order.instrument) == (strategy, instrument) for order in self._live.values()):
            return None
        return self._held(strategy, instrument)

    def _held(self, strategy: str, instrument: str) -> int:
        held = (one for key, one in self._positions.items() if (key.strategy, key.instrument) == (strategy, instrument))
        return sum(position.quantity for position in held)

    def orders_of(self, signal: str) -> list[str]:
        """Return the orders of a signal by its id, each as text with its state."""
        return list(self._states.get(signal, {}).values())

    def denials_of(self, signal: str) -> list[str]:
        """Return the codes of the rules by which risk denied a signal or part of it; EXPIRED for one that was late."""
        return list(self._denied.get(signal, ()))

    def stopped_machine_ns(self, strategy: str, instrument: str) -> int:
        """Return the machine time at which a stop last filled, of any instrument if that is ""; 0 if none did since the
        start."""
        if instrument:
            return self._stopped.get((strategy, instrument), 0)
        return max((at for (name, _), at in self._stopped.items() if name == strategy), default=0)

    def emptied_machine_ns(self, strategy: str, instrument: str) -> int:
        """Return the machine time at which nothing of it was held any more; 0 if that was not seen since the start."""
        return self._emptied.get((strategy, instrument), 0)

    def _denial(self, row: SignalDenied | SignalExpired) -> None:
        """Codes alone: the words of risk hold funds and limits, which no sender is to read."""
        codes = (row.codes or (row.code,)) if isinstance(row, SignalDenied) else (EXPIRED,)
        found = self._denied.setdefault(row.signal, [])
        found += [code for code in codes if code not in found]
        while len(self._denied) > MOST_CAUSES:
            del self._denied[next(iter(self._denied))]

    def _order(self, order: Order, machine_ns: int) -> None:
        name = order.client_order_id
        if order.state in PROVEN or order.purpose is Purpose.STOP:
            self._live.pop(name, None)
        else:
            self._live[name] = order
        if order.purpose is Purpose.STOP and order.state is OrderState.FILLED:
            self._stopped[order.strategy, order.instrument] = machine_ns
        text = f"{order.side} {order.quantity} {order.instrument}: {order.state.value}"
        self._states.setdefault(order.cause, {})[name] = text
        while len(self._states) > MOST_CAUSES:
            del self._states[next(iter(self._states))]
