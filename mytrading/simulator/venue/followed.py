"""Live paper: the quotes of a running stack's `market` stream are the market, and it has no other prices.

Listed is what the feed of the followed stack fetched and checked, with lots, ticks and freeze quantities; without that,
the dated contract facts. An instrument without a quote, or with one too old, has no price that an order could fill at.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import date
from pathlib import Path

import numpy as np
import zmq
from msgspec.structs import replace

from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.core.calendar import Calendar
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.time import ist_date
from mytrading.messages import market
from mytrading.messages.instruments import Instrument
from mytrading.runtime.streams.zmq_streams import ZMQSubscriber, drain
from mytrading.simulator.market.day import MarketDay, Prices, SimulatedQuote
from mytrading.simulator.market.world import TICK, SimulatedWorld
from mytrading.simulator.settings.options import BadOption
from mytrading.simulator.venue.venue import SimulatedVenue

_AT_ONCE = 500
# The stream's own socket says when there is something; a look now and then finds what it did not say.
_LOOK_SECONDS = 0.05


class SilentDay(MarketDay):
    """A day without ticks."""

    def quote(self, instrument: Instrument, _index: int) -> SimulatedQuote:
        """Return an empty quote of zeros, as brokers answer for an instrument without a price."""
        return SimulatedQuote(instrument, 0, 0.0, 0.0, 0.0, 0, 0, 0.0, 0.0, 0.0, 0.0)


class FollowedWorld(SimulatedWorld):
    """Lists the master contract in the state folder `master`, else the facts; its days have no ticks."""

    silent = True

    def __init__(
        self, calendar: Calendar, facts: ContractFacts, seed: int, anchor: date, master: Path | None = None
    ) -> None:
        super().__init__(calendar, facts, seed, anchor)
        self._master = InstrumentFile(master) if master is not None else None

    @property
    def listing_changed(self) -> bool:
        """True if the master contract file was replaced since `listing` last read it; asking resets nothing."""
        return self._master is not None and self._master.has_changed()

    def listing(self, day: date) -> InstrumentBook:
        """Return a day's instruments: the broker's list with own indices and equities; own ones alone without it."""
        own = super().listing(day)
        fetched = self._master.snapshot().instruments if self._master is not None else ()
        if not fetched:
            return own
        return InstrumentBook((*(item for item in own if not item.kind.is_derivative), *map(_with_tick, fetched)))

    def find_instrument(self, instrument: str, day: date) -> Instrument | None:
        """Find an instrument by id: in the newest master contract that has it, else in the facts."""
        for kept in reversed(self._master.days()) if self._master is not None else ():
            with suppress(ValueError):
                snapshot = self._master.of_day(kept) if self._master is not None else None
                found = (item for item in snapshot.instruments if item.id == instrument) if snapshot else iter(())
                if (item := next(found, None)) is not None:
                    return _with_tick(item)
        return super().find_instrument(instrument, day)

    def day(self, day: date) -> MarketDay:
        """Return a day without ticks; `ValueError` on a day without trading."""
        nothing = np.empty(0, dtype=np.int64)
        return SilentDay(day, nothing, self.sessions_of_trading_day(day), _no_prices, replayed=False)


def _with_tick(instrument: Instrument) -> Instrument:
    return instrument if instrument.tick_size > 0 else replace(instrument, tick_size=TICK)


def _no_prices(instrument: Instrument) -> Prices:
    raise LookupError(f"{instrument.id} has no prices but those that are followed")


class Follower:
    """Feeds the quotes of a stream to one venue, each once; instruments that are new are listed."""

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
        """Apply the followed stack's quotes to the venue as they come, until cancelled."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        descriptor = int(self._stream.socket.getsockopt(zmq.FD))
        loop.add_reader(descriptor, ready.set)
        try:
            while True:
                while self.step() == _AT_ONCE:
                    await asyncio.sleep(0)
                ready.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await ready.wait()
        finally:
            loop.remove_reader(descriptor)
            self._stream.close()
            self._context.term()

    def step(self) -> int:
        """Apply waiting quotes, at most a few hundred: publish each and match orders; returns how many there were."""
        if self._venue.world.listing_changed:
            self._venue.relist_instruments()
            self._unknown.clear()
        count = 0
        for frame in drain(self._stream.receive, _AT_ONCE):
            count += 1
            message = frame.message
            if isinstance(message, market.Quote) and frame.topic == message.instrument:
                self._take(message)
        return count

    def _take(self, live: market.Quote) -> None:
        venue, name = self._venue, live.instrument
        instrument = venue.instrument(name)
        if instrument is None:
            if name in self._unknown:
                return
            if (instrument := venue.world.find_instrument(name, ist_date(venue.clock.now()))) is None:
                self._unknown.add(name)
                return
            venue.list_instrument(instrument)
        quote = SimulatedQuote(
            instrument,
            live.market_ns,
            live.ltp,
            live.bid or 0.0,
            live.ask or 0.0,
            live.volume or 0,
            live.open_interest or 0,
            live.open or 0.0,
            live.high or 0.0,
            live.low or 0.0,
            live.previous_close or 0.0,
        )
        venue.depths[instrument.id] = (live.bid_quantity or 0, live.ask_quantity or 0)
        venue.quote_ages.record(instrument.id, venue.clock.now())
        venue.publish_pushed_quote(quote, hold=True)
        venue.match(quote)
