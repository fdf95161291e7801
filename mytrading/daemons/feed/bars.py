"""Bar publisher: builds bars from quotes, merges them with history, stores them, publishes them, and reports bar gaps.

Invariants: only stored bars are published; a full disk delays bars, never quotes; gaps are reported before the bars
that waited for them. History is fetched by a thread of its own, so that quotes flow while days of bars arrive.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from mytrading.adapters.openalgo.rest.client import OpenAlgoClient, TransportFailed
from mytrading.adapters.openalgo.rest.errors import ReadFailed
from mytrading.adapters.openalgo.rest.history import HistoryGate, fetch_range
from mytrading.adapters.openalgo.rest.retry import Retries
from mytrading.adapters.storage.bar_store import BarStore, BarStoreDamaged
from mytrading.adapters.storage.disk_reserve import LogReserve
from mytrading.core.active_alerts import ActiveAlert, ActiveAlerts
from mytrading.core.bars.builder import BarBuilder, Closed, bucket
from mytrading.core.bars.gaps import Completeness, measure_completeness
from mytrading.core.bars.history_merge import Fetch, HistoryMerge, contradiction, covered_until
from mytrading.core.bars.sampled import SampledMinutes
from mytrading.core.calendar import Calendar
from mytrading.core.time import DAY, IST, MINUTE, SECOND, ist_date
from mytrading.messages.control import BarGaps
from mytrading.messages.enums import Severity
from mytrading.messages.market import Bar, Quote
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.daemon.workers import WorkerPool
from mytrading.runtime.host.clock import MarketClock, machine_now
from mytrading.runtime.observability.logging import get_logger

GRACE_NS = SECOND
GRACE_MACHINE_S = 0.2
MARGIN_NS = 2 * SECOND
MARGIN_MACHINE_S = 0.5
UNSTORED = 10_000
INCOMPLETE = 0.9
"""Below this share of the minutes of a range, history is called incomplete."""
BRIEF_NS = 5 * MINUTE
"""A shorter absence does not delay the feed's readiness: each instrument alone waits for its bars."""
_NEVER = 1 << 62

GapNames = tuple[tuple[str, ...], tuple[str, ...]]
"""Instruments whose bars wait for history, and those with published bars after a hole."""
_LONGEST_RETRY_S = 60.0
_MINUTE = "1m"


def retry_ns(first_s: float, tries: int) -> int:
    """Return the back-off in ns after so many retries: doubling from `first_s` up to a minute."""
    return int(max(first_s, min(_LONGEST_RETRY_S, first_s * 2 ** min(tries, 20))) * 1e9)


class FetchResult(NamedTuple):
    """A fetch's bars and those new in the store, or its error; `whole` is None for an exchange without a calendar."""

    fetch: Fetch
    fetched: tuple[Bar, ...] = ()
    new: tuple[Bar, ...] = ()
    error: str = ""
    whole: Completeness | None = None


class _HistoryTools:
    """The connections of the history thread to server and bar store."""

    def __init__(self, config: RunConfig) -> None:
        server = config.data_server
        self.client = OpenAlgoClient(server.rest_url, server.api_key, machine_now)
        self.store: BarStore | None = None


class HistoryWorker:
    """Fetches one range after the other on a thread; bars that had ended at the time of the request are stored."""

    def __init__(
        self, config: RunConfig, calendar: Calendar, market_now: Callable[[], int], wake: Callable[[], None]
    ) -> None:
        self._config = config
        self._calendar = calendar
        self._stopping = threading.Event()
        self._gate = HistoryGate(machine_now, lambda wait_ns: self._stopping.wait(wait_ns / 1e9))
        venue = config.venue
        self._retries = Retries(venue.max_retries, venue.retry_delay, self._stopping.wait)
        self._market_now = market_now
        self._pool: WorkerPool[Fetch, _HistoryTools, FetchResult] = WorkerPool(
            "feed.history",
            1,
            lambda: _HistoryTools(config),
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
        try:
            tools.store = tools.store or BarStore(self._config.bars_dir)
            return self._fill(fetch, tools.client, tools.store)
        except (ReadFailed, TransportFailed, BarStoreDamaged) as error:
            return FetchResult(fetch, error=str(error))

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
        exchange, whole = fetch.instrument.partition(":")[0], None
        if self._calendar.has_exchange(exchange):
            whole = measure_completeness(fetched, self._calendar, exchange, MINUTE, start, end, fetch.upto_ns)
        return FetchResult(fetch, fetched, tuple(new), whole=whole)


class BarPublisher:
    """Bars of the feed. Used by the poll loop's thread; history is fetched by its own."""

    def __init__(
        self,
        config: RunConfig,
        calendar: Calendar,
        clock: MarketClock,
        problems: ActiveAlerts,
        publish: Callable[[Bar], None],
        wake: Callable[[], None],
        report: Callable[[BarGaps], object],
    ) -> None:
        """`problems` takes alerts while they are active. `publish` sends bars to the market stream; `report` sends gaps
        to the status stream."""
        self._calendar = calendar
        self._clock = clock
        self._problems = problems
        self._publish = publish
        self._report = report
        self._reported: GapNames = ((), ())
        self._log = get_logger("feed")
        self._keeps_history = config.data.historical
        self._fetching = 0
        self._retry_s = config.venue.retry_delay
        self._builder = BarBuilder(calendar)
        self._merge = HistoryMerge(self._market_span(MARGIN_NS, MARGIN_MACHINE_S))
        self._store = BarStore(config.bars_dir)
        self._reserve = LogReserve(self._store.path, config.process.journal_reserve_bytes)
        """An exit signal follows from a bar, and only stored bars are published."""
        self._history = HistoryWorker(config, calendar, clock.now, wake)
        self.sampled = SampledMinutes()
        self.closed: list[Closed] = []
        """Bars that quotes have closed since the last `flush`."""
        self._unstored: list[Bar] = []
        self._loaded: set[str] = set()
        self._due: dict[str, tuple[int, int]] = {}
        self._days: dict[str, int] = {}
        self._noted_ns = 0
        self._published = self._requests = 0

    def start(self, watched: Iterable[str]) -> None:
        """Delete stored bars ahead of the market clock; begin to fetch missing history of these, if history is kept."""
        if ahead := self._store.delete_after(self._clock.now() + MINUTE):
            self._log.warning("bars.dropped", count=ahead, reason="they lie ahead of the market clock, which went back")
        if self._keeps_history:
            for instrument in watched:
                self._keep(instrument)

    def _keep(self, instrument: str) -> None:
        covered, now = self._store.filled_until(instrument), self._clock.now()
        missing = now // MINUTE * MINUTE - covered
        self._merge.add_instrument(instrument, covered)
        if missing <= BRIEF_NS:
            self._loaded.add(instrument)
        if missing > 0:
            self._request(instrument, 0)

    def close(self) -> None:
        """Stop fetching history and close the bar store."""
        self._history.stop()
        self._store.close()

    def has_history(self, watched: Iterable[str]) -> bool:
        """True if history of all these is stored, or none is kept at all; a short gap does not count."""
        return not self._keeps_history or self._loaded.issuperset(watched)

    def gaps(self) -> GapNames:
        """Return instruments with missing bars: those whose history lags (none in lock-step), and those with holes."""
        behind = () if self._clock.lock_step else self._merge.instruments_behind(self._clock.now())
        return behind, self._merge.instruments_with_gaps

    def report_gaps(self) -> None:
        """Publish all bar gaps, changed or not, since daemons rely on them once the feed is ready."""
        self._reported = behind, holes = self.gaps()
        self._report(BarGaps(daemon="feed", behind=behind, holes=holes))

    def report_changed_gaps(self) -> None:
        """Publish all bar gaps if they changed since the last report."""
        if self.gaps() != self._reported:
            self.report_gaps()

    @property
    def is_fetching(self) -> bool:
        """True while a history request is unanswered."""
        return self._fetching > 0

    def figures(self) -> dict[str, float]:
        """Return counts since the start for the heartbeat: bars, history requests, late quotes, incomplete minutes."""
        return {
            "bars": float(self._published),
            "history_asked": float(self._requests),
            "late_quotes": float(self._builder.late),
            "bar_gaps": float(self._merge.gaps),
        }

    def add(self, quote: Quote) -> None:
        """Add a quote to the bar of its minute; `flush`, called once per burst of quotes, publishes what it closes."""
        if (closed := self._builder.add(quote)) is not None:
            self.closed.append(closed)

    def flush(self) -> None:
        """Store and publish the bars that have closed."""
        if self.closed:
            closed, self.closed = self.closed, []
            self._deliver([bar for item in closed for bar in self._merge.add_live_bar(self._judged(item))])

    def _judged(self, closed: Closed) -> Closed:
        """Return a closed bar; one of too few samples waits for its minute's history."""
        judged = self.sampled.judge(closed)
        if closed.whole and not judged.whole:
            self._merge.request_history_until(judged.bar.instrument, judged.bar.end_ns)
        return judged

    def start_live(self, instrument: str) -> None:
        """Begin to build bars of an instrument from quotes; the next minute is the first whole one."""
        now = self._clock.now()
        self._builder.watch(instrument, now)
        session = self._calendar.session(instrument.partition(":")[0], self._calendar.trading_day(now))
        if session is not None and session.open_ns < now < session.close_ns:
            self._merge.request_history_until(instrument, bucket(session, now, MINUTE)[1])
        else:
            self._merge.request_history_until(instrument, now)

    def keep_history(self, instrument: str, days: int) -> bool:
        """Begin to keep an instrument's bars with `days` of history; False if it is kept already, or none is kept."""
        if not self._keeps_history or instrument in self._merge:
            return False
        self._days[instrument] = days
        self._keep(instrument)
        return True

    def interrupt(self) -> None:
        """Publish the closed bars and mark unfinished ones as incomplete, after a lost connection."""
        self.flush()
        self._builder.interrupt()
        self._merge.hold_back_all()

    def recount(self, instrument: str = "") -> None:
        """Begin to count volume anew, of an instrument or ("") of all: its source or kind of frame is another one."""
        self._builder.recount(instrument)

    def hold_back(self, instrument: str) -> None:
        """Give no bar of an instrument whose prices are not believed, until `start_live`; history fills what it misses
        then."""
        self._builder.watch(instrument, _NEVER)
        self._merge.hold_back(instrument)

    def drop(self, instrument: str) -> None:
        """Build no more bars of an unsubscribed instrument."""
        self._builder.drop(instrument)

    def on_clock(self, now_ns: int, machine_ns: int) -> None:
        """Close bars that market time `now_ns` has passed, publish them, and start due history requests."""
        grace = self._market_span(GRACE_NS, GRACE_MACHINE_S)
        self.closed += self._builder.advance(now_ns, grace, machine_ns)
        self.flush()
        for instrument, end_ns in self.sampled.take_missed(now_ns - grace, self._is_in_session):
            self._merge.request_history_until(instrument, end_ns)
        for fetch in self._merge.take_due_requests(now_ns, machine_ns, self._fetching):
            self._fetch(fetch)
        self._deliver(self._merge.release_overdue(machine_ns))
        self._note_filled((now_ns - grace) // MINUTE * MINUTE)

    def _is_in_session(self, instrument: str, ns: int) -> bool:
        exchange = instrument.partition(":")[0]
        session = self._calendar.session(exchange, self._calendar.trading_day(ns))
        return session is not None and session.open_ns <= ns < session.close_ns

    def _note_filled(self, until_ns: int) -> None:
        """Record once a minute what is complete, so that the next process fetches only what it missed."""
        if until_ns <= self._noted_ns or self._unstored:
            return
        self._noted_ns = until_ns
        if whole := self._merge.mark_complete(until_ns):
            with suppress(BarStoreDamaged):  # alerted with the bars themselves
                self._store.mark_filled(whole, until_ns)

    def on_second(self, machine_ns: int) -> None:
        """Request again, as far as due, history that failed or has not filled a hole; called every second."""
        self._reserve.refill()
        for instrument in self._merge.instruments_with_gaps:
            if instrument not in self._due:
                self._schedule_retry(instrument, 0)
        for instrument, (due, tries) in list(self._due.items()):
            if machine_ns >= due:
                self._request(instrument, tries)

    def _market_span(self, market_ns: int, machine_s: float) -> int:
        """A span of market time that is never shorter than so much machine time; in lock-step nothing comes late."""
        return 0 if self._clock.lock_step else max(market_ns, int(machine_s * self._clock.speed * SECOND))

    def collect_history(self) -> None:
        """Merge and publish the bars of finished history requests."""
        for result in self._history.results():
            self._fetching -= 1
            (self._on_failure if result.error else self._merge_result)(result)

    def retry_now(self) -> None:
        """Request failed history at once, without the back-off, because the server has connected."""
        for instrument, (due, tries) in list(self._due.items()):
            if due != _NEVER:
                self._request(instrument, tries)

    def _request(self, instrument: str, tries: int) -> None:
        self._due[instrument] = (_NEVER, tries)
        self._fetch(Fetch(instrument, self._clock.now()))

    def _fetch(self, fetch: Fetch) -> None:
        self._fetching += 1
        self._requests += 1
        days, price = self._days.get(fetch.instrument, 0), self._builder.price(fetch.instrument)
        self._history.request(fetch._replace(days=days, price=price))

    def _merge_result(self, result: FetchResult) -> None:
        instrument = result.fetch.instrument
        self._loaded.add(instrument)
        _, tries = self._due.pop(instrument, (0, 0))
        self._problems.pop(("HISTORY_MISSING", instrument), None)
        if result.new:
            self._log_completeness(result)
        new = {bar.start_ns for bar in result.new}
        ready = self._merge.apply_history(result.fetch, result.fetched, result.new, self._clock.now())
        # What history repaired is in the store already; it ended before the first live bar that waited.
        repaired = [bar for bar in ready if bar.start_ns in new]
        if instrument in self._merge.instruments_with_gaps:
            self._schedule_retry(instrument, tries)
        self.report_changed_gaps()
        self._publish_all(repaired)
        self._deliver(ready[len(repaired) :])

    def _log_completeness(self, result: FetchResult) -> None:
        """Minutes missing in history of hardly traded contracts matter only when they are many."""
        instrument, whole = result.fetch.instrument, result.whole
        if whole is None or not whole.gaps:
            self._log.info("history.loaded", instrument=instrument, bars=len(result.new), complete=1.0)
            return
        share = round(whole.found_share, 4)
        self._log.info("history.loaded", instrument=instrument, bars=len(result.new), complete=share,
                       gaps=len(whole.gaps), missing=whole.expected - whole.found)  # fmt: skip
        if whole.found_share >= INCOMPLETE:
            self._problems.pop(("HISTORY_INCOMPLETE", instrument), None)
            return
        longest = max(whole.gaps, key=lambda gap: gap.bars)
        first = datetime.fromtimestamp(longest.start_ns / SECOND, IST).strftime("%d %b %H:%M")
        text = f"{whole.found} of {whole.expected} minutes, the longest gap is {longest.bars} from {first} on"
        text = f"history of {instrument} has {text}; indicators begin with what is there"
        self._problems["HISTORY_INCOMPLETE", instrument] = ActiveAlert(Severity.WARNING, text)

    def _on_failure(self, result: FetchResult) -> None:
        instrument = result.fetch.instrument
        text = f"no history of {instrument}: {result.error}; it is asked for again, or set ENABLE_HISTORICAL_DATA=false"
        self._problems["HISTORY_MISSING", instrument] = ActiveAlert(Severity.WARNING, text)
        ready = self._merge.apply_failure(result.fetch, self._clock.now())
        if instrument not in self._loaded or instrument in self._merge.instruments_with_gaps:
            self._schedule_retry(instrument, self._due.get(instrument, (0, 0))[1])
        self.report_changed_gaps()
        self._deliver(ready)

    def _schedule_retry(self, instrument: str, tries: int) -> None:
        self._due[instrument] = (machine_now() + retry_ns(self._retry_s, tries), tries + 1)

    def _deliver(self, bars: list[Bar]) -> None:
        """Store bars, then publish the new ones; bars that cannot be stored wait."""
        if not (waiting := (self._unstored + bars)[-UNSTORED:]):
            return
        try:
            new = self._store.add(waiting, self.sampled.names)
        except BarStoreDamaged as error:
            self._unstored = waiting
            self._problems["BARS_NOT_STORED", "bars"] = ActiveAlert(
                Severity.CRITICAL, f"no bars are published: {error}"
            )
            return
        self._unstored = []
        self._problems.pop(("BARS_NOT_STORED", "bars"), None)
        self._publish_all(new)

    def _publish_all(self, bars: list[Bar]) -> None:
        for bar in bars:
            self._publish(bar)
        self._published += len(bars)
