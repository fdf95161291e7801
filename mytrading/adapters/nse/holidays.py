"""Holidays of a year from the library `exchange_calendars`, which is kept by many and knows the Bombay exchange.

No daemon loads it; they read `config/calendar.toml`.
"""

from __future__ import annotations

import importlib
from datetime import date

from mytrading.core.calendar.calendar_file import closed_weekdays

SOURCE = "exchange_calendars"
_BOMBAY = "XBOM"


class DaysUnknown(Exception):
    """The library is not there or does not know the year; the message says what to do."""


def holidays_of(year: int) -> dict[date, str]:
    """Return the weekday holidays of NSE and BSE in a year, by date (the text is always "Holiday"). Raises
    `DaysUnknown` if the library is missing or does not know the year."""
    try:
        library = importlib.import_module(SOURCE)
    except ImportError as error:
        raise DaysUnknown(f"{SOURCE} is not installed; `pip install {SOURCE}`, then try again") from error
    try:
        found = library.get_calendar(_BOMBAY, start=f"{year}-01-01", end=f"{year}-12-31")
    except ValueError as error:
        raise DaysUnknown(
            f"{SOURCE} does not know {year} yet ({str(error).splitlines()[0]}); exchanges publish it in December: "
            "update the library then, or use --source openalgo"
        ) from error
    return dict.fromkeys(closed_weekdays(year, (stamp.date() for stamp in found.sessions)), "Holiday")
