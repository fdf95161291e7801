"""The calendar: sessions with dates, holidays, special sessions, and what is said of a faulty file."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest

from mytrading.core.calendar import Calendar, CalendarError, Session, UnknownExchange
from mytrading.core.time import IST, ist_date, to_ns

HOME = Path(__file__).parents[4]
FRIDAY = date(2026, 11, 20)


@pytest.fixture(scope="module")
def shipped() -> Calendar:
    return Calendar.from_dict(tomllib.loads((HOME / "config" / "calendar.toml").read_text(encoding="utf-8")))


def ns(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=IST) - datetime(1970, 1, 1, tzinfo=UTC)
    return (moment // timedelta(microseconds=1)) * 1000


def hours(session: Session | None) -> tuple[str, str, str]:
    assert session is not None
    opens, closes, final = (datetime.fromtimestamp(value / 1e9, IST).strftime("%H:%M") for value in session[:3])
    return opens, closes, final


@pytest.mark.parametrize(
    ("exchange", "day", "expected"),
    [
        ("NSE", date(2026, 7, 31), ("09:15", "15:30", "15:30")),
        ("NSE", date(2026, 8, 3), ("09:15", "15:15", "15:35")),
        ("NFO", date(2026, 7, 31), ("09:15", "15:30", "15:30")),
        ("NFO", date(2026, 8, 3), ("09:15", "15:40", "15:40")),
        ("BFO", FRIDAY, ("09:15", "15:40", "15:40")),
        ("NSE_INDEX", FRIDAY, ("09:15", "15:15", "15:35")),
        ("CDS", FRIDAY, ("09:00", "17:00", "17:00")),
        ("MCX", FRIDAY, ("09:00", "23:55", "23:55")),
        ("MCX", date(2026, 9, 1), ("09:00", "23:30", "23:30")),
    ],
)
def test_session_on_a_date_has_the_hours_that_hold_then(
    shipped: Calendar, exchange: str, day: date, expected: tuple[str, str, str]
) -> None:
    assert hours(shipped.session(exchange, day)) == expected


def test_session_on_weekend_and_holiday_is_none(shipped: Calendar) -> None:
    assert shipped.session("NFO", date(2026, 11, 21)) is None
    assert shipped.session("NFO", date(2026, 11, 24)) is None
    assert shipped.holiday_name("NSE", date(2026, 11, 24)) == "Guru Nanak Jayanti"
    assert shipped.holiday_name("NFO", date(2026, 11, 21)) == ""


def test_session_on_special_day_beats_holiday_and_weekend(shipped: Calendar) -> None:
    assert hours(shipped.session("NFO", date(2025, 10, 21))) == ("13:45", "14:45", "14:45")
    assert hours(shipped.session("BSE_INDEX", date(2025, 2, 1))) == ("09:15", "15:30", "15:30")
    assert hours(shipped.session("MCX", date(2026, 11, 24))) == ("17:00", "23:55", "23:55")


def test_is_open_at_the_bounds_includes_open_and_excludes_close(shipped: Calendar) -> None:
    assert not shipped.is_open("NFO", ns("2026-11-20T09:14:59"))
    assert shipped.is_open("NFO", ns("2026-11-20T09:15:00"))
    assert shipped.is_open("NFO", ns("2026-11-20T15:39:59"))
    assert not shipped.is_open("NFO", ns("2026-11-20T15:40:00"))
    assert not shipped.is_open("NSE", ns("2026-11-20T15:15:00"))


def test_next_open_is_strictly_after_and_skips_weekend_and_holiday(shipped: Calendar) -> None:
    friday_open = ns("2026-11-20T09:15:00")
    assert shipped.next_open("NFO", friday_open - 1) == friday_open
    assert shipped.next_open("NFO", friday_open) == ns("2026-11-23T09:15:00")
    assert shipped.next_open("NFO", ns("2026-11-23T20:00:00")) == ns("2026-11-25T09:15:00")


def test_trading_day_around_midnight_in_india_is_the_indian_date(shipped: Calendar) -> None:
    assert shipped.trading_day(ns("2026-11-20T00:00:00")) == FRIDAY
    assert shipped.trading_day(ns("2026-11-20T00:00:00") - 1) == date(2026, 11, 19)
    assert ist_date(0) == date(1970, 1, 1)


def test_neighbouring_trading_days_skip_closed_days(shipped: Calendar) -> None:
    assert shipped.next_trading_day("NFO", date(2026, 11, 23)) == date(2026, 11, 25)
    assert shipped.previous_trading_day("NFO", date(2026, 11, 25)) == date(2026, 11, 23)


def test_sessions_of_real_days_match_the_market(shipped: Calendar) -> None:
    """The days without trading from January to April 2024, as the exchange's own bars show them."""
    first = date(2024, 1, 1)
    closed = [
        day for n in range(121) if (day := first + timedelta(n)).weekday() < 5 and not shipped.session("NSE", day)
    ]
    assert [day.isoformat()[5:] for day in closed] == ["01-22", "01-26", "03-08", "03-25", "03-29", "04-11", "04-17"]


def test_session_before_any_hours_hold_is_none(shipped: Calendar) -> None:
    assert shipped.session("NSE", date(2000, 1, 3)) is None


def test_unknown_exchange_names_the_known_ones(shipped: Calendar) -> None:
    with pytest.raises(UnknownExchange, match=r"'NFX'.*expected one of NSE, NFO.*\[exchanges.NFX\]"):
        shipped.is_open("NFX", ns("2026-11-20T10:00:00"))


def test_listed_until_is_the_end_of_the_last_listed_year(shipped: Calendar) -> None:
    assert shipped.listed_until("NFO") == date(2026, 12, 31)


def faulty(**changes: object) -> dict[str, object]:
    good: dict[str, object] = {
        "exchanges": {"NSE": {"sessions": [{"from": date(2020, 1, 1), "open": "09:15", "close": "15:30"}]}},
        "holidays": {"NSE": {"2026-01-26": "Republic Day"}},
    }
    return {**good, **changes}


def test_calendar_from_correct_file_with_text_times_is_read() -> None:
    calendar = Calendar.from_dict(faulty())
    assert hours(calendar.session("NSE", date(2026, 1, 27))) == ("09:15", "15:30", "15:30")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"holiday": {}}, "holiday = {}: expected one of the keys exchanges, holidays, special"),
        ({"holidays": {"NSE": {"26-01-2026": "x"}}}, "holidays.NSE.26-01-2026 = '26-01-2026': expected a date like"),
        ({"exchanges": {}}, "expected at least one table like [exchanges.NSE]"),
        ({"exchanges": {"BSE": {"like": "NSX"}}}, "exchanges.BSE.like = 'NSX': expected the name of an exchange"),
        ({"special": [{"date": date(2026, 1, 1), "exchanges": ["X"], "open": "9", "close": "10:00"}]}, "special.open"),
    ],
)
def test_calendar_from_faulty_file_names_key_value_and_expectation(changes: dict[str, object], message: str) -> None:
    with pytest.raises(CalendarError) as caught:
        Calendar.from_dict(faulty(**changes), "mine.toml")
    assert message in str(caught.value)
    assert all(problem.startswith("mine.toml: ") for problem in caught.value.problems)


def test_calendar_from_file_with_several_faults_reports_all() -> None:
    rows = [
        {"from": "soon", "open": "late", "close": "15:30"},
        {"from": "2026-01-01", "open": "10:00", "close": "09:00"},
    ]
    with pytest.raises(CalendarError) as caught:
        Calendar.from_dict(faulty(exchanges={"NSE": {"sessions": rows}}))
    assert len(caught.value.problems) == 3


def test_sessions_of_a_weekday_hold_on_that_day_alone() -> None:
    hours = {"from": "2026-01-01", "open": "09:15", "close": "15:30"}
    short = {"from": "2026-06-01", "open": "10:00", "close": "12:00", "weekdays": ["sat", "wed"]}
    calendar = Calendar.from_dict({"exchanges": {"X": {"sessions": [hours, short]}}, "holidays": {"X": {}}})
    closes = {}
    for day in (date(2026, 5, 30), date(2026, 6, 3), date(2026, 6, 4), date(2026, 6, 6), date(2026, 6, 7)):
        session = calendar.session("X", day)
        closes[day.day] = None if session is None else session.close_ns - to_ns(day, time(0))
    hour = 3_600_000_000_000
    assert closes == {30: None, 3: 12 * hour, 4: 15.5 * hour, 6: 12 * hour, 7: None}


def test_sessions_of_an_unknown_weekday_are_refused() -> None:
    hours = {"from": "2026-01-01", "open": "09:15", "close": "15:30", "weekdays": ["fryday"]}
    with pytest.raises(CalendarError, match="expected a list of mon, tue"):
        Calendar.from_dict({"exchanges": {"X": {"sessions": [hours]}}, "holidays": {"X": {}}})


def test_exchange_is_known_if_the_file_names_it(shipped: Calendar) -> None:
    assert shipped.has_exchange("NFO")
    assert not shipped.has_exchange("NYSE")
    assert [name for name in shipped.exchanges if not shipped.has_exchange(name)] == []


def test_edition_is_another_with_each_file_that_is_taken(shipped: Calendar) -> None:
    text = (HOME / "config" / "calendar.toml").read_text(encoding="utf-8")
    taken = Calendar.from_dict(tomllib.loads(text))
    before = taken.edition
    taken.replace_with(Calendar.from_dict(tomllib.loads(text.replace("close = 15:40:00", "close = 15:05:00"))))
    assert taken.edition == before + 1
    assert hours(taken.session("NFO", FRIDAY))[1] == "15:05"
    assert hours(shipped.session("NFO", FRIDAY))[1] == "15:40"
