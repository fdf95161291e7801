"""Times of a strategy: when it may enter, when what it holds is closed, and what is intraday whatever its product."""

from __future__ import annotations

from datetime import date, time, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.calendar import to_ns
from mytrading.core.runs.times import clock
from mytrading.messages.commands import PlaceEntry, WithdrawEntries
from mytrading.messages.enums import Product
from mytrading.messages.signals import Leg
from mytrading.messages.strategy_rules import StrategyRules
from tests.unit.core.run_desks import RunDesk, events, goals
from tests.unit.core.test_risk_machine import CALL, DAY, SHARE, codes

HOUR = 3600


def held(rules: StrategyRules | None = None, **options: Any) -> RunDesk:
    desk = RunDesk(rules or StrategyRules(), **options)
    desk.take(CALL, 65, 100.0)
    return desk


def at(desk: RunDesk, hour: int, minute: int, second: int = 0, day: date = DAY) -> tuple[Any, ...]:
    desk.now = to_ns(day, time(hour, minute, second))
    return desk.pass_time(0)


def wish(desk: RunDesk, name: str = "w") -> tuple[Any, ...]:
    desk.at(CALL, 100.0, 100.1, seconds=0)
    return desk.wish(name, Leg(instrument=CALL, lots=1), product=desk.product)


def test_entries_wait_for_the_entry_time_and_end_with_the_exit_time() -> None:
    desk = RunDesk(StrategyRules(entry_time=10 * HOUR, exit_time=14 * HOUR))
    at(desk, 9, 59, 59)
    assert codes(wish(desk, "a")) == ["BEFORE_ENTRY_TIME"]
    at(desk, 14, 0)
    assert codes(wish(desk, "b")) == ["AFTER_EXIT_TIME"]
    at(desk, 10, 0)
    assert [type(row) for row in wish(desk, "c")] == [PlaceEntry]


def test_exit_time_closes_the_run_once_and_withdraws_what_is_on_its_way() -> None:
    desk = held(StrategyRules(exit_time=14 * HOUR))
    assert at(desk, 13, 59, 59) == ()
    rows = at(desk, 14, 0)
    assert [(event.kind, event.threshold, event.value) for event in events(rows)] == [
        ("exit_time", 14 * HOUR, 14 * HOUR)
    ]
    assert len(goals(rows)) == 1
    assert at(desk, 14, 1) == ()
    desk = RunDesk(StrategyRules(exit_time=14 * HOUR))
    at(desk, 13, 59)
    wish(desk)
    assert [row.instrument for row in at(desk, 14, 0) if isinstance(row, WithdrawEntries)] == [CALL]


def test_square_off_time_is_a_deadline_that_closing_leads() -> None:
    desk = held(StrategyRules(square_off_time=14 * HOUR))
    assert at(desk, 13, 56, 59) == ()
    (event,) = events(at(desk, 13, 57))
    assert (event.kind, event.threshold) == ("square_off", 14 * HOUR)


@pytest.mark.parametrize(("product", "intraday"), [(Product.MIS, False), (Product.NRML, True)])
def test_mis_and_intraday_are_closed_before_1515_and_stay_closed(product: Product, intraday: bool) -> None:
    desk = held(product=product, intraday=intraday)
    assert at(desk, 15, 11, 59) == ()
    rows = at(desk, 15, 12)
    (event,), (goal,) = events(rows), goals(rows)
    assert (event.kind, event.note, goal.cause) == ("square_off", "square-off: to be flat by 15:15", event.cause)
    desk.take(CALL, 0, 0.0)
    desk.machine.state.closing.clear()
    assert set(codes(wish(desk))) & {"SQUARE_OFF", "AFTER_EXIT_TIME", "LAST_MINUTES"}
    assert not [row for row in desk.rows if isinstance(row, PlaceEntry)]


def test_positional_run_is_left_alone_through_the_night() -> None:
    desk = held()
    assert at(desk, 15, 29) == ()
    desk.next_day()
    assert goals(at(desk, 9, 20, day=DAY + timedelta(days=1))) == []


def test_run_of_the_next_day_has_its_times_again() -> None:
    desk = held(StrategyRules(exit_time=14 * HOUR))
    at(desk, 14, 0)
    desk.take(CALL, 0, 0.0)
    desk.machine.state.closing.clear()
    desk.positions.clear()
    desk.now = to_ns(DAY + timedelta(days=1), time(10, 0))
    desk.take(CALL, 65, 100.0)
    assert len(events(at(desk, 14, 0, day=DAY + timedelta(days=1)))) == 1


def test_clock_shows_seconds_only_where_there_are_some() -> None:
    assert (clock(54_600), clock(54_605)) == ("15:10", "15:10:05")


HOLIDAY, MUHURAT = date(2026, 11, 24), date(2026, 11, 8)


@pytest.mark.parametrize("rules", [StrategyRules(exit_time=14 * HOUR), StrategyRules(square_off_time=14 * HOUR)])
def test_times_of_day_mean_nothing_on_a_holiday(rules: StrategyRules) -> None:
    desk = RunDesk(rules, product=Product.CNC)
    at(desk, 11, 0, day=date(2026, 11, 23))
    desk.take(SHARE, 100, 1000.0)
    assert at(desk, 14, 5, day=HOLIDAY) == ()
    rows = at(desk, 14, 5, day=date(2026, 11, 25))
    assert [event.kind for event in events(rows)] != []
    assert len(goals(rows)) == 1


@pytest.mark.parametrize("setting", ["exit_time", "square_off_time", "square_off"])
def test_times_of_the_afternoon_do_not_end_an_evening_session(setting: str) -> None:
    rules = StrategyRules() if setting == "square_off" else StrategyRules(**{setting: 15 * HOUR})
    desk = RunDesk(rules, product=Product.CNC)
    if setting == "square_off":
        (run,) = desk.parts[2]
        desk.parts = (*desk.parts[:2], (replace(run, square_off="15:00"),), *desk.parts[3:])
        desk._restart()
    desk.now = to_ns(MUHURAT, time(18, 20))
    desk.beat()
    desk.at(SHARE, 1000.0, 1000.5, seconds=0)
    rows = desk.wish("w", Leg(instrument=SHARE, lots=5), product=Product.CNC)
    assert [type(row) for row in rows if isinstance(row, PlaceEntry)] == [PlaceEntry], codes(rows)
