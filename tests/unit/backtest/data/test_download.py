"""Downloads from servers that lose, refuse or shift: which days are covered, and which are asked for again."""

from __future__ import annotations

import time as machine
import tomllib
from datetime import date, time, timedelta
from pathlib import Path

import numpy as np
import pytest

from mytrading.adapters.openalgo.rest.client import OpenAlgoClient
from mytrading.adapters.openalgo.rest.proven_history import ProvenHistory
from mytrading.adapters.storage import bar_archive
from mytrading.adapters.storage.bar_archive import BarArchive
from mytrading.backtest.data.columns import Columns
from mytrading.backtest.data.download import DownloadedSeries, Wanted, download, plan_download
from mytrading.backtest.data.stamps import count_outside, describe_shift, describe_stamps
from mytrading.backtest.data.store import import_bars, list_stored
from mytrading.core.calendar import Calendar
from mytrading.core.time import to_ns
from mytrading.messages.brokers import HistoryRules
from tests.kit.history_server import HistoryServer, history_server, minutes_of
from tests.kit.project import ROOT

CALENDAR = Calendar.from_dict(tomllib.loads((ROOT / "config/calendar.toml").read_text(encoding="utf-8")))
MON, TUE, WED, THU, FRI = WEEK = [date(2026, 7, day) for day in range(13, 18)]
BEFORE = [day - timedelta(days=7) for day in WEEK]
NOW = to_ns(date(2026, 7, 20), time(11, 0))
SBIN, NIFTY = "NSE:SBIN", "NSE_INDEX:NIFTY"
WHOLE = minutes_of(*WEEK)


def history(server: HistoryServer, rules: HistoryRules | None = None) -> ProvenHistory:
    client = OpenAlgoClient(server.url, "key", machine.monotonic_ns)
    row = rules or HistoryRules()
    return ProvenHistory(client, CALENDAR, lambda: None, machine.monotonic_ns, lambda: row, lambda: (NIFTY,))


def fetch(
    store: BarArchive, server: HistoryServer, first: date = MON, interval: str = "1m", name: str = SBIN
) -> DownloadedSeries:
    plan = plan_download(store, [Wanted(name, first, FRI)], interval, CALENDAR)
    return download(store, plan, interval, history(server), NOW).series[0]


def columns(starts: list[int], timeframe: str = "1m") -> Columns:
    table = np.ones((5, len(starts)))
    return Columns(SBIN, timeframe, np.array(starts, dtype=np.int64), table)


@pytest.mark.parametrize("late", [30, 330])
def test_days_of_a_refused_answer_are_not_covered_and_nothing_is_stored(tmp_path: Path, late: int) -> None:
    store = BarArchive(tmp_path)
    with history_server(minutes={SBIN: WHOLE, NIFTY: WHOLE}, late=late) as server:
        one = fetch(store, server)
        assert f"{late} minutes late" in one.failed[0].problem
        assert (store.covered(SBIN, "1m"), len(store.read(SBIN, "1m").start_ns)) == ((), 0)
        server.late = 0
        assert fetch(store, server).added == len(WHOLE), "asked again once the server is corrected"
    assert store.covered(SBIN, "1m") == ((MON, FRI),)


def test_days_of_an_empty_answer_are_named_and_asked_for_again(tmp_path: Path) -> None:
    store = BarArchive(tmp_path)
    with history_server(minutes={NIFTY: WHOLE}) as server:
        one = fetch(store, server)
        assert "5 trading days" in one.failed[0].problem and store.covered(SBIN, "1m") == ()
        server.minutes[SBIN] = WHOLE
        assert fetch(store, server).added == len(WHOLE)


def test_a_lost_part_of_an_answer_is_named_and_only_that_is_asked_for_again(tmp_path: Path) -> None:
    store = BarArchive(tmp_path)
    with history_server(minutes={SBIN: WHOLE, NIFTY: WHOLE}, lost={TUE, WED, THU}) as server:
        assert "2026-07-14 to 2026-07-16" in fetch(store, server).failed[0].problem
        assert store.covered(SBIN, "1m") == ((MON, MON), (FRI, FRI))
        server.lost, server.asked = set(), []
        assert fetch(store, server).added == 3 * 375
        assert [ask for ask in server.asked if ask[0] == SBIN] == [(SBIN, "1m", "2026-07-14", "2026-07-16")]


def test_requests_before_a_listing_are_covered_where_the_source_answers(tmp_path: Path) -> None:
    store, first = BarArchive(tmp_path), date(2026, 2, 2)
    with history_server(minutes={SBIN: WHOLE, NIFTY: WHOLE}) as server:
        one = fetch(store, server, first)
        assert (one.failed, one.requests, store.covered(SBIN, "1m")) == ([], 3, ((first, FRI),))
        index = fetch(store, server, first, name=NIFTY)
        assert first in [chunk.first for chunk in index.failed], "an index always had bars"


def test_empty_answers_that_an_older_program_took_for_covered_are_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, first = BarArchive(tmp_path), BEFORE[0]
    monkeypatch.setattr(bar_archive, "_ANSWERED", "covered")
    monkeypatch.setattr(bar_archive, "_UNPROVEN", "older")
    made = columns(WHOLE)
    store.add(SBIN, "1m", made.start_ns, made.table, [(first, FRI)])
    monkeypatch.undo()
    assert (store.covered(SBIN, "1m"), store.unproven(SBIN, "1m")) == ((), ((first, FRI),))
    with history_server(minutes={SBIN: minutes_of(*BEFORE) + WHOLE, NIFTY: WHOLE}) as server:
        assert fetch(store, server, first).added == 5 * 375
        assert {ask[2:] for ask in server.asked if ask[0] == SBIN} == {("2026-07-06", "2026-07-10")}
        server.asked = []
        assert fetch(store, server, first).requests == 0, "and once is enough"


def test_days_a_day_early_are_refused(tmp_path: Path) -> None:
    store = BarArchive(tmp_path)
    with history_server(days={SBIN: [*BEFORE, *WEEK]}, early=1) as server:
        assert "1 day early" in fetch(store, server, BEFORE[0], "1d").failed[0].problem
    assert store.covered(SBIN, "1d") == ()


def test_a_stored_series_that_is_shifted_is_named_and_a_right_one_is_not(tmp_path: Path) -> None:
    store = BarArchive(tmp_path)
    for name, late in ((SBIN, 30), (NIFTY, 0)):
        made = columns([start + late * 60_000_000_000 for start in WHOLE])
        store.add(name, "1m", made.start_ns, made.table)
    midnights = [to_ns(day - timedelta(days=1), time.min) for day in (*BEFORE, *WEEK)]
    early = columns(midnights, "1d")
    store.add(SBIN, "1d", early.start_ns, early.table)
    found = {(one.instrument, one.interval): one.shift for one in list_stored(store, CALENDAR)}
    assert "30 minutes late" in found[SBIN, "1m"] and "1 day early" in found[SBIN, "1d"]
    assert found[NIFTY, "1m"] == ""
    assert describe_shift(columns([to_ns(day, time.min) for day in WEEK], "1d"), CALENDAR) == ""


def test_a_persons_own_file_is_told_of_and_kept_whole(tmp_path: Path) -> None:
    starts = sorted([*minutes_of(FRI), *minutes_of(FRI, begin="09:00", count=8)])
    file = tmp_path / "mine.csv"
    file.write_text("timestamp,open,high,low,close,volume\n" + "".join(f"{at},1,1,1,1,1\n" for at in starts))
    (one,) = import_bars(BarArchive(tmp_path / "store"), CALENDAR, file, SBIN)
    assert (one.bars, one.added, one.outside) == (383, 383, 8)
    notes = list(describe_stamps(columns(starts), CALENDAR))
    assert notes == ["NSE:SBIN has 8 bars outside trading hours"]
    assert count_outside(columns(minutes_of(FRI)), CALENDAR) == 0
    assert count_outside(columns(minutes_of(date(2026, 7, 18), begin="08:00", count=9)), CALENDAR) == 0
