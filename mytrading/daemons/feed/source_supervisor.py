"""Source supervisor: connections that come and go, acknowledgements, failover, and the gaps they leave in bars."""

from __future__ import annotations

from mytrading.adapters.openalgo.ws.connection import Connected, SocketEvent, SocketFrame
from mytrading.adapters.openalgo.ws.market_frames import Acknowledged, Parsed, ServerError, StepMark
from mytrading.core.feed.source_failover import Switch
from mytrading.daemons.feed.alerts import FeedAlerts
from mytrading.daemons.feed.bars import BarPublisher
from mytrading.daemons.feed.instruments import InstrumentLoader
from mytrading.daemons.feed.market_steps import MarketSteps
from mytrading.daemons.feed.quote_intake import QuoteIntake
from mytrading.daemons.feed.readiness import Readiness
from mytrading.daemons.feed.sources import SourceConnection, SourceConnections
from mytrading.daemons.feed.staleness import FeedHealth
from mytrading.messages.enums import Severity
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.observability.alerts import Alerts


class SourceSupervisor:
    """Keeps health, bars, readiness and alerts in step with the state of the connections."""

    def __init__(
        self,
        connections: SourceConnections,
        health: FeedHealth,
        bars: BarPublisher,
        intake: QuoteIntake,
        readiness: Readiness,
        instruments: InstrumentLoader,
        steps: MarketSteps,
        feed_alerts: FeedAlerts,
        alerts: Alerts,
    ) -> None:
        self._connections = connections
        self._health = health
        self._bars = bars
        self._intake = intake
        self._readiness = readiness
        self._instruments = instruments
        self._steps = steps
        self._feed_alerts = feed_alerts
        self._alerts = alerts

    def on_connection_event(self, connection: SourceConnection, event: SocketEvent) -> None:
        """Handle a connection that was established, refused or lost."""
        if isinstance(event, SocketFrame):
            return
        active = connection is self._connections.active
        if isinstance(event, Connected):
            connection.connected(event.machine_ns)
            self._feed_alerts.connected(connection, event.number, event.broker)
            if active:
                self._restart(event.machine_ns)
                self._bars.retry_now()
                self._instruments.retry_now()
                self._instruments.look(event.machine_ns)
            return
        connection.pulse.lost()
        self._feed_alerts.lost(connection, event)
        if active:
            self._interrupt()

    def on_control_frame(self, connection: SourceConnection, frame: Parsed, machine_ns: int) -> None:
        """Handle a frame without a price."""
        if type(frame) is Acknowledged:
            self.on_acknowledged(connection, frame)
        elif type(frame) is ServerError:
            text = f"the market socket said {frame.code}: {frame.message}"
            self._feed_alerts.failed(connection, text)
            connection.failed(text, machine_now())
        elif type(frame) is StepMark:
            self._intake.flush()
            connection.pulse.ticked(machine_ns)
            self._steps.on_mark(frame.mark)

    def on_acknowledged(self, connection: SourceConnection, answer: Acknowledged) -> None:
        """Handle the server's answer to a subscription."""
        machine_ns = machine_now()
        new = connection.subscriptions.answered(answer, machine_ns)
        if answer.accepted:
            connection.succeeded()
            self._feed_alerts.accepted(connection)
        if connection is not self._connections.active:
            return
        for instrument in new:
            self._start_live(instrument, machine_ns)
        for instrument, reason in answer.refused:
            if not connection.serves(instrument):
                self._alerts.raise_(
                    "SUBSCRIPTION_REFUSED", Severity.WARNING, instrument, f"the server has no quotes of it: {reason}"
                )
        for instrument, _ in answer.accepted:
            self._alerts.clear("SUBSCRIPTION_REFUSED", instrument)

    def look(self, market_ns: int, machine_ns: int) -> None:
        """Each second: fail over if due, and reconnect sources that are mute."""
        switch = self._connections.look(market_ns, machine_ns)
        if switch is not None:
            self._fail_over(switch, machine_ns)
        for connection in self._connections:
            connection.socket.look(machine_ns)
            if connection.pulse.wants_fresh_connection(machine_ns):
                connection.socket.reconnect(self._feed_alerts.mute(connection, connection.pulse.age(machine_ns)))
            elif connection.pulse.is_well(machine_ns):
                self._feed_alerts.well(connection)

    def _fail_over(self, switch: Switch, machine_ns: int) -> None:
        """Continue with another active connection, as after a loss; its subscriptions already deliver."""
        self._interrupt()
        self._feed_alerts.switched(switch, machine_ns)
        self._restart(machine_ns)
        active = self._connections.active
        for instrument in active.subscriptions:
            if active.serves(instrument):
                self._start_live(instrument, machine_ns)
        active.send_request(machine_ns)

    def _restart(self, machine_ns: int) -> None:
        self._health.connected(machine_ns)
        self._readiness.restart(machine_ns)

    def _interrupt(self) -> None:
        self._intake.flush()
        self._bars.interrupt()

    def _start_live(self, instrument: str, machine_ns: int) -> None:
        self._health.subscribed(instrument, machine_ns)
        self._bars.start_live(instrument)
