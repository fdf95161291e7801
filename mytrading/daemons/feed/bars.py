"""Bar publisher: builds bars from quotes, merges them with history, stores them, publishes them, and reports bar gaps.

Invariants: only stored bars are published; a full disk delays bars, never quotes; gaps are reported before the bars
that waited for them. History is fetched by a thread of its own, so that quotes flow while days of bars arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime

from mytrading.adapters.storage.bar_store import BarStore, BarStoreDamaged
from mytrading.adapters.storage.disk_reserve import LogReserve
from mytrading.core.active_alerts import ActiveAlert, ActiveAlerts
from mytrading.core.bars.builder import BarBuilder, Closed, bucket
from mytrading.core.bars.history_merge import Fetch, HistoryMerge
from mytrading.core.bars.history_proofs import parsed_id
from mytrading.core.bars.sampled import SampledMinutes
from mytrading.core.calendar import Calendar
from mytrading.core.time import IST, MINUTE, SECOND
from mytrading.daemons.feed.history import FetchResult, HistoryLacks, HistoryWorker
from mytrading.messages.brokers import HistoryRules
from mytrading.messages.control import BarGaps
from mytrading.messages.enums import Severity
from mytrading.messages.market import Bar, Quote
from mytrading.messages.run_config import RunConfig
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


def retry_ns(first_s: float, tries: int) -> int:
    """Return the back-off in ns after so many retries: doubling from `first_s` up to a minute."""
    return int(max(first_s, min(_LONGEST_RETRY_S, first_s * 2 ** min(tries, 20))) * 1e9)


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
        rules: Callable[[], HistoryRules] = HistoryRules,
    ) -> None:
        """`problems` takes alerts while they are active. `publish` sends bars to the market stream; `report` sends gaps
        to the status stream; `rules` returns the history row of the broker behind the server that is asked."""
        self._calendar = calendar
        self._clock = clock
        self._problems = problems
        self._publish = publish
        self._report = report
        self._reported = BarGaps(daemon="feed")
        self._log = get_logger("feed")
        self._keeps_history = config.data.historical
        self._fetching = 0
        self._retry_s = config.venue.retry_delay
        self._builder = BarBuilder(calendar)
        self._merge = HistoryMerge(self._market_span(MARGIN_NS, MARGIN_MACHINE_S))
        self._store = BarStore(config.bars_dir)
        self._reserve = LogReserve(self._store.path, config.process.journal_reserve_bytes)
        """An exit signal follows from a bar, and only stored bars are published."""
        self._history = HistoryWorker(config, calendar, clock.now, wake, rules)
        self.sampled = SampledMinutes()
        self.closed: list[Closed] = []
        """Bars that quotes have closed since the last `flush`."""
        self._unstored: list[Bar] = []
        self._loaded: set[str] = set()
        self._due: dict[str, tuple[int, int]] = {}
        self._days: dict[str, int] = {}
        self._lacks = HistoryLacks((run.name, run.symbols) for run in config.strategies)
        self._unanswered: set[str] = set()
        """Instruments of which a part of history is missing, so that nothing is recorded as complete."""
        self._noted_ns = 0
        self._published = self._requests = 0

    def start(self, watched: Iterable[str]) -> None:
        """Delete stored bars ahead of the market clock; begin to fetch missing history of these, if history is kept."""
        if ahead := self._store.delete_after(self._clock.now() + MINUTE):
            self._log.warning("bars.dropped", count=ahead, reason="they lie ahead of the market clock, which went back")
        if self._keeps_history:
            self._history.watched = tuple(watched)
            for instrument in self._history.watched:
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
        self._reported = self._present_gaps()
        self._report(self._reported)

    def report_changed_gaps(self) -> None:
        """Publish all bar gaps if they changed since the last report."""
        if self._present_gaps() != self._reported:
            self.report_gaps()

    def _present_gaps(self) -> BarGaps:
        behind, holes = self.gaps()
        return BarGaps(daemon="feed", behind=behind, holes=holes, lacking=self._lacks.levels)

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
        open_ones = self._unanswered.union(self._lacks)
        if whole := [name for name in self._merge.mark_complete(until_ns) if name not in open_ones]:
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
        self._note_answer(result)
        if result.new:
            self._log_completeness(result)
        new = {bar.start_ns for bar in result.new}
        # What need not have traded, or has no history, never holds live bars back.
        final = not result.available or (not result.fetched and parsed_id(instrument)[1].kind.is_option)
        ready = self._merge.apply_history(result.fetch, result.fetched, result.new, self._clock.now(), final=final)
        # What history repaired is in the store already; it ended before the first live bar that waited.
        repaired = [bar for bar in ready if bar.start_ns in new]
        if instrument in self._merge.instruments_with_gaps or instrument in self._lacks or result.unanswered:
            self._schedule_retry(instrument, tries)
        self.report_changed_gaps()
        self._publish_all(repaired)
        self._deliver(ready[len(repaired) :])

    def _note_answer(self, result: FetchResult) -> None:
        """Keep what history lacks, and say what it left out or does not have."""
        instrument = result.fetch.instrument
        missing = result.unanswered or result.problem
        (self._unanswered.add if missing else self._unanswered.discard)(instrument)
        self._note_lack(result)
        if result.outside:
            self._log.info("history.outside", instrument=instrument, left_out=result.outside)
        if not result.available:
            text = (
                "the broker has no history: strategies enter once their look-back is there from live bars; with "
                "ENABLE_HISTORICAL_DATA=false they do not wait for it"
            )
            self._problems["HISTORY_NONE", "feed"] = ActiveAlert(Severity.WARNING, text)
        else:
            self._problems.pop(("HISTORY_NONE", "feed"), None)

    def _note_lack(self, result: FetchResult) -> None:
        """Keep what history lacks of an instrument; each hole of which entries are denied is an alert."""
        self._lacks.note(result.fetch.instrument, result.lack)
        levels = {level.instrument: level for level in self._lacks.levels}
        for code, subject in list(self._problems):
            if code == "HISTORY_HOLE" and subject not in levels:
                del self._problems[code, subject]
        if result.available:
            for name, level in levels.items():
                self._problems["HISTORY_HOLE", name] = ActiveAlert(Severity.WARNING, self._lacks.text(level))

    def _log_completeness(self, result: FetchResult) -> None:
        """Minutes missing in history of hardly traded contracts matter only when they are many."""
        instrument, whole = result.fetch.instrument, result.whole
        if whole is None or not whole.gaps:
            self._log.info("history.loaded", instrument=instrument, bars=len(result.new), complete=1.0)
            return
        if result.problem:
            self._problems["HISTORY_INCOMPLETE", instrument] = ActiveAlert(Severity.WARNING, result.problem)
        share = round(whole.found_share, 4)
        self._log.info("history.loaded", instrument=instrument, bars=len(result.new), complete=share,
                       gaps=len(whole.gaps), missing=whole.expected - whole.found)  # fmt: skip
        if result.problem:
            return
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
        self._note_lack(result)
        ready = self._merge.apply_failure(result.fetch, self._clock.now())
        holes = (*self._merge.instruments_with_gaps, *self._lacks)
        if instrument not in self._loaded or instrument in holes:
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
