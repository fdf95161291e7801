"""Bars of many instruments from the server's history into the store, in requests that a later call can go on with.

A day counts as covered once it is over and the server has answered for it, with bars or with an empty answer that is
believed; what is covered is not asked for again. Bars are written at least every ten seconds, so that a killed
download loses no more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mytrading.adapters.openalgo.rest.client import TransportFailed
from mytrading.adapters.openalgo.rest.errors import ReadFailed
from mytrading.adapters.openalgo.rest.history import Chunk, split_range
from mytrading.adapters.openalgo.rest.proven_history import ProvenBars, ProvenHistory, without_ranges
from mytrading.adapters.storage.bar_archive import BarArchive, DayRange, join_ranges, uncovered_ranges
from mytrading.backtest.data.columns import Columns, DataError
from mytrading.backtest.data.load import columns_from_bars
from mytrading.core.bars.history_proofs import days_to_have_bars, lost_stretches
from mytrading.core.calendar import Calendar
from mytrading.core.instruments.contract_specs import (
    ContractFacts,
    Underlying,
    make_derivative,
    monthly_expiries,
    weekly_expiries,
)
from mytrading.core.time import ist_date
from mytrading.messages.instruments import InstrumentKind
from mytrading.messages.market import Bar

WRITE_SECONDS = 10.0
"""Seconds for which answered bars may wait for being written."""
_MOST_UNANSWERED = 3
"""So many requests in a row without any answer end a download."""
_DAY = timedelta(days=1)
EXPIRIES = ("weekly", "monthly", "all")


class Wanted(NamedTuple):
    """The days for which bars of an instrument are wanted, both included."""

    instrument: str
    first: date
    last: date


class PlannedDownload(NamedTuple):
    """The requests that an instrument still needs."""

    instrument: str
    requests: tuple[DayRange, ...]


@dataclass
class DownloadedSeries:
    """Download of one instrument: requests made, bars received, bars new in the store, and requests that failed or
    lack days. `outside` counts bars left out, `odd` are closed days with a daily bar, which is kept."""

    instrument: str
    requests: int = 0
    bars: int = 0
    added: int = 0
    failed: list[Chunk] = field(default_factory=list)
    outside: int = 0
    odd: list[date] = field(default_factory=list)


class DownloadOutcome(NamedTuple):
    """Outcome of a download; `stopped` is the reason for which it ended early, empty if it did not."""

    series: tuple[DownloadedSeries, ...]
    stopped: str = ""


def plan_download(
    store: BarArchive, wanted: Iterable[Wanted], interval: str, calendar: Calendar, *, again: bool = False
) -> list[PlannedDownload]:
    """Return the requests for days that the store does not cover yet; with `again` for all days. What an older program
    took for covered is believed where it has bars."""
    plan = []
    for instrument, first, last in wanted:
        covered = () if again else _trusted_days(store, instrument, interval, calendar)
        spans = uncovered_ranges(covered, first, last)
        plan.append(PlannedDownload(instrument, tuple(one for span in spans for one in split_range(interval, *span))))
    return plan


def _trusted_days(store: BarArchive, instrument: str, interval: str, calendar: Calendar) -> tuple[DayRange, ...]:
    """The days that need not be asked for again."""
    covered, older = store.covered(instrument, interval), store.unproven(instrument, interval)
    if not older:
        return covered
    there = {ist_date(int(ns)) for ns in np.unique(store.read(instrument, interval).start_ns)}
    trusted = [*covered]
    for first, last in older:
        wanted = days_to_have_bars(instrument, calendar, first, last, last + _DAY)
        trusted += without_ranges((first, last), lost_stretches(wanted, there))
    return join_ranges(trusted)


def download(
    store: BarArchive, plan: Sequence[PlannedDownload], interval: str, history: ProvenHistory, now: int,
    progress: Callable[[int, str], None] = lambda _done, _instrument: None, *, again: bool = False,
) -> DownloadOutcome:  # fmt: skip
    """Make the plan's requests and store their bars. Days before that of market ns `now` are then covered; a failed
    request is noted and its days are not. `progress` gets requests done and the instrument at hand."""
    series: list[DownloadedSeries] = []
    done = unanswered = 0
    for instrument, requests in plan:
        one = DownloadedSeries(instrument)
        series.append(one)
        writer = _Writer(store, one, interval, ist_date(now) - _DAY, replace=again)
        try:
            for first, last in requests:
                progress(done, instrument)
                one.requests += 1
                try:
                    writer.take(history.fetch(instrument, interval, first, last, now), first, last)
                    unanswered = 0
                except ReadFailed as error:
                    one.failed.append(Chunk(first, last, problem=str(error)))
                    unanswered = 0
                except TransportFailed as error:
                    one.failed.append(Chunk(first, last, problem=str(error)))
                    unanswered += 1
                    if unanswered == _MOST_UNANSWERED:
                        return DownloadOutcome(tuple(series), f"the server gives no answer: {error}")
                done += 1
            writer.settle_empty(lambda name: history.is_believed_before_listing(name, now))
        finally:
            writer.flush()
    progress(done, "")
    return DownloadOutcome(tuple(series))


class _Writer:
    """Collects the bars of one instrument and writes them now and then."""

    def __init__(
        self, store: BarArchive, series: DownloadedSeries, interval: str, over: date, *, replace: bool
    ) -> None:
        self._store, self._series, self._interval, self._over, self._replace = store, series, interval, over, replace
        self._bars: dict[int, Bar] = {}
        self._covered: list[DayRange] = []
        self._empty: list[Chunk] = []
        """Empty answers that need not be holes: the instrument may not have been listed yet."""
        self._written = time.monotonic()

    def take(self, found: ProvenBars, first: date, last: date) -> None:
        """Keep the fetched bars of days `first` to `last`; write all that are kept every `WRITE_SECONDS`."""
        series = self._series
        self._bars.update((bar.start_ns, bar) for bar in found.bars)
        series.bars += len(found.bars)
        series.outside += found.outside
        series.odd += found.odd
        self._covered += [(begin, min(end, self._over)) for begin, end in found.answered if begin <= self._over]
        if found.problem:
            chunk = Chunk(first, last, len(found.bars), found.problem)
            (series.failed if found.bars else self._empty).append(chunk)
        if time.monotonic() - self._written >= WRITE_SECONDS:
            self.flush()

    def settle_empty(self, is_believed: Callable[[str], bool]) -> None:
        """Count empty answers for days before the first bar as covered where `is_believed` (instrument), the others as
        failed."""
        if not self._empty:
            return
        self.flush()
        name = self._series.instrument
        stored = self._store.read(name, self._interval).start_ns
        first = ist_date(int(stored[0])) if len(stored) else date.min
        early = [chunk for chunk in self._empty if chunk.last < first]
        if early and is_believed(name):
            self._covered += [(chunk.first, min(chunk.last, self._over)) for chunk in early]
        else:
            early = []
        self._series.failed += [chunk for chunk in self._empty if chunk not in early]
        self._empty = []

    def flush(self) -> None:
        """Write what has come, if anything has."""
        name, bars = self._series.instrument, [self._bars[at] for at in sorted(self._bars)]
        if bars:
            columns = columns_from_bars(bars, name, f"history of {name}")
            start_ns, table = columns.start_ns, columns.table
        else:
            start_ns, table = np.empty(0, np.int64), np.empty((5, 0))
        if bars or self._covered:
            self._series.added += self._store.add(
                name, self._interval, start_ns, table, self._covered, replace=self._replace
            )
        self._bars, self._covered, self._written = {}, [], time.monotonic()


def option_contracts(
    name: str, facts: ContractFacts, calendar: Calendar, spot: Columns, first: date, last: date, *,
    strikes: int = 5, expiries: str = "weekly",
) -> list[Wanted]:  # fmt: skip
    """Return the calls and puts on underlying `name` by rule, each with the days from the expiry before its own to its
    own: `strikes` beyond the lowest and highest price that `spot` had in those days. Raises `DataError`."""
    underlying = facts.underlyings.get(name)
    if underlying is None or not underlying.strike_step:
        known = ", ".join(key for key, value in facts.underlyings.items() if value.strike_step)
        raise DataError(f"--options {name}: expected an underlying with options of config/instruments.toml: {known}")
    days = expiries_between(calendar, underlying, expiries, first, last)
    if len(days) < 2:
        raise DataError(f"--options {name}: it has no {expiries} expiries from {first} on; try --expiries monthly")
    found, step = [], underlying.strike_step
    for before, expiry in pairwise(days):
        begin, end = max(before + _DAY, first), min(expiry, last)
        part = spot.between_days(begin, end)
        if begin > end or not len(part):
            continue
        low, high = float(part.table[2].min()), float(part.table[1].max())
        numbers = range(max(round(low / step) - strikes, 1), round(high / step) + strikes + 1)
        for right in (InstrumentKind.CE, InstrumentKind.PE):
            contracts = (make_derivative(name, underlying, right, expiry, number * step, begin) for number in numbers)
            found += [Wanted(contract.id, begin, end) for contract in contracts]
    return found


def expiries_between(calendar: Calendar, facts: Underlying, kind: str, first: date, last: date) -> list[date]:
    """Return the expiries of a kind (`weekly`, `monthly`, `all`) in order: from the last one before day `first` to the
    first one at or after `last`. A weekly one that falls on a monthly one is that."""
    makers: list[Callable[[Calendar, Underlying, date], Iterator[date]]] = []
    makers += [weekly_expiries] if kind in ("weekly", "all") else []
    makers += [monthly_expiries] if kind in ("monthly", "all") else []
    found: set[date] = set()
    for maker in makers:
        day = first - timedelta(days=70)
        while day <= last:
            some = list(maker(calendar, facts, day))
            if not some:
                break
            found.update(some)
            day = some[-1] + _DAY
    before = max((day for day in found if day < first), default=first - _DAY)
    after = min((day for day in found if day >= last), default=last)
    return sorted(day for day in found | {before} if before <= day <= after)
