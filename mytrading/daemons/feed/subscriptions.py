"""Subscriptions: what is wanted is subscribed at the sources; what nobody wants any more is dropped everywhere.

Invariant: an instrument with a position or a live order is never unsubscribed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mytrading.core.feed.instrument_demand import InstrumentDemand
from mytrading.core.feed.staleness import FeedHealth
from mytrading.daemons.feed.bars import BarPublisher
from mytrading.daemons.feed.quotes import QuoteIntake
from mytrading.daemons.feed.sources import SourceConnections
from mytrading.messages.control import WantInstruments
from mytrading.messages.enums import Severity
from mytrading.messages.orders import OrderMessage
from mytrading.runtime.host.clock import MarketClock, machine_now
from mytrading.runtime.observability.alerts import Alerts


@dataclass(slots=True)
class SubscriptionManager:
    """Subscribes wanted instruments as far as `capacity` allows, and drops unwanted ones everywhere."""

    demand: InstrumentDemand
    connections: SourceConnections
    health: FeedHealth
    bars: BarPublisher
    intake: QuoteIntake
    clock: MarketClock
    alerts: Alerts
    capacity: int

    def watch(self, symbols: Iterable[str]) -> tuple[str, ...]:
        watched = self.demand.watch(dict.fromkeys(symbols))
        for refused in self.demand.refused:
            text = f"{refused}: expected EXCHANGE:SYMBOL with an exchange of config/calendar.toml; correct the symbol"
            self.alerts.raise_("WATCH_REFUSED", Severity.CRITICAL, refused, text)
        for instrument in watched:
            self._subscribe(instrument)
        return watched

    def on_request(self, message: WantInstruments) -> None:
        """Subscribe what another daemon requests, keep bars of some of it, and note its positions."""
        self.demand.set_held(message.daemon, message.held)
        wanted = self.demand.request(message.instruments, machine_now())
        kept = {name for name in message.bars if name in wanted and self.bars.keep_history(name, message.bar_days)}
        for instrument in wanted:
            if instrument in kept and self.connections.active.serves(instrument):
                self.bars.start_live(instrument)
            self._subscribe(instrument)

    def on_order_message(self, message: OrderMessage) -> None:
        for instrument in self.demand.apply_order_message(message, machine_now()):
            self._subscribe(instrument)

    def drop_unwanted(self, machine_ns: int) -> None:
        for instrument in self.demand.unwanted(list(self.connections.active.subscriptions), machine_ns):
            self.connections.drop(instrument)
            self.intake.drop(instrument)
            self.alerts.clear("SUBSCRIPTION_REFUSED", instrument)

    def _subscribe(self, instrument: str) -> None:
        if self.health.traits(instrument) is not None:
            return
        if self.connections.subscribe(instrument):
            self.health.add(instrument, self.clock.now(), machine_now())
            self.alerts.clear("SUBSCRIPTIONS_FULL", "feed")
        else:
            self.alerts.raise_(
                "SUBSCRIPTIONS_FULL", Severity.CRITICAL, "feed",
                f"no room for {instrument}: MAX_WEBSOCKET_SUBSCRIPTIONS is {self.capacity}; watch less or raise it",
            )  # fmt: skip
