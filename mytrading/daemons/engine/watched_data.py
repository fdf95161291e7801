"""Data that strategies watch: bars, each once and in order, and the options that are chosen by rule each day."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date

from mytrading.adapters.storage.bar_store import BarReader
from mytrading.core.bars.builder import Aggregator, timeframe_minutes
from mytrading.core.calendar import Calendar
from mytrading.core.engine.contract_selection import select_option_universe
from mytrading.core.instruments.book import ExpiryRefused, InstrumentBook, NoSuchContract
from mytrading.core.time import SECOND
from mytrading.messages.control import BarGaps
from mytrading.messages.market import Bar
from mytrading.messages.run_config import StrategyRun

MINUTE = "1m"
BARS_PER_DAY = 900
"""At least as many minutes as any exchange is open; MCX has 870."""
GRACE_NS = 2 * SECOND
"""Machine time that a longer bar waits for its last minute, which may have had no trade and so no bar."""


class BarIntake:
    """Minutes of the store and of the stream, and longer bars of them. `alive` is called while that takes long."""

    def __init__(self, reader: BarReader, calendar: Calendar, alive: Callable[[], None]) -> None:
        self.reader = reader
        self._calendar = calendar
        self._alive = alive
        self._aggregator = Aggregator(calendar, ())
        self._seen: dict[str, int] = {}
        """End of the newest minute passed on, by instrument."""
        self._first: dict[str, int] = {}
        """Start of the oldest minute passed on, 0 if the store may have older ones that are not needed."""
        self._holes: set[str] = set()

    def load_history(self, instruments: Sequence[str], timeframes: Iterable[str], days: int) -> list[Bar]:
        """Reset, then return stored minute bars of so many days and longer bars made of them, ordered by end time."""
        self._aggregator = Aggregator(self._calendar, sorted(timeframes, key=timeframe_minutes, reverse=True))
        most = (days + 1) * BARS_PER_DAY
        bars: list[Bar] = []
        for instrument in instruments:
            self._alive()
            minutes = self.reader.bars(instrument, MINUTE, limit=most)
            first = minutes[0].start_ns if minutes else sys.maxsize
            self._first[instrument] = first if len(minutes) < most else 0
            self._seen[instrument] = minutes[-1].end_ns if minutes else 0
            for minute in minutes:
                bars += [*self._aggregator.add(minute), minute]
        return sorted(bars, key=lambda bar: (bar.end_ns, bar.start_ns))

    def has_older(self, instruments: Iterable[str]) -> bool:
        """True if the store now has minute bars older than those loaded, for any of these instruments."""
        return any(self.reader.bars(symbol, MINUTE, until=self._first[symbol], limit=1) for symbol in instruments)

    def bars_up_to(self, minute: Bar) -> Iterator[Bar]:
        """Yield stored bars that the stream skipped, then `minute` and longer bars it completes; none if seen."""
        seen = self._seen.get(minute.instrument, 0)
        if minute.end_ns <= seen:
            return
        if minute.start_ns > seen:
            yield from self._stored(minute.instrument, seen, minute.start_ns)
        yield from self._taken(minute)

    def missed_bars(self, instrument: str) -> Iterator[Bar]:
        """Yield stored bars of an instrument, and longer ones they complete, that the stream did not deliver."""
        self._alive()
        seen = self._seen.get(instrument, 0)
        if self.reader.last_end(instrument) > seen:
            yield from self._stored(instrument, seen, None)

    def close_longer_bars(self, now: int, speed: float, machine_ns: int) -> list[Bar]:
        """Return longer bars completed by market time `now` alone; `speed`: the clock's, `machine_ns`: receipt."""
        return self._aggregator.advance(now, int(GRACE_NS * speed), machine_ns)

    def _stored(self, instrument: str, seen: int, until: int | None) -> Iterator[Bar]:
        for bar in self.reader.bars(instrument, MINUTE, since=seen, until=until, limit=2 * BARS_PER_DAY):
            yield from self._taken(bar)

    def _taken(self, minute: Bar) -> Iterator[Bar]:
        self._seen[minute.instrument] = minute.end_ns
        self._first[minute.instrument] = min(minute.start_ns, self._first.get(minute.instrument, minute.start_ns))
        yield from self._aggregator.add(minute)
        yield minute

    def apply_gaps(self, gaps: BarGaps) -> set[str]:
        """Record the feed's bar gaps; returns instruments whose gap was filled since, to recompute indicators."""
        lacking = {level.instrument for level in gaps.lacking}
        filled = self._holes.difference(gaps.holes, gaps.behind, lacking)
        self._holes = self._holes.union(gaps.holes, lacking) - filled
        return filled


class OptionUniverse:
    """Options watched by rule, chosen once a day from the last close before its session: each start chooses the same.

    `problems` say for which runs nothing could be chosen, and why.
    """

    def __init__(self, runs: Sequence[StrategyRun], calendar: Calendar) -> None:
        self._runs = tuple(run for run in runs if run.options is not None)
        self._calendar = calendar
        self._chosen_for: date | None = None
        self.problems: dict[str, str] = {}
        self._partly: dict[str, tuple[str, ...]] = {}

    @property
    def has_rules(self) -> bool:
        """True if a strategy watches options by rule."""
        return bool(self._runs)

    def is_choice_due(self, now: int) -> bool:
        """True if a strategy watches options by rule and today's are not chosen yet."""
        return bool(self._runs) and self._chosen_for != self._calendar.trading_day(now)

    def choose(self, book: InstrumentBook, reader: BarReader, now: int) -> dict[str, tuple[str, ...]] | None:
        """Choose today's watched instruments by strategy; None if a price or contract is missing (see `problems`). One
        whose expiry is refused is left out, and chosen once it is listed or accepted; the others do not wait for it."""
        self.problems = {}
        found: dict[str, tuple[str, ...]] = {}
        refused = 0
        for run in self._runs:
            assert run.options is not None
            price = self._price(run.symbols[0], reader, now)
            try:
                if price:
                    options = select_option_universe(run.options, run.symbols[0], price, book, now)
                    found[run.name] = tuple(dict.fromkeys((*run.symbols, *options)))
            except NoSuchContract as error:
                refused += isinstance(error, ExpiryRefused)
                self.problems[f"{run.name} options"] = str(error)
        if len(found) + refused < len(self._runs) or (refused and found == self._partly):
            return None
        self._partly = found if refused else {}
        if refused:
            return found
        self._chosen_for = self._calendar.trading_day(now)
        return found

    def _price(self, spot: str, reader: BarReader, now: int) -> float:
        """The last close before today's session, else today's first price; 0.0 if there is neither."""
        session = self._calendar.session(spot.partition(":")[0], self._calendar.trading_day(now))
        before = reader.bars(spot, until=session.open_ns if session is not None else now, limit=1)
        if before:
            return before[-1].close
        since = reader.bars(spot, until=now)
        return since[0].open if since else 0.0
