"""Cached days and sessions of a calendar never show: it answers as one made just for the question."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mytrading.core.calendar import Calendar
from mytrading.core.time import DAY, IST, MINUTE
from tests.kit.hypothesis_budget import examples

FIRST = (date(2026, 7, 29) - date(1970, 1, 1)).days * DAY


def parsed(since: date, off: tuple[date, ...], saturday: bool) -> dict[str, Any]:
    """A file: other hours from a day on, these holidays, and perhaps a session on a Saturday."""
    day = {"open": "09:15", "close": "15:30"}
    return {
        "exchanges": {
            "NSE": {
                "sessions": [{"from": "2020-01-01", **day}, {"from": since.isoformat(), **day, "close": "15:15"}],
            },
            "MCX": {"sessions": [{"from": "2020-01-01", "open": "09:00", "close": "23:30"}]},
        },
        "holidays": {"NSE": {one.isoformat(): "Holiday" for one in off}, "MCX": {}},
        "special": [{"date": "2026-08-01", "exchanges": ["NSE"], "open": "10:00", "close": "11:00"}]
        if saturday
        else [],
    }


DATES = st.dates(date(2026, 7, 29), date(2026, 8, 7))
FILES = st.builds(parsed, DATES, st.lists(DATES, max_size=3).map(tuple), st.booleans())
INSTANTS = st.one_of(
    st.integers(FIRST, FIRST + 10 * DAY),
    st.integers(0, 40).map(
        lambda quarter: FIRST + quarter * DAY // 4 - 330 * MINUTE
    ),  # midnights in India are among them
    st.integers(0, 20).map(lambda half: FIRST + half * DAY // 2 - 330 * MINUTE - 1),
    st.sampled_from([0, -1, -331 * MINUTE]),
)


def answers(calendar: Calendar, ns: int) -> list[object]:
    """Everything that is asked of a moment."""
    day = calendar.trading_day(ns)
    asked: list[object] = [day]
    for name in calendar.exchanges:
        asked += [
            calendar.session(name, day),
            calendar.is_open(name, ns),
            calendar.is_trading_day(name, day),
            calendar.next_open(name, ns) if ns >= FIRST else None,
        ]
    return asked


@settings(max_examples=examples(50), deadline=None)
@given(FILES, st.lists(st.one_of(INSTANTS, FILES), min_size=2, max_size=25))
def test_remembered_day_and_sessions_are_those_of_the_moment_and_of_the_newest_file(
    file: dict[str, Any], steps: list[int | dict[str, Any]]
) -> None:
    calendar = Calendar.from_dict(file)
    for step in steps:
        if isinstance(step, dict):
            file = step
            calendar.replace_with(Calendar.from_dict(file))
            continue
        assert answers(calendar, step) == answers(Calendar.from_dict(file), step)
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=step // 1000)
        assert calendar.trading_day(step) == moment.astimezone(IST).date()
