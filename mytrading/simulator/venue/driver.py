"""Drivers of the simulated market: by the market clock, or in lock-step with a stack at speed 0.

`Driver` sends each tick when its time comes, does what the venue's clock says, and jumps to the next day. It follows
the market clock and writes to it only jumps, and the beginning of a market that stands, so that every other process
sees the same time; a followed market's clock belongs to its stack.

`LockStep` makes the next step when nothing of the last one is under way in the stack. After everything it sends, it
sends a mark over the WebSocket; each daemon reports on `status` the mark it has dealt with, what it has sent and what
it has worked through. Where the two ends of every stream agree and nobody waits for a call, a read or an operator, the
first to act would need a message that was sent and not worked through. A daemon that does not report is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import date
from typing import Any

import zmq

from mytrading.core.time import MINUTE, SECOND
from mytrading.messages.control import Heartbeat, StepDone
from mytrading.messages.streams import step_topic
from mytrading.runtime.host.clock import MarketClock, machine_now
from mytrading.runtime.observability.metrics import get_performance_monitor
from mytrading.runtime.streams.zmq_streams import ZMQSubscriber, drain
from mytrading.simulator.market.day import SimulatedQuote
from mytrading.simulator.venue.venue import SimulatedVenue

DAEMONS = ("feed", "engine", "risk", "router", "reconciler")
CHANNELS = (
    ("feed", "market", "engine"),
    ("feed", "market", "risk"),
    ("engine", "wants", "feed"),
    ("risk", "wants", "feed"),
    ("engine", "signals", "risk"),
    ("risk", "commands", "router"),
    ("reconciler", "reports", "router"),
    ("router", "orders", "engine"),
    ("router", "orders", "risk"),
)
"""Writer, stream, reader: all sent frames must have been processed."""

MARKED = ("feed", "reconciler")
"""Daemons that listen to the exchange itself."""

# After the close the books settle for this long; the next day then begins this much before its open.
_AFTER_CLOSE_NS = 20 * MINUTE
_BEFORE_OPEN_NS = 5 * SECOND
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.004, 0.1
_TICKS_A_STEP = 200
_CHECKPOINT_NS = 30 * SECOND
# A market that stands begins so long after its stack is ready: every process has read the clock by then.
_LEAD_NS = SECOND // 2
_BEAT_LATE_NS = 5 * SECOND
_MARK_REPEAT_NS = 500_000_000
_LOOK_SECONDS = 0.02
_AT_ONCE = 500


class StatusReader:
    """Reports of a stack's daemons on their `status` streams; `endpoints` are by daemon."""

    def __init__(self, endpoints: Mapping[str, str], topics: Iterable[str]) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._status = ZMQSubscriber("status", list(endpoints.values()), topics, context=self._context)

    @property
    def descriptor(self) -> int:
        """The file descriptor that becomes readable when a report may have come."""
        return int(self._status.socket.getsockopt(zmq.FD))

    def messages(self) -> list[Any]:
        """Return the waiting status messages, at most a few hundred; they are not returned again."""
        return [frame.message for frame in drain(self._status.receive, _AT_ONCE)]

    def close(self) -> None:
        self._status.close()
        self._context.term()


class Driver:
    """Drives one venue. A market jumps from close to open; a replayed one stands still at its last day's end.

    A clock that stands at its beginning runs once all `daemons` (name to `status` endpoint) are ready, at the latest
    from its own time.
    """

    def __init__(
        self, venue: SimulatedVenue, clock: MarketClock, *, jumps: bool, daemons: Mapping[str, str] | None = None
    ) -> None:
        self._venue, self._clock, self._jumps = venue, clock, jumps
        self._gate: StatusReader | None = None
        self._beats: dict[str, Heartbeat | None] = dict.fromkeys(daemons or ())
        if daemons and clock.starts_at_machine_ns > machine_now():
            self._gate = StatusReader(daemons, daemons)
        self._day: date | None = None
        self._seen_at = 0
        self._checkpoint_at = machine_now()
        self._steps = get_performance_monitor().operation("simulator", "step")

    def begin(self) -> None:
        """Advance the market day and books to the clock's present time; called once, before serving."""
        self._follow_day(self._clock.now())
        self._venue.advance()

    async def run(self) -> None:
        """Call `step` as the market's ticks fall due, until cancelled; a later start resumes at that moment."""
        try:
            while True:
                started = machine_now()
                self.step()
                self._steps.add(machine_now() - started)
                self._housekeeping()
                await asyncio.sleep(self._seconds_to_next_tick())
        finally:
            self._mark_seen()

    def _seconds_to_next_tick(self) -> float:
        market, following = self._venue.market, self._venue.index + 1
        if market is None or self._venue.paused or following >= len(market.times):
            return _LONGEST_PAUSE
        wait = self._clock.machine_seconds_of(int(market.times[following]) - self._clock.now())
        return min(max(wait, _SHORTEST_PAUSE), _LONGEST_PAUSE)

    def step(self) -> None:
        """Open a day that has begun, send the ticks that are due, then do what the books and the clock require."""
        self._advance(self._venue.publish)
        self._jump_if_due()

    def _advance(self, send: Callable[[SimulatedQuote], None]) -> None:
        if self._gate is not None:
            self._start_if_ready(self._gate)
        now = self._clock.now()
        self._follow_day(now)
        market = self._venue.market
        if market is not None and not self._venue.paused:
            due = min(market.index_at(now), self._venue.index + _TICKS_A_STEP)
            for index in range(self._venue.index + 1, due + 1):
                self._venue.tick(index, last=index == due, send=send)
        self._venue.advance()

    def _start_if_ready(self, gate: StatusReader) -> None:
        """Let a market at rest begin when the whole stack is ready; a daemon that restarts later does not stop it."""
        for message in gate.messages():
            if isinstance(message, Heartbeat):
                self._beats[message.daemon] = message
        now = machine_now()
        since = now - _BEAT_LATE_NS
        late = (name for name, beat in self._beats.items() if beat is None or not beat.ready or beat.machine_ns < since)
        if (missing := ", ".join(late)) and now < self._clock.starts_at_machine_ns:
            return
        if not missing:
            self._clock.set_start(min(now + _LEAD_NS, self._clock.starts_at_machine_ns))
        ready = f"although these are not ready: {missing}" if missing else "all processes are ready"
        print(f"the market begins, {ready}", flush=True)
        gate.close()
        self._gate = None

    def _follow_day(self, now: int) -> None:
        today = self._venue.world.calendar.trading_day(now)
        if today == self._day:
            return
        world = self._venue.world
        while world.sessions(today) is None:
            today = world.calendar.previous_trading_day("NSE", today)
        if today != self._day:
            self._day = today
            self._venue.open_day(today)

    def _jump_if_due(self) -> None:
        if self._gate is not None or not (self._jumps or self._venue.world.is_replay):
            return
        now = self._clock.now()
        calendar = self._venue.world.calendar
        session = calendar.session("NFO", calendar.trading_day(now))
        if session is not None and now < session.close_ns + _AFTER_CLOSE_NS:
            return
        opens = self._venue.world.next_open(now)
        if opens is not None and opens - now > 2 * _BEFORE_OPEN_NS:
            self._move_to(opens - _BEFORE_OPEN_NS)

    def _move_to(self, market_ns: int) -> None:
        """Move the market time; a full disk that keeps it from other processes delays it to a later step."""
        with suppress(OSError):
            self._clock.append_segment(market_ns, self._clock.speed)

    def _housekeeping(self) -> None:
        now = machine_now()
        if now - self._seen_at > SECOND:
            self._seen_at = now
            self._mark_seen()
        if now - self._checkpoint_at > _CHECKPOINT_NS:
            self._checkpoint_at = now
            asyncio.get_running_loop().run_in_executor(None, self._venue.checkpoint)

    def _mark_seen(self) -> None:
        if self._venue.world.silent:
            self._clock.refresh()
        else:
            self._clock.mark_seen()


def first_unfinished(done: Mapping[str, StepDone], mark: int, *, quotes_due: bool = False) -> str:
    """Return the first daemon behind step `mark` and what it waits for, as `daemon: text`; "" if all are done. `done`:
    the last report by daemon. `quotes_due`: the step's quotes are not sent yet; signals wait for them, and the feed
    has nothing else to do."""
    for name in DAEMONS:
        if quotes_due and name == "feed":
            continue
        if (found := done.get(name)) is None:
            return f"{name}: no report yet"
        if name in MARKED and found.mark != mark:
            return f"{name}: what the exchange sent"
        if found.waits:
            return f"{name}: {found.waits}"
    for writer, stream, reader in CHANNELS:
        if quotes_due and ("feed" in (writer, reader) or stream == "signals"):
            continue
        if done[writer].sent.get(stream, 0) != done[reader].seen.get(f"{writer}/{stream}", 0):
            return f"{reader}: {stream} of {writer}"
    return ""


class LockStep(Driver):
    """Drives one venue step by step, together with the stack behind `endpoints`."""

    def __init__(self, venue: SimulatedVenue, clock: MarketClock, *, jumps: bool, endpoints: Mapping[str, str]) -> None:
        super().__init__(venue, clock, jumps=jumps)
        self._status = StatusReader(endpoints, [step_topic(name) for name in endpoints])
        self._done: dict[str, StepDone] = {}
        self._mark, self._marked_at, self._sent = machine_now() // 1000, 0, -1
        self._quotes: list[SimulatedQuote] = []
        """Of the step under way; they follow when everybody knows what became of the orders in it."""

    async def run(self) -> None:
        """Step the market each time the stack has finished the step before, until cancelled."""
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        loop.add_reader(self._status.descriptor, woken.set)
        self._venue.hub.on_send = woken.set
        try:
            while True:
                woken.clear()
                if self._step_if_quiet():
                    await asyncio.sleep(0)
                    continue
                self._housekeeping()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await woken.wait()
        finally:
            loop.remove_reader(self._status.descriptor)
            self._status.close()

    def _step_if_quiet(self) -> bool:
        venue = self._venue
        for message in self._status.messages():
            if isinstance(message, StepDone):
                self._done[message.daemon] = message
        self._send_mark()
        venue.waits_for = first_unfinished(self._done, self._mark, quotes_due=bool(self._quotes))
        if venue.waits_for:
            return False
        if self._quotes:
            return self._send_quotes()
        at = self._next_moment()
        if venue.paused or at is None or (venue.stop_at_ns and at > venue.stop_at_ns):
            venue.waits_for = "" if at is not None else "the recorded market is at its end"
            return False
        self._move_to(at)
        self._advance(self._quotes.append)
        if self._quotes and venue.hub.sent != self._sent:
            self._send_mark()
            venue.waits_for = "what became of orders in the step just made"
            return True
        return self._send_quotes()

    def _send_quotes(self) -> bool:
        quotes, self._quotes = self._quotes, []
        for quote in quotes:
            self._venue.publish(quote)
        self._jump_if_due()
        self._send_mark(new=True)
        self._venue.waits_for = "the step just made"
        return True

    def _send_mark(self, new: bool = False) -> None:
        """Send a new mark after everything else that was sent, or repeat the last one for new clients."""
        hub, now = self._venue.hub, machine_now()
        if new or hub.sent != self._sent:
            self._mark += 1
            self._sent = hub.sent
        elif now - self._marked_at < _MARK_REPEAT_NS:
            return
        self._marked_at = now
        hub.send_step_mark(self._mark, orders_alone=bool(self._quotes))

    def _next_moment(self) -> int | None:
        """Market time of the next step: the next tick, after the last one a minute later; None at the market's end."""
        now = self._clock.now()
        self._follow_day(now)
        market = self._venue.market
        if market is None:
            return now + MINUTE
        following = market.index_at(now) + 1
        if following < len(market.times):
            return int(market.times[following])
        return now + MINUTE if self._jumps or self._venue.world.next_open(now) is not None else None

    def _move_to(self, market_ns: int) -> None:
        self._clock.step_to(market_ns)
