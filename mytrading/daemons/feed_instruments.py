"""Fetching the day's instruments for the feed, on a thread of its own, and writing them for everybody else.

Only contracts of what is watched are kept: a real server lists a hundred thousand. The one rule: the file changes only
when every exchange answered, so that nobody sees half a market.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import NamedTuple

from mytrading.adapters.instrument_store import InstrumentFile
from mytrading.adapters.openalgo.client import OpenAlgoClient
from mytrading.adapters.openalgo.errors import ReadFailed, TransportFailed
from mytrading.adapters.openalgo.instruments import fetch_instruments
from mytrading.core.symbology import parse_symbol, split_id
from mytrading.daemons.feed_history import retry_ns
from mytrading.messages.instruments import Instrument
from mytrading.messages.runconfig import RunConfig
from mytrading.runtime.clock import machine_now
from mytrading.runtime.worker import WorkerPool

_DERIVATIVES = {"NSE_INDEX": ("NFO",), "NSE": ("NFO",), "BSE_INDEX": ("BFO",), "BSE": ("BFO",)}


class Fetched(NamedTuple):
    """What became of a fetch: how many instruments were kept for the day, or the reason why there are none."""

    day: str
    kept: int = 0
    bad: int = 0
    problem: str = ""


class InstrumentLoader:
    """Loads each trading day once; `look` in the poll loop, `results` after `wake` rang."""

    def __init__(self, config: RunConfig, watched: tuple[str, ...], wake: Callable[[], None]) -> None:
        self._config = config
        self._file = InstrumentFile(config.state)
        self._exchanges = exchanges_for(watched)
        self._watched = frozenset(watched)
        self._underlyings = frozenset(
            parse_symbol(symbol, exchange).underlying or symbol for exchange, symbol in map(split_id, watched)
        )
        self._pool: WorkerPool[date, OpenAlgoClient, Fetched] = WorkerPool(
            "feed.instruments", 1, self._connect, self._fetch, self._failed, wake
        )
        self.loaded = ""
        self._asked = ""
        self._due = 0
        self._tries = 0

    def look(self, day: date, machine_ns: int) -> None:
        """Ask for the instruments of `day` unless they are there, on their way, or were refused a moment ago."""
        if day.isoformat() in (self.loaded, self._asked) or machine_ns < self._due:
            return
        self._asked = day.isoformat()
        self._pool.submit(day)

    def hurry(self) -> None:
        """The server is there: a fetch that failed need not wait any longer."""
        self._due = 0

    def results(self) -> list[Fetched]:
        """What has been fetched since the last call."""
        found = self._pool.results()
        for fetched in found:
            self._asked = ""
            if fetched.problem:
                self._due = machine_now() + retry_ns(self._config.venue.retry_delay, self._tries)
                self._tries += 1
            else:
                self.loaded, self._tries = fetched.day, 0
        return found

    def stop(self) -> None:
        """End the thread; a fetch that takes longer than a second is left behind."""
        self._pool.stop(1.0)

    def _connect(self) -> OpenAlgoClient:
        return OpenAlgoClient(self._config.venue.rest_url, self._config.venue.api_key, machine_now)

    def _fetch(self, client: OpenAlgoClient, day: date) -> Fetched:
        found: list[Instrument] = []
        bad = 0
        try:
            for exchange in self._exchanges:
                listing = fetch_instruments(client, exchange, day, self._keep)
                found += listing.instruments
                bad += listing.bad
        except (ReadFailed, TransportFailed) as error:
            return Fetched(day.isoformat(), problem=str(error))
        self._file.write(found)
        return Fetched(day.isoformat(), len(found), bad)

    def _keep(self, instrument: Instrument) -> bool:
        return instrument.id in self._watched or instrument.underlying in self._underlyings

    def _failed(self, day: date, error: Exception) -> Fetched:
        return Fetched(day.isoformat(), problem=f"{type(error).__name__}: {error}")


def exchanges_for(watched: tuple[str, ...]) -> tuple[str, ...]:
    """The exchanges that list what is watched, and the derivatives of it."""
    names = [split_id(instrument)[0] for instrument in watched]
    return tuple(dict.fromkeys(name for own in names for name in (own, *_DERIVATIVES.get(own, ()))))
