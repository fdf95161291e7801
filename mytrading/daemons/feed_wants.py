"""Who wants which instrument: the configuration for ever, other daemons while they repeat it, trading while it lasts.

Part of the feed. The one rule: an instrument somebody holds or has an order in is never unsubscribed.
"""

from __future__ import annotations

from collections.abc import Iterable

from mytrading.messages.enums import OrderState
from mytrading.messages.orders import OrderChanged, OrderMessage, PositionAdjusted, PositionChanged

KEEP_NS = 60_000_000_000
"""Machine time for which what is not asked for any more stays subscribed: it is often wanted again."""
_ENDED = frozenset(
    {
        OrderState.FILLED,
        OrderState.DENIED,
        OrderState.REJECTED,
        OrderState.CANCELLED,
        OrderState.EXPIRED,
        OrderState.RECORDED,
    }
)


class Wants:
    """Wanted instruments with the machine time at which they were last asked for. Unusable ids are `refused`."""

    def __init__(self, exchanges: Iterable[str], keep_ns: int = KEEP_NS) -> None:
        self._keep_ns = keep_ns
        self._exchanges = frozenset(exchanges)
        self._watched: frozenset[str] = frozenset()
        self._asked: dict[str, int] = {}
        self._orders: dict[str, str] = {}
        self._positions: dict[tuple[str, str, str, str], str] = {}
        self._held: dict[str, frozenset[str]] = {}
        self.refused: set[str] = set()

    def watch(self, instruments: Iterable[str]) -> tuple[str, ...]:
        """What the configuration watches; returns those of a known exchange."""
        usable = tuple(name for name in instruments if self._usable(name))
        self._watched = frozenset(usable)
        return usable

    def asked(self, instruments: Iterable[str], machine_ns: int) -> list[str]:
        """A daemon needs quotes of these; returns the usable ones."""
        usable = [name for name in instruments if self._usable(name)]
        self._asked.update(dict.fromkeys(usable, machine_ns))
        return usable

    def told_held(self, daemon: str, instruments: Iterable[str]) -> None:
        """What a daemon knows to be held, which positions that have not moved since this process began are among."""
        self._held[daemon] = frozenset(name for name in instruments if self._usable(name))

    def traded(self, message: OrderMessage, machine_ns: int) -> list[str]:
        """An order or a position moved; returns its instrument if it matters for quotes."""
        if isinstance(message, OrderChanged):
            order = message.order
            if order.state in _ENDED:
                self._orders.pop(order.client_order_id, None)
                return []
            self._orders[order.client_order_id] = order.instrument
            return self.asked((order.instrument,), machine_ns)
        if isinstance(message, PositionChanged | PositionAdjusted):
            held = message.position
            key = (held.account, held.instrument, held.product, held.strategy)
            if held.quantity == 0 and held.quantity_seen == 0:
                self._positions.pop(key, None)
                return []
            self._positions[key] = held.instrument
            return self.asked((held.instrument,), machine_ns)
        return []

    def held(self) -> frozenset[str]:
        """Instruments that somebody has a position in."""
        return frozenset(self._positions.values()).union(*self._held.values())

    def unwanted(self, subscribed: Iterable[str], machine_ns: int) -> list[str]:
        """Which of the subscribed nobody has asked for lately."""
        stays = self._watched | self.held() | {*self._orders.values()}
        return [
            name for name in subscribed if name not in stays and machine_ns - self._asked.get(name, 0) > self._keep_ns
        ]

    def _usable(self, instrument: str) -> bool:
        exchange, colon, symbol = instrument.partition(":")
        if exchange in self._exchanges and colon and symbol:
            return True
        self.refused.add(instrument)
        return False
