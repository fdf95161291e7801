"""What makes the simulated market go: each tick when its time comes, the venue's clockwork, the jump to the next day.

Run as one task beside the servers. It follows the market clock and writes to it only the jumps of a generated market,
and when one that stands begins, so that every other process sees the same time; a followed market's clock belongs to
its stack.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import date

import zmq

from mytrading.core.time import MINUTE, SECOND
from mytrading.messages.control import Heartbeat
from mytrading.runtime.host.clock import MarketClock, machine_now
from mytrading.runtime.observability.metrics import get_performance_monitor
from mytrading.runtime.streams.zmq_streams import ZMQSubscriber, drain
from mytrading.simulator.venue.venue import SimulatedVenue

# After the close the books settle for this long; the next day then begins this much before its open.
_AFTER_CLOSE_NS = 20 * MINUTE
_BEFORE_OPEN_NS = 5 * SECOND
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.004, 0.1
_TICKS_A_STEP = 200
_CHECKPOINT_SECONDS = 30.0
# A market that stands begins so long after its stack is ready: every process has read the clock by then.
_LEAD_NS = SECOND // 2
_BEAT_LATE_NS = 5 * SECOND
_AT_ONCE = 500


class StartGate:
    """Who of a stack is ready, as each daemon's heartbeat says; `endpoints` are those of their `status`, by name."""

    def __init__(self, endpoints: Mapping[str, str]) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._status = ZMQSubscriber("status", list(endpoints.values()), endpoints, context=self._context)
        self._beats: dict[str, Heartbeat | None] = dict.fromkeys(endpoints)

    def waits_for(self) -> str:
        """Who is not ready yet, or has not said so lately; empty once all are."""
        for frame in drain(self._status.receive, _AT_ONCE):
            if isinstance(frame.message, Heartbeat):
                self._beats[frame.message.daemon] = frame.message
        since = machine_now() - _BEAT_LATE_NS
        return ", ".join(
            name for name, beat in self._beats.items() if beat is None or not beat.ready or beat.machine_ns < since
        )

    def close(self) -> None:
        """Close the socket."""
        self._status.close()
        self._context.term()


class Driver:
    """Drives one venue. A market jumps from close to open; a replayed one stands still at its last day's end.

    A clock that stands at its beginning runs from when all `daemons` (name to `status` endpoint) are ready, at the
    latest from when it says itself.
    """

    def __init__(
        self, venue: SimulatedVenue, clock: MarketClock, *, jumps: bool, daemons: Mapping[str, str] | None = None
    ) -> None:
        self._venue = venue
        self._clock = clock
        self._jumps = jumps
        self._gate = StartGate(daemons) if daemons and clock.waits_until > machine_now() else None
        self._day: date | None = None
        self._seen_at = 0
        self._checkpoint_at = machine_now()
        self._steps = get_performance_monitor().operation("simulator", "step")

    def begin(self) -> None:
        """Bring market and books to the present, before serving."""
        self._follow_day(self._clock.now())
        self._venue.advance()

    async def run(self) -> None:
        """Drive until cancelled."""
        while True:
            started = machine_now()
            self.step()
            self._steps.add(machine_now() - started)
            self._housekeeping()
            await asyncio.sleep(self._pause())

    def step(self) -> None:
        """Send the ticks that have become due, then do what the venue's clock says."""
        self._let_go()
        now = self._clock.now()
        self._follow_day(now)
        market = self._venue.market
        if market is not None and not self._venue.paused:
            due = min(market.index_at(now), self._venue.index + _TICKS_A_STEP)
            for index in range(self._venue.index + 1, due + 1):
                self._venue.tick(index, last=index == due)
        self._venue.advance()
        if self._jumps or self._venue.world.recorded:
            self._jump_if_due(now)

    def _let_go(self) -> None:
        """A market that stands begins when the whole stack is ready; a daemon that restarts later does not stop it."""
        if self._gate is None:
            return
        missing, now = self._gate.waits_for(), machine_now()
        if missing and now < self._clock.waits_until:
            return
        if not missing:
            self._clock.run_from(min(now + _LEAD_NS, self._clock.waits_until))
        said = f"although these are not ready: {missing}" if missing else "all processes are ready"
        sys.stdout.write(f"the market begins, {said}\n")
        sys.stdout.flush()
        self._gate.close()
        self._gate = None

    def _follow_day(self, now: int) -> None:
        today = self._venue.world.calendar.trading_day(now)
        if today == self._day:
            return
        world = self._venue.world
        if world.sessions(today) is None:
            today = self._last_trading_day(today)
            if today == self._day:
                return
        self._day = today
        self._venue.open_day(today)

    def _last_trading_day(self, day: date) -> date:
        calendar = self._venue.world.calendar
        before = calendar.previous_trading_day("NSE", day)
        while self._venue.world.sessions(before) is None:
            before = calendar.previous_trading_day("NSE", before)
        return before

    def _jump_if_due(self, now: int) -> None:
        if self._gate is not None:
            return
        calendar = self._venue.world.calendar
        today = calendar.trading_day(now)
        session = calendar.session("NFO", today)
        if session is not None and now < session.close_ns + _AFTER_CLOSE_NS:
            return
        opens = self._venue.world.next_open(now)
        if opens is not None and opens - now > 2 * _BEFORE_OPEN_NS:
            self._move_to(opens - _BEFORE_OPEN_NS)

    def _move_to(self, market_ns: int) -> None:
        """It is another market time from now on, unless a full disk keeps it from the others: then at a later step."""
        with suppress(OSError):
            self._clock.append_segment(market_ns, self._clock.speed)

    def _pause(self) -> float:
        market = self._venue.market
        if market is None or self._venue.paused or self._venue.index + 1 >= len(market.times):
            return _LONGEST_PAUSE
        wait = self._clock.machine_span(int(market.times[self._venue.index + 1]) - self._clock.now())
        return min(max(wait, _SHORTEST_PAUSE), _LONGEST_PAUSE)

    def _housekeeping(self) -> None:
        now = machine_now()
        if now - self._seen_at > SECOND:
            self._seen_at = now
            if self._venue.world.silent:
                self._clock.refresh()
            else:
                self._clock.mark_seen()
        if now - self._checkpoint_at > _CHECKPOINT_SECONDS * SECOND:
            self._checkpoint_at = now
            asyncio.get_running_loop().run_in_executor(None, self._venue.checkpoint)
