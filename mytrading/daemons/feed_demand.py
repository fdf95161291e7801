"""What is wanted is subscribed, as far as there is room, and dropped once nobody wants it any more.

Part of the feed, which hears who wants what. The one rule: an instrument that is subscribed is judged by its quotes
from then on, and one that is dropped is forgotten everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable

from mytrading.daemons.feed_bars import BarDesk
from mytrading.daemons.feed_health import FeedHealth
from mytrading.daemons.feed_intake import Intake
from mytrading.daemons.feed_lines import Lines
from mytrading.daemons.feed_wants import Wants
from mytrading.messages.control import WantInstruments
from mytrading.messages.enums import Severity
from mytrading.messages.orders import OrderMessage
from mytrading.runtime.alerts import Alerts
from mytrading.runtime.clock import MarketClock, machine_now


class Demand:
    """Moves subscriptions as the wants move. `most` instruments have room, for the words of an alert."""

    def __init__(
        self,
        wants: Wants,
        lines: Lines,
        health: FeedHealth,
        bars: BarDesk,
        intake: Intake,
        clock: MarketClock,
        alerts: Alerts,
        most: int,
    ) -> None:
        self._wants = wants
        self._lines = lines
        self._health = health
        self._bars = bars
        self._intake = intake
        self._clock = clock
        self._alerts = alerts
        self._most = most

    def watch(self, symbols: Iterable[str]) -> tuple[str, ...]:
        """Subscribe what the configuration names; returns what of it can be watched."""
        watched = self._wants.watch(dict.fromkeys(symbols))
        for refused in self._wants.refused:
            text = f"{refused}: expected EXCHANGE:SYMBOL with an exchange of config/calendar.toml; correct the symbol"
            self._alerts.raise_("WATCH_REFUSED", Severity.CRITICAL, refused, text)
        for instrument in watched:
            self._want(instrument)
        return watched

    def asked(self, message: WantInstruments) -> None:
        """Another daemon asks for quotes, and of some for bars, and says what of them is held."""
        self._wants.told_held(message.daemon, message.held)
        wanted = self._wants.asked(message.instruments, machine_now())
        kept = {name for name in message.bars if name in wanted and self._bars.keep(name, message.bar_days)}
        for instrument in wanted:
            if instrument in kept and self._lines.active.serves(instrument):
                self._bars.begin(instrument)
            self._want(instrument)

    def traded(self, message: OrderMessage) -> None:
        """An order or a position moved: its quotes matter."""
        for instrument in self._wants.traded(message, machine_now()):
            self._want(instrument)

    def drop_unwanted(self, machine_ns: int) -> None:
        """End what nobody has asked for lately."""
        for instrument in self._wants.unwanted(list(self._lines.active.subscriptions), machine_ns):
            self._lines.drop(instrument)
            self._intake.forget(instrument)
            for code in ("SUBSCRIPTION_REFUSED", "QUOTES_STALE", "QUOTES_DROPPED"):
                self._alerts.clear(code, instrument)

    def _want(self, instrument: str) -> None:
        if self._health.facts(instrument) is not None:
            return
        if self._lines.want(instrument):
            self._health.add(instrument, self._clock.now(), machine_now())
            self._alerts.clear("SUBSCRIPTIONS_FULL", "feed")
        else:
            self._alerts.raise_(
                "SUBSCRIPTIONS_FULL", Severity.CRITICAL, "feed",
                f"no room for {instrument}: MAX_WEBSOCKET_SUBSCRIPTIONS is {self._most}; watch less or raise it",
            )  # fmt: skip
