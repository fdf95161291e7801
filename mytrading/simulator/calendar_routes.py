"""REST handlers of the market calendar: a year's holidays and a day's hours.

Used by the dispatcher, which asks for no valid key here, as on the real server. The one rule: days and hours come
from the calendar the market itself runs by; times are epoch milliseconds.
"""

from __future__ import annotations

from datetime import date, time, timedelta

from mytrading.core.calendar import Calendar, Session, day_of, to_ns
from mytrading.simulator.call import Call
from mytrading.simulator.reply import Body, Reply, error, success

_EXCHANGES = ("NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX")
_ORDINARY_DAY = ("NSE", "BSE", "NFO", "BFO", "MCX", "BCD", "CDS", "NCO")
_MILLISECOND = 1_000_000
_SATURDAY = 5


async def holidays(call: Call) -> Reply:
    """The days of a year on which some exchange is closed, or open at other hours."""
    calendar = call.venue.world.calendar
    year = call.fields["year"] or day_of(call.venue.clock.now()).year
    first = date(year, 1, 1)
    days = (first + timedelta(days=number) for number in range((date(year + 1, 1, 1) - first).days))
    rows = [row for day in days if (row := _holiday(calendar, day)) is not None]
    return success(year=year, timezone="Asia/Kolkata", data=rows)


async def timings(call: Call) -> Reply:
    """The hours of one day; crypto alone trades on weekends."""
    calendar = call.venue.world.calendar
    try:
        day = date.fromisoformat(call.fields["date"])
    except ValueError:
        return error(400, "Invalid date format. Use YYYY-MM-DD")
    if _holiday(calendar, day) is not None:
        return success(data=_special_hours(calendar, day))
    midnight = to_ns(day, time()) // _MILLISECOND
    crypto = {"exchange": "CRYPTO", "start_time": midnight, "end_time": midnight + 86_399_000}
    sessions = ((exchange, calendar.session(exchange, day)) for exchange in _ORDINARY_DAY)
    return success(data=[*(_hours(exchange, session) for exchange, session in sessions if session), crypto])


def _holiday(calendar: Calendar, day: date) -> Body | None:
    names = {exchange: calendar.holiday_name(exchange, day) for exchange in _EXCHANGES}
    sessions = {exchange: calendar.session(exchange, day) for exchange in _EXCHANGES}
    special = next((session.name for session in sessions.values() if session is not None and session.name), "")
    shut = [exchange for exchange in _EXCHANGES if names[exchange] and sessions[exchange] is None]
    closed = shut if day.weekday() < _SATURDAY else []
    if not closed and not special:
        return None
    return {
        "date": day.isoformat(),
        "description": next((names[exchange] for exchange in closed), special),
        "holiday_type": "TRADING_HOLIDAY" if closed else "SPECIAL_SESSION",
        "closed_exchanges": closed,
        "open_exchanges": _special_hours(calendar, day),
    }


def _special_hours(calendar: Calendar, day: date) -> list[Body]:
    """The hours of those that trade on a day that is not an ordinary one."""
    sessions = ((exchange, calendar.session(exchange, day)) for exchange in _EXCHANGES)
    return [_hours(exchange, session) for exchange, session in sessions if session is not None]


def _hours(exchange: str, session: Session) -> Body:
    return {
        "exchange": exchange,
        "start_time": session.open_ns // _MILLISECOND,
        "end_time": session.close_ns // _MILLISECOND,
    }
