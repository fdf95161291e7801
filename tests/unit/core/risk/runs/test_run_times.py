"""Times of a strategy: when it may enter, when what it holds is closed, and what is intraday whatever its product."""

from __future__ import annotations

from datetime import date, time, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.time import hhmm, to_ns
from mytrading.messages.commands import PlaceEntry, WithdrawEntries
from mytrading.messages.enums import Product
from mytrading.messages.exit_rules import StrategyRules
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import CALL, DAY, SHARE, codes
from tests.kit.risk_run_bench import RunBench, events, goals

HOUR = 3600


def held(rules: StrategyRules | None = None, **options: Any) -> RunBench:
    bench = RunBench(rules or StrategyRules(), **options)
    bench.take(CALL, 65, 100.0)
    return bench


def at(bench: RunBench, hour: int, minute: int, second: int = 0, day: date = DAY) -> tuple[Any, ...]:
    bench.now = to_ns(day, time(hour, minute, second))
    return bench.pass_time(0)


def intent(bench: RunBench, name: str = "w") -> tuple[Any, ...]:
    bench.at(CALL, 100.0, 100.1, seconds=0)
    return bench.intent(name, Leg(instrument=CALL, lots=1), product=bench.product)


def test_entries_wait_for_the_entry_time_and_end_with_the_exit_time() -> None:
    bench = RunBench(StrategyRules(entry_time=10 * HOUR, exit_time=14 * HOUR))
    at(bench, 9, 59, 59)
    assert codes(intent(bench, "a")) == ["BEFORE_ENTRY_TIME"]
    at(bench, 14, 0)
    assert codes(intent(bench, "b")) == ["AFTER_EXIT_TIME"]
    at(bench, 10, 0)
    assert [type(row) for row in intent(bench, "c")] == [PlaceEntry]


def test_exit_time_closes_the_run_once_and_withdraws_what_is_on_its_way() -> None:
    bench = held(StrategyRules(exit_time=14 * HOUR))
    assert at(bench, 13, 59, 59) == ()
    rows = at(bench, 14, 0)
    assert [(event.kind, event.threshold, event.value) for event in events(rows)] == [
        ("exit_time", 14 * HOUR, 14 * HOUR)
    ]
    assert len(goals(rows)) == 1
    assert at(bench, 14, 1) == ()
    bench = RunBench(StrategyRules(exit_time=14 * HOUR))
    at(bench, 13, 59)
    intent(bench)
    assert [row.instrument for row in at(bench, 14, 0) if isinstance(row, WithdrawEntries)] == [CALL]


def test_square_off_time_is_a_deadline_that_closing_leads() -> None:
    bench = held(StrategyRules(square_off_time=14 * HOUR))
    assert at(bench, 13, 56, 59) == ()
    (event,) = events(at(bench, 13, 57))
    assert (event.kind, event.threshold) == ("square_off", 14 * HOUR)


@pytest.mark.parametrize(("product", "intraday"), [(Product.MIS, False), (Product.NRML, True)])
def test_mis_and_intraday_are_closed_before_1515_and_stay_closed(product: Product, intraday: bool) -> None:
    bench = held(product=product, intraday=intraday)
    assert at(bench, 15, 11, 59) == ()
    rows = at(bench, 15, 12)
    (event,), (goal,) = events(rows), goals(rows)
    assert (event.kind, event.note, goal.cause) == ("square_off", "square-off: to be flat by 15:15", event.cause)
    bench.take(CALL, 0, 0.0)
    bench.machine.state.closing.clear()
    assert set(codes(intent(bench))) & {"SQUARE_OFF", "AFTER_EXIT_TIME", "LAST_MINUTES"}
    assert not [row for row in bench.rows if isinstance(row, PlaceEntry)]


def test_positional_run_is_left_alone_through_the_night() -> None:
    bench = held()
    assert at(bench, 15, 29) == ()
    bench.next_day()
    assert goals(at(bench, 9, 20, day=DAY + timedelta(days=1))) == []


def test_run_of_the_next_day_has_its_times_again() -> None:
    bench = held(StrategyRules(exit_time=14 * HOUR))
    at(bench, 14, 0)
    bench.take(CALL, 0, 0.0)
    bench.machine.state.closing.clear()
    bench.positions.clear()
    bench.now = to_ns(DAY + timedelta(days=1), time(10, 0))
    bench.take(CALL, 65, 100.0)
    assert len(events(at(bench, 14, 0, day=DAY + timedelta(days=1)))) == 1


def test_clock_shows_seconds_only_where_there_are_some() -> None:
    assert (hhmm(54_600), hhmm(54_605)) == ("15:10", "15:10:05")


HOLIDAY, MUHURAT = date(2026, 11, 24), date(2026, 11, 8)


@pytest.mark.parametrize("rules", [StrategyRules(exit_time=14 * HOUR), StrategyRules(square_off_time=14 * HOUR)])
def test_times_of_day_mean_nothing_on_a_holiday(rules: StrategyRules) -> None:
    bench = RunBench(rules, product=Product.CNC)
    at(bench, 11, 0, day=date(2026, 11, 23))
    bench.take(SHARE, 100, 1000.0)
    assert at(bench, 14, 5, day=HOLIDAY) == ()
    rows = at(bench, 14, 5, day=date(2026, 11, 25))
    assert [event.kind for event in events(rows)] != []
    assert len(goals(rows)) == 1


@pytest.mark.parametrize("setting", ["exit_time", "square_off_time", "square_off"])
def test_times_of_the_afternoon_do_not_end_an_evening_session(setting: str) -> None:
    rules = StrategyRules() if setting == "square_off" else StrategyRules(**{setting: 15 * HOUR})
    bench = RunBench(rules, product=Product.CNC)
    if setting == "square_off":
        (run,) = bench.parts[2]
        bench.parts = (*bench.parts[:2], (replace(run, square_off="15:00"),), *bench.parts[3:])
        bench._restart()
    bench.now = to_ns(MUHURAT, time(18, 20))
    bench.beat()
    bench.at(SHARE, 1000.0, 1000.5, seconds=0)
    rows = bench.intent("w", Leg(instrument=SHARE, lots=5), product=Product.CNC)
    assert [type(row) for row in rows if isinstance(row, PlaceEntry)] == [PlaceEntry], codes(rows)
