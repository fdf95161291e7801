"""A market that has no prices of its own: what is followed arrives quote by quote, the rest has none.

What is listed, with lots, ticks and freeze quantities, is what the feed of the followed stack fetched and checked;
where it has fetched nothing, the dated contract facts. An instrument nobody told us of is never given a price.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from pathlib import Path

import msgspec
import numpy as np

from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.core.calendar import Calendar
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.messages.instruments import Instrument
from mytrading.simulator.market.day import MarketDay, Prices, SimulatedQuote
from mytrading.simulator.market.world import TICK, SimulatedWorld


class SilentDay(MarketDay):
    """A day without ticks."""

    def quote(self, instrument: Instrument, _index: int) -> SimulatedQuote:
        """Nothing but zeros, as brokers answer for what they have no price of."""
        return SimulatedQuote(instrument, 0, 0.0, 0.0, 0.0, 0, 0, 0.0, 0.0, 0.0, 0.0)


class FollowedWorld(SimulatedWorld):
    """Lists what the master contract in the state folder `master` says, else the facts; its days have no ticks."""

    silent = True

    def __init__(
        self, calendar: Calendar, facts: ContractFacts, seed: int, anchor: date, master: Path | None = None
    ) -> None:
        super().__init__(calendar, facts, seed, anchor)
        self._master = InstrumentFile(master) if master is not None else None

    @property
    def has_news(self) -> bool:
        """Whether the master contract was replaced since it was last listed. Costs a look at the file's time."""
        return self._master is not None and self._master.changed()

    def listing(self, day: date) -> InstrumentBook:
        """The master contract, and the facts' indices and shares beside it; their contracts only without it."""
        own = super().listing(day)
        told = self._master.snapshot().instruments if self._master is not None else ()
        if not told:
            return own
        return InstrumentBook((*(item for item in own if not item.kind.is_derivative), *map(_with_tick, told)))

    def named(self, instrument: str, day: date) -> Instrument | None:
        """An instrument by its id: from the newest master contract that has it, else as the facts have it."""
        for kept in reversed(self._master.days()) if self._master is not None else ():
            with suppress(ValueError):
                snapshot = self._master.of(kept) if self._master is not None else None
                found = (item for item in snapshot.instruments if item.id == instrument) if snapshot else iter(())
                if (item := next(found, None)) is not None:
                    return _with_tick(item)
        return super().named(instrument, day)

    def day(self, day: date) -> MarketDay:
        """A silent day; `ValueError` on a day without trading."""
        sessions = self.sessions(day)
        if sessions is None:
            raise ValueError(f"{day}: expected a trading day of NSE and NFO, found none in config/calendar.toml")
        return SilentDay(day, np.empty(0, dtype=np.int64), sessions, _nothing, replayed=False)


def _with_tick(instrument: Instrument) -> Instrument:
    """A list may not tell the tick; prices are checked against one all the same."""
    return instrument if instrument.tick_size > 0 else msgspec.structs.replace(instrument, tick_size=TICK)


def _nothing(instrument: Instrument) -> Prices:
    raise LookupError(f"{instrument.id} has no prices but those that are followed")
