"""Fetching history for the feed, on a thread of its own, so that quotes flow while days of bars arrive.

The thread has its own connection to the server and its own to the bar store. The one rule: only bars that had ended
when they were asked for are stored, because the minute after belongs to the live side.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date
from queue import SimpleQueue
from typing import NamedTuple

from mytrading.adapters.bar_store import BarStore, BarStoreDamaged
from mytrading.adapters.openalgo.again import Retries
from mytrading.adapters.openalgo.client import OpenAlgoClient
from mytrading.adapters.openalgo.errors import ReadFailed, TransportFailed
from mytrading.adapters.openalgo.history import Gate, fetch_range, span_ns
from mytrading.core.bars.completeness import Completeness, completeness
from mytrading.core.bars.fusion import Fetch, contradiction, told_until
from mytrading.core.calendar import Calendar, day_of
from mytrading.messages.market import Bar
from mytrading.messages.runconfig import RunConfig
from mytrading.runtime.clock import machine_now

_DAY = 86_400_000_000_000
_LONGEST_RETRY_S = 60.0
_MINUTE = "1m"


def retry_ns(first_s: float, tries: int) -> int:
    """How long to wait before a read that failed is made again, after so many repetitions: doubling up to a minute."""
    return int(max(first_s, min(_LONGEST_RETRY_S, first_s * 2 ** min(tries, 20))) * 1e9)


class Filled(NamedTuple):
    """What became of a fetch: bars fetched, those that were new in the store, or the reason why there are none.

    `whole` says how much of the days that were asked for is there.
    """

    fetch: Fetch
    fetched: tuple[Bar, ...] = ()
    new: tuple[Bar, ...] = ()
    error: str = ""
    whole: Completeness | None = None


class HistoryWorker:
    """Fetches one after the other; `results` are taken by the poll loop after `wake` rang."""

    def __init__(
        self, config: RunConfig, calendar: Calendar, market_now: Callable[[], int], wake: Callable[[], None]
    ) -> None:
        self._config = config
        self._calendar = calendar
        self._stopping = threading.Event()
        self._gate = Gate(machine_now, self._pause)
        venue = config.venue
        self._retries = Retries(venue.max_retries, venue.retry_delay, self._stopping.wait)
        self._market_now = market_now
        self._wake = wake
        self._asked: SimpleQueue[Fetch | None] = SimpleQueue()
        self._results: SimpleQueue[Filled] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)

    def _pause(self, machine_ns: int) -> None:
        self._stopping.wait(machine_ns / 1e9)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """End after the present fetch; a fetch that takes longer than a second is left behind."""
        self._stopping.set()
        self._asked.put(None)
        if self._thread.is_alive():
            self._thread.join(1.0)

    def ask(self, fetch: Fetch) -> None:
        """Fetch soon."""
        self._asked.put(fetch)

    def results(self) -> list[Filled]:
        """What is done."""
        found: list[Filled] = []
        while not self._results.empty():
            found.append(self._results.get_nowait())
        return found

    def _run(self) -> None:
        server = self._config.data_server
        client = OpenAlgoClient(server.rest_url, server.api_key, machine_now)
        store: BarStore | None = None
        while (fetch := self._asked.get()) is not None:
            try:
                store = store or BarStore(self._config.bars_dir)
                result = self._fill(fetch, client, store)
            except (ReadFailed, TransportFailed, BarStoreDamaged) as error:
                result = Filled(fetch, error=str(error))
            except Exception as error:  # noqa: BLE001  (a worker that ends unseen leaves its askers waiting)
                result = Filled(fetch, error=f"{type(error).__name__}: {error}")
            self._results.put(result)
            self._wake()
        client.close()

    def _fill(self, fetch: Fetch, client: OpenAlgoClient, store: BarStore) -> Filled:
        earliest = fetch.upto_ns - (fetch.days or self._config.data.history_days) * _DAY
        start_ns = max(earliest, store.filled_until(fetch.instrument))
        start, end = day_of(min(start_ns, fetch.upto_ns)), day_of(fetch.upto_ns)
        now, retries = self._market_now(), self._retries
        found = fetch_range(client, fetch.instrument, _MINUTE, start, end, now, self._gate, retries=retries)
        if found.failed:
            raise ReadFailed("server", "; ".join(chunk.problem for chunk in found.failed))
        fetched = tuple(bar for bar in found.bars if bar.end_ns <= fetch.upto_ns)
        if problem := contradiction(fetch, fetched):
            raise ReadFailed("server", problem)
        new = store.add_history(fetch.instrument, fetched, told_until(fetched, fetch.upto_ns))
        return Filled(fetch, fetched, tuple(new), whole=self._completeness(fetch, fetched, start, end))

    def _completeness(self, fetch: Fetch, bars: tuple[Bar, ...], start: date, end: date) -> Completeness | None:
        """None for an exchange without a calendar."""
        exchange = fetch.instrument.partition(":")[0]
        if exchange not in self._calendar.exchanges:
            return None
        return completeness(bars, self._calendar, exchange, span_ns(_MINUTE), start, end, fetch.upto_ns)
