"""Frame reader: drains the sockets of all sources, parses frames, and passes ticks to intake and the rest to control.

A backlog is read in portions, so that timers and heartbeat keep their turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from mytrading.adapters.openalgo.ws.connection import SocketEvent, SocketFrame
from mytrading.adapters.openalgo.ws.market_frames import FrameParser, MalformedFrame, Tick
from mytrading.core.time import SECOND
from mytrading.daemons.feed.quote_intake import QuoteIntake
from mytrading.daemons.feed.source_supervisor import SourceSupervisor
from mytrading.daemons.feed.sources import SourceConnection, SourceConnections
from mytrading.messages.codec import FrameError
from mytrading.runtime.host.clock import MarketClock, machine_now
from mytrading.runtime.observability.metrics import Histogram
from mytrading.runtime.streams.guard import OF_DATA, Edge
from mytrading.runtime.streams.zmq_streams import BadFrames

STAMP_TOLERANCE_S = 2.0
BURST_NS = 250_000_000
"""Machine time for which frames may be read before timers have their turn, however long the backlog."""
FIRST_PORTION, LEAST_PORTION = 1000, 50
"""Frames read at once: at first, and at least where a core is short."""


class FrameReader:
    """Reads at most `most` frames at once; `after_batch(events, machine_ns)` follows those of the active source."""

    def __init__(
        self,
        connections: SourceConnections,
        clock: MarketClock,
        intake: QuoteIntake,
        supervisor: SourceSupervisor,
        edge: Edge,
        most: int,
        drains: Histogram,
        after_batch: Callable[[Sequence[SocketEvent], int], None],
        wake: Callable[[], None],
    ) -> None:
        self._connections = connections
        self._clock = clock
        self._intake = intake
        self._supervisor = supervisor
        self._edge = edge
        self._most = most
        self._drains = drains
        self._after_batch = after_batch
        self._wake = wake
        self._parser = FrameParser()
        self._bad = BadFrames("market socket")
        self._portion = min(FIRST_PORTION, most)
        self.follow_speed()

    def follow_speed(self) -> None:
        """Adapt the tolerance of time stamps to the speed of the market clock."""
        self._parser.tolerance_ns = int(STAMP_TOLERANCE_S * max(self._clock.speed, 1.0) * SECOND)

    @property
    def malformed(self) -> int:
        """Frames that could not be parsed."""
        return self._bad.count

    def read_all(self) -> None:
        """Read one portion of each socket."""
        started = time.perf_counter_ns()
        for connection in self._connections.all:
            events = connection.socket.drain(self._portion)
            if events:
                self.handle(connection, events)
                took = time.perf_counter_ns() - started
                self._drains.add(took)
                if len(events) == self._portion:
                    self._portion = self.next_portion(took)
            if not connection.socket.events.empty():
                self._wake()

    def next_portion(self, took_ns: int) -> int:
        """Frames to read at once after a portion of a backlog took so long."""
        if took_ns > BURST_NS:
            return max(self._portion // 2, LEAST_PORTION)
        return min(2 * self._portion, self._most) if took_ns < BURST_NS // 3 else self._portion

    def handle(self, connection: SourceConnection, events: Sequence[SocketEvent]) -> None:
        """Handle events of one socket in order."""
        # The time of handling, not of receipt: a feed that lags would take its own backlog for a mute source.
        now = machine_now()
        for event in events:
            if type(event) is not SocketFrame:
                self._supervisor.on_connection_event(connection, event)
                continue
            received_ns = connection.taken_ns = event.received_ns
            parsed = self._parser.parse(event.data, received_ns, self._clock.at(received_ns))
            try:
                if type(parsed) is Tick:
                    self._intake.on_tick(connection, parsed, now)
                elif type(parsed) is MalformedFrame:
                    self._bad.add(FrameError("malformed", parsed.reason), event.data)
                elif parsed is not None:
                    self._supervisor.on_control_frame(connection, parsed, now)
            except OF_DATA as error:
                self._edge.dropped(error, event.data)
        if connection is self._connections.active:
            self._intake.flush()
            self._after_batch(events, now)
