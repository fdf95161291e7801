"""The feed's history thread against servers that cut, lose, shift or have nothing, with a bar store of its own."""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mytrading.adapters.storage.bar_store import BarReader, BarStore
from mytrading.core.active_alerts import ActiveAlerts
from mytrading.core.bars.history_merge import Fetch
from mytrading.core.calendar import Calendar
from mytrading.core.time import MINUTE, SECOND, to_ns
from mytrading.daemons.feed.bars import BarPublisher
from mytrading.daemons.feed.history import FetchResult, HistoryLacks, HistoryWorker
from mytrading.messages.brokers import HistoryRules
from mytrading.messages.control import BarGaps
from mytrading.messages.market import Bar
from mytrading.messages.run_config import StrategyRun
from mytrading.runtime.host.clock import ClockSegment, MarketClock, machine_now
from tests.kit.feed_process import feed_config
from tests.kit.history_server import HistoryServer, history_server, minutes_of
from tests.kit.project import ROOT
from tests.kit.waiting import PATIENCE, eventually

CALENDAR = Calendar.from_dict(tomllib.loads((ROOT / "config/calendar.toml").read_text(encoding="utf-8")))
WED, THU, FRI = date(2026, 7, 15), date(2026, 7, 16), date(2026, 7, 17)
SBIN, NIFTY, OPTION = "NSE:SBIN", "NSE_INDEX:NIFTY", "NFO:NIFTY28JUL2625000CE"
NOW = to_ns(FRI, time(15, 25))
PAST = minutes_of(WED, THU)


def at(clock: str, day: date = FRI) -> int:
    return to_ns(day, time.fromisoformat(clock))


class Bench:
    """A worker whose fetches are waited for."""

    def __init__(self, folder: Path, server: HistoryServer, rules: HistoryRules) -> None:
        self.done = threading.Event()
        config = feed_config(folder, folder, server.url, "ws://127.0.0.1:1", (SBIN, NIFTY))
        config = msgspec.structs.replace(config, venue=msgspec.structs.replace(config.venue, max_retries=1))
        self.worker = HistoryWorker(config, CALENDAR, lambda: NOW, self.done.set, lambda: rules)
        self.worker.watched = (SBIN, NIFTY)
        self.folder = config.bars_dir

    def fetch(self, name: str = SBIN, upto: int = NOW) -> FetchResult:
        self.done.clear()
        self.worker.request(Fetch(name, upto))
        assert self.done.wait(PATIENCE * 20), "requests wait for their turn, three a second"
        (result,) = self.worker.results()
        return result

    def filled_until(self, name: str = SBIN) -> int:
        store = BarStore(self.folder)
        try:
            return store.filled_until(name)
        finally:
            store.close()


@contextmanager
def bench(folder: Path, server: HistoryServer, rules: HistoryRules | None = None) -> Iterator[Bench]:
    made = Bench(folder, server, rules or HistoryRules())
    try:
        yield made
    finally:
        made.worker.stop()


def test_newest_hours_cut_off_are_a_hole_that_is_not_recorded_as_complete(tmp_path: Path) -> None:
    """FA14: what history lacked was taken for minutes without a trade, and indicators ran on over it."""
    cut = PAST + minutes_of(FRI, count=40)  # 09:15 to 09:55
    with history_server(minutes={SBIN: cut, NIFTY: PAST}) as server, bench(tmp_path, server) as found:
        result = found.fetch()
        assert result.lack is not None and result.lack.gaps == ((at("09:55"), at("15:25")),)
        assert found.filled_until() == at("09:55")
        server.minutes[SBIN] = PAST + minutes_of(FRI, count=370)
        again = found.fetch()
    assert again.lack is None and found.filled_until() == NOW
    assert [ask[2] for ask in server.asked if ask[0] == SBIN][-1] == "2026-07-17", "from the hole on"


def test_whole_history_lacks_nothing(tmp_path: Path) -> None:
    whole = PAST + minutes_of(FRI, count=370)
    with history_server(minutes={SBIN: whole, NIFTY: whole}) as server, bench(tmp_path, server) as found:
        result = found.fetch()
    assert (result.error, result.lack, result.problem, result.unanswered, len(result.new)) == (
        "",
        None,
        "",
        False,
        1120,
    )
    assert found.filled_until() == NOW


@pytest.mark.parametrize("late", [30, 330])
def test_shifted_history_is_refused_and_stored_nowhere(tmp_path: Path, late: int) -> None:
    whole = PAST + minutes_of(FRI, count=370)
    with history_server(minutes={SBIN: whole, NIFTY: whole}, late=late) as server, bench(tmp_path, server) as found:
        result = found.fetch()
        count = len(server.asked)
        found.fetch()
    assert f"{late} minutes late" in result.error and result.lack is not None
    assert (found.filled_until(), BarReader(found.folder).bars(SBIN)) == (0, [])
    assert len(server.asked) == count, "the verdict of the day is not sought again"


def test_an_empty_success_for_past_days_is_an_error_and_leaves_a_hole(tmp_path: Path) -> None:
    """Zero bars and no failed request were days without trading."""
    with history_server(minutes={NIFTY: PAST}) as server, bench(tmp_path, server) as found:
        result = found.fetch()
    assert "no bars of NSE:SBIN for 3 trading days" in result.error
    assert result.lack is not None and found.filled_until() == 0


def test_an_empty_answer_of_an_option_is_complete_where_another_instrument_answers(tmp_path: Path) -> None:
    with history_server(minutes={NIFTY: PAST}) as server, bench(tmp_path, server) as found:
        result = found.fetch(OPTION)
        assert (result.error, result.unanswered, result.lack) == ("", False, None)
        assert found.filled_until(OPTION) == NOW


def test_an_empty_answer_of_an_option_at_a_mute_source_is_asked_for_again(tmp_path: Path) -> None:
    with history_server() as server, bench(tmp_path, server) as found:
        result = found.fetch(OPTION)
        assert (result.error, result.unanswered, result.lack) == ("", True, None)
        assert found.filled_until(OPTION) < at("00:00", WED)


def test_a_broker_without_history_is_not_asked_and_the_lookback_counts_from_live_bars(tmp_path: Path) -> None:
    with history_server() as server, bench(tmp_path, server, HistoryRules(available=False)) as found:
        store = BarStore(found.folder)
        live = minutes_of(FRI, begin="10:15", count=310)
        store.add([Bar(SBIN, "1m", start, start + MINUTE, 1.0, 1.0, 1.0, 1.0, 1, 5) for start in live])
        store.close()
        result = found.fetch()
    assert (server.asked, result.available, result.error) == ([], False, "")
    assert result.lack is not None and result.lack.gaps[-1] == (at("09:15"), at("10:15"))
    assert result.lack.gaps[-2] == (at("09:15", THU), at("15:30", THU))


@contextmanager
def publisher(
    folder: Path, server: HistoryServer, rules: HistoryRules | None = None, **data: Any
) -> Iterator[tuple[BarPublisher, list[BarGaps], ActiveAlerts]]:
    """The feed's bars with a clock that goes on from 15:25, what it reported, and its alerts."""
    watched = StrategyRun(name="Crossover", file="s.py", symbols=(SBIN,), long=None, short=None)
    config = feed_config(folder, folder, server.url, "ws://127.0.0.1:1", (SBIN, NIFTY), **data)
    config = msgspec.structs.replace(config, strategies=(watched,))
    reported: list[BarGaps] = []
    alerts: ActiveAlerts = {}
    clock = MarketClock((ClockSegment(machine_now(), NOW, 1.0),))
    bars = BarPublisher(
        config, CALENDAR, clock, alerts, lambda _: None, lambda: None, reported.append, lambda: rules or HistoryRules()
    )
    try:
        yield bars, reported, alerts
    finally:
        bars.close()


def settle(bars: BarPublisher) -> None:
    """Take answers until none is on its way."""

    def done() -> bool:
        bars.collect_history()
        return not bars.is_fetching

    eventually(done, PATIENCE * 20)


def test_feed_reports_a_hole_asks_again_and_ends_it_once_it_is_filled(tmp_path: Path) -> None:
    cut, whole = PAST + minutes_of(FRI, count=40), PAST + minutes_of(FRI, count=370)
    with history_server(minutes={SBIN: cut, NIFTY: whole}) as server, publisher(tmp_path, server) as found:
        bars, reported, alerts = found
        bars.start((SBIN, NIFTY))
        settle(bars)
        assert [(one.instrument, one.gaps[0][0]) for one in reported[-1].lacking] == [(SBIN, at("09:55"))]
        assert "entries of Crossover are denied" in alerts["HISTORY_HOLE", SBIN].text
        for name in (SBIN, NIFTY):
            bars.start_live(name)
        bars.on_clock(NOW + 2 * MINUTE, machine_now())  # the minute in which quotes came first is asked for
        settle(bars)
        bars.on_clock(NOW + 4 * MINUTE, machine_now())
        store = BarStore(tmp_path / "bars")
        assert store.filled_until(SBIN) == at("09:55"), "a minute that passes does not hide it from the next start"
        assert store.filled_until(NIFTY) == NOW + 3 * MINUTE
        store.close()
        server.minutes[SBIN] = whole
        bars.on_second(machine_now() + 60 * SECOND)
        settle(bars)
    assert reported[-1].lacking == () and ("HISTORY_HOLE", SBIN) not in alerts


def test_feed_of_a_broker_without_history_says_so_and_waits_for_none(tmp_path: Path) -> None:
    rules = HistoryRules(available=False)
    with history_server() as server, publisher(tmp_path, server, rules) as (bars, reported, alerts):
        bars.start((SBIN, NIFTY))
        settle(bars)
        assert bars.has_history((SBIN, NIFTY)) and server.asked == []
    assert "the broker has no history" in alerts["HISTORY_NONE", "feed"].text
    assert {one.instrument for one in reported[-1].lacking} == {SBIN, NIFTY}
    assert not [code for code, _ in alerts if code != "HISTORY_NONE"]


def test_feed_without_history_by_setting_asks_nothing_and_denies_nothing(tmp_path: Path) -> None:
    with history_server() as server, publisher(tmp_path, server, historical=False) as (bars, reported, alerts):
        bars.start((SBIN, NIFTY))
        settle(bars)
        bars.on_second(machine_now())
        bars.report_gaps()
        assert (server.asked, reported[-1].lacking, alerts) == ([], (), {})


def test_feed_refuses_shifted_history_and_leaves_the_lookback_to_live_bars(tmp_path: Path) -> None:
    whole = PAST + minutes_of(FRI, count=370)
    shifted = history_server(minutes={SBIN: whole, NIFTY: whole}, late=30)
    with shifted as server, publisher(tmp_path, server) as (bars, reported, alerts):
        bars.start((SBIN, NIFTY))
        settle(bars)
    assert "30 minutes late" in alerts["HISTORY_MISSING", SBIN].text
    assert {one.instrument for one in reported[-1].lacking} == {SBIN, NIFTY}


def test_holes_are_levels_for_risk_and_name_the_strategies_that_watch_them(tmp_path: Path) -> None:
    lacks = HistoryLacks([("Crossover", (SBIN,)), ("Other", (NIFTY,))])
    cut = history_server(minutes={SBIN: PAST + minutes_of(FRI, count=40), NIFTY: PAST})
    with cut as server, bench(tmp_path, server) as found:
        lacks.note(SBIN, found.fetch().lack)
    (level,) = lacks.levels
    assert (level.instrument, level.since_ns, level.gaps[0][0]) == (SBIN, at("09:15", THU), at("09:55"))
    text = lacks.text(level)
    assert "entries of Crossover are denied" in text and "17 Jul 09:55" in text and "history accept NSE:SBIN" in text
    assert SBIN in lacks and list(lacks) == [SBIN]
    lacks.note(SBIN, None)
    assert lacks.levels == () and SBIN not in lacks
