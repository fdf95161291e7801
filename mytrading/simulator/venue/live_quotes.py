"""Live paper: the quotes of a running stack's `market` stream become the market of this exchange.

Only quotes count, each once; instruments that are new are listed. A stream that has fallen silent, or tells an
instrument no more, leaves no price behind that an order could fill at.
"""

from __future__ import annotations

import asyncio

import zmq

from mytrading.core.time import ist_date
from mytrading.messages import market
from mytrading.runtime.streams.zmq_streams import ZMQSubscriber, drain
from mytrading.simulator.market.day import SimulatedQuote
from mytrading.simulator.settings.options import BadOption
from mytrading.simulator.venue.venue import SimulatedVenue

_AT_ONCE = 500
# The stream's own socket says when there is something; a look now and then finds what it did not say.
_LOOK_SECONDS = 0.05


class Follower:
    """One venue's ear at a stream."""

    def __init__(self, venue: SimulatedVenue, endpoint: str) -> None:
        self._venue = venue
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            self._stream = ZMQSubscriber("market", [endpoint], context=self._context)
        except zmq.ZMQError as error:
            raise BadOption(
                f"--follow: expected the endpoint of a market stream, ipc://FOLDER/market or tcp://HOST:PORT, "
                f"found {endpoint!r}: {error}"
            ) from error
        self._unknown: set[str] = set()

    async def run(self) -> None:
        """Follow until cancelled."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        descriptor = int(self._stream.socket.getsockopt(zmq.FD))
        loop.add_reader(descriptor, ready.set)
        try:
            while True:
                while self.step() == _AT_ONCE:
                    await asyncio.sleep(0)
                ready.clear()
                try:
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await ready.wait()
                except TimeoutError:
                    continue
        finally:
            loop.remove_reader(descriptor)
            self._stream.close()
            self._context.term()

    def step(self) -> int:
        """Take what waits, at most a few hundred messages; how many there were."""
        if self._venue.world.has_news:
            self._venue.list_anew()
            self._unknown.clear()
        count = 0
        for frame in drain(self._stream.receive, _AT_ONCE):
            count += 1
            message = frame.message
            if isinstance(message, market.Quote) and frame.topic == message.instrument:
                self._take(message)
        return count

    def _take(self, told: market.Quote) -> None:
        venue = self._venue
        instrument = venue.instrument(told.instrument)
        if instrument is None:
            if told.instrument in self._unknown:
                return
            instrument = venue.world.named(told.instrument, ist_date(venue.clock.now()))
            if instrument is None:
                self._unknown.add(told.instrument)
                return
            venue.list_also(instrument)
        quote = SimulatedQuote(
            instrument,
            told.market_ns,
            told.ltp,
            told.bid or 0.0,
            told.ask or 0.0,
            told.volume or 0,
            told.open_interest or 0,
            told.open or 0.0,
            told.high or 0.0,
            told.low or 0.0,
            told.previous_close or 0.0,
        )
        venue.depths[instrument.id] = (told.bid_quantity or 0, told.ask_quantity or 0)
        venue.heard.note(instrument.id, venue.clock.now())
        venue.push(quote, hold=True)
