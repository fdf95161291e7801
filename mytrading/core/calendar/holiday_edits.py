"""Adding holidays to the text of `config/calendar.toml`, so that its comments and its order stay.

What stands there is never changed or removed; an operator does that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import NamedTuple

_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})\s*=")


class Difference(NamedTuple):
    """Days of a year on which a source and the file disagree; weekends are no holidays to either."""

    missing: dict[date, str]
    extra: dict[date, str]


def compare(listed: Mapping[date, str], source: Mapping[date, str], year: int) -> Difference:
    """What a source names and the file does not, and the reverse."""
    mine = {day: name for day, name in listed.items() if day.year == year and day.weekday() < 5}
    theirs = {day: name for day, name in source.items() if day.year == year and day.weekday() < 5}
    return Difference(
        {day: name for day, name in sorted(theirs.items()) if day not in mine},
        {day: name for day, name in sorted(mine.items()) if day not in theirs},
    )


def add_holidays(text: str, name: str, days: Mapping[date, str]) -> str:
    """The file's text with more days in `[holidays.NAME]`, each before the first later one."""
    lines = text.splitlines()
    head = f"[holidays.{name}]"
    if head not in (line.strip() for line in lines):
        lines += ["", head]
    for day, reason in sorted(days.items()):
        begin = next(number for number, line in enumerate(lines) if line.strip() == head)
        lines.insert(_place(lines, begin + 1, day), f'{day.isoformat()} = "{_plain(reason)}"')
    return "\n".join(lines) + "\n"


def _place(lines: list[str], begin: int, day: date) -> int:
    last = begin
    for number in range(begin, len(lines)):
        found = _DAY.match(lines[number].strip())
        if lines[number].startswith("["):
            break
        if found is None:
            continue
        if date.fromisoformat(found[1]) > day:
            return number
        last = number + 1
    return last


def _plain(reason: str) -> str:
    return reason.replace("\\", " ").replace('"', "'").strip() or "Holiday"


def weekdays_off(year: int, sessions: Iterable[date]) -> list[date]:
    """The days from Monday to Friday of a year that are no sessions."""
    open_days = set(sessions)
    first, last = date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal()
    days = (date.fromordinal(number) for number in range(first, last + 1))
    return [day for day in days if day.weekday() < 5 and day not in open_days]
