"""Speed 0: the market's next step is made when nothing of the last one is under way in the stack.

After everything it sends, it sends a mark over the WebSocket; each daemon says on `status` which mark it has dealt
with, what it has sent and what it has worked through. Where the two ends of every stream agree and nobody waits for a
call, a read or an operator, nothing can happen any more until the market moves: whoever would be the first to act would
need a message that was sent and not worked through. No step is made on a guess; who does not answer is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import zmq

from mytrading.core.time import MINUTE
from mytrading.messages.control import StepDone
from mytrading.messages.streams import step_topic
from mytrading.runtime.host.clock import MarketClock, machine_now
from mytrading.runtime.streams.zmq_streams import ZMQSubscriber, drain
from mytrading.simulator.venue.market_driver import Driver
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
"""Writer, stream, reader: what was sent must have been worked through."""

MARKED = ("feed", "reconciler")
"""Who listens to the exchange itself."""

_REPEAT_NS = 500_000_000
_LOOK_SECONDS = 0.02
_AT_ONCE = 500


def under_way(done: Mapping[str, StepDone], mark: int) -> str:
    """What daemons have not dealt with of all that was sent up to this mark, in words; empty if nothing is left."""
    for name in DAEMONS:
        found = done.get(name)
        if found is None:
            return f"{name}: not heard yet"
        if name in MARKED and found.mark != mark:
            return f"{name}: what the exchange sent"
        if found.waits:
            return f"{name}: {found.waits}"
    for writer, stream, reader in CHANNELS:
        if done[writer].sent.get(stream, 0) != done[reader].seen.get(f"{writer}/{stream}", 0):
            return f"{reader}: {stream} of {writer}"
    return ""


class Ear:
    """What the daemons of a stack say of themselves; `endpoints` are those of their `status`, by name."""

    def __init__(self, endpoints: Mapping[str, str]) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        topics = [step_topic(name) for name in endpoints]
        self._status = ZMQSubscriber("status", list(endpoints.values()), topics, context=self._context)
        self._done: dict[str, StepDone] = {}

    @property
    def descriptor(self) -> int:
        """Becomes readable when something may have come."""
        return int(self._status.socket.getsockopt(zmq.FD))

    def listen(self) -> None:
        """Take what waits."""
        for frame in drain(self._status.receive, _AT_ONCE):
            if isinstance(frame.message, StepDone):
                self._done[frame.message.daemon] = frame.message

    def waits_for(self, mark: int) -> str:
        """What is still under way after everything up to this mark, in words; empty if nothing is."""
        return under_way(self._done, mark)

    def close(self) -> None:
        """Close the socket."""
        self._status.close()
        self._context.term()


class LockStep(Driver):
    """Drives one venue step by step, together with the stack behind `endpoints`."""

    def __init__(self, venue: SimulatedVenue, clock: MarketClock, *, jumps: bool, endpoints: Mapping[str, str]) -> None:
        super().__init__(venue, clock, jumps=jumps)
        self._ear = Ear(endpoints)
        self._mark = machine_now() // 1000
        self._marked_at = 0
        self._sent = -1

    async def run(self) -> None:
        """Drive until cancelled."""
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        loop.add_reader(self._ear.descriptor, woken.set)
        self._venue.hub.on_send = woken.set
        try:
            while True:
                woken.clear()
                if self._go_on():
                    await asyncio.sleep(0)
                    continue
                self._housekeeping()
                try:
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await woken.wait()
                except TimeoutError:
                    continue
        finally:
            loop.remove_reader(self._ear.descriptor)
            self._ear.close()

    def _go_on(self) -> bool:
        """Make the next step if all is quiet; true if it was made."""
        venue = self._venue
        self._ear.listen()
        self._send_mark()
        venue.waits_for = self._ear.waits_for(self._mark)
        if venue.waits_for:
            return False
        at = self._next_moment()
        if venue.paused or at is None or (venue.stop_at_ns and at > venue.stop_at_ns):
            venue.waits_for = "" if at is not None else "the recorded market is at its end"
            return False
        self._move_to(at)
        self.step()
        self._send_mark(new=True)
        venue.waits_for = "the step just made"
        return True

    def _send_mark(self, new: bool = False) -> None:
        """A new mark after everything else that was sent; the same again for who has just come."""
        hub, now = self._venue.hub, machine_now()
        if new or hub.sent != self._sent:
            self._mark += 1
            self._sent = hub.sent
        elif now - self._marked_at < _REPEAT_NS:
            return
        self._marked_at = now
        hub.mark(self._mark)

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
