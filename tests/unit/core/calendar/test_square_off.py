"""Times at which venues close intraday positions: kept for a day, and never beyond an edit of the calendar."""

from __future__ import annotations

import tomllib
from datetime import date, time

from mytrading.core.calendar import Calendar
from mytrading.core.calendar.square_off import BEFORE_CLOSE_NS, LEAD_NS, MACHINE_LEAD_NS, SquareOff
from mytrading.core.time import to_ns
from tests.kit.project import ROOT

TEXT = (ROOT / "config" / "calendar.toml").read_text(encoding="utf-8")
MONDAY, SUNDAY = date(2026, 11, 23), date(2026, 11, 22)


def calendar(text: str = TEXT) -> Calendar:
    return Calendar.from_dict(tomllib.loads(text))


def test_venues_time_is_of_the_day_that_is_asked_about() -> None:
    times = SquareOff(calendar(), {"NFO": time(15, 20)})
    assert times.venue_square_off_ns("NFO", to_ns(MONDAY, time(10))) == to_ns(MONDAY, time(15, 20))
    assert times.venue_square_off_ns("NFO", to_ns(SUNDAY, time(10))) == 0
    assert times.venue_square_off_ns("NFO", to_ns(MONDAY, time(11))) == to_ns(MONDAY, time(15, 20))
    assert times.venue_square_off_ns("NSE", to_ns(MONDAY, time(10))) == 0
    assert (
        times.venue_square_off_ns("NOWHERE", to_ns(MONDAY, time(10)))
        == times.mis_deadline_ns("NOWHERE", to_ns(MONDAY, time(10)))
        == 0
    )


def test_edited_calendar_moves_the_times_of_a_day_that_was_asked_about() -> None:
    held = calendar()
    times, now = SquareOff(held, {"NFO": time(15, 20)}), to_ns(MONDAY, time(10))
    before = held.session("NFO", MONDAY)
    assert before is not None
    assert times.mis_deadline_ns("NFO", now) == min(before.close_ns - BEFORE_CLOSE_NS, to_ns(MONDAY, time(15, 20)))
    held.replace_with(calendar(TEXT.replace("close = 15:40:00", "close = 15:05:00")))
    after = held.session("NFO", MONDAY)
    assert after is not None and after.close_ns != before.close_ns
    assert times.mis_deadline_ns("NFO", now) == after.close_ns - BEFORE_CLOSE_NS


def test_closing_begins_a_lead_before_it_is_due_which_a_fast_market_makes_longer() -> None:
    now = to_ns(MONDAY, time(10))
    slow, fast = (SquareOff(calendar(), {"NFO": time(15, 20)}, *speed) for speed in ((), (600.0,)))
    due = slow.mis_deadline_ns("NFO", now)
    assert slow.closing_begins_ns("NFO", now) == due - LEAD_NS
    assert fast.closing_begins_ns("NFO", now) == due - 600 * MACHINE_LEAD_NS < due - LEAD_NS


def test_time_at_the_open_closes_nothing() -> None:
    held, now = calendar(), to_ns(MONDAY, time(10))
    session = held.session("NSE", MONDAY)
    assert session is not None
    opens = time(9, 15)
    assert to_ns(MONDAY, opens) == session.open_ns
    times = SquareOff(held, {"NSE": opens})
    assert times.venue_square_off_ns("NSE", now) == 0
    assert times.flat_by_ns("NSE", now, opens, intraday=False) == 0
    assert times.flat_by_ns("NSE", now, time(9, 16), intraday=False) == session.open_ns + 60_000_000_000
