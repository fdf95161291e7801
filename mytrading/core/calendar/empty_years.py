"""What an operator is told of years without holidays: which lists are empty, what follows, and what fills them.

The calendar command, doctor and each start say it, from December on for the year that comes, and backtests of theirs.
`Calendar.is_provisional` is the rule; here are only its words.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from mytrading.core.calendar.sessions import Calendar

PROVISIONAL = "provisional"
"""The word for a day, holiday or expiry of a year whose holidays nobody has listed."""
WRITTEN = "NSE"
"""The list that `mytrading calendar write` fills."""
_DECEMBER = 12


def empty_year_notes(calendar: Calendar, day: date) -> list[str]:
    """Return a sentence for each holiday list without a day of this year, or in December of the next one."""
    years = (day.year, day.year + 1) if day.month == _DECEMBER else (day.year,)
    return [
        _note(name, exchanges, year, began=year == day.year)
        for year in years
        for name, exchanges in calendar.empty_lists(year).items()
    ]


def past_year_notes(calendar: Calendar, exchanges: Iterable[str], first: date, last: date) -> list[str]:
    """Return a sentence for each of the years from `first` to `last` that is provisional for one of the exchanges."""
    notes = []
    for year in range(first.year, last.year + 1):
        found = [
            name
            for name in dict.fromkeys(exchanges)
            if calendar.has_exchange(name) and calendar.is_provisional(name, date(year, 1, 1))
        ]
        if found:
            notes.append(
                f"config/calendar.toml lists no holiday of {year} for {', '.join(found)}: sessions and expiries of "
                f"that year are {PROVISIONAL}, its bars alone say which days were traded"
            )
    return notes


def _note(name: str, exchanges: tuple[str, ...], year: int, *, began: bool) -> str:
    what = f"config/calendar.toml lists no holiday of {year} under [holidays.{name}] ({', '.join(exchanges)})"
    since = "days and expiries of that year are" if began else f"from 1 January {year} days and expiries are"
    effect = f"{since} {PROVISIONAL}, and entries wait for `mytrading calendar confirm` each day"
    cure = f"`mytrading calendar write --year {year}` writes them" if name == WRITTEN else "write them there by hand"
    return f"{what}: {effect}; {cure}, once the exchange has published them"
