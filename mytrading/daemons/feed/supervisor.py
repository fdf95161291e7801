"""Sources under supervision: subscriptions, frames read and dispatched, losses and failovers repaired.

A backlog is read in portions, so that timers and heartbeat keep their turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from mytrading.adapters.openalgo.ws import market_frames
from mytrading.adapters.openalgo.ws.connection import Connected, Disconnected, SocketEvent, SocketFrame
from mytrading.core.active_alerts import ActiveAlert, ActiveAlerts
from mytrading.core.feed.instrument_demand import InstrumentDemand
from mytrading.core.feed.source_failover import Switch, SwitchReason
from mytrading.core.feed.staleness import FeedHealth
from mytrading.core.time import SECOND
from mytrading.daemons.feed.alerts import FeedAlerts
from mytrading.daemons.feed.bars import BarPublisher
from mytrading.daemons.feed.instruments import InstrumentLoader
from mytrading.daemons.feed.quotes import MarketSteps, QuoteIntake
from mytrading.daemons.feed.sources import SourceConnection, SourceConnections
from mytrading.messages.brokers import UNLISTED
from mytrading.messages.codec import FrameError
from mytrading.messages.control import WantInstruments
from mytrading.messages.enums import Severity
from mytrading.messages.orders import OrderMessage
from mytrading.messages.reports import AccountHealth
from mytrading.runtime.host.clock import MarketClock, machine_now
from mytrading.runtime.observability import audit
from mytrading.runtime.observability.alerts import OF_DATA, Edge
from mytrading.runtime.observability.logging import get_logger
from mytrading.runtime.observability.metrics import Histogram
from mytrading.runtime.streams.zmq_streams import BadFrames

STAMP_TOLERANCE_S = 2.0
BURST_NS = 250_000_000
"""Machine time for which frames may be read before timers have their turn, however long the backlog."""
FIRST_PORTION, LEAST_PORTION = 1000, 50
"""Frames read at once: at first, and at least where a core is short."""


@dataclass(slots=True)
class SourceSupervisor:
    """Keeps health, bars and alerts in step with the connections. Failovers go into the audit log of `state`."""

    connections: SourceConnections
    health: FeedHealth
    bars: BarPublisher
    intake: QuoteIntake
    instruments: InstrumentLoader
    steps: MarketSteps
    feed_alerts: FeedAlerts
    state: Path
    log: FilteringBoundLogger = field(default_factory=lambda: get_logger("feed"), init=False)

    def on_connection_event(self, connection: SourceConnection, event: SocketEvent) -> None:
        """Update subscriptions, bars and alerts after a connection was made, lost or refused; ignores frames."""
        if isinstance(event, SocketFrame):
            return
        name, active = connection.source.id, connection is self.connections.active
        if isinstance(event, Connected):
            self.log.info("feed.connected", source=name, number=event.number, broker=event.broker)
            self._set_broker(connection, event.broker, pinged=False)
            connection.on_connected(event.machine_ns)
            if active:
                self._restart(event.machine_ns)
                self.bars.retry_now()
                self.instruments.retry_now()
                self.instruments.request_if_due(event.machine_ns)
        else:
            known = connection.lost_by
            connection.on_lost(event)
            if isinstance(event, Disconnected) and not event.failures:
                self.log.info("feed.dropped", source=name, reason=event.reason)
            elif active and not known:
                self.log.warning("feed.lost", source=name, reason=connection.lost_by)
            if active:
                self._interrupt()
        self.feed_alerts.update()

    def on_account_health(self, health: AccountHealth, machine_ns: int) -> None:
        """Record what the reconciler's pings say of the source whose server is the account's: its broker, and whether
        it answers. The mode of the server does not count here: prices are the broker's in analyze mode too."""
        if (connection := self.connections.of_account(health.account)) is not None:
            connection.set_ping_down(health.ping_down, machine_ns)
            self._set_broker(connection, health.broker, pinged=True)

    def _set_broker(self, connection: SourceConnection, name: str, *, pinged: bool) -> None:
        before = connection.broker
        if connection.set_broker(name, pinged=pinged):
            listed, log = connection.rules is not UNLISTED, self.log.warning if before else self.log.info
            log("feed.broker", source=connection.source.id, broker=connection.broker, listed=listed, before=before)

    def on_control_frame(self, connection: SourceConnection, frame: market_frames.Parsed, machine_ns: int) -> None:
        """Apply a frame without prices: a subscription's answer, a server error or a lock-step mark."""
        if type(frame) is market_frames.Acknowledged:
            self.on_acknowledged(connection, frame)
        elif type(frame) is market_frames.ServerError:
            connection.on_error_frame(f"the market socket said {frame.code}: {frame.message}", machine_now())
            self.feed_alerts.update()
        elif type(frame) is market_frames.StepMark:
            self.intake.flush()
            connection.pulse.record_quote(machine_ns)
            self.steps.on_mark(frame.mark)

    def on_acknowledged(self, connection: SourceConnection, answer: market_frames.Acknowledged) -> None:
        """Apply the answer to a subscription: accepted instruments go live, refused ones get an alert."""
        machine_ns = machine_now()
        new = connection.subscriptions.apply_answer(answer, machine_ns)
        if answer.accepted:
            connection.on_request_accepted()
        if connection is not self.connections.active:
            self.feed_alerts.update()
            return
        for instrument in new:
            self._start_live(instrument, machine_ns)
        for instrument, reason in answer.refused:
            if not connection.serves(instrument):
                refusal = ActiveAlert(Severity.WARNING, f"the server has no quotes of it: {reason}")
                self.feed_alerts.problems["SUBSCRIPTION_REFUSED", instrument] = refusal
        for instrument, _ in answer.accepted:
            self.feed_alerts.problems.pop(("SUBSCRIPTION_REFUSED", instrument), None)
        self.feed_alerts.update()

    def repair_sources(self, market_ns: int, machine_ns: int) -> None:
        """Fail over if due, and reconnect sources without quotes; called once a second."""
        if (switch := self.connections.update_conditions(market_ns, machine_ns)) is not None:
            self.fail_over(switch, machine_ns)
        for connection in self.connections.all:
            connection.socket.drop_if_stalled(machine_ns)
            if connection.pulse.take_due_reconnect(machine_ns):
                age_ns = connection.pulse.age(machine_ns)
                self.log.warning("feed.mute", source=connection.source.id, age_s=round(age_ns / SECOND, 1))
                connection.reconnect_mute(age_ns)
            elif connection.pulse.is_well(machine_ns):
                connection.clear_mute()
        self.feed_alerts.update()

    def fail_over(self, switch: Switch, machine_ns: int) -> None:
        """Begin to use the source that `switch` made active: report it, and repair bars as after a loss."""
        self._interrupt()
        self.bars.recount()
        self._report(switch, machine_ns)
        self._restart(machine_ns)
        active = self.connections.active
        for instrument in active.subscriptions:
            if active.serves(instrument):
                self._start_live(instrument, machine_ns)
        active.send_request(machine_ns)

    def _report(self, switch: Switch, machine_ns: int) -> None:
        left, taken = (self.connections.all[rank] for rank in (switch.previous, switch.to))
        previous, to, reason = left.source.id, taken.source.id, switch.reason
        takes_over = reason is SwitchReason.TAKEOVER
        why = f"{previous} {left.ailment(machine_ns)}" if takes_over else f"{to} was well for long enough"
        self.log.warning("feed.source_changed", previous=previous, to=to, reason=reason.value, why=why)
        given = why if takes_over else f"{previous} gave it back"
        self.connections.backup_reason = f"market data come from {to}, {given}" if switch.to else ""
        self.feed_alerts.update()
        try:
            audit.record(self.state, f"feed.{reason.value}", to, "done", user="feed", previous=previous, reason=why)
        except OSError as error:  # a full disk must not end the feed during a failover
            self.log.error("feed.audit_lost", previous=previous, to=to, problem=str(error))

    def _restart(self, machine_ns: int) -> None:
        self.health.on_connected(machine_ns)
        self.connections.active.active_since_ns = machine_ns

    def _interrupt(self) -> None:
        self.intake.flush()
        self.bars.interrupt()

    def _start_live(self, instrument: str, machine_ns: int) -> None:
        self.health.record_subscription(instrument, machine_ns)
        self.bars.start_live(instrument)


@dataclass(slots=True)
class SubscriptionManager:
    """Subscribes wanted instruments as far as `capacity` allows, and drops unwanted ones everywhere.

    Invariant: an instrument with a position or a live order is never unsubscribed.
    """

    demand: InstrumentDemand
    connections: SourceConnections
    health: FeedHealth
    bars: BarPublisher
    intake: QuoteIntake
    clock: MarketClock
    problems: ActiveAlerts
    capacity: int

    def watch(self, symbols: Iterable[str]) -> tuple[str, ...]:
        """Subscribe the configured symbols; returns those subscribed; each unusable one is an alert."""
        watched = self.demand.watch(dict.fromkeys(symbols))
        for refused in self.demand.refused:
            text = f"{refused}: expected EXCHANGE:SYMBOL with an exchange of config/calendar.toml; correct the symbol"
            self.problems["WATCH_REFUSED", refused] = ActiveAlert(Severity.CRITICAL, text)
        for instrument in watched:
            self._subscribe(instrument)
        return watched

    def on_request(self, message: WantInstruments) -> None:
        """Subscribe a daemon's `instruments`, keep bars of those in `bars`, and record its positions (`held`)."""
        self.demand.set_held(message.daemon, message.held)
        wanted = self.demand.request(message.instruments, machine_now(), message.daemon)
        kept = {name for name in message.bars if name in wanted and self.bars.keep_history(name, message.bar_days)}
        for instrument in wanted:
            if instrument in kept and self.connections.active.serves(instrument):
                self.bars.start_live(instrument)
            self._subscribe(instrument)

    def on_order_message(self, message: OrderMessage) -> None:
        """Subscribe the instrument of an order or a position if it needs quotes."""
        for instrument in self.demand.apply_order_message(message, machine_now()):
            self._subscribe(instrument)

    def drop_unwanted(self, machine_ns: int) -> None:
        """Unsubscribe what nobody has requested, held or ordered for a while."""
        for instrument in self.demand.unwanted(self.connections.wanted, machine_ns):
            self.connections.drop(instrument)
            self.intake.drop(instrument)
            self.problems.pop(("SUBSCRIPTION_REFUSED", instrument), None)

    def _subscribe(self, instrument: str) -> None:
        if self.health.traits(instrument) is not None:
            return
        if self.connections.subscribe(instrument):
            self.health.add(instrument, self.clock.now(), machine_now())
            self.problems.pop(("SUBSCRIPTIONS_FULL", "feed"), None)
        else:
            text = f"no room for {instrument}: MAX_WEBSOCKET_SUBSCRIPTIONS is {self.capacity}; watch less or raise it"
            self.problems["SUBSCRIPTIONS_FULL", "feed"] = ActiveAlert(Severity.CRITICAL, text)


@dataclass(slots=True)
class FrameReader:
    """Reads at most `most` frames at once: ticks go to intake, others to the supervisor."""

    connections: SourceConnections
    clock: MarketClock
    intake: QuoteIntake
    supervisor: SourceSupervisor
    edge: Edge
    most: int
    drains: Histogram
    after_batch: Callable[[Sequence[SocketEvent], int], None]
    wake: Callable[[], None]
    _parser: market_frames.FrameParser = field(default_factory=market_frames.FrameParser, init=False)
    _bad: BadFrames = field(default_factory=lambda: BadFrames("market socket"), init=False)
    _portion: int = field(init=False)

    def __post_init__(self) -> None:
        self._portion = min(FIRST_PORTION, self.most)
        self.adapt_to_speed()

    def adapt_to_speed(self) -> None:
        """Adapt the tolerance of time stamps to the speed of the market clock."""
        self._parser.tolerance_ns = int(STAMP_TOLERANCE_S * max(self.clock.speed, 1.0) * SECOND)

    @property
    def malformed(self) -> int:
        """Number of frames that could not be parsed."""
        return self._bad.count

    @property
    def lenient(self) -> int:
        """Number of ticks that only the lenient decoder could read."""
        return self._parser.lenient

    def read_all(self) -> None:
        """Read and handle a portion of each connection's waiting frames; if more wait, wake the loop again."""
        started = time.perf_counter_ns()
        for connection in self.connections.all:
            if events := connection.socket.drain(self._portion):
                self.handle(connection, events)
                took = time.perf_counter_ns() - started
                self.drains.add(took)
                if len(events) == self._portion:
                    self._portion = self.next_portion(took)
            if not connection.socket.events.empty():
                self.wake()

    def next_portion(self, took_ns: int) -> int:
        """Return how many frames to read next, after a portion of a backlog took `took_ns`."""
        if took_ns > BURST_NS:
            return max(self._portion // 2, LEAST_PORTION)
        return min(2 * self._portion, self.most) if took_ns < BURST_NS // 3 else self._portion

    def handle(self, connection: SourceConnection, events: Sequence[SocketEvent]) -> None:
        # The time of handling, not of receipt: a feed that lags would take its own backlog for a mute source.
        """Parse a batch of one connection's socket events: ticks go to intake, all others to the supervisor."""
        now = machine_now()
        rules = connection.rules.feed
        for event in events:
            if type(event) is not SocketFrame:
                self.supervisor.on_connection_event(connection, event)
                continue
            received_ns = connection.taken_ns = event.received_ns
            parsed = self._parser.parse(event.data, received_ns, self.clock.market_ns_at(received_ns), rules)
            try:
                if type(parsed) is market_frames.Tick:
                    self.intake.on_tick(connection, parsed, now)
                elif type(parsed) is market_frames.MalformedFrame:
                    self._bad.add(FrameError("malformed", parsed.reason), event.data)
                elif parsed is not None:
                    self.supervisor.on_control_frame(connection, parsed, now)
            except OF_DATA as error:
                self.edge.record_drop(error, event.data)
        if connection is self.connections.active:
            self.intake.flush()
            self.after_batch(events, now)
