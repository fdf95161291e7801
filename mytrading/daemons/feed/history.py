"""History worker: fetches history on a thread of its own, so that quotes flow while days of bars arrive.

The thread has its own connections to server and bar store. Only bars that had ended at the time of the request are
stored: the live side builds the minute after.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date
from queue import SimpleQueue
from typing import NamedTuple

from mytrading.adapters.openalgo.rest.client import OpenAlgoClient, TransportFailed
from mytrading.adapters.openalgo.rest.errors import ReadFailed
from mytrading.adapters.openalgo.rest.history import HistoryGate, fetch_range, span_ns
from mytrading.adapters.openalgo.rest.retry import Retries
from mytrading.adapters.storage.bar_store import BarStore, BarStoreDamaged
from mytrading.core.bars.gaps import Completeness, completeness
from mytrading.core.bars.history_merge import Fetch, contradiction, covered_until
from mytrading.core.calendar import Calendar
from mytrading.core.time import DAY, ist_date
from mytrading.messages.market import Bar
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.host.clock import machine_now

_LONGEST_RETRY_S = 60.0
_MINUTE = "1m"


def retry_ns(first_s: float, tries: int) -> int:
    """Back-off before a failed read is retried, after so many retries: doubling up to a minute."""
    return int(max(first_s, min(_LONGEST_RETRY_S, first_s * 2 ** min(tries, 20))) * 1e9)


class FetchResult(NamedTuple):
    """The result of a fetch: bars fetched and those new in the store, or the error.

    `whole` says how complete the requested days are.
    """

    fetch: Fetch
    fetched: tuple[Bar, ...] = ()
    new: tuple[Bar, ...] = ()
    error: str = ""
    whole: Completeness | None = None


class HistoryWorker:
    """Fetches one range after the other; `results` are ready after `wake` was called."""

    def __init__(
        self, config: RunConfig, calendar: Calendar, market_now: Callable[[], int], wake: Callable[[], None]
    ) -> None:
        self._config = config
        self._calendar = calendar
        self._stopping = threading.Event()
        self._gate = HistoryGate(machine_now, self._pause)
        venue = config.venue
        self._retries = Retries(venue.max_retries, venue.retry_delay, self._stopping.wait)
        self._market_now = market_now
        self._wake = wake
        self._requests: SimpleQueue[Fetch | None] = SimpleQueue()
        self._results: SimpleQueue[FetchResult] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)

    def _pause(self, machine_ns: int) -> None:
        self._stopping.wait(machine_ns / 1e9)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """End after the present fetch; one that takes longer than a second is abandoned."""
        self._stopping.set()
        self._requests.put(None)
        if self._thread.is_alive():
            self._thread.join(1.0)

    def request(self, fetch: Fetch) -> None:
        """Queue a fetch."""
        self._requests.put(fetch)

    def results(self) -> list[FetchResult]:
        """Results since the last call."""
        found: list[FetchResult] = []
        while not self._results.empty():
            found.append(self._results.get_nowait())
        return found

    def _run(self) -> None:
        server = self._config.data_server
        client = OpenAlgoClient(server.rest_url, server.api_key, machine_now)
        store: BarStore | None = None
        while (fetch := self._requests.get()) is not None:
            try:
                store = store or BarStore(self._config.bars_dir)
                result = self._fill(fetch, client, store)
            except (ReadFailed, TransportFailed, BarStoreDamaged) as error:
                result = FetchResult(fetch, error=str(error))
            except Exception as error:  # noqa: BLE001  (a worker that ended unseen would never answer)
                result = FetchResult(fetch, error=f"{type(error).__name__}: {error}")
            self._results.put(result)
            self._wake()
        client.close()

    def _fill(self, fetch: Fetch, client: OpenAlgoClient, store: BarStore) -> FetchResult:
        earliest = fetch.upto_ns - (fetch.days or self._config.data.history_days) * DAY
        start_ns = max(earliest, store.filled_until(fetch.instrument))
        start, end = ist_date(min(start_ns, fetch.upto_ns)), ist_date(fetch.upto_ns)
        now, retries = self._market_now(), self._retries
        found = fetch_range(client, fetch.instrument, _MINUTE, start, end, now, self._gate, retries=retries)
        if found.failed:
            raise ReadFailed("server", "; ".join(chunk.problem for chunk in found.failed))
        fetched = tuple(bar for bar in found.bars if bar.end_ns <= fetch.upto_ns)
        if problem := contradiction(fetch, fetched):
            raise ReadFailed("server", problem)
        new = store.add_history(fetch.instrument, fetched, covered_until(fetched, fetch.upto_ns))
        return FetchResult(fetch, fetched, tuple(new), whole=self._completeness(fetch, fetched, start, end))

    def _completeness(self, fetch: Fetch, bars: tuple[Bar, ...], start: date, end: date) -> Completeness | None:
        """None for an exchange without a calendar."""
        exchange = fetch.instrument.partition(":")[0]
        if exchange not in self._calendar.exchanges:
            return None
        return completeness(bars, self._calendar, exchange, span_ns(_MINUTE), start, end, fetch.upto_ns)
