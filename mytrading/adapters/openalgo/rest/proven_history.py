"""History of one server under the proofs of `core.bars.history_proofs`: what it answers, corrected, or why not.

Used by the feed, `data`, `history fetch` and backtests from the server. Rule: nothing asks a server's history but
through here, or what one of them refuses another one believes. One thread uses a `ProvenHistory`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from itertools import islice
from typing import NamedTuple

from msgspec.structs import replace

from mytrading.adapters.openalgo.rest import history
from mytrading.adapters.openalgo.rest.client import OpenAlgoClient, TransportFailed
from mytrading.adapters.openalgo.rest.errors import ReadFailed
from mytrading.adapters.openalgo.rest.retry import ONCE, Retries
from mytrading.core.bars import history_proofs as proofs
from mytrading.core.bars.builder import aggregate
from mytrading.core.calendar import Calendar
from mytrading.core.time import DAY, ist_date
from mytrading.messages.brokers import HistoryRules
from mytrading.messages.market import Bar

MOST_PROBES = 3
"""Instruments that are asked for a proof of the stamps, and failed rounds of them after which none is sought today."""
_MINUTE, _DAILY = "1m", "1d"
_DAY = timedelta(days=1)
DayRange = tuple[date, date]


class HistoryRefused(ReadFailed):
    """History that is not believed, or that a broker does not have; asking again at once does not help."""

    def __init__(self, message: str) -> None:
        super().__init__("server", message)


class ProvenBars(NamedTuple):
    """The believed bars of a request. `answered` are its days that need not be asked for again, `outside` counts bars
    left out, `problem` names days without bars that must have some, `odd` are closed days with a daily bar."""

    bars: tuple[Bar, ...]
    answered: tuple[DayRange, ...] = ()
    outside: int = 0
    problem: str = ""
    odd: tuple[date, ...] = ()


class ProvenHistory:
    """Asks one server. `rules` returns the row of its broker, `probes` the watched instruments by which stamps are
    proven; `pace` waits for a request's turn."""

    def __init__(
        self, client: OpenAlgoClient, calendar: Calendar, pace: Callable[[], None], machine_now: Callable[[], int],
        rules: Callable[[], HistoryRules] = HistoryRules, probes: Callable[[], Iterable[str]] = tuple,
        retries: Retries = ONCE,
    ) -> None:  # fmt: skip
        self._client, self._calendar, self._pace, self._now = client, calendar, pace, machine_now
        self._rules, self._probes, self._retries = rules, probes, retries
        self._late: dict[date, int | None] = {}
        """The proof of the day, once there is one."""
        self._failed = 0
        self._probed_ns = -proofs.ALIVE_NS
        self._answered_ns: dict[str, int] = {}
        """Machine time of the last answer with bars, by instrument."""

    @property
    def is_available(self) -> bool:
        """False if the broker has no history at all."""
        return self._rules().available

    def fetch(self, instrument: str, interval: str, first: date, last: date, now: int) -> ProvenBars:
        """Fetch the bars from day `first` to `last` that ended by market `now`. Raises `HistoryRefused` for what is
        proven wrong, `ReadFailed`, or what the client raises."""
        if not self.is_available:
            raise HistoryRefused(f"no history of {instrument}: its broker has none, each answer is empty")
        exchange = instrument.partition(":")[0]
        if interval == _DAILY:
            found = self._days(instrument, first, last, now)
        else:
            found = proofs.leave_out_outside(self._intraday(instrument, interval, first, last, now), self._calendar,
                                             exchange), ()  # fmt: skip
        kept, odd = found
        if kept.bars:
            self._answered_ns[instrument] = self._now()
        return self._judged(instrument, kept, odd, first, last, now)

    def fetch_range(
        self, instrument: str, interval: str, first: date, last: date, now: int,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> history.HistoryRange:  # fmt: skip
        """Fetch the bars from day `first` to `last` that ended by market `now`, in requests that a broker admits. What
        is wrong with a request is in its chunk, not raised. `progress` gets the number of requests done, and of all."""
        bars: dict[int, Bar] = {}
        done: list[history.Chunk] = []
        empty: list[int] = []
        odd: list[date] = []
        outside, spans = 0, list(history.split_range(interval, first, last))
        for begin, end in spans:
            try:
                found = self.fetch(instrument, interval, begin, end, now)
                empty += [len(done)] if found.problem and not (found.bars or bars) else []
                done.append(history.Chunk(begin, end, len(found.bars), found.problem))
                bars.update((bar.start_ns, bar) for bar in found.bars)
                outside, odd = outside + found.outside, [*odd, *found.odd]
            except (ReadFailed, TransportFailed) as error:
                done.append(history.Chunk(begin, end, problem=str(error)))
            progress(len(done), len(spans))
        if bars and empty and self.is_believed_before_listing(instrument, now):
            for place in empty:
                done[place] = done[place]._replace(problem="")
        return history.HistoryRange(tuple(bars[at] for at in sorted(bars)), tuple(done), outside, tuple(odd))

    def is_believed_before_listing(self, instrument: str, now: int) -> bool:
        """True if empty answers for days before an instrument's first bar are believed: it may not have been listed,
        and the source answers."""
        return not proofs.always_had_bars(instrument) and self.is_alive(instrument, now)

    def is_alive(self, instrument: str, now: int) -> bool:
        """True if the source gave bars of another instrument in the last minute, or gives some when asked."""
        if not self._answers_others(instrument) and self._now() - self._probed_ns >= proofs.ALIVE_NS:
            self._probed_ns = self._now()
            self._proof(ist_date(now), now, but=instrument)
        return self._answers_others(instrument)

    def _answers_others(self, instrument: str) -> bool:
        since = self._now() - proofs.ALIVE_NS
        return any(at >= since for name, at in self._answered_ns.items() if name != instrument)

    def late_minutes(self, now: int) -> int | None:
        """Return by how many minutes the stamps of the source are late (`history_proofs.minutes_late`), proven once a
        day by the last whole day of a liquid instrument; None while that is not proven."""
        today = ist_date(now)
        if today not in self._late:
            self._late.clear()
            self._probed_ns = self._now()
            late, failed = self._proof(today, now)
            self._failed = self._failed + 1 if failed else 0
            if failed and self._failed < MOST_PROBES:
                return None
            self._late[today], self._failed = late, 0
        return self._late[today]

    def _proof(self, today: date, now: int, but: str = "") -> tuple[int | None, bool]:
        """The proof by the first instrument (not `but`) whose answer has one, and whether a request failed."""
        failed = False
        candidates = (name for name in proofs.probe_candidates(self._probes()) if name != but)
        for name in islice(candidates, MOST_PROBES):
            exchange = name.partition(":")[0]
            if (day := proofs.last_whole_day(self._calendar, exchange, today)) is None:
                continue
            try:
                bars = self._ask(name, _MINUTE, day, day, now)
            except (ReadFailed, TransportFailed):
                failed = True
                continue
            if bars:
                self._answered_ns[name] = self._now()
            starts = [bar.start_ns for bar in bars]
            if (late := proofs.minutes_late(starts, self._calendar, exchange, today)) is not None:
                return late, False
        return None, failed

    def _ask(
        self, instrument: str, interval: str, first: date, last: date, now: int, late_minutes: int = 0
    ) -> list[Bar]:
        self._pace()
        right_day = ist_date(now) if self._rules().today_right else None
        return history.fetch_history(
            self._client, instrument, interval, first, last, now, self._retries, late_minutes, right_day
        )

    def _intraday(self, instrument: str, interval: str, first: date, last: date, now: int) -> list[Bar]:
        rules, late = self._rules(), self.late_minutes(now)
        if why := proofs.why_shifted(late, rules):
            raise HistoryRefused(f"history of {instrument}: {why}")
        minutes = proofs.correction_minutes(late, rules)
        if interval != _MINUTE and interval in rules.shifted_intervals:
            spans = history.split_range(_MINUTE, first, last)
            parts = (self._ask(instrument, _MINUTE, *span, now, minutes) for span in spans)
            return aggregate([bar for part in parts for bar in part], interval, self._calendar, now)
        bars = self._ask(instrument, interval, first, last, now, minutes)
        if interval == _MINUTE:
            starts = [bar.start_ns for bar in bars]
            own = proofs.minutes_late(starts, self._calendar, instrument.partition(":")[0], ist_date(now))
            if why := proofs.why_shifted(own, HistoryRules()):
                raise HistoryRefused(f"history of {instrument}: {why}")
        return bars

    def _days(self, instrument: str, first: date, last: date, now: int) -> tuple[proofs.SortedBars, tuple[date, ...]]:
        rules, bars = self._rules(), self._ask(instrument, _DAILY, first, last, now)
        there = {ist_date(bar.start_ns) for bar in bars}
        over = min(last, ist_date(now) - _DAY)
        found = proofs.day_shift(there, self._calendar, instrument.partition(":")[0], first, over)
        if why := proofs.why_days_shifted(found, rules):
            raise HistoryRefused(f"history of {instrument}: {why}; until the server is updated they are refused")
        early = found.days_early if found.proven else 0 if found.weeks else rules.days_early
        moved = [replace(bar, start_ns=bar.start_ns + early * DAY, end_ns=bar.end_ns + early * DAY) for bar in bars]
        whole = tuple(bar for bar in moved if bar.end_ns <= now)
        return proofs.SortedBars(whole), () if early else found.odd

    def _judged(
        self, instrument: str, kept: proofs.SortedBars, odd: tuple[date, ...], first: date, last: date, now: int
    ) -> ProvenBars:
        wanted = proofs.days_to_have_bars(instrument, self._calendar, first, last, ist_date(now))
        if not kept.bars:
            alive = not wanted and self.is_alive(instrument, now)
            belief = proofs.judge_empty(instrument, wanted, alive)
            return ProvenBars((), ((first, last),) if belief.believed else (), kept.outside, belief.problem)
        there = {ist_date(bar.start_ns) for bar in kept.bars}
        begin = first if proofs.always_had_bars(instrument) else min(there)
        lost = proofs.lost_stretches([day for day in wanted if day >= begin], there)
        early = [] if begin <= first or self.is_alive(instrument, now) else [(first, begin - _DAY)]
        shown = ", ".join(f"{start} to {end}" for start, end in lost[:3])
        problem = f"no bars of {instrument} {shown}, beside days that have some: a part of the answer is missing"
        return ProvenBars(
            kept.bars, without_ranges((first, last), [*early, *lost]), kept.outside, problem if lost else "", odd
        )


def without_ranges(whole: DayRange, left_out: Sequence[DayRange]) -> tuple[DayRange, ...]:
    """Return the parts of a range of days without those of `left_out`, which are sorted, apart and within it."""
    parts, begin = [], whole[0]
    for start, end in left_out:
        if begin < start:
            parts.append((begin, start - _DAY))
        begin = end + _DAY
    return (*parts, (begin, whole[1])) if begin <= whole[1] else tuple(parts)
