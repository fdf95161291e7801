"""The calendar's report of one moment: open or closed, why, when next, and which contracts expire.

A moment is market ns; nothing here asks what time it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from mytrading.core.calendar import Calendar, Session
from mytrading.core.calendar.empty_years import PROVISIONAL
from mytrading.core.instruments.contract_specs import (
    ContractFacts,
    DatedWeekday,
    Underlying,
    monthly_expiries,
    weekly_expiries,
)
from mytrading.core.time import IST, SECOND, ist_date

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def day_report(calendar: Calendar, exchanges: Iterable[str], ns: int) -> list[dict[str, Any]]:
    """Report for each exchange whether it trades at market time `ns` and that day, why not, and when next."""
    return [_exchange(calendar, name, ns) for name in exchanges]


def expiry_report(calendar: Calendar, facts: ContractFacts, day: date) -> list[dict[str, Any]]:
    """Report the next expiries of each underlying with contracts, and whether a holiday moved them."""
    named = ((name, found) for name, found in facts.underlyings.items() if found.lot)
    return [_expiries(calendar, name, found, day) for name, found in named]


def _exchange(calendar: Calendar, name: str, ns: int) -> dict[str, Any]:
    day = ist_date(ns)
    session = calendar.session(name, day)
    following = session if session is not None and ns < session.open_ns else calendar.next_session(name, day)
    return {
        "exchange": name,
        "open": calendar.is_open(name, ns),
        "trading_day": session is not None,
        "holiday": calendar.holiday_name(name, day),
        "why": _why(calendar, name, session, ns),
        "session": _session(session),
        "next_session": _session(following),
        "provisional": calendar.is_provisional(name, day),
        "listed_until": calendar.listed_until(name).isoformat(),
    }


def _why(calendar: Calendar, name: str, session: Session | None, ns: int) -> str:
    """In words why the exchange is closed, or which session it has."""
    day = ist_date(ns)
    if session is None:
        return calendar.holiday_name(name, day) or ("weekend" if day.weekday() >= 5 else "no session listed")
    if ns < session.open_ns:
        return "not open yet"
    if ns < session.close_ns:
        doubt = f"{PROVISIONAL}: no holiday of {day.year} is listed" if calendar.is_provisional(name, day) else ""
        return session.name or doubt
    return "closing auction" if ns < session.final_ns else "closed for the day"


def _session(session: Session | None) -> dict[str, str] | None:
    if session is None:
        return None
    found = {
        "date": ist_date(session.open_ns).isoformat(),
        "open": _clock(session.open_ns),
        "close": _clock(session.close_ns),
        "name": session.name,
    }
    return {**found, "auction_until": _clock(session.final_ns)} if session.final_ns > session.close_ns else found


def _clock(ns: int) -> str:
    return datetime.fromtimestamp(ns / SECOND, IST).strftime("%H:%M")


def _expiries(calendar: Calendar, name: str, facts: Underlying, day: date) -> dict[str, Any]:
    weekly = next(weekly_expiries(calendar, facts, day), None)
    monthly = next(monthly_expiries(calendar, facts, day), None)
    return {
        "underlying": name,
        "weekly": weekly.isoformat() if weekly is not None else "",
        "monthly": monthly.isoformat() if monthly is not None else "",
        "today": day in (weekly, monthly),
        "provisional": [
            found.isoformat()
            for found in (weekly, monthly)
            if found is not None and calendar.is_provisional(facts.traded_on, found)
        ],
        "moved": [
            found.isoformat()
            for found, dated in ((weekly, facts.weekly), (monthly, facts.monthly))
            if found is not None and _is_moved(found, dated, facts.expiry_day)
        ],
    }


def _is_moved(expiry: date, weekdays: Iterable[DatedWeekday], day: int) -> bool:
    if day:
        return expiry.day != day
    return expiry.weekday() not in {row.weekday for row in weekdays if row.since <= expiry}
