"""History of the feed's instruments: fetched by a thread of its own, under the proofs, and what it lacks.

`HistoryWorker` fetches for `BarPublisher`, `HistoryLacks` keeps the holes of which risk denies entries by name. Rule:
what is refused or missing is never recorded as complete.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, time, timedelta
from typing import NamedTuple

from mytrading.adapters.openalgo.rest.client import OpenAlgoClient, TransportFailed
from mytrading.adapters.openalgo.rest.errors import ReadFailed
from mytrading.adapters.openalgo.rest.history import HistoryGate, split_range
from mytrading.adapters.openalgo.rest.proven_history import HistoryRefused, ProvenBars, ProvenHistory
from mytrading.adapters.openalgo.rest.retry import Retries
from mytrading.adapters.storage.bar_store import BarReader, BarStore, BarStoreDamaged
from mytrading.core.bars.gaps import Completeness, measure_completeness
from mytrading.core.bars.history_merge import Fetch, contradiction, covered_until
from mytrading.core.bars.history_proofs import Lack, knows_year, lacking_minutes, without_halts
from mytrading.core.calendar import Calendar
from mytrading.core.time import DAY, MINUTE, format_ist, ist_date, to_ns
from mytrading.messages.brokers import HistoryRules
from mytrading.messages.control import BarsLacking
from mytrading.messages.market import Bar
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.daemon.workers import WorkerPool
from mytrading.runtime.host.clock import machine_now

_MINUTE = "1m"
_WEEK = timedelta(days=7)
_SHOWN = 3


class FetchResult(NamedTuple):
    """A fetch's bars and those new in the store, or its error; `whole` is None for an exchange without a calendar.

    `lack` is what the store has not even now. `unanswered`: no bar came, and nothing says that none need be, so it is
    asked for again. `problem` names days that are missing beside others that came, `outside` counts bars left out.
    `available` is False where the broker has no history at all.
    """

    fetch: Fetch
    fetched: tuple[Bar, ...] = ()
    new: tuple[Bar, ...] = ()
    error: str = ""
    whole: Completeness | None = None
    lack: Lack | None = None
    unanswered: bool = False
    problem: str = ""
    outside: int = 0
    available: bool = True


class _HistoryTools:
    """The connections of the history thread to server and bar store."""

    def __init__(self, config: RunConfig, make: Callable[[OpenAlgoClient], ProvenHistory]) -> None:
        server = config.data_server
        self.history = make(OpenAlgoClient(server.rest_url, server.api_key, machine_now))
        self.reader = BarReader(config.bars_dir)
        self.store: BarStore | None = None


class HistoryWorker:
    """Fetches one range after the other on a thread; bars that had ended at the time of the request are stored.

    `rules` returns the history row of the source's broker; `watched` are the instruments that may prove its stamps.
    """

    def __init__(
        self, config: RunConfig, calendar: Calendar, market_now: Callable[[], int], wake: Callable[[], None],
        rules: Callable[[], HistoryRules] = HistoryRules,
    ) -> None:  # fmt: skip
        self._config = config
        self._calendar = calendar
        self._stopping = threading.Event()
        gate = HistoryGate(machine_now, lambda wait_ns: self._stopping.wait(wait_ns / 1e9))
        venue = config.venue
        retries = Retries(venue.max_retries, venue.retry_delay, self._stopping.wait)
        self._market_now = market_now
        self.watched: tuple[str, ...] = ()
        self._pool: WorkerPool[Fetch, _HistoryTools, FetchResult] = WorkerPool(
            "feed.history",
            1,
            lambda: _HistoryTools(
                config,
                lambda client: ProvenHistory(
                    client, calendar, gate.wait_turn, machine_now, rules, lambda: self.watched, retries
                ),
            ),
            self._work,
            lambda fetch, error: FetchResult(fetch, error=f"{type(error).__name__}: {error}"),
            wake,
        )
        self.request, self.results = self._pool.submit, self._pool.take_results

    def stop(self) -> None:
        """Stop after the present fetch; one that takes longer than a second is abandoned."""
        self._stopping.set()
        self._pool.stop(1.0)

    def _work(self, tools: _HistoryTools, fetch: Fetch) -> FetchResult:
        since = fetch.upto_ns
        try:
            tools.store = tools.store or BarStore(self._config.bars_dir)
            since = self._since(fetch, tools.store)
            if not tools.history.is_available:
                return FetchResult(fetch, lack=self._lack(fetch, 0, tools.reader, all_days=True), available=False)
            return self._fill(fetch, since, tools, tools.store)
        except HistoryRefused as error:
            return FetchResult(fetch, error=str(error), lack=self._lack(fetch, since, tools.reader, all_days=True))
        except (ReadFailed, TransportFailed, BarStoreDamaged) as error:
            return FetchResult(fetch, error=str(error), lack=self._lack(fetch, since, tools.reader))

    def _since(self, fetch: Fetch, store: BarStore) -> int:
        """The market time from which bars are missing."""
        earliest = fetch.upto_ns - (fetch.days or self._config.data.history_days) * DAY
        return min(max(earliest, store.filled_until(fetch.instrument)), fetch.upto_ns)

    def _fill(self, fetch: Fetch, since: int, tools: _HistoryTools, store: BarStore) -> FetchResult:
        found = self._ask(fetch, since, tools.history)
        fetched = tuple(bar for part in found for bar in part.bars if bar.end_ns <= fetch.upto_ns)
        problem = "; ".join(part.problem for part in found if part.problem)
        if why := (problem if problem and not fetched else contradiction(fetch, fetched)):
            raise ReadFailed("server", why)
        new = store.add_history(fetch.instrument, fetched, since)
        lack = self._lack(fetch, since, tools.reader)
        unanswered = not fetched and not all(part.answered for part in found)
        store.mark_filled((fetch.instrument,), self._complete_to(fetch, since, found, fetched, lack))
        exchange, whole = fetch.instrument.partition(":")[0], None
        if self._calendar.has_exchange(exchange):
            start, end = ist_date(since), ist_date(fetch.upto_ns)
            whole = measure_completeness(fetched, self._calendar, exchange, MINUTE, start, end, fetch.upto_ns)
        outside = sum(part.outside for part in found)
        return FetchResult(fetch, fetched, tuple(new), "", whole, lack, unanswered, problem, outside)

    def _ask(self, fetch: Fetch, since: int, history: ProvenHistory) -> list[ProvenBars]:
        """Ask for the days in requests that a broker admits; raises `ReadFailed` with all that failed."""
        found, failed, now = [], [], self._market_now()
        for first, last in split_range(_MINUTE, ist_date(since), ist_date(fetch.upto_ns)):
            try:
                found.append(history.fetch(fetch.instrument, _MINUTE, first, last, now))
            except HistoryRefused:
                raise
            except (ReadFailed, TransportFailed) as error:
                failed.append(str(error))
        if failed:
            raise ReadFailed("server", "; ".join(failed))
        return found

    def _complete_to(
        self, fetch: Fetch, since: int, found: Sequence[ProvenBars], fetched: Sequence[Bar], lack: Lack | None
    ) -> int:
        """The market time up to which an answer is complete: before what it lacks, and before days nobody answered."""
        ends = [covered_until(fetched, fetch.upto_ns)]
        ends += [gap[0] for gap in lack.gaps[:1]] if lack is not None else []
        first = ist_date(since)
        for part in found:
            for begin, end in part.answered:
                if begin > first:
                    break
                first = end + timedelta(days=1)
        if first <= ist_date(fetch.upto_ns):
            ends.append(_midnight(first))
        return max(since, min(ends))

    def _lack(self, fetch: Fetch, begin_ns: int, reader: BarReader, *, all_days: bool = False) -> Lack | None:
        """What the store lacks of the last trading day and today, or of all days that a look-back may need."""
        exchange, today = fetch.instrument.partition(":")[0], ist_date(fetch.upto_ns)
        if not knows_year(self._calendar, exchange, today.year):
            return None
        since = self._calendar.previous_trading_day(exchange, today)
        if all_days:
            since = min(since, today - timedelta(days=fetch.days or self._config.data.history_days))
        bars = reader.bars(fetch.instrument, _MINUTE, _midnight(since - _WEEK), fetch.upto_ns)
        return lacking_minutes(bars, fetch.instrument, self._calendar, begin_ns, fetch.upto_ns, since, listed=all_days)


def _midnight(day: date) -> int:
    return to_ns(day, time.min)


class HistoryLacks:
    """Holes in past bars, by instrument, of which entries are denied where a look-back reads over them."""

    def __init__(self, runs: Iterable[tuple[str, tuple[str, ...]]]) -> None:
        """`runs` are names of strategies and what they watch, for texts."""
        self._runs = tuple(runs)
        self._found: dict[str, Lack] = {}
        self.levels: tuple[BarsLacking, ...] = ()
        """The holes for risk and engine, without halts of an exchange."""

    def __contains__(self, instrument: str) -> bool:
        return instrument in self._found

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._found))

    def note(self, instrument: str, lack: Lack | None) -> None:
        """Record what a fetch found missing; None: nothing any more."""
        if lack is None and instrument not in self._found:
            return
        if lack is None:
            del self._found[instrument]
        else:
            self._found[instrument] = lack
        self.levels = tuple(
            BarsLacking(instrument=name, since_ns=one.since_ns, gaps=one.gaps)
            for name, one in without_halts(self._found).items()
        )

    def text(self, lacking: BarsLacking) -> str:
        """Return the alert's text of an instrument's holes, which names the strategies that watch it."""
        gaps = [f"{format_ist(start, '%d %b %H:%M')} to {format_ist(end, '%H:%M')}" for start, end in lacking.gaps]
        shown = ", ".join(gaps[:_SHOWN]) + (f" and {len(gaps) - _SHOWN} more" if len(gaps) > _SHOWN else "")
        names = ", ".join(name for name, symbols in self._runs if lacking.instrument in symbols) or "strategies"
        return (
            f"no bars of {lacking.instrument} {shown}: entries of {names} are denied while a look-back needs them; it "
            f"is asked for again, or `mytrading history accept {lacking.instrument}` accepts the hole for today"
        )
