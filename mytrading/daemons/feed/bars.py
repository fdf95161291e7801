"""The feed's bars: built from quotes, joined with history, committed to the store, then published.

Part of the feed. The one rule: nobody sees a bar that is not in the store, and a full disk holds up bars, never quotes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime

from mytrading.adapters.bar_store import BarStore, BarStoreDamaged
from mytrading.core.bars.building import MINUTE, BarBuilder, Closed, bucket
from mytrading.core.bars.fusion import Fetch, Fusion
from mytrading.core.calendar import IST, Calendar
from mytrading.daemons.feed_history import Filled, HistoryWorker, retry_ns
from mytrading.messages.enums import Severity
from mytrading.messages.market import Bar, Quote
from mytrading.messages.runconfig import RunConfig
from mytrading.runtime.alerts import Alerts
from mytrading.runtime.clock import SECOND, MarketClock, machine_now
from mytrading.runtime.journal_reserve import Reserve
from mytrading.runtime.logging import get_logger

GRACE_NS = SECOND
GRACE_MACHINE_S = 0.2
MARGIN_NS = 2 * SECOND
MARGIN_MACHINE_S = 0.5
UNSTORED = 10_000
INCOMPLETE = 0.9
"""Below this share of the minutes of a range, history is called incomplete."""
BRIEF_NS = 5 * MINUTE
"""Bars that end so long before now at most are waited for by each instrument alone, not by the whole feed."""
_NEVER = 1 << 62

Lacking = tuple[tuple[str, ...], tuple[str, ...]]
"""Instruments whose bars wait for history, and those of which bars were given after a hole."""


class BarDesk:
    """Everything about bars that the feed does. Made and used by the poll loop's thread; history has its own."""

    def __init__(
        self,
        config: RunConfig,
        calendar: Calendar,
        clock: MarketClock,
        alerts: Alerts,
        publish: Callable[[Bar], None],
        wake: Callable[[], None],
        say_lacking: Callable[[], None],
    ) -> None:
        """`say_lacking` is called before bars that waited are published: what is lacking may have changed."""
        self._calendar = calendar
        self._clock = clock
        self._alerts = alerts
        self._publish = publish
        self._say_lacking = say_lacking
        self._log = get_logger("feed")
        self._keeps_history = config.data.history
        self._fetching = 0
        self._retry_s = config.venue.retry_delay
        self._builder = BarBuilder(calendar)
        self._fusion = Fusion(self._market_span(MARGIN_NS, MARGIN_MACHINE_S))
        self._store = BarStore(config.bars_dir)
        self._reserve = Reserve(self._store.path, config.process.journal_reserve_bytes)
        """A signal to exit comes from a bar, and no bar is published that is not stored."""
        self._history = HistoryWorker(config, calendar, clock.now, wake)
        self.closed: list[Closed] = []
        """What quotes have closed since the last `flush`."""
        self._unstored: list[Bar] = []
        self._loaded: set[str] = set()
        self._due: dict[str, tuple[int, int]] = {}
        self._days: dict[str, int] = {}
        self._noted_ns = 0
        self._published = self._asked = 0

    def start(self, watched: Iterable[str]) -> None:
        """Begin to fetch the history of what is watched, if it is wanted and minutes of it are missing."""
        ahead = self._store.drop_after(self._clock.now() + MINUTE)
        if ahead:
            self._log.warning("bars.dropped", count=ahead, reason="they lie ahead of the market clock, which went back")
        self._history.start()
        if self._keeps_history:
            for instrument in watched:
                self._begin_with(instrument)

    def _begin_with(self, instrument: str) -> None:
        """Nothing is asked for while no minute has ended since the last that is stored: the present one comes later."""
        covered, now = self._store.filled_until(instrument), self._clock.now()
        missing = now // MINUTE * MINUTE - covered
        self._fusion.add(instrument, covered)
        if missing <= BRIEF_NS:
            self._loaded.add(instrument)
        if missing > 0:
            self._ask(instrument, 0)

    def close(self) -> None:
        """End the history thread and close the store; the bar in the making comes from history at the next start."""
        self._history.stop()
        self._store.close()

    def has_history(self, watched: Iterable[str]) -> bool:
        """True once the history of all that is watched is in the store, or none is wanted.

        Of what was stored before a short absence nothing is waited for here: `lacking` says what is not there yet.
        """
        return not self._keeps_history or self._loaded.issuperset(watched)

    def lacking(self) -> Lacking:
        """What is not there of what is kept; in lock-step the market itself waits for history."""
        behind = () if self._clock.lock_step else self._fusion.behind(self._clock.now())
        return behind, self._fusion.holes

    @property
    def waits(self) -> bool:
        """True while history is being fetched."""
        return self._fetching > 0

    def figures(self) -> dict[str, float]:
        """Since the start: bars published, questions for history, quotes that came late, minutes nobody saw whole."""
        return {
            "bars": float(self._published),
            "history_asked": float(self._asked),
            "late_quotes": float(self._builder.late),
            "bar_gaps": float(self._fusion.gaps),
        }

    # quotes

    def add(self, quote: Quote) -> None:
        """Build a quote in; `flush` follows once per burst."""
        closed = self._builder.add(quote)
        if closed is not None:
            self.closed.append(closed)

    def flush(self) -> None:
        """Deliver the bars that quotes have closed."""
        if self.closed:
            closed, self.closed = self.closed, []
            self._deliver([bar for item in closed for bar in self._fusion.offer(item)])

    def begin(self, instrument: str) -> None:
        """Data of an instrument flow from now on: the present minute is not whole, the next one is."""
        now = self._clock.now()
        self._builder.watch(instrument, now)
        session = self._calendar.session(instrument.partition(":")[0], self._calendar.trading_day(now))
        if session is not None and session.open_ns < now < session.close_ns:
            self._fusion.resume(instrument, bucket(session, now, MINUTE)[1])
        else:
            self._fusion.resume(instrument, now)

    def keep(self, instrument: str, days: int) -> bool:
        """Somebody needs this instrument's bars and `days` of their history; true if that is news."""
        if not self._keeps_history or instrument in self._fusion:
            return False
        self._days[instrument] = days
        self._begin_with(instrument)
        return True

    def interrupt(self) -> None:
        """The socket is lost: deliver what is whole, and trust no bar in the making."""
        self.flush()
        self._builder.interrupt()
        self._fusion.interrupt()

    def forget(self, instrument: str) -> None:
        """The instrument is not subscribed any more."""
        self._builder.forget(instrument)

    # timers

    def on_clock(self, now_ns: int, machine_ns: int) -> None:
        """Close what the clock has passed, and fetch what history is due."""
        grace = self._market_span(GRACE_NS, GRACE_MACHINE_S)
        self.closed += self._builder.advance(now_ns, grace, machine_ns)
        self.flush()
        for fetch in self._fusion.due(now_ns, machine_ns, self._fetching):
            self._fetch(fetch)
        self._deliver(self._fusion.overdue(machine_ns))
        self._note_filled((now_ns - grace) // MINUTE * MINUTE)

    def _note_filled(self, until_ns: int) -> None:
        """Once a minute: what is whole so far, so that a successor asks for no more than it missed."""
        if until_ns <= self._noted_ns or self._unstored:
            return
        self._noted_ns = until_ns
        if whole := self._fusion.cover(until_ns):
            with suppress(BarStoreDamaged):  # alerted with the bars themselves
                self._store.note_filled(whole, until_ns)

    def on_second(self, machine_ns: int) -> None:
        """Ask again for history that failed, or has not filled a hole."""
        self._reserve.look()
        for instrument in self._fusion.holes:
            if instrument not in self._due:
                self._put_off(instrument, 0)
        for instrument, (due, tries) in list(self._due.items()):
            if machine_ns >= due:
                self._ask(instrument, tries)

    def _market_span(self, market_ns: int, machine_s: float) -> int:
        """A span of market time that is never shorter than so much machine time; in lock-step nothing comes late."""
        if self._clock.lock_step:
            return 0
        return max(market_ns, int(machine_s * self._clock.speed * SECOND))

    # history

    def take_history(self) -> None:
        """Take in what the history thread has done."""
        for filled in self._history.results():
            self._fetching -= 1
            if filled.error:
                self._failed(filled)
            else:
                self._filled(filled)

    def hurry(self) -> None:
        """The server is there: history that could not be fetched is asked for at once."""
        for instrument, (due, tries) in list(self._due.items()):
            if due != _NEVER:
                self._ask(instrument, tries)

    def _ask(self, instrument: str, tries: int) -> None:
        self._due[instrument] = (_NEVER, tries)
        self._fetch(Fetch(instrument, self._clock.now()))

    def _fetch(self, fetch: Fetch) -> None:
        self._fetching += 1
        self._asked += 1
        days, price = self._days.get(fetch.instrument, 0), self._builder.price(fetch.instrument)
        self._history.ask(fetch._replace(days=days, price=price))

    def _filled(self, filled: Filled) -> None:
        instrument = filled.fetch.instrument
        self._loaded.add(instrument)
        _, tries = self._due.pop(instrument, (0, 0))
        self._alerts.clear("HISTORY_MISSING", instrument)
        if filled.new:
            self._tell(filled)
        new = {bar.start_ns for bar in filled.new}
        ready = self._fusion.filled(filled.fetch, filled.fetched, filled.new, self._clock.now())
        # What history repaired is in the store already; it ended before the first live bar that waited.
        repaired = [bar for bar in ready if bar.start_ns in new]
        if instrument in self._fusion.holes:
            self._put_off(instrument, tries)
        self._say_lacking()
        self._publish_all(repaired)
        self._deliver(ready[len(repaired) :])

    def _tell(self, filled: Filled) -> None:
        """Minutes missing in history of hardly traded contracts are news only when they are many."""
        instrument, whole = filled.fetch.instrument, filled.whole
        if whole is None or not whole.gaps:
            self._log.info("history.loaded", instrument=instrument, bars=len(filled.new), complete=1.0)
            return
        self._log.info("history.loaded", instrument=instrument, bars=len(filled.new), complete=round(whole.share, 4),
                       gaps=len(whole.gaps), missing=whole.expected - whole.found)  # fmt: skip
        if whole.share >= INCOMPLETE:
            self._alerts.clear("HISTORY_INCOMPLETE", instrument)
            return
        longest = max(whole.gaps, key=lambda gap: gap.bars)
        first = datetime.fromtimestamp(longest.start_ns / SECOND, IST).strftime("%d %b %H:%M")
        text = f"{whole.found} of {whole.expected} minutes, the longest gap is {longest.bars} from {first} on"
        self._alerts.raise_("HISTORY_INCOMPLETE", Severity.WARNING, instrument,
                            f"history of {instrument} has {text}; indicators begin with what is there")  # fmt: skip

    def _failed(self, filled: Filled) -> None:
        instrument = filled.fetch.instrument
        next_step = "it is asked for again, or set ENABLE_HISTORICAL_DATA=false"
        self._alerts.raise_(
            "HISTORY_MISSING", Severity.WARNING, instrument, f"no history of {instrument}: {filled.error}; {next_step}"
        )
        ready = self._fusion.failed(filled.fetch, self._clock.now())
        if instrument not in self._loaded or instrument in self._fusion.holes:
            self._put_off(instrument, self._due.get(instrument, (0, 0))[1])
        self._say_lacking()
        self._deliver(ready)

    def _put_off(self, instrument: str, tries: int) -> None:
        self._due[instrument] = (machine_now() + retry_ns(self._retry_s, tries), tries + 1)

    # the store

    def _deliver(self, bars: list[Bar]) -> None:
        """Commit, then publish what is new; what cannot be committed waits."""
        waiting = (self._unstored + bars)[-UNSTORED:]
        if not waiting:
            return
        try:
            new = self._store.add(waiting)
        except BarStoreDamaged as error:
            self._unstored = waiting
            self._alerts.raise_("BARS_NOT_STORED", Severity.CRITICAL, "bars", f"no bars are published: {error}")
            return
        self._unstored = []
        self._alerts.clear("BARS_NOT_STORED", "bars")
        self._publish_all(new)

    def _publish_all(self, bars: list[Bar]) -> None:
        for bar in bars:
            self._publish(bar)
        self._published += len(bars)
