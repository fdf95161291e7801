"""Subscriptions: which instruments are wanted, by whom, and what is subscribed for them at the sources.

Configuration wants an instrument for good, other daemons while they repeat their request, trading while an order or a
position lasts.

Invariant: an instrument with a position or a live order is never unsubscribed.
"""

from __future__ import annotations

from collections.abc import Iterable

from mytrading.core.time import MINUTE
from mytrading.daemons.feed.bars import BarPublisher
from mytrading.daemons.feed.quote_intake import QuoteIntake
from mytrading.daemons.feed.sources import SourceConnections
from mytrading.daemons.feed.staleness import FeedHealth
from mytrading.messages.control import WantInstruments
from mytrading.messages.enums import OrderState, Severity
from mytrading.messages.keys import OwnerKey
from mytrading.messages.orders import OrderChanged, OrderMessage, PositionAdjusted, PositionChanged
from mytrading.runtime.host.clock import MarketClock, machine_now
from mytrading.runtime.observability.alerts import Alerts

DROP_AFTER_NS = MINUTE
"""Machine time for which an instrument stays subscribed after its last request: it is often wanted again."""
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


class InstrumentDemand:
    """Wanted instruments with the machine time of their last request. Unusable ids are in `refused`."""

    def __init__(self, exchanges: Iterable[str], drop_after_ns: int = DROP_AFTER_NS) -> None:
        self._drop_after_ns = drop_after_ns
        self._exchanges = frozenset(exchanges)
        self._watched: frozenset[str] = frozenset()
        self._requested: dict[str, int] = {}
        self._orders: dict[str, str] = {}
        self._positions: dict[OwnerKey, str] = {}
        self._held: dict[str, frozenset[str]] = {}
        self.refused: set[str] = set()

    def watch(self, instruments: Iterable[str]) -> tuple[str, ...]:
        """Set the instruments of the configuration; returns those of a known exchange."""
        usable = tuple(name for name in instruments if self._is_usable(name))
        self._watched = frozenset(usable)
        return usable

    def request(self, instruments: Iterable[str], machine_ns: int) -> list[str]:
        """Record a daemon's request for quotes; returns the usable instruments."""
        usable = [name for name in instruments if self._is_usable(name)]
        self._requested.update(dict.fromkeys(usable, machine_ns))
        return usable

    def set_held(self, daemon: str, instruments: Iterable[str]) -> None:
        """Set the positions that a daemon reports: some have not changed since this process began."""
        self._held[daemon] = frozenset(name for name in instruments if self._is_usable(name))

    def apply_order_message(self, message: OrderMessage, machine_ns: int) -> list[str]:
        """Record an order or a position; returns its instrument if it needs quotes."""
        if isinstance(message, OrderChanged):
            order = message.order
            if order.state in _ENDED:
                self._orders.pop(order.client_order_id, None)
                return []
            self._orders[order.client_order_id] = order.instrument
            return self.request((order.instrument,), machine_ns)
        if isinstance(message, PositionChanged | PositionAdjusted):
            held = message.position
            key = held.owner
            if held.quantity == 0 and held.quantity_seen == 0:
                self._positions.pop(key, None)
                return []
            self._positions[key] = held.instrument
            return self.request((held.instrument,), machine_ns)
        return []

    def held(self) -> frozenset[str]:
        """Instruments with an open position."""
        return frozenset(self._positions.values()).union(*self._held.values())

    def unwanted(self, subscribed: Iterable[str], machine_ns: int) -> list[str]:
        """Subscribed instruments without a recent request, a position or a live order."""
        stays = self._watched | self.held() | {*self._orders.values()}
        return [
            name
            for name in subscribed
            if name not in stays and machine_ns - self._requested.get(name, 0) > self._drop_after_ns
        ]

    def _is_usable(self, instrument: str) -> bool:
        exchange, colon, symbol = instrument.partition(":")
        if exchange in self._exchanges and colon and symbol:
            return True
        self.refused.add(instrument)
        return False


class SubscriptionManager:
    """Subscribes wanted instruments as far as `capacity` allows, and drops unwanted ones everywhere."""

    def __init__(
        self,
        demand: InstrumentDemand,
        connections: SourceConnections,
        health: FeedHealth,
        bars: BarPublisher,
        intake: QuoteIntake,
        clock: MarketClock,
        alerts: Alerts,
        capacity: int,
    ) -> None:
        self._demand = demand
        self._connections = connections
        self._health = health
        self._bars = bars
        self._intake = intake
        self._clock = clock
        self._alerts = alerts
        self._capacity = capacity

    def watch(self, symbols: Iterable[str]) -> tuple[str, ...]:
        """Subscribe the instruments of the configuration; returns the usable ones."""
        watched = self._demand.watch(dict.fromkeys(symbols))
        for refused in self._demand.refused:
            text = f"{refused}: expected EXCHANGE:SYMBOL with an exchange of config/calendar.toml; correct the symbol"
            self._alerts.raise_("WATCH_REFUSED", Severity.CRITICAL, refused, text)
        for instrument in watched:
            self._subscribe(instrument)
        return watched

    def on_request(self, message: WantInstruments) -> None:
        """Subscribe what another daemon requests, keep bars of some of it, and note its positions."""
        self._demand.set_held(message.daemon, message.held)
        wanted = self._demand.request(message.instruments, machine_now())
        kept = {name for name in message.bars if name in wanted and self._bars.keep_history(name, message.bar_days)}
        for instrument in wanted:
            if instrument in kept and self._connections.active.serves(instrument):
                self._bars.start_live(instrument)
            self._subscribe(instrument)

    def on_order_message(self, message: OrderMessage) -> None:
        """Subscribe the instrument of an order or a position."""
        for instrument in self._demand.apply_order_message(message, machine_now()):
            self._subscribe(instrument)

    def drop_unwanted(self, machine_ns: int) -> None:
        """Unsubscribe instruments without a recent request."""
        for instrument in self._demand.unwanted(list(self._connections.active.subscriptions), machine_ns):
            self._connections.drop(instrument)
            self._intake.drop(instrument)
            for code in ("SUBSCRIPTION_REFUSED", "QUOTES_STALE", "QUOTES_DROPPED"):
                self._alerts.clear(code, instrument)

    def _subscribe(self, instrument: str) -> None:
        if self._health.traits(instrument) is not None:
            return
        if self._connections.subscribe(instrument):
            self._health.add(instrument, self._clock.now(), machine_now())
            self._alerts.clear("SUBSCRIPTIONS_FULL", "feed")
        else:
            self._alerts.raise_(
                "SUBSCRIPTIONS_FULL", Severity.CRITICAL, "feed",
                f"no room for {instrument}: MAX_WEBSOCKET_SUBSCRIPTIONS is {self._capacity}; watch less or raise it",
            )  # fmt: skip
